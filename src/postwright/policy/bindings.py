"""What a user is bound to once he has logged in: senders, virtual MTAs, a rate, a volume a day, networks (`<smtp-user>` and its kin; ours).

A binding is written the same way in the configuration, in a users file and in a look-up's reply; `read` is the one who knows the forms.
What is compiled for a user is shared by all his sessions. Pure; a word that means nothing is a ValueError when it is read, and afterwards
nothing is raised. Who is bound to nothing has no `Bindings` at all.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from ipaddress import ip_address
from typing import Any, Final

from postwright.model.address import Address, parse_mailbox
from postwright.model.errors import AddressError
from postwright.model.reply import Reply
from postwright.policy.domain_settings import Rate
from postwright.policy.patterns import DomainPatterns
from postwright.policy.patterns import network as as_network
from postwright.policy.settings import UserSettings

NOT_YOURS: Final = Reply(550, "5.7.1", ("this login may not use that sender address",))
FROM_NOT_YOURS: Final = Reply(550, "5.7.1", ("this login may not use that address in the From field",))
VMTA_NOT_YOURS: Final = Reply(550, "5.7.1", ("this login may not choose that virtual MTA",))
TOO_FAST: Final = Reply(450, "4.7.1", ("this login sends too fast, try again later",))
DAY_IS_FULL: Final = Reply(450, "4.7.1", ("this login has reached its volume of the day, try again tomorrow",))

NULL_SENDER: Final = "<>"
_UNITS: Final = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_rate = re.compile(r"([0-9]{1,9})/([0-9]{0,6})([smhd])").fullmatch
_count = re.compile(r"[0-9]{1,10}").fullmatch


class Senders:
    """Sender addresses that may be used: mailboxes, `domain`, `*.domain` (what is below it), `<>` for the null reverse-path.

    Local parts are compared without regard to case. Raises ValueError (AddressError is one) for what is none of these.
    """

    __slots__ = ("_domains", "_mailboxes", "_null")

    def __init__(self, words: Iterable[str]) -> None:
        domains: list[str] = []
        self._mailboxes: set[tuple[str, str]] = set()
        self._null = False
        for word in words:
            if word == NULL_SENDER:
                self._null = True
            elif "@" in word:
                address = parse_mailbox(word, smtputf8=True)
                self._mailboxes.add((address.local.lower(), address.domain))
            else:
                domains.append(word)
        self._domains = DomainPatterns(domains)

    def allows(self, address: Address) -> bool:
        """May it be used as a sender?"""
        if not address.domain:
            return self._null and not address.text
        return (address.local.lower(), address.domain) in self._mailboxes or self._domains.matches(address.domain)

    def allows_text(self, text: str) -> bool:
        """The same for an address of a From field, as it stands there."""
        try:
            return self.allows(parse_mailbox(text, smtputf8=True))
        except AddressError:
            return False


class Bindings:
    """Ready to be asked. `virtual_mtas` in lower case; `default` is used where the message names none. None where there is no limit."""

    __slots__ = ("check_from", "daily", "default", "latency_class", "rate", "senders", "virtual_mtas")

    def __init__(self, user: UserSettings) -> None:
        self.senders = Senders(user.sender) if user.sender else None
        self.check_from = user.check_from_header and self.senders is not None
        self.default = user.virtual_mta[0] if user.virtual_mta else ""
        self.virtual_mtas = frozenset([name.lower() for name in user.virtual_mta])
        self.rate = user.max_msg_rate
        self.daily = user.daily_limit
        self.latency_class = user.latency_class

    def choose(self, header: str | None) -> str | Reply | None:
        """What is to stand for the field x-virtual-mta (None: there is none)."""
        if not self.virtual_mtas:
            return header
        wanted = (header or "").strip()
        if not wanted:
            return self.default
        return wanted if wanted.lower() in self.virtual_mtas else VMTA_NOT_YOURS


def bindings_of(user: UserSettings) -> Bindings | None:
    """What holds for the user; None when nothing does."""
    if user.sender or user.virtual_mta or user.max_msg_rate is not None or user.daily_limit is not None or user.latency_class:
        return _bindings(user.sender, user.virtual_mta, user.max_msg_rate, user.daily_limit, user.check_from_header, user.latency_class)
    return None


@lru_cache(maxsize=4096)
def _bindings(
    sender: tuple[str, ...], vmta: tuple[str, ...], rate: Rate | None, daily: int | None, check_from: bool, latency_class: str
) -> Bindings:
    """By value and without the user's secrets: a look-up gives the same user anew each time."""
    return Bindings(
        UserSettings(
            "",
            sender=sender,
            virtual_mta=vmta,
            max_msg_rate=rate,
            daily_limit=daily,
            check_from_header=check_from,
            latency_class=latency_class,
        )
    )


def admits(user: UserSettings, peer: str) -> bool:
    """May this user log in from there (`network`)?"""
    return not user.network or _within(user.network, peer)


@lru_cache(maxsize=4096)
def _within(networks: tuple[str, ...], peer: str) -> bool:
    address = ip_address(peer)
    return any(address in as_network(network) for network in networks)


# -- how bindings are written -------------------------------------------------------------------


def _words(text: str) -> tuple[str, ...]:
    words = tuple([word.strip() for word in text.split(",")])
    if not all(words):
        raise ValueError("an empty word in a list")
    return words


def _senders(text: str) -> tuple[str, ...]:
    words = _words(text)
    Senders(words)
    return words


def _networks(text: str) -> tuple[str, ...]:
    return tuple([str(as_network(word)) for word in _words(text)])


def _names(text: str) -> tuple[str, ...]:
    words = _words(text)
    for word in words:
        if not word.isprintable() or " " in word:
            raise ValueError(f"`{word}` is no name of a virtual MTA")
    return words


def _limit(text: str) -> int | None:
    if text.lower() == "unlimited":
        return None
    if not _count(text) or not int(text):
        raise ValueError(f"`{text}` is no number of recipients, nor unlimited")
    return int(text)


def rate_of(text: str) -> Rate | None:
    """`100/h` or `20/10m`; None for `unlimited`."""
    if text.lower() == "unlimited":
        return None
    found = _rate(text)
    if found is None or not int(found[1]) or found[2] == "0":
        raise ValueError(f"`{text}` is no rate such as 100/h or 20/10m, nor unlimited")
    return Rate(int(found[1]), int(found[2] or 1) * _UNITS[found[3]])


FORMS: Final[Mapping[str, Callable[[str], Any]]] = {
    "sender": _senders,
    "virtual-mta": _names,
    "max-msg-rate": rate_of,
    "daily-limit": _limit,
    "network": _networks,
}
FLAG: Final = "check-from-header"


def read(given: Mapping[str, str], check_from_header: bool = False) -> dict[str, Any]:
    """Fields of `UserSettings` from bindings as they are written, by their names. Raises ValueError naming the one that is wrong."""
    found: dict[str, Any] = {}
    for name, text in given.items():
        try:
            found[name.replace("-", "_")] = FORMS[name](text)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
    return {**found, "check_from_header": check_from_header}
