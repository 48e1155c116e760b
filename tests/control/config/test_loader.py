"""Loading as a whole: paths, the vendor's defaults, what is missing on the machine, notes, bounds, speed. Takes seconds."""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from postwright.control.config import LoadResult, Problem, load, loads
from postwright.control.config.report import MOST
from postwright.policy.settings import Settings
from postwright.testing.certificate import self_signed_pem

Good = Callable[..., Settings]


def rsa_pem() -> bytes:
    key = rsa.generate_private_key(65537, 2048)
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def of_machine(result: LoadResult) -> list[tuple[str, int]]:
    return [(problem.level, problem.line) for problem in result.problems if problem.kind == "environment"]


def test_state_is_below_the_state_folder_and_the_rest_beside_the_file(tmp_path: Path) -> None:
    text = (
        "log-file logs/x.log\nspool spool\n<spool /abs>\n</spool>\n<acct-file acct.csv>\nmove-to old\n</acct-file>\n"
        "<acct-file |/bin/cat>\n</acct-file>\npickup in bad\nsmtp-server-tls-certificate c.pem sesame\n"
        "<domain *>\nsmtp-client-certificate c.pem pw\n</domain>\n"
    )
    settings = loads(text, "config", folder=tmp_path / "etc", state_dir=tmp_path / "state", offline=True).settings
    assert settings is not None
    state = str(tmp_path / "state")
    assert settings.general.log_file == f"{state}/logs/x.log"
    assert [spool.path for spool in settings.spools] == [f"{state}/spool", "/abs"]
    assert [(acct.path, acct.move_to) for acct in settings.acct_files] == [(f"{state}/acct.csv", f"{state}/old"), ("|/bin/cat", "")]
    assert settings.pickup == (f"{state}/in", f"{state}/bad")
    general = settings.general
    assert (general.smtp_server_tls_certificate, general.smtp_server_tls_certificate_password) == (
        str(tmp_path / "etc" / "c.pem"),
        "sesame",
    )
    assignments = settings.domains[0].assignments
    assert assignments["smtp_client_certificate"].value == str(tmp_path / "etc" / "c.pem")
    assert assignments["smtp_client_certificate_password"].value == "pw"


def test_what_is_missing_on_the_machine_is_another_class(tmp_path: Path) -> None:
    text = (
        "log-file /nowhere/at/all/x.log\n"
        "smtp-server-tls-certificate none.pem\ndomain-key s, *, none.key\n<spool /nowhere/spool>\n</spool>\n"
        "<acct-file /nowhere/acct.csv>\n</acct-file>\n"
    )
    result = loads(text, "config", folder=tmp_path)
    assert of_machine(result) == [("warning", 1), ("error", 2), ("warning", 3), ("warning", 4), ("warning", 6)]
    assert result.settings is None
    offline = loads(text, "config", folder=tmp_path, offline=True)
    assert of_machine(offline) == []
    assert offline.settings is not None
    (tmp_path / "none.pem").write_bytes(b"".join(self_signed_pem()))
    (tmp_path / "none.key").write_bytes(rsa_pem())
    (tmp_path / "none.key").chmod(0o600)
    assert of_machine(loads(text, "config", folder=tmp_path)) == [("warning", 1), ("warning", 4), ("warning", 6)]


def test_the_vendor_s_defaults_come_first(tmp_path: Path) -> None:
    main = tmp_path / "config"
    rules = "<bounce-category-patterns>\n/{0}/ {0}\n</bounce-category-patterns>\n"
    (tmp_path / "config-defaults").write_text(
        "log-file default.log\nlog-rotate 3\n<domain *>\nmax-smtp-out 5\n</domain>\n" + rules.format("theirs")
    )
    main.write_text("log-file mine.log\n<domain *>\nretry-after 1m\n</domain>\n" + rules.format("mine"))
    settings = load(main).settings
    assert settings is not None
    assert (settings.general.log_file, settings.general.log_rotate) == ("mine.log", 3)
    assert set(settings.domains[0].assignments) == {"max_smtp_out", "retry_after"}
    assert settings.bounce_categories is not None
    assert [rule.category for rule in settings.bounce_categories] == ["mine", "theirs"]
    assert settings.file == str(main)


