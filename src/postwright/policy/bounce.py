"""Bounce categories: what kind of failure a permanent reply is, in PowerMTA's seventeen words (powermta.md section 5).

First by the words of the reply, where they are plain, then by the enhanced status code. The words come from peers, so one RE2 set
looks for all of them in a single pass whose time is linear in the text, whatever it is; of those that are found the first in our order
counts. Total: always some category, nothing is raised. That the configuration brings its own patterns is for a later landing.
"""

from __future__ import annotations

from functools import lru_cache

import re2

_MOST = 1000  # octets of a diagnostic that are looked at

# In the order in which they are asked. What names a cause comes before what names a consequence: a reply that says "rejected,
# blacklisted" is about the list, and "address rejected: domain not found" about the domain.
_WORDS: tuple[tuple[str, str], ...] = (
    ("virus-related", r"virus|malware|\binfected\b|trojan"),
    ("message-expired", r"(message|mail|delivery)( has| time)? expired"),
    (
        "content-related",
        r"not rfc [0-9]+ compliant|(duplicate|multiple|more than one|missing|malformed|invalid)[^.;]{0,40} headers?\b|\bfrom: header",
    ),
    (
        "content-related",
        r"(message|mail|size|attachment)[^.;]{0,30}(too (large|big)|exceeds)|(too (large|big)|maximum) (a )?(message|mail)",
    ),
    ("policy-related", r"reputation|\b(spf|dmarc)\b|\bdkim\b|reverse dns|\bptr\b|\brdns\b|name lookup failed"),
    (
        "policy-related",
        r"too many (concurrent |simultaneous )?(connections|messages|recipients|sessions|mails)|(rate|"
        r"frequency|throttl)[^.;]{0,30}(limit|exceed)",
    ),
    (
        "spam-related",
        r"spam|\bjunk\b|unsolicited|\bu[bc]e\b|bulk mail|phish|(black|block) ?list|\b(dns|r)bl\b|barracuda|listed (at|by|in|on)\b",
    ),
    ("quota-issues", r"over ?quota|quota (is )?(exceeded|full)|(exceed|over)[^.;]{0,20} quota|(mailbox|inbox)[^;]{0,60}\bfull\b"),
    (
        "quota-issues",
        r"exceeded[^.;]{0,10} storage|insufficient (system |disk )?(storage|space)|(out of|not enough) (disk |storage )?space",
    ),
    (
        "inactive-mailbox",
        r"(account|mailbox|user|recipient|address)[^.;]{0,40}\b(disabled|suspended|inactive|not active|deactivated|locked|discontinued)",
    ),
    (
        "relaying-issues",
        r"relay(ing)?( access| attempt)? (denied|not (allowed|permitted)|prohibited|rejected)|(not|"
        r"un)[^.;]{0,25}(able|permitted|allowed|configured) to relay|we do not relay|\bno relay",
    ),
    (
        "invalid-sender",
        r"(domain of sender|sender( address)?( rejected)?)[^;]{0,80}(does not exist|not found|unresolvable|could not be verified)",
    ),
    ("bad-domain", r"(no such|unknown|invalid|non-?existent|bad) (domain|host)\b|nxdomain|null mx|accepts no mail"),
    ("bad-domain", r"(domain|host)( name)?[^.;]{0,30}(not found|unknown|does(n.t| not) exist)"),
    ("bad-mailbox", r"(no such|unknown|invalid|non-?existent|unrecogni[sz]ed)[^.;]{0,20}(user|mailbox|recipient|account|address|local)"),
    (
        "bad-mailbox",
        r"(user|mailbox|recipient|account|address)[^.;]{0,40}"
        r"(unknown|not found|does ?n.t exist|does not exist|not exist|unavailable|not known|not listed|no longer|rejected)",
    ),
    ("bad-mailbox", r"(user|domain)[^.;]{0,20} does ?n.t have|does not have[^.;]{0,20} (account|mailbox)|no (mailbox|account) (here|by)"),
    ("no-answer-from-host", r"connection timed out|no answer from|connection refused|(host|network)( is)? unreachable"),
    ("policy-related", r"policy|policies|blocked|denied|prohibited|not allowed|not authori[sz]ed|banned|refused?\b|rejected|not accept"),
    ("protocol-errors", r"syntax error|bad sequence|protocol"),
)

_STATUS: tuple[tuple[str, str], ...] = (
    ("1.1", "bad-mailbox"),
    ("1.2", "bad-domain"),
    ("1.3", "bad-mailbox"),
    ("1.6", "bad-mailbox"),
    ("1.7", "invalid-sender"),
    ("1.8", "invalid-sender"),
    ("1.10", "bad-domain"),
    ("2.1", "inactive-mailbox"),
    ("2.2", "quota-issues"),
    ("2.3", "content-related"),
    ("3.4", "content-related"),
    ("3.5", "bad-configuration"),
    ("4.1", "no-answer-from-host"),
    ("4.2", "bad-connection"),
    ("4.3", "routing-errors"),
    ("4.4", "routing-errors"),
    ("4.6", "routing-errors"),
    ("4.7", "message-expired"),
    ("5.", "protocol-errors"),
    ("6.", "content-related"),
    ("7.", "policy-related"),
)

# Their words are so common that a status which says something particular is the better witness.
_VAGUE = frozenset({"policy-related", "protocol-errors"})


def _compile() -> re2.Set:
    options = re2.Options()
    options.case_sensitive = False
    options.encoding = re2.Options.Encoding.LATIN1  # octets: what a peer said need not be UTF-8
    options.never_capture = True
    wanted = re2.Set.SearchSet(options)
    for _, words in _WORDS:
        wanted.Add(words)
    wanted.Compile()
    return wanted


_set = _compile()


@lru_cache(maxsize=4096)
def category(status: str, diagnostic: str) -> str:
    """The category of a bounce; `status` "5.1.1", `diagnostic` as dsnDiag shows it (only its first 1,000 octets count)."""
    found = _set.Match(diagnostic.encode("utf-8", "replace")[:_MOST])
    words = _WORDS[min(found)][0] if found else ""
    if words and words not in _VAGUE:
        return words
    return _by_status(status) or words or "other"


def _by_status(status: str) -> str:
    tail = status.partition(".")[2]
    for code, name in _STATUS:
        if tail == code or (code.endswith(".") and tail.startswith(code)):
            return name
    return ""
