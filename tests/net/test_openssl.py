"""Calls to OpenSSL beneath Python's ssl: they do what they say where they can be made, and nothing at all anywhere else."""

from __future__ import annotations

import ssl
import sys
from collections.abc import Iterator

import pytest

from postwright.net import openssl


@pytest.fixture
def context() -> ssl.SSLContext:
    return ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)


def suites(context: ssl.SSLContext) -> list[str]:
    return [cipher["name"] for cipher in context.get_ciphers() if cipher["name"].startswith("TLS_")]


needs_calls = pytest.mark.skipif(bool(openssl.missing()), reason=openssl.missing())


@needs_calls
def test_suites_in_the_order_wanted(context: ssl.SSLContext) -> None:
    assert openssl.set_ciphersuites(context, "TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256")
    assert suites(context) == ["TLS_CHACHA20_POLY1305_SHA256", "TLS_AES_128_GCM_SHA256"]
    with pytest.raises(ValueError, match="does not take"):
        openssl.set_ciphersuites(context, "TLS_NONSENSE")
    context.set_ciphers("ECDHE+AESGCM")  # no error of ours is left for Python's next call to find


@needs_calls
def test_what_openssl_does_not_know_is_said_and_changes_nothing(context: ssl.SSLContext) -> None:
    assert openssl.set_groups(context, "X25519:P-256")
    assert not openssl.set_groups(context, "X25519:Nonsense")
    assert not openssl.set_ticket_keys(context, b"too short")
    assert openssl.set_ticket_keys(context, bytes(openssl.TICKET_KEYS))


@pytest.fixture
def fresh() -> Iterator[None]:
    """The trial is made anew, and after the test once more."""
    openssl._found.cache_clear()
    yield
    openssl._found.cache_clear()


@pytest.mark.parametrize("what", ["release", "build", "linked", "library"])
def test_a_python_that_is_not_known_is_left_alone(what: str, context: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch, fresh: None) -> None:
    before = suites(context)
    with monkeypatch.context() as patch:
        if what == "release":
            patch.setattr(openssl, "_KNOWN", ((3, 99),))
        elif what == "build":
            patch.setattr(sys, "gettotalrefcount", lambda: 0, raising=False)
        elif what == "linked":
            patch.delattr(openssl._ssl, "__file__")
        else:
            patch.setattr(openssl, "_as_expected", lambda library: False)
        assert openssl.missing()
        assert not openssl.set_ciphersuites(context, "TLS_AES_128_GCM_SHA256")
        assert not openssl.set_groups(context, "P-256")
        assert not openssl.set_ticket_keys(context, bytes(openssl.TICKET_KEYS))
    assert suites(context) == before


@needs_calls
def test_a_trial_that_finds_something_else_stops_it(monkeypatch: pytest.MonkeyPatch, fresh: None) -> None:
    """A pointer to the wrong context: what OpenSSL says of it is not what Python says."""
    library = openssl._Library(openssl.ctypes.CDLL(openssl._ssl.__file__))
    assert openssl._as_expected(library)
    other = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    pointer = openssl._pointer(other)
    monkeypatch.setattr(openssl, "_pointer", lambda context: pointer)
    assert not openssl._as_expected(library)
