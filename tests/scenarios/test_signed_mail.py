"""Mail of a real relay is signed, by RSA on the loop, by RSA-3072 in its thread, by Ed25519 beside it; a reload takes up the next key."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.interop.dkim_peers import dkimpy_verifies
from tests.scenarios.alone import Alone
from tests.scenarios.clients import client, send

from postwright.control.cli.main import main
from postwright.engine.dkim_keys import Broken, read
from postwright.testing.sink import SinkServer

SIGNS = """
<domain *>
    dkim-sign yes
    second-dkim-sign yes
    second-dkim-algorithm ed25519-sha256
</domain>
domain-key {selector}, client.example, {folder}/{selector}.pem
domain-key ed, client.example, {folder}/ed.pem
"""


def make_key(folder: Path, selector: str, *options: str) -> tuple[str, bytes]:
    """A key by `postwright dkim keygen`: the name of its record and the record."""
    file = folder / f"{selector}.pem"
    words = ["dkim", "keygen", "--domain", "client.example", "--selector", selector, "--out", str(file), *options]
    assert CliRunner().invoke(main, words).exit_code == 0
    key = read(str(file))
    assert not isinstance(key, Broken)
    return f"{selector}._domainkey.client.example", key.record().encode()


@pytest.mark.directive("domain-key", "dkim-sign", "second-dkim-sign")
async def test_every_message_verifies_and_a_reload_changes_the_key(tmp_path: Path) -> None:
    keys = dict([make_key(tmp_path, "old"), make_key(tmp_path, "big", "--bits", "3072"), make_key(tmp_path, "ed", "--type", "ed25519")])
    async with SinkServer() as receiver:
        relay = Alone(tmp_path, receiver, SIGNS.format(selector="old", folder=tmp_path), shards=2)
        async with relay:
            await relay.load([f"d{number}.example" for number in range(8)], sender="anne@news.client.example")
            await receiver.wait_for(8, 20)
            relay.write_config(relay.rules + SIGNS.format(selector="big", folder=tmp_path))
            assert (await relay.command("reload"))[0] == 0
            async with client(relay.port) as session:
                for number in range(20):
                    await send(session, f"{number}@e.example", sender="anne@client.example")
            await receiver.wait_for(28, 20)
    for number, message in enumerate(receiver.messages):
        assert dkimpy_verifies(message.content, keys), message.content
        assert (b"s=old;" if number < 8 else b"s=big;") in message.content
        assert message.content.count(b"\r\nDKIM-Signature:") == 1, "the second one, by Ed25519"
        assert message.content.index(b"a=rsa-sha256") < message.content.index(b"a=ed25519-sha256")
