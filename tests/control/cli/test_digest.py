"""`postwright digest` prints what PowerMTA's guide prints for `pmta digest` (5.0, section 6.3.30), and takes no half orders."""

from __future__ import annotations

import pytest
from click.testing import CliRunner, Result

from postwright.control.cli.main import main


def digest(*arguments: str, text: str = "", key: str | None = None) -> Result:
    return CliRunner().invoke(main, ["digest", *arguments], input=text, env={"POSTWRIGHT_DIGEST_KEY": key})


@pytest.mark.parametrize(
    ("arguments", "result"),
    [
        (("--hmac-sha256", "--key=secretkey"), "614648A140A88192D375C22E606BEC922E8CFA71A5063C067E6BE7CB49C506AA"),
        (("--siphash", "--key=secretkey"), "EB938A2508145899"),
        (("--hmac-sha256", "--hexkey=1234abcd"), "3BB5D751EB1C3ECCD12C10B315DADEBA35C3A6DF822E44A347FC01B38001477A"),
        (("--siphash", "--hexkey=1234abcd"), "D343D887797D2CFB"),
    ],
)
def test_the_examples_of_the_guide(arguments: tuple[str, ...], result: str) -> None:
    found = digest(*arguments, "port25")
    assert (found.exit_code, found.stdout) == (0, f"Result: {result}\n")


def test_a_key_that_is_in_no_list_of_processes() -> None:
    assert digest("--siphash", "port25", key="secretkey").stdout == "Result: EB938A2508145899\n"
    assert digest("--siphash", "--key-stdin", "port25", text="secretkey\n").stdout == "Result: EB938A2508145899\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--key=k", "x"), "say which digest"),
        (("--siphash", "--hmac-sha256", "--key=k", "x"), "say which digest"),
        (("--siphash", "--key=k", "--hexkey=00", "x"), "one key is enough"),
        (("--siphash", "--hexkey=0g", "x"), "not in hex"),
        (("--siphash", "--key=seventeen-letters", "x"), "at most 16 octets"),
        (("--siphash", "--key=k"), "Missing argument"),
    ],
)
def test_wrong_orders(arguments: tuple[str, ...], said: str) -> None:
    found = digest(*arguments)
    assert found.exit_code == 64
    assert said in found.stderr
