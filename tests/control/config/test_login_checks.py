"""Libraries that a way to log in wants and this machine lacks: told at the line, with what to install. Takes milliseconds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from postwright.control.config import loads
from postwright.engine import gssapi, pam

SYSTEM = "<smtp-user anne>\nauthentication-method system\n</smtp-user>\n"


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine without any of them."""
    monkeypatch.setattr(gssapi, "LIBRARY", "libgssapi_nowhere.so.2")
    monkeypatch.setattr(pam, "available", lambda: False)
    gssapi.library.cache_clear()
    yield
    gssapi.library.cache_clear()


def told(text: str, folder: Path, *, offline: bool = False) -> list[tuple[int, str]]:
    (folder / "relay.keytab").write_bytes(b"")
    return [(problem.line, problem.message) for problem in loads(text, folder=folder, offline=offline).errors]


@pytest.mark.usefixtures("bare")
def test_what_is_missing_is_told_at_its_line(tmp_path: Path) -> None:
    assert told(f"kerberos-keytab relay.keytab\n{SYSTEM}", tmp_path) == [
        (1, f"kerberos-keytab: {gssapi.MISSING}"),
        (3, f"authentication-method: {pam.MISSING}"),
    ]
    assert told(f"kerberos-keytab relay.keytab\n{SYSTEM}", tmp_path, offline=True) == []


def test_what_is_there_is_not_told(tmp_path: Path) -> None:
    assert told("kerberos-keytab relay.keytab\n", tmp_path) == []
    assert told("kerberos-keytab no.keytab\n", tmp_path)[0][1].startswith("kerberos-keytab: there is no file")
    assert told("kerberos-keytab relay.keytab\nkerberos-service smtp/relay\n", tmp_path)[0] == (
        2,
        "kerberos-service: this is no service of Kerberos",
    )
