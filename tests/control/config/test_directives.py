"""The table of directives: complete, free of contradictions, and honest about what works.

The completeness is checked against the reference where it lies beside the project; without it, against numbers. What the table calls
effective must be read somewhere, and what it calls not yet must not: who makes a directive work changes its row, or this fails.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from functools import cache
from pathlib import Path

import pytest
from msgspec import Struct
from msgspec.structs import fields

from postwright.control.config.directive import Directive, Scope, State, ValueProblem
from postwright.control.config.directives import BLOCKS, TABLE, find, find_block, names_in, scopes_of
from postwright.policy import settings as st

SOURCES = Path(st.__file__).resolve().parent.parent

STRUCTS: dict[Scope, tuple[type[Struct], ...]] = {
    Scope.GLOBAL: (st.GeneralSettings, st.Settings, st.HttpSettings, st.EventSettings),
    Scope.SOURCE: (st.SourceSettings,),
    Scope.DOMAIN: (st.DomainSettings,),
    Scope.VMTA: (st.VmtaSettings,),
    Scope.POOL: (st.PoolSettings,),
    Scope.USER: (st.UserSettings,),
    Scope.OAUTH_PROVIDER: (st.OauthProvider,),
    Scope.USER_LOOKUP: (st.UserLookup,),
    Scope.LISTENER: (st.ListenerSettings,),
    Scope.SPOOL: (st.SpoolSettings,),
    Scope.EVENT_STREAM: (st.EventStream,),
    Scope.ACCT_FILE: (st.AcctFileSettings,),
    Scope.SOURCE_GROUP: (st.SourceGroup,),
    Scope.BOUNCE_PROCESSOR: (st.ProcessorSettings,),
    Scope.FEEDBACK_LOOP: (st.ProcessorSettings,),
    Scope.EMAIL_PATTERNS: (st.EmailPatterns,),
    Scope.DNS: (st.DnsSettings,),
    Scope.PROXY: (st.ProxySettings,),
    Scope.VAULT: (st.VaultSettings,),
    Scope.TRANSMISSIONS_API: (st.ApiSettings,),
    Scope.TRANSMISSIONS_API_LISTENER: (st.ApiListener,),
}

# Effective by what the loader itself does with them: no setting of theirs is read later.
ACTED_ON_AT_LOAD = {"include", "domain-macro", "allow-open-relay", "smtp-ip", "smtp-port", "spool-min-free-space"}

# Lines of lists: what is read is the list (`Settings.aliases`, `.pattern_lists`, `.rewrite_lists`, `.address_lists`).
LINES_OF_LISTS = {"alias", "header", "mail-from", "rcpt-to", "*", "from-domain", "address", "address-file"}

# Not effective, and yet an attribute of their name is read: another thing of the same name (an outcome's type, click's command).
OTHER_THINGS = {"type", "command", "client", "server"}


def key(row: Directive) -> str:
    return f"{row.name} ({'/'.join(scope.value for scope in row.scopes)})"


def setting_of(row: Directive, scope: Scope) -> object:
    """The default of the field that the row fills, or None where there is no such field."""
    for struct in STRUCTS.get(scope, ()):
        for field in fields(struct):
            if field.name == row.field:
                return field
    return None


@cache
def attributes_read() -> frozenset[str]:
    """Every name behind a dot in the sources, but for the settings themselves and the reading of configurations."""
    found: set[str] = set()
    for path in SOURCES.rglob("*.py"):
        if path.name.endswith("settings.py") or {"config", "testing"} & set(path.relative_to(SOURCES).parts):
            continue
        found |= {node.attr for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)}
    return frozenset(found)


# -- complete -------------------------------------------------------------------------------

_SCOPES = {
    "G": (Scope.GLOBAL,),
    "S": (Scope.SOURCE,),
    "D": (Scope.DOMAIN,),
    "V": (Scope.VMTA,),
    "P": (Scope.POOL,),
    "A": (Scope.ACCT_FILE,),
    "PL": (Scope.PATTERN_LIST,),
    "SPL": (Scope.SMTP_PATTERN_LIST,),
    "BP": (Scope.BOUNCE_PROCESSOR,),
    "FBL": (Scope.FEEDBACK_LOOP,),
    **{scope.value: (scope,) for scope in Scope},
}
_NESTED_BLOCKS = {"address-list", "email-patterns"}


def rows_of(text: str) -> list[tuple[str, str]]:
    """(directive, scope) of each row of section 2, as written there."""
    section = text.partition("\n## 2. ")[2].partition("\n### 2.1")[0]
    cells = [re.split(r"(?<!\\)\|", line) for line in section.splitlines() if line.startswith("| `")]
    return [(row[1].strip().strip("`"), row[2].strip()) for row in cells]


def expand(name: str) -> list[str]:
    """The real names behind a row: bundles taken apart, remarks in brackets dropped."""
    if name == "second-dkim-*":
        twins = "sign add-body-limit add-timestamp algorithm body-canon disallow-adding-headers expire-after headers headers-canon"
        return [f"second-dkim-{twin}" for twin in (*twins.split(), "identity", "identity-fallback", "query-method")]
    if name == "tls-allow-tlsv1.x":
        return ["tls-allow-tlsv1", "tls-allow-tlsv1.1", "tls-allow-tlsv1.2", "tls-allow-tlsv1.3"]
    return [name.partition(" ")[0]]


def places(name: str, cell: str) -> tuple[set[Scope], set[Scope]]:
    """Where a row says that the directive stands: as a line, and as a block."""
    lines: set[Scope] = set()
    blocks: set[Scope] = set()
    for part in re.split(r"[;,]", re.sub(r"\([^)]*\)", "", cell)):
        words = [word.strip("<>") for word in part.split()]
        scopes = {scope for word in words[:1] for scope in _SCOPES.get(word, ())}
        if "block" in words:
            blocks |= scopes or {Scope.GLOBAL}
        elif name in _NESTED_BLOCKS:
            blocks |= scopes
        else:
            lines |= scopes
    return lines, blocks


def test_every_row_of_the_reference_is_declared_where_it_says(shared: Path) -> None:
    rows = rows_of((shared / "powermta.md").read_text())
    assert len(rows) == 385
    lines: dict[str, set[Scope]] = {}
    blocks: dict[str, set[Scope]] = {}
    for name, cell in rows:
        for real in expand(name):
            line, block = places(real, cell)
            assert line or block, (name, cell)
            if line:
                lines.setdefault(real, set()).update(line)
            if block:
                blocks.setdefault(real, set()).update(block)
    declared: dict[str, set[Scope]] = {}
    for row in TABLE:
        if not row.ours:
            declared.setdefault(row.name, set()).update(row.scopes)
    assert declared == lines
    tags = {block.name: set(block.scopes) for block in BLOCKS}
    assert {name: scopes for name, scopes in blocks.items() if not scopes <= tags.get(name, set())} == {}


def test_every_block_of_the_reference_is_declared(shared: Path) -> None:
    text = (shared / "powermta.md").read_text().partition("Top-level tags: ")[2].partition(".\n")[0]
    tags = set(re.findall(r"[a-z-]+", re.sub(r"\([^)]*\)", "", text)))
    assert len(tags) > 25
    assert {tag for tag in tags if find_block(tag, Scope.GLOBAL) is None} == set()


def test_names_that_could_not_be_confirmed_are_unknown(shared: Path) -> None:
    section = (shared / "powermta.md").read_text().partition("\n### 2.1")[2].partition("\n### 2.2")[0]
    names = set(re.findall(r"`([a-z]+(?:-[a-z]+)+)`", section)) - {"domain-key"}
    assert {"bounce-address", "use-dkim", "aliases-file", "map-header-to-column", "dkim-key"} <= names
    assert {name for name in names if scopes_of(name)} == set()


def test_numbers() -> None:
    """What PowerMTA has, where the reference does not lie beside the project to be asked."""
    theirs = [row for row in TABLE if not row.ours]
    assert len({row.name for row in theirs}) == 388
    assert sum(len(row.scopes) for row in theirs) == 439


def test_what_is_ours_works_and_the_printed_reference_says_whose_it_is() -> None:
    """Nobody else's manual explains these: each has an effect (or comes to have one), and is marked, alone among its namesakes."""
    ours = [row for row in TABLE if row.ours]
    printed = (SOURCES.parents[1] / "docs/reference/directives.md").read_text("utf-8")
    marked = Counter(re.findall(r"^\| `([^`<]+)` \|.*\*\*Ours\*\*", printed, re.MULTILINE))
    assert marked == Counter(row.name for row in ours for _ in row.scopes)
    assert len(ours) > 60
    assert {row.name for row in ours if row.state not in (State.EFFECTIVE, State.NOT_YET)} == set()


