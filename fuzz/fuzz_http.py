"""Fuzzes what the HTTP port takes apart itself: heads without a Host, keys, names of files, lines of commands, cursors.

A head that gets a Host is the same request for h11; a name leads into the configuration's folder or nowhere; a tool's words hold no option
that is not in its list. Only the exceptions that are named here may come of it.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Final

import common
import h11

from postwright.control.api.suppression import place_of
from postwright.control.config.folder import ConfigFolder, ConfigRefused
from postwright.control.http.access import shown_key
from postwright.control.http.command_table import TOOLS, Unknown, arguments_of, words_of
from postwright.control.http.problems import Refused
from postwright.control.http.speaker import with_host
from postwright.engine.event_pages import places_of

SEEDS: Final = (
    b"GET /status HTTP/1.1\n\n",
    b"GET /status HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\nGET / HTTP/1.1\r\n\r\n",
    b"POST /command HTTP/1.1\r\nA: b\r\n c\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"Basic YXBpOmtleQ==\nBearer k\nKEY k\nk",
    b"conf.d/a.conf\n../secret\nlink/x\n/etc/passwd\nconf.d/../config\n.hidden",
    b'resolve example.com --use-d --server=127.0.0.1\ncheck spf 192.0.2.1 -x y\ndigest --key="a b" x',
    b"0:1:17,3:2:0\n99999:1:1\nWyJhIiwiYiJd\ne30=",
)


def _folder() -> ConfigFolder:
    top = Path(tempfile.mkdtemp(prefix="fuzz-http-"))
    (top / "etc" / "conf.d").mkdir(parents=True)
    (top / "etc" / "config").write_text("")
    (top / "etc" / "link").symlink_to(top)
    (top / "secret").write_text("")
    return ConfigFolder(top / "etc" / "config", top)


FOLDER: Final = _folder()
INSIDE: Final = os.path.dirname(FOLDER.path("config")) + os.sep


def _request(octets: bytes) -> h11.Request | None:
    connection = h11.Connection(h11.SERVER)
    try:
        connection.receive_data(octets)
        event = connection.next_event()
    except h11.RemoteProtocolError:
        return None
    return event if isinstance(event, h11.Request) else None


def _heads(data: bytes) -> None:
    made = with_host(data, b"host.example")
    before, after = _request(data), _request(made)
    if before is not None:
        assert made == data or before.http_version != b"1.1", "a request that h11 takes was changed"
    if made != data and after is not None:
        added = [(name, value) for name, value in after.headers if name == b"host"]
        assert added == [(b"host", b"host.example")]
        assert data.startswith(after.method + b" " + after.target + b" HTTP/1.1")
        assert (b"connection", b"close") in list(after.headers)


def _texts(data: bytes) -> None:
    for text in data.decode("utf-8", "surrogateescape").split("\n")[:20]:
        for name in ("x-api-key", "authorization"):
            shown_key({name: text})
        try:
            assert FOLDER.path(text).startswith(INSIDE)
        except ConfigRefused:
            pass
        try:
            words = words_of(text)
            for tool in TOOLS:
                _tool_words(arguments_of(tool, words), tool.options)
        except Unknown:
            pass
        for parse in (places_of, place_of):
            try:
                parse(text)
            except (ValueError, Refused):
                pass


def _tool_words(argv: list[str], options: tuple[str, ...]) -> None:
    before = argv[: argv.index("--")]
    assert all(word.startswith("--") and (word[2:].partition("=")[0] + ("=" if "=" in word else "")) in options for word in before)


def fuzz_one(data: bytes) -> None:
    _heads(data)
    _texts(data)


if __name__ == "__main__":
    common.run(fuzz_one, SEEDS)
