"""Telling the answers of machines for people (out of office, tickets, challenges) from bounces: RFC 3834, and what came before it.

A bounce carries the same marks, so this is asked after it is known to be none, or when a person's address wrote and the subject says
who answers. Subjects are told in the languages of our guides. Pure and total.
"""

from __future__ import annotations

import re

from postwright.content.mime import Mail, words
from postwright.content.readings import AutoReply
from postwright.content.report_fields import bare_address

_SUBJECTS = (
    r"\bout[ -]of[ -](?:the )?office\b|\bauto(?:matic|mated)?[ -]?(?:reply|response|responder|answer)\b|\bautoreply\b|^\s*\[?auto\]?[:\s]",
    r"\bvacation\b|\bon (?:holiday|leave)\b|\baway from (?:the |my )?(?:office|desk|mail)|\bi am away\b|^\s*(?:ooo|ooto)\b",
    r"\babwesenheit|\bautomatische (?:antwort|r[üu]ckmeldung)|\bnicht im (?:b[üu]ro|hause?)|\bautoantwort",  # German
    r"\bim urlaub\b|\burlaubs(?:meldung|vertretung)",
    r"\babsence\b|\babsent du bureau|\babsente? (?:du|de|le|la)\b|r[ée]ponse automatique|\ben (?:congés?|vacances)\b",  # French
    r"respuesta autom[áa]tica|fuera de (?:la )?oficina|\bausencia\b|\bde vacaciones\b",  # Spanish
    r"resposta autom[áa]tica|fora do escrit[óo]rio|\baus[êe]ncia",  # Portuguese
    r"risposta automatica|fuori (?:ufficio|sede)|automatisch antwoord|afwezig|autosvar|fr[åa]nvaro|frånvaro|automaattinen vastaus",
    r"автоответ|автоматический ответ|нет на работе|в отпуске|отсутств|вне офиса",  # Russian
    r"自動(?:応答|返信|回答|配信)|不在(?:通知|の|です|にし)|休暇",  # Japanese
    r"自动(?:回复|答复|应答|回覆)|自動回覆|外出|休假|不在办公室|자동 ?(?:응답|회신)|부재중",  # Chinese, Korean
    r"autoodpowied[źz]|odpowied[źz] automatyczna|poza biurem|automatick[áa] odpov[ěe][ďd]|otomatik yan.t",
)
_subject = re.compile("|".join(_SUBJECTS), re.IGNORECASE).search
_MARKS = ("x-autoreply", "x-autorespond", "x-auto-reply-from", "x-mail-autoreply", "x-ebay-autoreply", "x-vacation", "auto-reply")
_machine = re.compile(r"^(?:mailer-?daemon|post-?master|mail-?(?:daemon|system|delivery)|mdaemon|bounce|daemon|root)", re.IGNORECASE).match


def named(mail: Mail) -> AutoReply | None:
    """A person's mail whose subject says that a machine answers and whose header does not deny it: asked before any wording of a bounce."""
    sender = bare_address(mail.find("from"))
    subject = words(mail.find("subject"))
    if _machine(sender) or mail.find("x-failed-recipients") or not _subject(subject):
        return None
    return AutoReply("subject", sender, subject)


def marked(mail: Mail) -> AutoReply | None:
    """A mail that a header field marks as a machine's, once it is known to report nothing."""
    sender, subject = bare_address(mail.find("from")), words(mail.find("subject"))
    submitted = mail.find("auto-submitted").lower()
    if submitted and not submitted.startswith("no"):  # RFC 3834 section 5: anything but "no"
        return AutoReply("auto-submitted", sender, subject)
    for name in _MARKS:
        if mail.find(name).lower() not in ("", "no", "none"):
            return AutoReply(name, sender, subject)
    if re.match(r"auto[_-]?reply|autoreply", mail.find("precedence").lower()):
        return AutoReply("precedence", sender, subject)
    if any(part.type == "message/disposition-notification" for part in mail.parts):  # RFC 8098: read, or not read
        return AutoReply("disposition", sender, subject)
    return AutoReply("subject", sender, subject) if _subject(subject) else None
