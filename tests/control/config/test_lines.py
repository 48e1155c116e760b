"""Lexical rules (powermta.md 1.1): comments, blanks, quotes, line ends, octets that are no text, long lines. Takes milliseconds."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from postwright.control.config import loads
from postwright.control.config.lines import Line, decode, read, without_comment
from postwright.policy.settings import Settings

Good = Callable[..., Settings]
Found = Callable[..., list[tuple[str, int, str]]]


def lines(text: str) -> list[tuple[int, str, str]]:
    return [
        (line.number, line.name, line.value) for line in read("t", text, lambda name: name.lower() in ("log-file", "domain-macro")).lines
    ]


def test_blanks_tabs_comments_and_line_ends() -> None:
    text = "# all\r\n\r\n\tlog-file\t x.log  # here\r\n  <source 0/0>   # all\r\n</source>\r\nhost-name a.example#b"
    assert lines(text) == [(3, "log-file", "x.log"), (4, "<source 0/0>", ""), (5, "</source>", ""), (6, "host-name", "a.example")]


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        ("password abc#def", "password abc"),
        ('password "abc#def" # secret', 'password "abc#def"'),
        ('command "a # b" c "d # e" # f', 'command "a # b" c "d # e"'),
        ('command "say \\"#\\" now" # f', 'command "say \\"#\\" now"'),
        ('reply /it"s/ mode=backoff # don"t', 'reply /it"s/ mode=backoff'),
        ('x "never closed # y', 'x "never closed'),
        ('command "--from=""$from""" # x', 'command "--from=""$from"""'),
        ("no comment", "no comment"),
        ("reply /a#b/ skip-mx", "reply /a"),
    ],
)
def test_where_a_comment_begins(line: str, kept: str) -> None:
    assert without_comment(line) == kept


def test_a_macro_goes_on_after_a_comma_or_a_bare_name() -> None:
    text = (
        "domain-macro a x,\n  # remark\n\n y, z,\nw\ndomain-macro b\n\tp, q\n"
        "log-file x\ndomain-macro c r,\nlog-file y\ndomain-macro d s,\n<domain *>"
    )
    assert lines(text) == [
        (1, "domain-macro", "a x, y, z, w"),
        (6, "domain-macro", "b p, q"),
        (8, "log-file", "x"),
        (9, "domain-macro", "c r,"),
        (10, "log-file", "y"),
        (11, "domain-macro", "d s,"),
        (12, "<domain *>", ""),
    ]


def test_a_byte_order_mark_and_no_last_line_end() -> None:
    result = loads(decode(b"\xef\xbb\xbflog-file x.log"), "t")
    assert result.settings is not None
    assert result.settings.general.log_file == "x.log"


def test_octets_that_are_not_utf_8_may_stand_in_comments_only(found: Found) -> None:
    text = decode("log-file a  # r\u00e9glages\n".encode("latin-1") + b"host-name caf\xe9.example\nlog-rotate 3\0\npostmaster a\rb\n")
    assert found(text) == [
        ("error", line, "a control character, or an octet that is not UTF-8") for line in (2, 3, 4)
    ]  # fmt: skip


def test_the_broken_octet_is_pointed_at() -> None:
    [problem] = loads("log-file a\nlog-rotate 3\0\n", "t").errors
    assert (problem.line, problem.column) == (2, 13)
    assert problem.render().splitlines()[1:] == ["    log-rotate 3?", "                ^"]


def test_keywords_do_not_mind_their_case(good: Good) -> None:
    settings = good("Log-FILE x\nSMTP-Listener 127.0.0.1:2525\n<Source 10/8>\nRequire-Auth YES\n</SOURCE>\n")
    assert settings.general.log_file == "x"
    assert settings.sources[0].assignments["require_auth"].value is True


def test_lines_of_any_length(good: Good) -> None:
    words = ", ".join(f"d{number}.example" for number in range(2000))
    settings = good(f"domain-macro m {words}\n<domain $m>\nmax-smtp-out 3\n</domain>\n")
    assert len(words) > 12_000
    assert len(settings.domains) == 2000


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ('"a b"', "a b"),
        (r'"a\"b\\c\ d\$e\n"', 'a"b\\c d$e\\n'),
        (r"c:\pmta\x", r"c:\pmta\x"),
        ('"/bin/x --from=""$from"""', '/bin/x --from="$from"'),
        ('""', ""),
        ("two words", "two words"),
        ('say "this"', 'say "this"'),
    ],
)
def test_quotes(good: Good, written: str, value: str) -> None:
    settings = good(f"<domain x.example>\ncommand {written}\n</domain>\n")
    assert settings.domains[0].assignments["command"].value == value


def test_a_quote_that_is_never_closed(found: Found) -> None:
    assert found('<domain x.example>\ncommand "a b\n</domain>\n') == [("error", 2, "command: the quotation mark is never closed")]


def test_columns_count_what_the_editor_counts() -> None:
    text = read("t", "\t  max-smtp-out\t 20\n<domain  x>\n", lambda name: False)
    assert [text.column(line) for line in text.lines] == [4, 1]
    assert text.column(text.lines[0], 0) == 18
    assert text.column(Line(9, "x", "y"), 5) > 0  # a line that is not there has some column, not an exception
