"""Logins that lack a library of this machine, and passwords that everybody could read: told at the line. Takes milliseconds."""

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


# -- passwords on their way -----------------------------------------------------------------------


def notes(block: str, folder: Path) -> list[tuple[int, str, str]]:
    result = loads(f"{block}\nallow-unencrypted-plain-auth yes\n</source>\n", folder=folder, offline=True)
    return [(problem.line, problem.level, problem.message) for problem in result.problems if problem.line]


def test_passwords_from_the_internet_without_tls_are_told(tmp_path: Path) -> None:
    [(line, level, message)] = notes("<source 0/0>", tmp_path)
    assert (line, level) == (2, "note")  # many a file of PowerMTA's has it, and means it
    assert "passwords from 0/0 may come unencrypted" in message
    assert len(notes("<source 198.51.100.0/24>", tmp_path)) == len(notes("<source 2001:db8::/32>", tmp_path)) == 1


@pytest.mark.parametrize("head", ["10/8", "192.168.7.1", "127.0.0.0/8", "::1", "{auth}", "0/0>\nrequire-starttls-before-auth yes\n#"])
def test_passwords_that_do_not_cross_it_are_not(tmp_path: Path, head: str) -> None:
    assert notes(f"<source {head}>", tmp_path) == []
