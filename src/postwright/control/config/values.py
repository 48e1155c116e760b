"""Single values of the language: numbers, times, sizes, rates, networks, patterns of domains, expressions.

Each function takes the text of one value and returns it typed (seconds as float, octets as int, networks as canonical text), or raises
`ValueProblem`, whose offset counts from the start of that text. Nothing else is raised, whatever the text.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

import re2

from postwright.control.config.directive import ValueProblem
from postwright.model.address import canonical_domain
from postwright.model.errors import AddressError
from postwright.policy.settings import Rate

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_RATE_UNITS = {"d": "d", "day": "d", "h": "h", "hr": "h", "m": "m", "min": "m", "s": "s", "sec": "s"}
OCTETS = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}

_integer = re.compile(r"\d{1,15}").fullmatch
_time = re.compile(r"(?:\d{1,9}[wdhms])+", re.IGNORECASE).fullmatch
_time_part = re.compile(r"(\d+)([wdhms])", re.IGNORECASE)
_size = re.compile(r"(\d{1,15})([bkmgt]?)", re.IGNORECASE).fullmatch
_rate = re.compile(r"(\d{1,15})/(\d{0,6})(day|d|hr|h|min|m|sec|s)", re.IGNORECASE).fullmatch
_data_rate = re.compile(r"(\d{1,15}[bkmgt]?)/(\d{0,6})(day|d|hr|h|min|m|sec|s)", re.IGNORECASE).fullmatch
# most names by far, and quickly told; the others take the long way
plain_name = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?){1,8}").fullmatch
_host_name = re.compile(r"[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?").fullmatch
_UNLIMITED = ("0", "unlimited")


def boolean(text: str) -> bool:
    """`yes`, `no`, `true`, `false`, whatever their case."""
    word = text.lower()
    if word in ("yes", "true"):
        return True
    if word in ("no", "false"):
        return False
    raise ValueProblem(f"`{text}` is neither yes nor no")


def count(text: str) -> int:
    """A whole number of at least 0."""
    if _integer(text) is None or not text.isascii():
        raise ValueProblem(f"`{text}` is no whole number")
    return int(text)


def wait(text: str) -> float:
    """A time of at least a second: what is tried again at once is tried without end."""
    seconds = time(text)
    if seconds < 1:
        raise ValueProblem(f"`{text}` is too short a wait", hint="at least 1s")
    return seconds


def count_or_unlimited(text: str) -> int | None:
    """A count; 0 and `unlimited` are None."""
    return None if text.lower() in _UNLIMITED else count(text)


def integer_between(text: str, low: int, high: int) -> int:
    """A whole number from `low` to `high`."""
    value = count(text)
    if not low <= value <= high:
        raise ValueProblem(f"{value} is not between {low} and {high}")
    return value


def port(text: str) -> int:
    """1 to 65535."""
    try:
        value = count(text)
    except ValueProblem:
        raise ValueProblem(f"`{text}` is no port") from None
    if not 0 < value < 65536:
        raise ValueProblem(f"{value} is no port", hint="ports are 1 to 65535")
    return value


def time(text: str) -> float:
    """Seconds of `1w2d12h`; a bare number is seconds already."""
    if _time(text):
        return float(sum(int(number) * SECONDS[unit.lower()] for number, unit in _time_part.findall(text)))
    if _integer(text) and text.isascii():
        return float(text)
    raise ValueProblem(f"`{text}` is no time", hint=_time_hint(text))


def _time_hint(text: str) -> str:
    units = "units are w d h m s"
    near = re.match(r"(\d{1,9})\s*(w|d|h|m|s)[a-z]+$", text, re.IGNORECASE)
    if near and text.lower() not in ("never",):
        return f"{units}: {near[1]}{near[2].lower()}"
    if re.fullmatch(r"[\d.,]+[wdhms]?", text):
        return f"whole numbers only; {units}"
    return units


def time_or_never(text: str) -> float | None:
    """A time; `never` is None."""
    return None if text.lower() == "never" else time(text)


def size(text: str) -> int:
    """Octets of `N` with b, k, m, g or t (1 k is 1,024)."""
    found = _size(text)
    if found is None or not text.isascii():
        near = re.match(r"(\d{1,15})\s*([bkmgt])[a-z]*$", text, re.IGNORECASE)
        raise ValueProblem(f"`{text}` is no size", hint="units are b k m g t" + (f": {near[1]}{near[2].lower()}" if near else ""))
    return int(found[1]) * OCTETS[found[2].lower()]


def size_or_unlimited(text: str) -> int | None:
    """A size; 0 and `unlimited` are None."""
    return None if text.lower() in _UNLIMITED else size(text)


def _interval(number: str, unit: str, at: int) -> float:
    times = int(number) if number else 1
    if times == 0:
        raise ValueProblem("an interval of nothing", at)
    return float(times * SECONDS[_RATE_UNITS[unit.lower()]])


def rate(text: str) -> Rate | None:
    """`N/[M]unit`; `unlimited` and 0 are None."""
    if text.lower() in _UNLIMITED:
        return None
    found = _rate(text)
    if found is None or not text.isascii():
        raise ValueProblem(f"`{text}` is no rate", hint=_rate_hint(text))
    return Rate(int(found[1]), _interval(found[2], found[3], found.start(2)))


def _rate_hint(text: str) -> str:
    near = re.match(r"(\d{1,15})\s*(?:/|per|a|an)\s*(d|h|m|s)[a-z]*$", text, re.IGNORECASE)
    example = f"{near[1]}/{near[2].lower()}" if near else "100/h or 83/10m"
    return f"a rate is {example}, without blanks; units are d h m s"


def data_rate(text: str) -> Rate | None:
    """`SIZE/[X]unit` as octets per interval; `unlimited` and 0 are None."""
    if text.lower() in _UNLIMITED:
        return None
    found = _data_rate(text)
    if found is None or not text.isascii():
        raise ValueProblem(f"`{text}` is no data rate", hint="a data rate is 10m/h, without blanks; units are b k m g t and d h m s")
    return Rate(size(found[1]), _interval(found[2], found[3], found.start(2)))


@lru_cache(8192)
def network(text: str) -> str:
    """A network (also shortened: `10/8`), or an address as a network of one; canonical, host bits dropped."""
    return str(as_network(text))


def as_network(text: str) -> IPv4Network | IPv6Network:
    """The same as an object."""
    digits, slash, bits = text.partition("/")
    if slash and ":" not in digits and digits.count(".") < 3 and digits:
        digits = ".".join([*digits.removesuffix(".").split("."), "0", "0", "0"][:4])
    try:
        # a mask of dots would be taken for a netmask or a wildcard mask, whichever fits; the language has prefix lengths only
        if slash and not (bits.isdigit() and bits.isascii() and len(bits) <= 3):
            raise ValueError
        return ip_network(f"{digits}{slash}{bits}", strict=False)
    except ValueError:
        raise ValueProblem(f"`{text}` is neither an address nor a network", hint="write 192.0.2.0/24, 10/8, 192.0.2.1 or ::1") from None


def address(text: str) -> str:
    """One IPv4 or IPv6 address, canonical; brackets are allowed."""
    try:
        return str(ip_address(text[1:-1] if text.startswith("[") and text.endswith("]") else text))
    except ValueError:
        raise ValueProblem(f"`{text}` is no address") from None


def host_name(text: str) -> str:
    """A host's name as written, checked; international names become A-labels. Underscores exist in the wild and are let pass."""
    if len(text) <= 253 and _host_name(text.lower()) and ".." not in text:
        return text
    try:
        return canonical_domain(text)
    except AddressError:
        raise ValueProblem(f"`{text}` is no host name") from None


