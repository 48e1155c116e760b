"""The kinds of value that the table gives its directives: what stands behind a name, how it is read, and how an error explains it.

A kind's `parse` takes all the text behind the name (no comment, no blanks at its ends) and returns a plain value of the settings tree, or
raises `ValueProblem`. How single values are read is in `values`, lines with a shape of their own in `rules`.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from postwright.control.config import acct_rules, list_rules, rules, values
from postwright.control.config.directive import Kind, ValueProblem
from postwright.control.config.rewrite_rules import rewrite_rule
from postwright.control.config.scan import Scanner, comma_list, one_word
from postwright.model.report_macros import MACROS, unknown
from postwright.policy.settings import Rate

MAX_STEPS = 30  # of a TIME list
_MIB = 1 << 20
# RFC 8446 appendix B.4
_SUITES = frozenset(f"TLS_{name}" for name in ("AES_128_GCM_SHA256", "AES_256_GCM_SHA384", "CHACHA20_POLY1305_SHA256",
                                               "AES_128_CCM_SHA256", "AES_128_CCM_8_SHA256"))  # fmt: skip


def _one(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    """`parse` of the one word that may stand there."""

    def parse_word(text: str) -> Any:
        if not text or '"' in text or " " in text or "\t" in text:
            try:
                word = one_word(text)
            except ValueProblem:
                parse(text)  # its own complaint is better: `100 per hour` is no rate
                raise
            return parse(word)
        return parse(text)

    return parse_word


def _loose(text: str) -> str:
    """One word. More words are unknown ones (`virtual-mta x weight 10`), which tolerant mode may forgive."""
    if not text:
        raise ValueProblem("the value is missing")
    scanner = Scanner(text)
    word = scanner.take_word("the value")
    if not scanner.done():
        more = scanner.text[scanner.at :].split(None, 1)[0]
        raise ValueProblem(f"`{more}` is not known here", scanner.at, unknown=True)
    return word


def _each(parse: Callable[[str], Any]) -> Callable[[str], tuple[Any, ...]]:
    def parse_list(text: str) -> tuple[Any, ...]:
        return tuple(rules.checked(parse, word, at) for word, at in comma_list(text))

    return parse_list


def _pair(first: Callable[[str], Any], what: str, second: Callable[[str], Any]) -> Callable[[str], tuple[Any, Any]]:
    """A word of the one sort, then the rest of the line as the other."""

    def parse_pair(text: str) -> tuple[Any, Any]:
        scanner = Scanner(text)
        left = rules.take(scanner, what, first)
        at = scanner.at
        rest = scanner.rest()
        if not rest:
            raise ValueProblem("the value behind it is missing", at)
        return left, rules.checked(second, rest, at)

    return parse_pair


def _text(text: str) -> str:
    if not text.startswith('"'):
        if not text:
            raise ValueProblem("the value is missing")
        return text
    scanner = Scanner(text)
    value = scanner.take_quoted()
    scanner.end()
    return value


def _words(text: str) -> str:
    return text


def _template(text: str) -> str:
    value = _text(text)
    for name in unknown(value):
        hint = f"known are {', '.join(MACROS)}"
        raise ValueProblem(f"`${{{name}}}` stands for nothing", text.find(f"${{{name}}}"), hint, unknown=True)
    return value


def _word(text: str) -> str:
    if not text:
        raise ValueProblem("the value is missing")
    return text


def _steps(text: str) -> tuple[float, ...]:
    steps: tuple[float, ...] = _each(values.wait)(text)
    if len(steps) > MAX_STEPS:
        raise ValueProblem(f"{len(steps)} times are more than {MAX_STEPS}")
    return steps


def _bool_time_or_never(text: str) -> bool | float | None:
    if text.lower() in ("yes", "no", "true", "false"):
        return values.boolean(text)
    return values.time_or_never(text)


def _size_mb(text: str) -> int:
    return int(text) * _MIB if text.isdecimal() and text.isascii() and len(text) < 12 else values.size(text)


def _count_or_auto(text: str) -> int | None:
    return None if text.lower() == "auto" else values.count(text)


def _cold_rates(text: str) -> tuple[Any, ...]:
    for word, at in comma_list(text):
        if re.fullmatch(r"\d+(/(d|day))?", word, re.IGNORECASE) is None and word.lower() != "unlimited":
            raise ValueProblem(f"`{word}` is no number of messages a day", at, "write 50/day, or 50/day,100/day for day after day")
    return tuple(rules.checked(_cold_rate, word, at) for word, at in comma_list(text))


def _cold_rate(text: str) -> Any:
    # nothing a day is the default and means what it says, so 0 is no "unlimited" here
    number = text.partition("/")[0]
    return None if number.lower() == "unlimited" else Rate(values.count(number), 86400.0)


def _per_hour(text: str) -> Rate | None:
    number = values.count_or_unlimited(text)
    return None if number is None else Rate(number, 3600.0)


def _url(text: str) -> str:
    if re.fullmatch(r"https?://[^\s\"<>]+", text, re.IGNORECASE) is None:
        raise ValueProblem("this is no URL", hint="it begins with http:// or https://")
    return text


def _api_key(text: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9_]{32,128}", text) is None:
        raise ValueProblem("this is no API key", hint="32 to 128 letters, digits and _")
    return text


def _regex_only(text: str) -> str:
    scanner = Scanner(text)
    pattern = rules.take_expression(scanner)
    scanner.end()
    return pattern


def _file_or_url(text: str) -> str:
    return _url(text) if re.match(r"https?://", text, re.IGNORECASE) else _word(text)


def _kerberos_service(text: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9-]+(@[A-Za-z0-9.-]+)?", text) is None:
        raise ValueProblem("this is no service of Kerberos", hint="smtp/HOST in the keytab is written smtp@HOST")
    return text


def _ciphers(text: str) -> str:
    value = _text(text)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).set_ciphers(value)
    except ssl.SSLError:
        raise ValueProblem("OpenSSL knows no cipher of this list", hint="such as HIGH:!ADH:@STRENGTH") from None
    except ValueError:
        raise ValueProblem("this is no list of ciphers") from None
    return value


def _tls13_suites(text: str) -> str:
    suites = _text(text).upper()
    at = 0
    for suite in suites.split(":"):
        if suite not in _SUITES:
            raise ValueProblem(f"`{suite}` is no cipher suite of TLS 1.3", at, "such as TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384")
        at += len(suite) + 1
    return suites


def _trusted(text: str) -> str:
    """A network whose word is believed. Everybody in it may claim any address, so it cannot be everybody."""
    network: str = values.network(text)
    if int(network.partition("/")[2]) < 8:
        raise ValueProblem(f"everybody in {network} could say that they come from anywhere", hint="name your proxies")
    return network


def _sender(text: str) -> str:
    """A mailbox, a domain, `*.domain`, or `<>`."""
    if text == "<>":
        return text
    return str(rules.email(text) if "@" in text else values.domain_pattern(text))


# -- numbers ------------------------------------------------------------------------------

BOOL = Kind("yes|no", "yes or no (or true, false)", _one(values.boolean))
COUNT = Kind("N", "a whole number", _one(values.count))
COUNT_OR_UNLIMITED = Kind("N|unlimited", "a whole number, 0 or unlimited for no limit", _one(values.count_or_unlimited))
COUNT_OR_AUTO = Kind("N|auto", "a whole number or auto", _one(_count_or_auto))
PORT = Kind("PORT", "a port, 1 to 65535", _one(values.port))
PORT_OR_OFF = Kind("PORT|0", "a port, 0 for none", _one(lambda text: 0 if text == "0" else values.port(text)))


@lru_cache
def INTEGER_RANGE(low: int, high: int) -> Kind:
    """A whole number from `low` to `high`."""
    return Kind(f"{low}..{high}", f"a whole number from {low} to {high}", _one(lambda text: _integer(text, low, high)))


def _integer(text: str, low: int, high: int) -> int:
    if low < 0 and text.startswith("-"):
        number = -values.count(text[1:])
        if number < low:
            raise ValueProblem(f"{number} is not between {low} and {high}")
        return number
    return values.integer_between(text, low, high)


PERCENT = INTEGER_RANGE(0, 100)
WEIGHT = INTEGER_RANGE(1, 1000)
SHARE_WEIGHT = Kind("NAME N", "the name of a job or user (* and ? allowed) and a weight from 1 to 1000",
                    _pair(_word, "the name of a job or user", WEIGHT.parse))  # fmt: skip

TIME = Kind("TIME", "a time such as 4d12h, 90s or 10m", _one(values.time))
WAIT = Kind("TIME", "a time of at least 1s such as 10m", _one(values.wait))
TIME_OR_NEVER = Kind("TIME|never", "a time such as 4d12h, or never", _one(values.time_or_never))
TIME_LIST = Kind("TIME[,TIME...]", f"a list of up to {MAX_STEPS} times such as 10m,30m,1h", _steps)
BOOL_TIME_OR_NEVER = Kind("yes|no|TIME|never", "yes, no, never, or a time such as 4h", _one(_bool_time_or_never))
DAYS_OR_NEVER = Kind("Nd|never", "days such as 8d, or never", _one(values.time_or_never))
SIZE = Kind("SIZE", "a size such as 20m, 512k or 1048576 (octets)", _one(values.size))
SIZE_OR_UNLIMITED = Kind("SIZE|unlimited", "a size such as 20m, 0 or unlimited for no limit", _one(values.size_or_unlimited))
SIZE_MB = Kind("N[b|k|m|g|t]", "a size such as 500m or 2g; a bare number means megabytes", _one(_size_mb))
RATE = Kind("RATE", "a rate such as 100/h, 83/10m, or unlimited", _one(values.rate))
RATE_LIST = Kind("N/day[,N/day...]", "messages a day, one rate for each day, such as 50/day,100/day", _cold_rates)
PER_HOUR = Kind("N", "messages an hour", _one(_per_hour))
DATA_RATE = Kind("SIZE/[N]unit", "a data rate such as 10m/h, or unlimited", _one(values.data_rate))

# -- words --------------------------------------------------------------------------------

TEXT = Kind("TEXT", "a text, in quotation marks or up to the end of the line", _text)
CIPHERS = Kind("LIST", "a list of ciphers, as OpenSSL writes it", _ciphers)
TLS13_SUITES = Kind("SUITE[:SUITE...]", "suites of TLS 1.3 such as TLS_AES_128_GCM_SHA256, with colons between them", _tls13_suites)
TEMPLATE = Kind("TEXT", "a text, with macros such as ${recipient}", _template)
WORDS = Kind("...", "anything", _words)
NAME = Kind("NAME", "one name", _loose)
KERBEROS_SERVICE = Kind("SERVICE[@HOST]", "a service such as smtp, or smtp@mail.example.com", _one(_kerberos_service))
NAME_LIST = Kind("NAME[,NAME...]", "a list of names", _each(_word))
LIST = Kind("WORD[,WORD...]", "a list of words, with commas between them", _each(_word))
FILE = Kind("FILE", "the path of a file (in quotation marks if it holds blanks)", _loose)
DIRECTORY = Kind("DIR", "the path of a folder (in quotation marks if it holds blanks)", _one(_word))
DIRECTORIES = Kind("DIR DIR", "two folders", _pair(_word, "a folder", _one(_word)))
FILE_PASSWORD = Kind("FILE [PASSWORD]", "a file, and the password of its key if it has one", rules.file_password)
FILE_OR_URL = Kind("FILE|URL", "the path of a file, or a URL that begins with https://", _one(_file_or_url))
FILE_OR_GLOB = Kind("FILE|GLOB|URL", "a file, a pattern of files such as /etc/postwright/conf.d/*.conf", _one(_file_or_url))
URL = Kind("URL", "a URL that begins with http:// or https://", _one(_url))
REGEX = Kind("/REGEX/", "a regular expression between slashes", _regex_only)
API_KEY = Kind("KEY", "a key of 32 to 128 letters, digits and _", _one(_api_key))
SECRET = Kind("TEXT", "a secret, in quotation marks or up to the end of the line", _text)


@lru_cache
def CHOICE(*words: str) -> Kind:
    """One of `words`; either case is read, the table's is given back."""
    known = {word.lower(): word for word in words}
    if "yes" in known and "no" in known:
        known |= {"true": known["yes"], "false": known["no"]}

    def parse(text: str) -> str:
        found = known.get(text.lower())
        if found is None:
            raise ValueProblem(f"`{text}` is none of {', '.join(words)}")
        return found

    return Kind("|".join(words), f"one of {', '.join(words)}", _one(parse))