# -- consistent -----------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [TABLE, BLOCKS], ids=["lines", "blocks"])
def test_no_name_twice_in_a_scope(rows: tuple[Directive, ...]) -> None:
    counted = Counter((row.name, scope) for row in rows for scope in row.scopes)
    assert [name for name, count in counted.items() if count > 1] == []


@pytest.mark.parametrize("row", [*TABLE, *BLOCKS], ids=key)
def test_a_row_reads_well(row: Directive) -> None:
    assert row.name == row.name.lower()
    assert row.scopes
    assert 5 < len(row.doc) <= 110
    assert "\n" not in row.doc
    assert not row.doc.endswith(".") or row.doc.endswith("...")
    assert bool(row.reason) == (row.state is not State.EFFECTIVE)


@pytest.mark.parametrize("row", TABLE, ids=key)
def test_what_a_row_fills_is_there(row: Directive) -> None:
    """A setting for whatever works or will: what is read and checked is not thrown away."""
    for scope in row.scopes:
        wanted = scope in STRUCTS and row.state in (State.EFFECTIVE, State.NOT_YET)
        if wanted and row.name not in ("include", "alias"):
            assert setting_of(row, scope) is not None, f"{row.field} in {scope.value}"


@pytest.mark.parametrize("row", [row for row in TABLE if row.default and not row.default.startswith("(")], ids=key)
def test_the_printed_default_is_the_default(row: Directive) -> None:
    value = row.kind.parse(row.default)
    for scope in row.scopes:
        field = setting_of(row, scope)
        if field is not None and not row.repeat:
            assert (row.field, value) == (row.field, field.default)  # type: ignore[attr-defined]


