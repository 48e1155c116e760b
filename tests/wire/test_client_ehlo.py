"""What is kept of an EHLO reply, however odd."""

from __future__ import annotations

import pytest

from postwright.model.reply import Reply
from postwright.model.route import SessionOptions
from postwright.wire.client_ehlo import read_ehlo, read_helo
from postwright.wire.client_states import Capabilities


def offered(*lines: str) -> Capabilities:
    return read_ehlo(Reply(250, "", ("mx.example at your service", *lines)), SessionOptions())


def test_keywords_are_kept_as_offered_and_within_bounds() -> None:
    found = offered(
        "pipelining", "Size 100", "X-LINK2STATE", "XFOO bar", "", "x" * 41, "<script>", "=", "SIZE", *[f"X{n}" for n in range(99)]
    )
    assert found.keywords[:4] == ("PIPELINING", "SIZE", "X-LINK2STATE", "XFOO")
    assert len(found.keywords) <= 64
    assert all(len(keyword) <= 40 and keyword.replace("-", "").isalnum() for keyword in found.keywords)
    assert found.name == "mx.example"


@pytest.mark.parametrize(("line", "size"), [("SIZE", 0), ("SIZE 5", 5), ("SIZE x", 0), ("SIZE -1", 0), ("SIZE " + "9" * 21, 0)])
def test_size(line: str, size: int) -> None:
    assert (offered(line).size_offered, offered(line).size) == (True, size)


def test_both_ways_to_offer_auth() -> None:
    assert offered("AUTH PLAIN LOGIN", "AUTH=LOGIN CRAM-MD5").auth == ("PLAIN", "LOGIN", "CRAM-MD5")


def test_binarymime_without_chunking_is_of_no_use() -> None:
    assert not offered("BINARYMIME").binary_mime
    assert offered("BINARYMIME", "CHUNKING").binary_mime


def test_no_lines_at_all() -> None:
    assert read_helo(Reply(250, "", ())) == Capabilities()
    assert read_ehlo(Reply(250, "", ()), SessionOptions()) == Capabilities(extended=True)


def test_limits_of_rfc_9422() -> None:
    def limits(line: str) -> tuple[int | None, int | None]:
        found = read_ehlo(Reply(250, "", ("mx.example", line)), SessionOptions())
        return found.rcpt_max, found.mail_max

    assert limits("LIMITS RCPTMAX=20 MAILMAX=5") == (20, 5)
    assert limits("limits mailmax=7") == (None, 7)
    for odd in ("LIMITS", "LIMITS RCPTMAX=", "LIMITS RCPTMAX=0", "LIMITS RCPTMAX=-1", "LIMITS RCPTMAX=9999999", "LIMITS RCPTMAX=²"):
        assert limits(odd) == (None, None)