@lru_cache
def CHOICES(*words: str) -> Kind:
    """A list of some of `words`."""
    return Kind("WORD[,WORD...]", f"one of {', '.join(words)}, or several of them", _each(CHOICE(*words).parse))


LATENCY_CLASS = CHOICE(*list_rules.LATENCY_CLASSES)


@lru_cache
def BOOL_OR(word: str) -> Kind:
    """`yes`, `no` (also written true and false) or one more word; the value is that word."""

    def parse(text: str) -> str:
        if text.lower() == word:
            return word
        try:
            return "yes" if values.boolean(text) else "no"
        except ValueProblem:
            raise ValueProblem(f"`{text}` is none of yes, no, {word}") from None

    return Kind(f"yes|no|{word}", f"one of yes, no (or true, false) and {word}", _one(parse))


# -- addresses, domains, networks -------------------------------------------------------------

EMAIL = Kind("ADDRESS", "an address such as postmaster@example.com", _one(rules.email))
EMAIL_LIST = Kind("ADDRESS[,ADDRESS...]", "a list of addresses", _each(rules.email))
RELAY_ADDRESS = Kind("ADDRESS|/REGEX/", "an address or a regular expression between slashes", rules.relay_address)
ADDRESS_OR_REGEX = Kind("ADDRESS|/REGEX/", "an address or a regular expression between slashes", rules.address_or_regex)
HOST_NAME = Kind("HOSTNAME", "a host name such as mail.example.com", _one(values.host_name))
DOMAIN_PATTERN = Kind("DOMAIN", "a pattern of domains: *, a.b, *.a.b, [*.]a.b or [10/8]", _one(rules.domain_or_macro))
IP = Kind("IP", "an address such as 192.0.2.1 or 2001:db8::1", _one(values.address))
IP_AND_PORT = Kind("IP[:PORT]", "an address such as 192.0.2.1, 192.0.2.1:5353, 2001:db8::1 or [2001:db8::1]:5353", rules.name_server)
TRUSTED_NETWORKS = Kind("CIDR[,CIDR...]", "a list of networks such as 10.1.2.0/24,192.0.2.1", _each(_trusted))
NETWORKS = Kind("CIDR[,CIDR...]", "a list of networks such as 10.1.2.0/24,192.0.2.1", _each(values.network))
SENDERS = Kind("ADDRESS|DOMAIN[,...]", "a list of addresses and domains such as me@example.com,example.org,*.example.net", _each(_sender))
CIDR = Kind("CIDR", "a network such as 192.0.2.0/24, 10/8 or ::1", _one(values.network))
PROXY_CLIENT = Kind("IP[:PORT] HOSTNAME", "an address (perhaps with a port) and the host name for EHLO", rules.proxy_client)
PROXY_SOURCE = Kind(
    "IP|CIDR PROXY:PORT IP[:PORT] HOSTNAME",
    "an address of ours (or a network), the proxy and its port, the address that it sends from and the host name for EHLO",
    rules.proxy_source,
)
HOST_PORT = Kind("HOST:PORT", "a host and a port, such as proxy.example.com:3128", _one(rules.host_port))
HOST_LIST = Kind("HOST[,HOST...][;HOST...]", "hosts such as mx.example.com, [192.0.2.1]:25 or lookup-mx:example.com", rules.host_list)
IP_OR_CIDR_HOST = Kind("IP|CIDR HOSTNAME", "an address (or a network) and the host name for EHLO", rules.source_host)
LISTENER_ADDRESS = Kind("IP|CIDR:PORT [source=NAME]", "an address and a port such as 192.0.2.1:25", rules.listener_address)
MX_PATTERN_COUNT = Kind(
    "MX N", "the name of an MX (* allowed) and a number", _pair(list_rules.mx_pattern, "the name of an MX", values.count_or_unlimited)
)