@pytest.mark.parametrize("row", [row for row in TABLE if not row.default or row.default.startswith("(")], ids=key)
def test_no_default_is_left_unsaid(row: Directive) -> None:
    for scope in row.scopes:
        field = setting_of(row, scope)
        if field is not None and not row.repeat:
            value = field.default  # type: ignore[attr-defined]
            assert value in ("", (), {}, None, ("", ""), ("", 0)), f"{row.field} is {value!r}"


# -- honest ---------------------------------------------------------------------------------


def test_what_is_effective_is_read() -> None:
    effective = [row for row in TABLE if row.state is State.EFFECTIVE and row.name not in ACTED_ON_AT_LOAD | LINES_OF_LISTS]
    assert len(effective) > 100
    assert [key(row) for row in effective if row.field not in attributes_read()] == []


@pytest.mark.usefixtures("collected")
def test_what_is_not_effective_is_not_read() -> None:
    """Who makes one of these work makes its row say so."""
    idle = [row for row in TABLE if row.state is not State.EFFECTIVE and row.name not in OTHER_THINGS and set(row.scopes) & set(STRUCTS)]
    fields_that_work = {row.field for row in TABLE if row.state is State.EFFECTIVE}
    unread = [row for row in idle if row.field not in fields_that_work]
    assert len(unread) > 30
    read = [key(row) for row in unread if row.field in attributes_read()]
    assert read == [], "something reads these: if they work now, make their rows `works` in control/config/directives"


