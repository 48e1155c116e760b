"""Contexts of listeners: who gets which certificate, which versions are spoken, who resumes, what a changed file does."""

from __future__ import annotations

import os
import ssl
import warnings
from pathlib import Path
from typing import Any

import pytest
import trustme
from tests.engine.tls_files import client, server, shake

from postwright.engine import certificates
from postwright.engine.epoch import check
from postwright.engine.tickets import PERIOD, Tickets
from postwright.engine.tls_server import ServerTls
from postwright.net import openssl
from postwright.policy.list_settings import FilePassword
from postwright.policy.settings import ListenerSettings, Settings, UserSettings


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def file(ca: trustme.CA, tmp_path: Path) -> str:
    return server(ca, tmp_path / "relay.pem", "relay.example")


def listener(**options: Any) -> ListenerSettings:
    return ListenerSettings("127.0.0.1", 25, **options)


def context(one: ListenerSettings, users: dict[str, UserSettings] | None = None, tickets: Tickets | None = None) -> ssl.SSLContext:
    found = ServerTls(Settings(listeners=(one,), users=users or {}), tickets).context(one)
    assert found is not None
    return found


def subject(end: ssl.SSLObject) -> list[str]:
    """The names of the certificate that the other end has shown."""
    return [value for _, value in end.getpeercert()["subjectAltName"]]  # type: ignore[index, misc, union-attr]


# -- which certificate


def test_the_name_that_a_client_asks_for_chooses_the_certificate(ca: trustme.CA, file: str, tmp_path: Path) -> None:
    others = (
        FilePassword(server(ca, tmp_path / "a.pem", "smtp.customer.example", "mail.customer.example")),
        FilePassword(server(ca, tmp_path / "b.pem", "*.wide.example", "relay.example")),
    )
    ours = context(listener(tls_certificate=file, tls_sni_certificate=others))
    for name, wanted in {
        "relay.example": "relay.example",  # the default's own names are the default's, though b.pem has one of them
        "mail.customer.example": "smtp.customer.example",
        "SMTP.Customer.Example": "smtp.customer.example",
        "x.wide.example": "*.wide.example",
    }.items():
        _, theirs = shake(ours, client(ca), name)
        assert subject(theirs)[0] == wanted, name


@pytest.mark.parametrize("name", [None, "nobody.example", "a.b.wide.example", "wide.example", "127.0.0.1"])
def test_whoever_names_nobody_gets_the_default(ca: trustme.CA, file: str, tmp_path: Path, name: str | None) -> None:
    others = (FilePassword(server(ca, tmp_path / "b.pem", "*.wide.example")),)
    trusting = client(ca)
    trusting.check_hostname = False
    _, theirs = shake(context(listener(tls_certificate=file, tls_sni_certificate=others)), trusting, name)
    assert subject(theirs) == ["relay.example"]


def test_with_one_certificate_no_name_is_looked_at(file: str) -> None:
    assert context(listener(tls_certificate=file)).sni_callback is None


# -- versions and ciphers

ALL = ("TLSv1", "TLSv1_1", "TLSv1_2", "TLSv1_3")


def only(version: str) -> ssl.SSLContext:
    """A client that speaks this version and no other."""
    asking = client()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        asking.minimum_version = asking.maximum_version = ssl.TLSVersion[version]
    asking.set_ciphers("ALL:@SECLEVEL=0")
    return asking


@pytest.mark.parametrize(
    "allowed",
    [
        ("TLSv1_2", "TLSv1_3"),
        ("TLSv1_3",),
        ("TLSv1_2",),
        ALL,
        ("TLSv1",),
        ("TLSv1", "TLSv1_3"),
        ("TLSv1_1", "TLSv1_2"),
        ("TLSv1", "TLSv1_2"),
    ],
    ids="+".join,
)
def test_what_is_allowed_is_spoken_and_nothing_else(file: str, allowed: tuple[str, ...]) -> None:
    ours = context(listener(tls_certificate=file, **{f"tls_allow_{version.lower()}": version in allowed for version in ALL}))
    for version in ALL:
        if version in allowed:
            assert shake(ours, only(version))[1].version() == version.replace("_", ".")
        else:
            with pytest.raises(ssl.SSLError):
                shake(ours, only(version))


def test_all_versions_forbidden_is_a_mistake(file: str) -> None:
    with pytest.raises(ValueError, match="no version of TLS is allowed"):
        context(listener(tls_certificate=file, tls_allow_tlsv1_2=False, tls_allow_tlsv1_3=False))


def test_defaults_are_mozillas(file: str) -> None:
    names = {cipher["name"] for cipher in context(listener(tls_certificate=file)).get_ciphers()}
    assert {name for name in names if not name.startswith("TLS_")} == {
        f"ECDHE-{key}-{cipher}" for key in ("RSA", "ECDSA") for cipher in ("AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305")
    }