@lru_cache(8192)
def domain_pattern(text: str) -> str:
    """`*`, `a.b`, `*.a.b`, `[*.]a.b`, `[10/8]` or a reserved `{name}`, in lower case and A-labels."""
    lower = text.lower()
    for prefix in ("[*.]", "*."):
        if lower.startswith(prefix):
            return prefix + host_name(lower[len(prefix) :]).lower()
    if lower == "*" or (lower.startswith("{") and lower.endswith("}") and len(lower) > 2):
        return lower
    if lower.startswith("[") and lower.endswith("]"):
        return f"[{network(lower[1:-1].removeprefix('ipv6:'))}]"
    try:
        return host_name(lower)
    except ValueProblem:
        raise ValueProblem(f"`{text}` is no pattern of domains", hint="patterns are *, a.b, *.a.b, [*.]a.b and [10/8]") from None


@lru_cache(8192)
def expression(text: str) -> str:
    """`/…/` with an expression that compiles: RE2's syntax first, then Python's (for look-around and back-references)."""
    source = text[1:-1]
    options = re2.Options()
    options.case_sensitive = False
    options.log_errors = False
    try:
        re2.compile(source.encode("utf-8", "surrogatepass"), options=options)
        return text
    except re2.error:
        pass
    try:
        re.compile(source, re.IGNORECASE)
    except re.error as error:
        message = f"the regular expression does not compile: {error.msg}"
        raise ValueProblem(message, 1 + (error.pos or 0), _regex_hint(source), expression=True) from None
    except (RecursionError, OverflowError):
        raise ValueProblem("the regular expression is too large to compile", 0, expression=True) from None
    return text


def linear_expression(text: str) -> str:
    """As `expression`, without what only Python knows: for what strangers say, as RE2's time is linear whatever they choose."""
    expression(text)
    options = re2.Options()
    options.log_errors = False
    try:
        re2.compile(text[1:-1].encode("utf-8", "surrogatepass"), options=options)
    except re2.error as error:
        detail = error.args[0]
        why = detail.decode("utf-8", "replace") if isinstance(detail, bytes) else str(detail)
        raise ValueProblem(f"the regular expression cannot be used for replies: {why}", 0, _LINEAR, expression=True) from None
    return text


_LINEAR = (
    "replies are matched by RE2, which has no look-around and no back-references: write it without them;"
    " as the first rule that fits counts, an exception may stand as a rule of its own above this one"
)


def search(pattern: str) -> Callable[[str], object]:
    """The search of an expression that `expression` has let pass."""
    options = re2.Options()
    options.case_sensitive = False
    options.log_errors = False
    try:
        found: Callable[[str], object] = re2.compile(pattern[1:-1], options=options).search
    except re2.error:
        found = re.compile(pattern[1:-1], re.IGNORECASE).search
    return found


_PERL_ONLY = re.compile(r"\(\?[|>&R0-9]|[*+?}]\+|\\[KGRXh]|\\p\{|\(\*[A-Z]")


def _regex_hint(source: str) -> str:
    found = _PERL_ONLY.search(source)
    return f"`{found[0]}` is Perl's own syntax, which neither RE2 nor Python knows" if found else ""