def test_what_does_not_work_yet_is_told_once_by_name() -> None:
    text = (
        "log-file x\nthread-reuse yes\nthread-reuse no\n"
        + "<domain a.example>\nqueue-to b.example\ndk-sign yes\n</domain>\n" * 3
        + "route x\n"
    )
    notes = [problem for problem in loads(text, "c", tolerant=True).problems if not problem.line]
    assert any("thread-reuse" in note.message and "dk-sign" in note.message for note in notes)
    assert len(notes) == len({note.message.partition(":")[0] for note in notes})
    assert all(note.message.count("dk-sign") <= 1 for note in notes)


def test_a_missing_log_file_is_a_warning() -> None:
    [problem] = loads("host-name a.example\n", "c").problems
    assert (problem.level, problem.message) == ("warning", "no log-file: the log goes to standard error")
    assert loads("log-file x\n", "c").problems == ()


def test_all_errors_at_once_in_the_order_of_their_lines() -> None:
    text = "log-file x\n<source 0/0>\nalways-allow-relaying yes\n</source>\nsmtp-listner 1\n"
    text += "<domain *>\nsmtp-pattern-list l\nmax-smtp-out many\n</domain>\n"
    assert [problem.line for problem in loads(text, "c").errors] == [3, 5, 7, 8]


def test_one_problem_a_line() -> None:
    [problem] = loads("log-file x\n<domain *>\nretry-after x,y,z\n</domain>\n", "c").errors
    assert problem.line == 3


def test_a_file_that_is_no_configuration_is_reported_within_bounds() -> None:
    result = loads("".join(f"lorem-ipsum-{number} dolor\n" for number in range(5000)), "c")
    assert len(result.problems) <= 2 * MOST + 5
    assert any("more problems are not shown" in problem.message for problem in result.problems)


def test_an_error_gives_no_settings_a_warning_does() -> None:
    assert loads("nonsense\n", "c").settings is None
    assert loads("nonsense\n", "c", tolerant=True).settings is not None


@pytest.mark.parametrize("text", ["", "\n\n", "#", "\ufeff", "\r\n"])
def test_nothing_is_a_configuration(text: str) -> None:
    assert loads(text, "c").settings is not None


def large(count: int) -> str:
    block = (
        "<virtual-mta mta{0}>\n  smtp-source-host 192.0.{1}.{2} m{0}.example.com\n  <domain *>\n    max-msg-rate {0}/h\n"
        "    retry-after 10m,20m\n    max-smtp-out 7\n  </domain>\n  # remark\n\n</virtual-mta>\n"
    )
    return "log-file x\n" + "".join(block.format(n, n // 250, n % 250) for n in range(1, count + 1))


def test_six_thousand_lines_load_fast(good: Good) -> None:
    text = large(600)
    assert text.count("\n") == 6001
    best = 1.0
    for _ in range(20):  # the machine may be busy: once is enough
        if best < 0.1:
            break
        began = time.process_time()
        settings = good(text)
        best = min(best, time.process_time() - began)
    assert len(settings.vmtas) == 600
    assert best < 0.1


def test_settings_travel_between_processes(good: Good) -> None:
    text = (
        large(3)
        + '<smtp-pattern-list l>\nreply /x/ skip-mx\n</smtp-pattern-list>\n<domain *>\nsmtp-pattern-list l\nqueue-to ""\n</domain>\n'
    )
    settings = good(text + "domain-macro m a, b\n<domain $m.example>\nmax-smtp-out 3\n</domain>\n")
    arrived = pickle.loads(pickle.dumps(settings))
    assert arrived == settings
    assert arrived.domains[-1].assignments is arrived.domains[-2].assignments


def test_problems_are_plain_values() -> None:
    [problem] = loads("log-file x\nnonsense\n", "c").problems
    assert isinstance(problem, Problem)
    assert (problem.level, problem.file, problem.line, problem.column, problem.kind) == ("error", "c", 2, 1, "language")
