"""What TLS a listener has: what it says itself, else what the global directives say."""

from __future__ import annotations

from typing import Any

import pytest

from postwright.policy.list_settings import FilePassword
from postwright.policy.server_tls import INTERMEDIATE, ServerTlsRules, has_certificate, rules_of
from postwright.policy.settings import GeneralSettings, ListenerSettings, Settings, UserSettings


def rules(general: dict[str, Any] | None = None, users: dict[str, UserSettings] | None = None, **listener: Any) -> ServerTlsRules:
    whole = GeneralSettings(**{"smtp_server_tls_certificate": "global.pem", "smtp_server_tls_certificate_password": "g", **(general or {})})
    found = rules_of(Settings(general=whole, users=users or {}), ListenerSettings("127.0.0.1", **listener))
    assert found is not None
    return found


def test_without_a_certificate_there_is_no_tls() -> None:
    listener = ListenerSettings("127.0.0.1", tls_ca_file="ca.pem", immediate_tls=True)
    assert rules_of(Settings(), listener) is None
    assert not has_certificate(GeneralSettings(), listener)


def test_a_listener_has_the_global_certificate_with_its_password() -> None:
    assert rules().certificate == FilePassword("global.pem", "g")


def test_its_own_certificate_comes_with_its_own_password_and_its_own_others() -> None:
    more = (FilePassword("more.pem"),)
    found = rules({"smtp_server_tls_sni_certificate": more}, tls_certificate="own.pem")
    assert found.certificate == FilePassword("own.pem", "")
    assert found.others == ()


def test_certificates_by_name_add_up_where_the_default_is_inherited() -> None:
    found = rules({"smtp_server_tls_sni_certificate": (FilePassword("b"),)}, tls_sni_certificate=(FilePassword("a"),))
    assert [one.file for one in found.others] == ["a", "b"]
    assert found.files == ("global.pem", "a", "b")


@pytest.mark.parametrize("certificate", ["", "own.pem"], ids=["inherited", "own"])
def test_versions_are_inherited_one_by_one_whoever_has_the_certificate(certificate: str) -> None:
    found = rules(
        {"smtp_server_tls_allow_tlsv1": True, "smtp_server_tls_allow_tlsv1_2": False},
        tls_certificate=certificate,
        tls_allow_tlsv1=False,
        tls_allow_tlsv1_1=True,
    )
    assert found.versions == ("TLSv1.1", "TLSv1.3")


def test_powermtas_default_stands_for_what_is_good_today() -> None:
    assert rules().ciphers == INTERMEDIATE
    assert rules({"smtp_server_tls_ciphers": ""}).ciphers == INTERMEDIATE


def test_old_versions_get_the_ciphers_that_they_have_and_the_level_that_they_want() -> None:
    found = rules(tls_allow_tlsv1=True).ciphers
    assert found.startswith(INTERMEDIATE + ":ECDHE-ECDSA-AES128-SHA:")
    assert found.endswith(":@SECLEVEL=0")


def test_an_operators_own_list_stays_as_it_is() -> None:
    assert rules(tls_ciphers="AES256-GCM-SHA384").ciphers == "AES256-GCM-SHA384"
    assert rules(tls_ciphers="AES128-SHA", tls_allow_tlsv1=True).ciphers == "AES128-SHA:@SECLEVEL=0"
    assert rules(tls_ciphers="AES128-SHA@SECLEVEL=1", tls_allow_tlsv1=True).ciphers == "AES128-SHA@SECLEVEL=1"


def test_a_certificate_is_asked_for_where_one_could_be_judged() -> None:
    users = {
        "a": UserSettings("a", authentication_method="certificate", tls_certificate="a.pem"),
        "b": UserSettings("b", "secret", tls_certificate="b.pem"),  # logs in by password: its certificate counts for nothing
    }
    assert not rules().asks
    assert rules({"smtp_server_tls_ca_file": "ca.pem"}).asks
    assert rules(tls_ca_file="own-ca.pem").ca_file == "own-ca.pem"
    assert rules(users=users).users == ("a.pem",)
    assert rules(users=users).asks


def test_no_password_is_in_a_repr() -> None:
    assert "g" not in repr(rules().certificate).replace("global", "")