# What a relay cannot do without: who may send, what is taken, where it is kept, how and when it goes out, what is written down.
RELAY = {
    Scope.GLOBAL: """host-name postmaster smtp-listener relay-domain relay-address smtp-source-host smtp-server-tls-certificate spool
        log-file log-rotate log-auto-rotation run-as-root total-max-smtp-in total-max-smtp-out name-server domain-macro include""",
    Scope.SOURCE: """require-auth always-allow-relaying allow-auth allow-unencrypted-plain-auth allow-starttls require-starttls-before-auth
        smtp-service max-message-size max-rcpt-per-message max-message-hops smtp-command-timeout smtp-data-timeout add-received-header
        hide-message-source add-message-id-header add-date-header process-x-virtual-mta process-x-job process-x-envid
        retain-x-virtual-mta retain-x-job default-virtual-mta reject-invalid-virtual-mta""",
    Scope.DOMAIN: """smtp-hosts route max-smtp-out max-msg-per-connection max-msg-rate max-rcpt-per-message retry-after
        retry-recipients-after bounce-after connection-idle-timeout connect-timeout smtp-greeting-timeout data-send-timeout
        smtp-data-termination-timeout smtp-multiple-line-response-timeout use-starttls require-starttls ignore-8bitmime ignore-chunking
        ignore-pipelining ignore-dsn""",
    Scope.VMTA: "smtp-source-host host-name max-smtp-out",
    Scope.POOL: "virtual-mta max-smtp-out",
    Scope.USER: "password source",
    Scope.LISTENER: "source immediate-tls tls-certificate",
    Scope.SPOOL: "priority deliver-only min-free-space",
    Scope.ACCT_FILE: "records record-fields max-size delete-after move-to iso-times",
}


@pytest.mark.parametrize("scope", RELAY, ids=lambda scope: scope.value)
def test_what_a_relay_cannot_do_without_is_effective(scope: Scope) -> None:
    rows = {name: find(name, scope) for name in RELAY[scope].split()}
    assert [name for name, row in rows.items() if row is None or row.state is not State.EFFECTIVE] == []


# -- look-ups -------------------------------------------------------------------------------


def test_look_ups() -> None:
    row = find("Max-SMTP-Out", Scope.DOMAIN)
    assert row is not None
    assert row.field == "max_smtp_out"
    assert find("max-smtp-out", Scope.SOURCE) is None
    assert scopes_of("MAX-smtp-out") == (Scope.VMTA, Scope.POOL, Scope.DOMAIN)
    assert scopes_of("max-smpt-out") == ()
    assert "max-smtp-out" in names_in(Scope.DOMAIN)
    assert "always-allow-relaying" not in names_in(Scope.DOMAIN)
    assert find_block("Virtual-MTA", Scope.GLOBAL) is not None
    assert find_block("virtual-mta", Scope.SOURCE) is None


def test_a_name_may_be_a_line_and_a_block() -> None:
    assert find("spool", Scope.GLOBAL) is not None
    assert find_block("spool", Scope.GLOBAL) is not None
    assert find("acct-file", Scope.GLOBAL) is None


def test_one_name_two_meanings() -> None:
    inbound, outbound = find("max-rcpt-per-message", Scope.SOURCE), find("max-rcpt-per-message", Scope.DOMAIN)
    assert inbound is not None
    assert outbound is not None
    assert (inbound.default, outbound.default) == ("unlimited", "1000")


def test_what_powermta_has_dropped_is_declared_and_unknown() -> None:
    gone = [row.name for row in TABLE if row.state is State.REMOVED]
    assert gone == ["auto-cold-virtual-mta"]
    assert scopes_of("auto-cold-virtual-mta") == ()
    assert find("auto-cold-virtual-mta", Scope.VMTA) is None


def test_bad_values_are_value_problems() -> None:
    row = find("retry-after", Scope.DOMAIN)
    assert row is not None
    with pytest.raises(ValueProblem):
        row.kind.parse("4days")


@pytest.mark.parametrize(("written", "value"), [("true", "yes"), ("No", "no"), ("FALSE", "no"), ("Override", "override")])
def test_a_yes_or_no_with_one_word_more(written: str, value: str) -> None:
    """A live configuration writes `add-date-header true`."""
    row = find("add-date-header", Scope.SOURCE)
    assert row is not None
    assert row.kind.parse(written) == value
    with pytest.raises(ValueProblem, match="none of yes, no, override"):
        row.kind.parse("perhaps")
