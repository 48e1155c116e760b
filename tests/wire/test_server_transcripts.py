"""Whole conversations, one a file in `transcripts/server/`: each runs as it stands, and again one octet at a time.

`C:` a line of the client, `S:` of the server (CRLF is added); `C|` and `S|` octets as the inside of a Python bytes literal; `TLS` the
handshake is done; `#` a comment. `# options: {...}` gives ServerOptions as JSON, `# greeting: 554 text` another greeting.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from postwright.model.reply import Reply
from postwright.wire.options import ServerOptions

FOLDER = Path(__file__).parent / "transcripts" / "server"
FILES = sorted(FOLDER.glob("*.txt"))


def headers(text: str) -> dict[str, str]:
    lines = [line[2:] for line in text.splitlines() if line.startswith("# ")]
    return {key: value for key, colon, value in (line.partition(": ") for line in lines) if colon}


def turns(text: str) -> Iterator[tuple[str, bytes]]:
    """("C", octets), ("S", octets) and ("TLS", b""), with neighbours of one kind put together."""
    last, octets = "", b""
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        kind = "TLS" if line == "TLS" else line[0]
        if kind != last and last:
            yield last, octets
            octets = b""
        last = kind
        if line[1:2] == "|":
            octets += ast.literal_eval("b'" + line[3:] + "'")
        elif kind != "TLS":
            octets += line[3:].encode() + b"\r\n"
    yield last, octets


@pytest.mark.parametrize("cut", [False, True], ids=["whole", "octet by octet"])
@pytest.mark.parametrize("file", FILES, ids=[file.stem for file in FILES])
def test_transcript(file: Path, cut: bool, converse: Callable[..., Any]) -> None:
    text = file.read_text()
    said = headers(text)
    code, _, words = said.get("greeting", "220 mx.example ESMTP").partition(" ")
    options = msgspec.json.decode(said.get("options", "{}"), type=ServerOptions)
    conversation = converse(options, greeting=Reply(int(code), "", (words,)))
    heard = b""
    for kind, octets in turns(text):
        if kind == "C":
            assert heard == b""
            for piece in [octets[at : at + 1] for at in range(len(octets))] if cut else [octets]:
                heard += conversation.say(piece)
        elif kind == "S":
            assert heard.decode() == octets.decode()
            heard = b""
        else:
            conversation.engine.tls_started()
    assert heard == b""


def test_there_are_transcripts() -> None:
    assert len(FILES) >= 10
