"""Naming the program that wrote a bounce, by what it always says. The name is for records and for people; no decision depends on it."""

from __future__ import annotations

import re

from postwright.content.mime import Mail

# The first that matches names the form. Each line is a sentence, a header field or a From of that program, and not of its users.
_FORMS: tuple[tuple[str, str], ...] = (
    ("qmail", r"this is the qmail|qmail-send program"),
    ("gmx", r"mailer-daemon@(?:mail\.)?(?:gmx|web)\.|kundenserver\.de"),
    ("gmail", r"mailer-daemon@google(?:mail)?\.com|google tried to deliver|google groups"),
    ("yahoo", r"mailer-daemon@yahoo|sorry, we were unable to deliver your message"),
    ("mail.ru", r"сервером mail\.ru|mailer-daemon@(?:corp\.)?mail\.ru"),
    ("yandex", r"mailer-daemon@yandex|почтовой системы .{0,20}яндекс|this is the mail system at host yandex"),
    ("mailmarshal", r"mailmarshal"),
    ("interscan", r"interscan|trend micro"),
    ("zoho", r"zoho"),
    ("m-filter", r"m-filter"),
    ("exim", r"created automatically by mail delivery software[^\n]*\n+a message (?:that you sent|sent by)|x-failed-recipients: "),
    ("postfix", r"this is the (?:postfix|mail) (?:program|system) at host|the postfix program"),
    ("dma", r"this is the dragonfly mail agent"),
    ("opensmtpd", r"this is the mailer-daemon, please do not reply"),
    ("sendmail", r"-{3,} ?transcript of session follows|-{3,} ?the following addresses had"),
    (
        "exchange",
        r"msexch|did not reach the following recipient|your message did not reach some or all|microsoft exchange",
    ),
    ("notes", r"-+ failure reasons -+|lotus notes|domino|notes/"),
    ("groupwise", r"groupwise|the message that you sent was undeliverable to the following"),
    ("aol", r"mailer-daemon@aol|an aol|the user\(s\) account is"),
    ("qq", r"postmaster@qq\.com|qq邮箱|腾讯"),
    ("netease", r"postmaster@(?:163|126|yeah|netease)\.|网易"),
    ("courier", r"delivery status notification from [^\n]{0,80}courier|running the courier mail server"),
    ("mmdf", r"submission received by mmdf|your message (?:could not be|was not) delivered for the following reason|mmdf"),
    ("imail", r"undeliverable to |user mailbox exceeds allowed size|body of message generated response"),
    ("mailenable", r"mailenable|message could not be delivered to the following recipient|mailbox does not exist - "),
    ("surge", r"surge-?(?:mail|smtp)"),
    ("mdaemon", r"mdaemon|the attached message had permanent fatal delivery errors"),
    ("amavis", r"amavis"),
    ("scanner", r"virus|malware|spam ?filter|content filter|antispam"),
    ("groups", r"the group you tried to contact|mailing list|listserv|majordomo|mailman"),
    ("carrier", r"docomo|ezweb|softbank|vodafone|vtext|mms|recipients was rejected by a remote"),
)
_forms = [(name, re.compile(pattern, re.IGNORECASE).search) for name, pattern in _FORMS]
_INTRODUCED = r"(?:program|system|agent v?[\w.]{0,10}|server|host|software|message from)\s+(?:at|on)?\s*(?:host\s+)?"
_host = re.compile(_INTRODUCED + r"([a-z0-9][\w-]{0,62}(?:\.[\w-]{1,63}){1,8})", re.IGNORECASE).search


def name(mail: Mail, text: str) -> str:
    """The name of the form, "text" if it is none that we know by name."""
    seen = f"{mail.find('from')}\n{mail.find('x-mailer')}\n{text[:4000]}"
    if mail.find("x-failed-recipients") and not re.search(r"google", seen, re.IGNORECASE):
        seen += "\nx-failed-recipients: "
    return next((form for form, matches in _forms if matches(seen)), "text")


def host_in(lines: tuple[str, ...]) -> str:
    """The host that introduces itself in the first lines, or ""."""
    match = _host("\n".join(lines[:6])[:2000])
    return match.group(1).rstrip(".") if match else ""
