"""Bounce categories: what kind of failure a permanent reply is, in PowerMTA's seventeen words (powermta.md section 5).

First by the words of the reply, where they are plain, then by the enhanced status code. A later landing lets the configuration bring
its own patterns. Total: always some category.
"""

from __future__ import annotations

import re
from functools import lru_cache

_WORDS: tuple[tuple[str, str], ...] = (
    (r"\b(spam|junk|unsolicited|blacklist|blocklist|block list|spamhaus|barracuda|reputation|bulk mail)", "spam-related"),
    (r"\b(virus|malware|infected|trojan)", "virus-related"),
    (
        r"(over ?quota|quota exceeded|mailbox (is )?full|exceeded storage|insufficient (system )?storage|out of (disk|storage) space)",
        "quota-issues",
    ),
    (
        r"(account|mailbox|user|recipient)[^.;]{0,40}\b(disabled|suspended|inactive|deactivated|expired|locked|discontinued)",
        "inactive-mailbox",
    ),
    (r"relay(ing)? (access )?(denied|not (allowed|permitted)|prohibited)|not permitted to relay|unable to relay", "relaying-issues"),
    (r"(no such|unknown|invalid|non-?existent|unrecogni[sz]ed)[^.;]{0,20}(user|mailbox|recipient|account|address|local)", "bad-mailbox"),
    (
        r"(user|mailbox|recipient|account|address)[^.;]{0,40}"
        r"(unknown|not found|does ?n.t exist|does not exist|not exist|unavailable|rejected)",
        "bad-mailbox",
    ),
    (r"(domain|host)[^.;]{0,30}(not found|unknown|does not exist|accepts no mail|null mx)", "bad-domain"),
    (r"(message|mail|size|attachment)[^.;]{0,30}(too (large|big)|exceeds)", "content-related"),
    (r"\b(spf|dkim|dmarc|policy|denied|prohibited|not allowed|banned|refused)", "policy-related"),
    (r"(syntax error|bad sequence|protocol)", "protocol-errors"),
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

_patterns = tuple((re.compile(words, re.IGNORECASE), category) for words, category in _WORDS)


@lru_cache(maxsize=4096)
def category(status: str, diagnostic: str) -> str:
    """The category of a bounce; `status` "5.1.1", `diagnostic` as dsnDiag shows it (only its first 1,000 characters count)."""
    if status.endswith("4.7"):
        return "message-expired"
    text = diagnostic[:1000]
    for pattern, name in _patterns:
        if pattern.search(text):
            return name
    tail = status.partition(".")[2]
    for code, name in _STATUS:
        if tail == code or (code.endswith(".") and tail.startswith(code)):
            return name
    return "other"