@lru_cache
def CIDR_AND(kind: Kind) -> Kind:
    """A network and behind it a value of another kind: a pair."""
    return Kind(f"CIDR {kind.notation}", f"a network and {kind.expected}", _pair(values.network, "a network", kind.parse))


# -- lines with a shape of their own -------------------------------------------------------------

ALIAS = Kind("ADDRESS ADDRESS[,ADDRESS...]", "an address and the addresses it stands for", rules.alias)
RECORDS = Kind("TYPE[,TYPE...]", "a list of types of records: d, b, t, tq, r, f, rb, rs", _each(rules.record_type))
RECORD_FIELDS = Kind("TYPE FIELD[,FIELD...]", "a type of record and a list of fields", acct_rules.record_fields)
QUEUE_FILTER = Kind("[!]QUEUE[,[!]QUEUE...]", "a list of queues such as a.com/vmta1,!*.b.com/*", acct_rules.queue_filter)
PRIVACY_POLICY = Kind(
    "retain|redact [TEXT]|siphash[-hexkey] KEY|hmac-sha256[-hexkey] KEY", "a policy, and the key of its digest", acct_rules.privacy_policy
)
HEADER_MAP = Kind("TYPE header_X FIELD", "a type of record, a header as header_X, and a field", acct_rules.header_map)
DOMAIN_KEY = Kind("SELECTOR, DOMAIN|*, FILE", "a selector, a domain (or *) and the file of the key", rules.domain_key)
HTTP_ACCESS = Kind("CIDR RIGHT", "a network and a right: none, monitor, operator or admin", rules.http_access)
MACRO = Kind("NAME WORD[,WORD...]", "a name and a list of words", rules.macro)
REPLY_RULE = Kind("/REGEX/ ACTION[,ACTION...]", "a regular expression and actions such as mode=backoff", list_rules.reply_rule)
CATEGORY_RULE = Kind("/REGEX/ CATEGORY", "a regular expression and a category", list_rules.category_rule)
ROLLUP_RULE = Kind(
    "MX QUEUE.rollup [rollup-by-ip]", "the name of an MX (* allowed) and a queue that ends in .rollup", list_rules.rollup_rule
)
MAIL_FROM_RULE = Kind(
    "/REGEX/ RESULT", "a regular expression and a result such as virtual-mta=NAME", list_rules.submission_rule("mail-from")
)
RCPT_TO_RULE = Kind("/REGEX/ RESULT", "a regular expression and a result such as virtual-mta=NAME", list_rules.submission_rule("rcpt-to"))
HEADER_RULE = Kind("HEADER /REGEX/ RESULT", "a header, a regular expression and a result", list_rules.submission_rule("header"))
CATCH_ALL_RULE = Kind("RESULT", "a result such as virtual-mta=NAME", list_rules.submission_rule("*"))
REWRITE_MAIL_FROM = Kind("SOURCE TARGET", "a sender and what becomes of it", rewrite_rule("mail-from"))
REWRITE_FROM_DOMAIN = Kind("PATTERN DOMAIN", "a pattern of domains and what becomes of it", rewrite_rule("from-domain"))
