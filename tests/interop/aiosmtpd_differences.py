"""Where we differ from aiosmtpd on purpose: its test, and why our answer is the right one. Indexes are those of the addresses in its lists.

`test_aiosmtpd.py` fails for a difference that is not here, and for one that is here and is none any more.
"""

from __future__ import annotations

_HELP = "214 is what RFC 5321 section 4.2.2 has for HELP, with the same text for any argument; aiosmtpd says 250, or 501 for unknown words"
_COMMENT = "comments belong to header fields (RFC 5322); Mailbox of RFC 5321 section 4.1.2 has none"
_LITERAL = "`IPv6::1` is the tag `IPv6:` and `:1`, which is no address; `IPv6:::1` would be one"
_MIXED = "quoted and unquoted parts in one local part are obs-local-part of RFC 5322, not Local-part of RFC 5321"
_BACKSLASH = "a backslash outside quotes is no atext; erratum 246 takes these examples of RFC 3696 back"
_LONG = "longer than 64 octets of local part or 256 of path (RFC 5321 section 4.5.3.1): what the next relay need not take, we do not"
_NO_DOMAIN = "only <postmaster> goes without a domain (RFC 5321 section 4.1.1.3)"

_ADDRESSES = {
    14: _LITERAL,
    **dict.fromkeys((15, 16, 17, 18), _COMMENT),
    **dict.fromkeys((28, 29), _MIXED),
    **dict.fromkeys((30, 31), _BACKSLASH),
    **dict.fromkeys((37, 38), _LONG),
    39: _NO_DOMAIN,
}

DIFFERENCES: dict[str, str] = {
    "test_ehlo": "asks for exactly aiosmtpd's list of extensions; ours is longer",
    "test_help": _HELP,
    **{f"test_help_[{verb}]": _HELP for verb in ("HELO", "EHLO", "MAIL", "RCPT", "DATA", "RSET", "NOOP", "QUIT", "VRFY")},
    "test_help_esmtp[MAIL]": _HELP,
    "test_help_esmtp[RCPT]": _HELP,
    "test_help_bad_arg": _HELP,
    **{f"test_mail_valid_address[{index}]": why for index, why in _ADDRESSES.items()},
    **{f"test_rcpt_valid_address[{index}]": why for index, why in _ADDRESSES.items()},
    "test_rcpt_valid_address[41]": _LONG,
    "test_rcpt_valid_address[42]": _NO_DOMAIN,
    "test_mail_smtp_errsyntax[params_noesmtp]": "SIZE after HELO is understood all the same, as Postfix and Exim do",
    "test_rcpt_smtp_errsyntax[params]": "RCPT has no SIZE: 555 for a parameter that is not known (RFC 5321 section 4.1.1.11), not 501",
    "test_vrfy_not_address": "252 whatever is asked: VRFY tells nothing about users (RFC 5321 section 7.3)",
}
