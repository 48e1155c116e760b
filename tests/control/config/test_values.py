"""Kinds of values: what each reads, what it refuses and what it says then; and that whatever is printed is read back. Takes seconds."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postwright.control.config import kinds as k
from postwright.control.config.directive import Kind, ValueProblem
from postwright.control.config.directives import BLOCKS, TABLE
from postwright.policy.settings import (
    CategoryRule,
    DomainKey,
    FilePassword,
    HttpAccess,
    Rate,
    ReplyAction,
    ReplyRule,
    RollupRule,
    SourceHostRule,
    SubmissionResult,
    SubmissionRule,
)

GOOD: list[tuple[Kind, str, Any]] = [
    (k.BOOL, "yes", True),
    (k.BOOL, "TRUE", True),
    (k.BOOL, "no", False),
    (k.BOOL, "false", False),
    (k.COUNT, "0", 0),
    (k.COUNT_OR_UNLIMITED, "0", None),
    (k.COUNT_OR_UNLIMITED, "Unlimited", None),
    (k.COUNT_OR_UNLIMITED, "20", 20),
    (k.COUNT_OR_AUTO, "auto", None),
    (k.INTEGER_RANGE(-20, 20), "-5", -5),
    (k.PERCENT, "100", 100),
    (k.PORT, "65535", 65535),
    (k.PORT_OR_OFF, "0", 0),
    (k.TIME, "1w2d12h", 820800.0),
    (k.TIME, "4D12H", 388800.0),
    (k.TIME, "600", 600.0),
    (k.TIME_OR_NEVER, "never", None),
    (k.TIME_LIST, "10m, 30m,1h", (600.0, 1800.0, 3600.0)),
    (k.BOOL_TIME_OR_NEVER, "4h", 14400.0),
    (k.BOOL_TIME_OR_NEVER, "no", False),
    (k.BOOL_TIME_OR_NEVER, "never", None),
    (k.DAYS_OR_NEVER, "8d", 691200.0),
    (k.SIZE, "20M", 20 << 20),
    (k.SIZE, "512k", 512 << 10),
    (k.SIZE, "77", 77),
    (k.SIZE_OR_UNLIMITED, "unlimited", None),
    (k.SIZE_MB, "20", 20 << 20),
    (k.SIZE_MB, "2g", 2 << 30),
    (k.RATE, "100/h", Rate(100, 3600.0)),
    (k.RATE, "83/10m", Rate(83, 600.0)),
    (k.RATE, "5/min", Rate(5, 60.0)),
    (k.RATE, "7/45S", Rate(7, 45.0)),
    (k.RATE, "9/2day", Rate(9, 172800.0)),
    (k.RATE, "1/hr", Rate(1, 3600.0)),
    (k.RATE, "1/sec", Rate(1, 1.0)),
    (k.RATE, "unlimited", None),
    (k.RATE, "0", None),
    (k.RATE_LIST, "50/day,100/d", (Rate(50, 86400.0), Rate(100, 86400.0))),
    (k.RATE_LIST, "0/d", (Rate(0, 86400.0),)),
    (k.PER_HOUR, "100", Rate(100, 3600.0)),
    (k.DATA_RATE, "10m/h", Rate(10 << 20, 3600.0)),
    (k.TEXT, "all the rest", "all the rest"),
    (k.NAME, '"a b"', "a b"),
    (k.NAME, "{pmta-auth}", "{pmta-auth}"),
    (k.NAME_LIST, "a , b,c", ("a", "b", "c")),
    (k.EMAIL, "postmaster@example.com", "postmaster@example.com"),
    (k.DOMAIN_PATTERN, "*", "*"),
    (k.DOMAIN_PATTERN, "[*.]A.B", "[*.]a.b"),
    (k.DOMAIN_PATTERN, "*.a.b", "*.a.b"),
    (k.DOMAIN_PATTERN, "b\u00fccher.example", "xn--bcher-kva.example"),
    (k.DOMAIN_PATTERN, "[10/8]", "[10.0.0.0/8]"),
    (k.DOMAIN_PATTERN, "{bounce}", "{bounce}"),
    (k.DOMAIN_PATTERN, r"aol.\$Com", "aol.$com"),
    (k.CIDR, "10/8", "10.0.0.0/8"),
    (k.CIDR, "0/0", "0.0.0.0/0"),
    (k.CIDR, "173.194/16", "173.194.0.0/16"),
    (k.CIDR, "192.0.2.77/27", "192.0.2.64/27"),
    (k.CIDR, "192.0.2.1", "192.0.2.1/32"),
    (k.CIDR, "::1", "::1/128"),
    (k.CIDR, "2001:db8::5/32", "2001:db8::/32"),
    (k.CIDR_AND(k.RATE), "10/8 5/m", ("10.0.0.0/8", Rate(5, 60.0))),
    (k.MX_PATTERN_COUNT, "*.Google.com 30", ("*.google.com", 30)),
    (k.HOST_LIST, "a.example,b.example:26;[192.0.2.1]:25;lookup-mx:c.example", "a.example,b.example:26;[192.0.2.1]:25;lookup-mx:c.example"),
    (k.IP, "[2001:DB8::1]", "2001:db8::1"),
    (k.IP_OR_CIDR_HOST, "192.0.2.1 mta1.example.com", SourceHostRule("192.0.2.1", "mta1.example.com")),
    (k.IP_OR_CIDR_HOST, "192.0.2/24 mta1.example.com", SourceHostRule("192.0.2.0/24", "mta1.example.com")),
    (k.FILE_PASSWORD, '"my cert.pem" sesame', FilePassword("my cert.pem", "sesame")),
    (k.DOMAIN_KEY, "sel1, *, /k/sel1.pem", DomainKey("sel1", "*", "/k/sel1.pem")),
    (k.DOMAIN_KEY, r"m,x.example,c:\pmta\m.pem", DomainKey("m", "x.example", r"c:\pmta\m.pem")),
    (k.HTTP_ACCESS, "::1 monitor, deny-logs", HttpAccess("::1/128", "monitor,deny-logs")),
    (k.CATEGORY_RULE, r"/no such \/ user/ bad-mailbox", CategoryRule(r"/no such \/ user/", "bad-mailbox")),
    (k.CATEGORY_RULE, "/a b/other", CategoryRule("/a b/", "other")),
    (k.CATEGORY_RULE, "// other", CategoryRule("//", "other")),
    (k.ROLLUP_RULE, "*.Google.com g.rollup rollup-by-ip", RollupRule("*.google.com", "g.rollup", True)),
    (
        k.REPLY_RULE,
        "/^421 .*(busy)/ mode=backoff, disable-source-ip,reenable-after=7m",
        ReplyRule("/^421 .*(busy)/", ReplyAction("backoff", disable_source_ip=True, reenable_after=420.0)),
    ),
    (k.MAIL_FROM_RULE, r"/@news\./ virtual-mta=a,recipient-priority=7",
     SubmissionRule("mail-from", r"/@news\./", SubmissionResult("a", 7))),
    (k.HEADER_RULE, "X-Kind /bulk/ call-to:slow", SubmissionRule("header", "/bulk/", SubmissionResult(call_to=("slow",)), "x-kind")),
    (k.CHOICE("no", "yes", "override"), "true", "yes"),
    (k.CHOICE("rsa-sha1", "rsa-sha256"), "RSA-SHA1", "rsa-sha1"),
    (k.RECORDS, "delivery, b,transient-queue", ("d", "b", "tq")),
    (k.RECORD_FIELDS, "bounce *,!rcpt, header_X-A", ("b", ("*", "!rcpt", "header_X-A"))),
    (k.HEADER_MAP, "d header_X-A jobId", ("d", "header_X-A", "jobId")),
    (k.ALIAS, "*@a.example b@c.example, d", ("*@a.example", ("b@c.example", "d"))),
    (k.RELAY_ADDRESS, "/@foo(bar)?\\.example$/", "/@foo(bar)?\\.example$/"),
    (k.REGEX, "/(?=lookahead)x/", "/(?=lookahead)x/"),
    (k.API_KEY, "A" * 32, "A" * 32),
    (k.URL, "https://example.com/x", "https://example.com/x"),
    (k.DIRECTORIES, "/a /b", ("/a", "/b")),
]  # fmt: skip

BAD: list[tuple[Kind, str, int, str, str]] = [
    (k.BOOL, "on", 0, "neither yes nor no", ""),
    (k.COUNT, "-1", 0, "no whole number", ""),
    (k.COUNT, "9" * 5000, 0, "no whole number", ""),
    (k.COUNT, "\u0663", 0, "no whole number", ""),
    (k.PORT, "70000", 0, "no port", "1 to 65535"),
    (k.PORT, "0", 0, "no port", ""),
    (k.TIME, "4days", 0, "no time", "4d"),
    (k.TIME, "1.5h", 0, "no time", "whole numbers"),
    (k.TIME_LIST, "10m,0", 4, "too short", "at least 1s"),
    (k.WAIT, "0", 0, "too short", "at least 1s"),
    (k.TIME_LIST, "10m,1x", 4, "no time", ""),
    (k.TIME_LIST, ",".join(["1m"] * 31), 0, "more than 30", ""),
    (k.TIME_LIST, "10m,,1h", 4, "missing", ""),
    (k.TIME_LIST, "10m 1h", 4, "comma", ""),
    (k.SIZE, "20megs", 0, "no size", "20m"),
    (k.RATE, "100 per hour", 0, "no rate", "100/h"),
    (k.RATE, "100 /h", 0, "no rate", "without blanks"),
    (k.RATE, "5/0m", 2, "nothing", ""),
    (k.RATE, "-5/m", 0, "no rate", ""),
    (k.CIDR, "10.0.0.300/24", 0, "neither an address nor a network", ""),
    (k.CIDR, "10.0.0.1/255.0.0.0", 0, "neither", ""),
    (k.CIDR, "10", 0, "neither", ""),
    (k.CIDR, "2001:db8::/200", 0, "neither", ""),
    (k.IP_OR_CIDR_HOST, "mta.example.com 192.0.2.1", 0, "neither", "address comes first"),
    (k.IP_OR_CIDR_HOST, "192.0.2.1", 9, "host name is missing", ""),
    (k.IP_OR_CIDR_HOST, "192.0.2.1 a b", 12, "more on the line", ""),
    (k.LISTENER_ADDRESS, "127.0.0.1:70000", 10, "no port", ""),
    (k.LISTENER_ADDRESS, "::1:25", 0, "no address with a port", ""),
    (k.LISTENER_ADDRESS, "0/0:465 tls=yes", 8, "no option", ""),
    (k.HOST_LIST, "a.example,,b", 10, "host is missing", ""),
    (k.HOST_LIST, "[a.example]", 1, "no address", ""),
    (k.HOST_LIST, "a:99999", 2, "no port", ""),
    (k.DOMAIN_PATTERN, "*a.b", 0, "no pattern", ""),
    (k.DOMAIN_KEY, "a, b.example", 12, "a selector, a domain and a file", ""),
    (k.DOMAIN_KEY, "a, b.example, f, g", 17, "a selector", ""),
    (k.HTTP_ACCESS, "", 0, "a network and a right are missing", "# begins a comment"),
    (k.HTTP_ACCESS, "10/8", 4, "right is missing", ""),
    (k.HTTP_ACCESS, "10/8 root", 5, "no right", ""),
    (k.REPLY_RULE, "/421 / mode=backoff,mode=backoff", 20, "twice", ""),
    (k.REPLY_RULE, "/421 / mode=backoff,mode=normal", 20, "exclude", ""),
    (k.REPLY_RULE, "/421 / skip-mx,bounce-queue", 7, "exclude", ""),
    (k.REPLY_RULE, "/421 / reenable-after=5m", 7, "disable-source-ip", ""),
    (k.REPLY_RULE, "/421 / backoff-to-normal-after=5m", 7, "mode=backoff", ""),
    (k.REPLY_RULE, "/421 / skip-mx=1", 7, "no action", ""),
    (k.REPLY_RULE, "/421 / disable-source-ip,reenable-after=soon", 40, "no time", ""),
    (k.REPLY_RULE, "/421 /", 6, "action is missing", ""),
    (k.REPLY_RULE, "/4(21 / skip-mx", 2, "does not compile", ""),
    (k.REPLY_RULE, "/421 skip-mx", 0, "never closed", "\\x23"),
    (k.CATEGORY_RULE, "/a/ b c", 6, "more on the line", ""),
    (k.CATEGORY_RULE, "/a/", 3, "category is missing", ""),
    (k.ROLLUP_RULE, "*.x.example queue", 12, "rollup", ""),
    (k.MAIL_FROM_RULE, "/a/ vmta=b", 4, "no result", ""),
    (k.REGEX, "/(?|a|b)/", 2, "does not compile", "Perl"),
    (k.API_KEY, "short", 0, "no API key", ""),
    (k.RELAY_ADDRESS, "postmaster", 0, "no domain", ""),
    (k.RECORDS, "d,all", 2, "no type", ""),
    (k.MACRO, "a-b c", 0, "no name", ""),
    (k.CHOICE("smtp", "pipe"), "tls", 0, "none of smtp, pipe", ""),
    (k.INTEGER_RANGE(1, 100), "0", 0, "between 1 and 100", ""),
    (k.URL, "ftp://x", 0, "no URL", ""),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "text", "value"), GOOD, ids=[f"{kind.notation} {text[:30]}" for kind, text, _ in GOOD])
def test_what_is_read(kind: Kind, text: str, value: Any) -> None:
    assert kind.parse(text) == value


@pytest.mark.parametrize(("kind", "text", "offset", "message", "hint"), BAD, ids=[f"{kind.notation} {text[:30]}" for kind, text, *_ in BAD])
def test_what_is_refused(kind: Kind, text: str, offset: int, message: str, hint: str) -> None:
    with pytest.raises(ValueProblem) as caught:
        kind.parse(text)
    assert message in caught.value.message
    assert hint in caught.value.hint
    assert caught.value.offset == offset


KINDS = {id(row.kind): row.kind for row in (*TABLE, *BLOCKS)}
ANY = st.text(st.characters(codec="utf-8", exclude_characters="\n\r\0"), max_size=40)
LIKE = st.text(st.sampled_from('0129adhmskbg/.,:;[]*$"\\ {}@=-_#(|)?'), max_size=24)


@given(st.sampled_from(list(KINDS.values())), ANY | LIKE)
def test_a_kind_reads_or_complains_within_the_text(kind: Kind, text: str) -> None:
    try:
        kind.parse(text.strip())
    except ValueProblem as raised:
        problem = raised
    else:
        return
    assert 0 <= problem.offset <= len(text)
    assert problem.message


@given(st.integers(0, 10**9))
def test_times_are_read_back(seconds: int) -> None:
    weeks, rest = divmod(seconds, 604800)
    days, rest = divmod(rest, 86400)
    hours, rest = divmod(rest, 3600)
    minutes, left = divmod(rest, 60)
    parts = [f"{number}{unit}" for number, unit in ((weeks, "w"), (days, "d"), (hours, "h"), (minutes, "m"), (left, "s")) if number]
    assert k.TIME.parse("".join(parts) or "0") == float(seconds)


@given(st.integers(1, 10**9), st.integers(1, 999), st.sampled_from("dhms"))
def test_rates_are_read_back(count: int, times: int, unit: str) -> None:
    rate = k.RATE.parse(f"{count}/{times}{unit}")
    assert (rate.count, rate.interval) == (count, times * {"d": 86400, "h": 3600, "m": 60, "s": 1}[unit])


@given(st.ip_addresses(), st.integers(0, 128))
def test_networks_are_read_back(address: Any, length: int) -> None:
    network = k.CIDR.parse(f"{address}/{min(length, address.max_prefixlen)}")
    assert k.CIDR.parse(network) == network


@given(st.text(st.characters(codec="ascii", min_codepoint=32, max_codepoint=126), max_size=30))
def test_quoted_texts_are_read_back(text: str) -> None:
    written = text.replace("\\", "\\\\").replace('"', '\\"')
    assert k.TEXT.parse(f'"{written}"') == text
