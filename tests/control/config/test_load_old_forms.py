"""Old spellings and silence: what the loader makes of one-line spools, listeners of two lines, and a file without a name."""

from __future__ import annotations

import socket

import pytest

from postwright.control.config import loads
from postwright.policy.settings import Rate, Settings


def settings(text: str) -> Settings:
    result = loads(text, offline=True)
    assert result.errors == ()
    assert result.settings is not None
    return result.settings


def test_free_space_of_all_spools_in_megabytes() -> None:
    loaded = settings("spool one\nspool-min-free-space 500\n<spool two>\n  min-free-space 1g\n</spool>\n<spool three>\n</spool>\n")
    assert {spool.path: spool.min_free_space >> 20 for spool in loaded.spools} == {"one": 500, "two": 1024, "three": 500}


def test_free_space_of_the_spool_that_nobody_named() -> None:
    assert [(spool.path, spool.min_free_space) for spool in settings("spool-min-free-space 1m\n").spools] == [("spool", 1 << 20)]
    assert settings("").spools == ()


def test_a_listener_of_two_lines_is_ignored_beside_a_new_one() -> None:
    old = "smtp-ip 192.0.2.1\nsmtp-port 2525\n"
    assert [(listener.address, listener.port) for listener in settings(old).listeners] == [("192.0.2.1", 2525)]
    assert [(listener.address, listener.port) for listener in settings(old + "smtp-listener [::1]:25\n").listeners] == [("::1", 25)]
    assert [(listener.address, listener.port) for listener in settings("").listeners] == [("0.0.0.0", 25)]


@pytest.mark.parametrize(("system", "name"), [("mail.example", "mail.example"), ("two words", "localhost")])
def test_without_a_host_name_the_system_s(monkeypatch: pytest.MonkeyPatch, system: str, name: str) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: system)
    assert settings("").general.host_name == (name,)
    assert settings("host-name a.example\nhost-name b.example\n").general.host_name == ("a.example", "b.example")


@pytest.mark.directive("route", "max-msg-per-hour", "backoff-max-msg-per-hour", "max-rcpt-per-transaction")
def test_old_names_fill_the_new_settings() -> None:
    old = "route [192.0.2.1]:26\n max-msg-per-hour 50\n backoff-max-msg-per-hour 5\n max-rcpt-per-transaction 7"
    (block,) = settings(f"<domain *>\n {old}\n</domain>\n").domains
    values = {name: assignment.value for name, assignment in block.assignments.items()}
    assert values == {
        "smtp_hosts": "[192.0.2.1]:26",
        "max_msg_rate": Rate(50, 3600.0),
        "backoff_max_msg_rate": Rate(5, 3600.0),
        "max_rcpt_per_message": 7,
    }
