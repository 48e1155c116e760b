"""The keywords of an EHLO reply, each in a sentence for somebody who has never read an RFC.

Data and a look-up; a keyword that nobody knows is said to be unknown, never an error.
"""

from __future__ import annotations

from collections.abc import Sequence

_WORDS = {
    "8BITMIME": "takes text in 8 bits (umlauts without encoding), RFC 6152",
    "AUTH": "lets users log in by {}, RFC 4954",
    "BDAT": "an old way to write CHUNKING",
    "BINARYMIME": "takes content that is no lines of text, RFC 3030",
    "BURL": "fetches content from an IMAP server, RFC 4468",
    "CHUNKING": "takes content in counted chunks (BDAT) instead of up to a dot, RFC 3030",
    "DELIVERBY": "a sender may say by when a message must be there, RFC 2852",
    "DSN": "a sender may ask for delivery reports, RFC 3461",
    "ENHANCEDSTATUSCODES": "replies say more exactly what is meant (5.1.1 and the like), RFC 2034",
    "ETRN": "hands out mail that waits for a host, on demand, RFC 1985",
    "EXPN": "tells who is on a list: only for one's own network",
    "FUTURERELEASE": "a sender may say when a message is to leave, RFC 4865",
    "HELP": "has a help text",
    "LIMITS": "tells its limits ({}), RFC 9422",
    "LOGIN": "part of an old form of AUTH",
    "MT-PRIORITY": "knows priorities of messages, RFC 6710",
    "NO-SOLICITING": "a sender may label advertising, RFC 3865",
    "PIPELINING": "takes several commands at a time without waiting between them, RFC 2920",
    "REQUIRETLS": "a sender may insist on TLS all the way, RFC 8689",
    "SMTPUTF8": "takes addresses and headers beyond ASCII, RFC 6531",
    "STARTTLS": "can encrypt the connection from here on, RFC 3207",
    "SUBMITTER": "an old way to name who sends, RFC 4405",
    "TURN": "an old and unsafe way to hand out mail: should be off",
    "VERP": "a sender may have a return path of its own for each recipient (PowerMTA)",
    "VRFY": "tells whether a user exists: better off towards the world",
    "X-ANONYMOUSTLS": "Exchange among its own",
    "X-EXPS": "Exchange's own way to log in by {}",
    "X-LINK2STATE": "Exchange among its own",
    "XCLIENT": "a trusted proxy may say who the client is (Postfix)",
    "XFORWARD": "a trusted proxy may say where a message came from (Postfix)",
    "XRDST": "Exchange among its own",
}
_MANGLED = "a firewall or virus scanner between has overwritten what the server said"


def meaning(keyword: str, parameters: Sequence[str]) -> str:
    """What a keyword with its parameters says."""
    if keyword == "SIZE":
        return _size(parameters)
    if len(keyword) >= 6 and set(keyword.rstrip("A")) == {"X"}:
        return _MANGLED
    words = _WORDS.get(keyword)
    if words is None:
        return "an extension of its own (X-…)" if keyword.startswith("X") else "an extension that this program does not know"
    return words.format(", ".join(parameters) or "nothing that it names")


def octets(count: int) -> str:
    """A size for people: `10 MB (10485760 octets)`."""
    for unit, name in ((1 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "KB")):
        if count >= unit:
            return f"{count / unit:.4g} {name} ({count} octets)"
    return f"{count} octets"


def _size(parameters: Sequence[str]) -> str:
    if parameters and parameters[0].isdecimal() and len(parameters[0]) <= 20 and int(parameters[0]):
        return f"takes messages of up to {octets(int(parameters[0]))}, RFC 1870"
    return "a sender may say how large a message is; no limit is named, RFC 1870"
