"""Which user a principal is, and what the acceptor makes of octets that are no tickets. A real KDC is in tests/interop/test_kerberos.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from postwright.engine import gssapi, kerberos
from postwright.engine.auth_frames import Equip

SERVICE = "smtp/relay.example@CORP.EXAMPLE"


@pytest.mark.parametrize(
    ("principal", "user"),
    [
        ("alice@CORP.EXAMPLE", "alice"),
        ("alice/admin@CORP.EXAMPLE", "alice/admin"),
        ("bob@FRIEND.EXAMPLE", "bob@FRIEND.EXAMPLE"),
        ("bob@STRANGER.EXAMPLE", ""),
        ("alice@corp.example", ""),
        ("alice@CORP.EXAMPLE.", ""),
        ("alice", ""),
        ("@CORP.EXAMPLE", ""),
        ("alice\\@FRIEND.EXAMPLE@CORP.EXAMPLE", ""),
        ("alice@FRIEND.EXAMPLE@CORP.EXAMPLE", ""),
        ("al\nice@CORP.EXAMPLE", ""),
        ("", ""),
    ],
)
def test_whom_a_principal_is(principal: str, user: str) -> None:
    assert kerberos.user_of(principal, SERVICE, ("FRIEND.EXAMPLE",)) == user


def test_our_own_realm_may_be_listed_too() -> None:
    assert kerberos.user_of("alice@CORP.EXAMPLE", SERVICE, ("CORP.EXAMPLE",)) == "alice@CORP.EXAMPLE"


def test_a_missing_library_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gssapi, "LIBRARY", "libgssapi_nowhere.so.2")
    gssapi.library.cache_clear()
    try:
        with pytest.raises(OSError, match="apt-get install libgssapi-krb5-2"):
            gssapi.library()
    finally:
        gssapi.library.cache_clear()


def test_a_keytab_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"no\.keytab"):
        kerberos.make(Equip(keytab=str(tmp_path / "no.keytab")))
    empty = tmp_path / "empty.keytab"
    empty.write_bytes(b"")
    with pytest.raises(ValueError, match=r"the keytab .*empty\.keytab cannot be used for smtp: gss_acquire_cred_from"):
        kerberos.make(Equip(keytab=str(empty)))