@pytest.mark.skipif(bool(openssl.missing()), reason=openssl.missing())
def test_suites_of_tls_1_3_are_the_operators(file: str) -> None:
    ours = context(listener(tls_certificate=file, tls_tlsv1_3_ciphersuites="TLS_CHACHA20_POLY1305_SHA256"))
    assert shake(ours, client())[1].cipher()[0] == "TLS_CHACHA20_POLY1305_SHA256"  # type: ignore[index]


# -- clients' certificates


def certified(ca: trustme.CA, path: Path, name: str = "anna@customer.example") -> ssl.SSLContext:
    asking = client()
    asking.load_cert_chain(server(ca, path, name))
    return asking


def test_a_clients_certificate_is_asked_for_and_checked(ca: trustme.CA, file: str, tmp_path: Path) -> None:
    customers, strangers = trustme.CA(), trustme.CA()
    customers.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    ours = context(listener(tls_certificate=file, tls_ca_file=str(tmp_path / "ca.pem")))
    assert shake(ours, certified(customers, tmp_path / "good.pem"))[0].getpeercert(binary_form=True)
    assert shake(ours, client())[0].getpeercert(binary_form=True) is None
    with pytest.raises(ssl.SSLError, match="CERTIFICATE_VERIFY_FAILED"):
        shake(ours, certified(strangers, tmp_path / "bad.pem"))


def test_without_an_authority_nobody_is_asked(ca: trustme.CA, file: str, tmp_path: Path) -> None:
    assert shake(context(listener(tls_certificate=file)), certified(ca, tmp_path / "c.pem"))[0].getpeercert(binary_form=True) is None


def test_a_users_certificate_is_trusted_as_it_stands(file: str, tmp_path: Path) -> None:
    somebodys = trustme.CA()
    known = certified(somebodys, tmp_path / "anna.pem")
    anna = UserSettings("anna", authentication_method="certificate", tls_certificate=str(tmp_path / "anna.pem"))
    ours = context(listener(tls_certificate=file), {"anna": anna})
    assert shake(ours, known)[0].getpeercert(binary_form=True)
    with pytest.raises(ssl.SSLError, match="CERTIFICATE_VERIFY_FAILED"):  # its authority signs others, too: they are nobody here
        shake(ours, certified(somebodys, tmp_path / "other.pem"))


# -- resumption


def resumed(first: ssl.SSLContext, second: ssl.SSLContext) -> bool:
    asking = client()
    before = shake(first, asking)[1].session
    assert before is not None
    return bool(shake(second, asking, session=before)[1].session_reused)


@pytest.mark.skipif(bool(openssl.missing()), reason=openssl.missing())
@pytest.mark.parametrize("version", ["tlsv1_2", "tlsv1_3"])
def test_shards_with_one_secret_know_one_anothers_tickets(file: str, version: str) -> None:
    one = listener(tls_certificate=file, **{f"tls_allow_{v}": v == version for v in ("tlsv1_2", "tlsv1_3")})
    shards = [context(one, tickets=Tickets(b"s" * 32)) for _ in range(2)]
    assert resumed(shards[0], shards[1])
    assert not resumed(shards[0], context(one, tickets=Tickets(b"t" * 32)))


@pytest.mark.skipif(bool(openssl.missing()), reason=openssl.missing())
@pytest.mark.parametrize("version", ["tlsv1_2", "tlsv1_3"])
def test_a_clients_certificate_is_known_again_with_its_ticket(file: str, tmp_path: Path, version: str) -> None:
    """At another shard: or AUTH EXTERNAL would fail for who comes back."""
    customers = trustme.CA()
    customers.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    versions = {f"tls_allow_{v}": v == version for v in ("tlsv1_2", "tlsv1_3")}
    asking = listener(tls_certificate=file, tls_ca_file=str(tmp_path / "ca.pem"), **versions)
    shards = [context(asking, tickets=Tickets(b"s" * 32)) for _ in range(2)]
    anna = certified(customers, tmp_path / "anna.pem")
    first = shake(shards[0], anna)
    again = shake(shards[1], anna, session=first[1].session)[0]
    assert again.session_reused
    assert again.getpeercert(binary_form=True) == first[0].getpeercert(binary_form=True) is not None


@pytest.mark.skipif(bool(openssl.missing()), reason=openssl.missing())
def test_a_ticket_counts_for_nothing_under_other_rules(file: str, tmp_path: Path) -> None:
    """Else a client would carry a certificate that one listener trusts to another that does not."""
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    tickets = Tickets(b"s" * 32)
    plain = context(listener(tls_certificate=file), tickets=tickets)
    asking = listener(tls_certificate=file, tls_ca_file=str(tmp_path / "ca.pem"))
    assert not resumed(plain, context(asking, tickets=tickets))
    before = context(asking, tickets=tickets)
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    assert not resumed(before, context(asking, tickets=tickets))  # nor after a change of authorities


@pytest.mark.skipif(bool(openssl.missing()), reason=openssl.missing())
def test_the_keys_of_tickets_turn(file: str) -> None:
    now = [1_800_000_000.0]
    tickets = Tickets(b"s" * 32, lambda: now[0])
    one = listener(tls_certificate=file)
    tls = ServerTls(Settings(listeners=(one,)), tickets)
    ours = tls.context(one)
    assert ours is not None
    asking = client()
    session = shake(ours, asking)[1].session
    assert not tickets.turned()
    now[0] += PERIOD
    assert tickets.turned()
    assert not tickets.turned()
    tls.rekey()
    assert not shake(ours, asking, session=session)[1].session_reused
    assert resumed(ours, ours)


# -- files that change


def looks(tls: ServerTls, times: int = 2) -> list[tuple[tuple[str, ...], str]]:
    return [(told.files, told.error) for _ in range(times) for told in tls.refresh()]


def replace(path: Path, data: bytes) -> None:
    """As a renewal does: a new file under the old name."""
    fresh = path.with_suffix(".new")
    fresh.write_bytes(data)
    os.replace(fresh, path)


def test_a_new_file_is_used_for_new_sessions(ca: trustme.CA, file: str, tmp_path: Path) -> None:
    one = listener(tls_certificate=file)
    tls = ServerTls(Settings(listeners=(one,)))
    before = tls.context(one)
    assert before is not None
    assert looks(tls) == []
    running, _ = shake(before, client(ca))
    replace(Path(file), Path(server(ca, tmp_path / "fresh.pem", "relay.example", "new.example")).read_bytes())
    assert tls.refresh() == []  # it may still be being written
    assert looks(tls, 1) == [((file,), "")]
    after = tls.context(one)
    assert after is not None
    assert subject(shake(after, client(ca))[1]) == ["relay.example", "new.example"]
    assert running.version() == "TLSv1.3"
    assert looks(tls) == []


def test_a_broken_file_changes_nothing_and_is_told_once(ca: trustme.CA, file: str) -> None:
    one = listener(tls_certificate=file)
    tls = ServerTls(Settings(listeners=(one,)))
    good = Path(file).read_bytes()
    replace(Path(file), good[: len(good) // 2])
    [(files, error)] = looks(tls, 5)
    assert files == (file,)
    assert file in error
    still = tls.context(one)
    assert still is not None
    assert subject(shake(still, client(ca))[1]) == ["relay.example"]
    os.unlink(file)
    [(_, error)] = looks(tls, 5)
    assert "No such file" in error
    replace(Path(file), good)
    assert looks(tls, 5) == [((file,), "")]


def test_what_cannot_be_used_at_the_start_is_told_with_its_file(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"missing\.pem cannot be read: No such file"):
        context(listener(tls_certificate=str(tmp_path / "missing.pem")))


def test_whom_a_clients_certificate_names(ca: trustme.CA, tmp_path: Path) -> None:
    for names, options, wanted in (
        (("anna@customer.example",), {}, "anna@customer.example"),
        (("host.example",), {}, "host.example"),
        (("anna@customer.example",), {"common_name": "Anna"}, "Anna"),
    ):
        ours = certificates.read(server(ca, tmp_path / "c.pem", *names, **options)).certificates[0]
        assert certificates.client_name(ssl.PEM_cert_to_DER_cert(certificates.pem_text([ours]))) == wanted
    assert certificates.client_name(b"\x30\x00") == ""


@pytest.mark.needs("root")
def test_what_the_relays_user_cannot_read_is_told_at_the_start(file: str) -> None:
    """The supervisor looks again once it has given up root (`epoch.check`): found before the first client is."""
    settings = Settings(listeners=(listener(tls_certificate=file),))
    check(settings)
    os.seteuid(65534)
    try:
        with pytest.raises(OSError, match=r"relay\.pem cannot be read: permission denied to user 65534, as whom the relay runs"):
            check(settings)
    finally:
        os.seteuid(0)


def test_names_of_a_certificate(ca: trustme.CA, tmp_path: Path) -> None:
    found = certificates.read(server(ca, tmp_path / "x.pem", "B.example", "*.a.example"))
    assert certificates.names(found.certificates[0]) == ("b.example", "*.a.example")
    named = certificates.read(server(ca, tmp_path / "y.pem", "anna@customer.example", common_name="Only.Name")).certificates[0]
    assert certificates.names(named) == ("only.name",)
