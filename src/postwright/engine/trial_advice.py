"""From what a server did to words for a person: what went wrong, and what to change.

Pure. `diagnose` names the trouble, `advise` looks it up in `engine.troubles`, one table for all there are. The server's own words are never
replaced: whoever shows an `Advice` shows them too. The names of the troubles are for programs (`--json`) and stay as they are.
"""

from __future__ import annotations

import re

from msgspec import Struct

from postwright.engine.troubles import TROUBLES, Exit
from postwright.model.outcome import Failure, Fault, Stage
from postwright.model.reply import Reply
from postwright.net.tls_look import CertFacts


class Seen(Struct):
    """What was asked for, and what had been seen of the server by the end. `used` is the mechanism that was tried."""

    server: str
    port: int
    security: str
    user: str
    login: bool
    mechanism: str = ""
    by_token: bool = False
    used: str = ""
    tls: bool = False
    keywords: tuple[str, ...] = ()
    auth: tuple[str, ...] = ()
    certificate: CertFacts | None = None


class Advice(Struct, frozen=True):
    """`trouble` its name, `headline` one sentence, `steps` what to try, the likeliest first."""

    trouble: str
    headline: str
    steps: tuple[str, ...]
    exit: Exit


_relay = re.compile(r"relay|not permitted to relay|not local|we do not relay", re.IGNORECASE).search
_grey = re.compile(r"gr[ea]y.?list|try again|come back|deferred", re.IGNORECASE).search
_login = re.compile(r"\bauthenticat|\blog ?in\b|smtp auth", re.IGNORECASE).search
_tls = re.compile(r"starttls|tls|ssl|encrypt", re.IGNORECASE).search
_tls_first = re.compile(r"\b(tls|ssl)\b.*\b(start|first|immediate|implicit)", re.IGNORECASE).search
_app = re.compile(r"app(lication)?[- ]?specific|app password|InvalidSecondFactor|5\.7\.9", re.IGNORECASE).search
_disabled = re.compile(r"5\.7\.139|SmtpClientAuthentication is disabled|auth(entication)? is disabled", re.IGNORECASE).search
_many = re.compile(r"too many|rate|limit|quota|5\.7\.28|4\.7\.28", re.IGNORECASE).search
_bad_token = ("XOAUTH2", "OAUTHBEARER")

_BROKEN = {Fault.TIMEOUT: "silent", Fault.LOST: "hung-up", Fault.PROTOCOL: "not-understood"}
_CONNECT = {Fault.REFUSED: "refused", Fault.TIMEOUT: "time-out", Fault.LOST: "hung-up"}


def diagnose(failure: Failure, seen: Seen) -> str:
    """The name of the trouble; a key of TROUBLES. For a TLS handshake that failed ask `tls_trouble` first."""
    stage, reply = failure.stage, failure.reply
    if stage is Stage.AUTH:
        return _auth(failure, seen)
    if reply is None:
        return _without_reply(failure, seen)
    if stage is Stage.BANNER and _tls_first(reply.text):
        return "tls-at-once"
    if stage is Stage.BANNER or (stage is Stage.EHLO and reply.code == 421):
        return "busy" if reply.transient else "turned-away"
    if stage is Stage.STARTTLS:
        return "starttls-refused"
    return _mail(stage, reply, seen)


def _without_reply(failure: Failure, seen: Seen) -> str:
    stage, fault = failure.stage, failure.fault
    if "CERTIFICATE_REQUIRED" in failure.detail:
        return "tls-wants-certificate"  # with TLS 1.3 we hear of it only after our side of the handshake is done
    if stage is Stage.RESOLVE:
        return "no-such-name"
    if stage is Stage.CONNECT:
        name = _CONNECT.get(fault, "unreachable")
        return "time-out-25" if name == "time-out" and seen.port == 25 else name
    if stage is Stage.BANNER:
        return {Fault.PROTOCOL: "not-smtp", Fault.TIMEOUT: "no-banner"}.get(fault, "hung-up")
    if stage is Stage.STARTTLS:
        return {Fault.NOT_OFFERED: "no-starttls", Fault.PROTOCOL: "injected"}.get(fault, "tls-failed")
    if fault is Fault.NOT_OFFERED:
        return "too-large" if failure.detail.startswith("SIZE") else "needs-utf8"
    return _BROKEN.get(fault, "hung-up")


def _auth(failure: Failure, seen: Seen) -> str:
    reply = failure.reply
    if failure.detail == "unproved":
        return "auth-unproved"
    if reply is None:
        missing = {"no-mechanism": "mechanism-not-offered", "clear-password": "clear-password"}
        if failure.detail == "no-auth":
            return "auth-needs-tls" if not seen.tls and "STARTTLS" in seen.keywords else "auth-not-offered"
        return missing.get(failure.detail, _BROKEN.get(failure.fault, "auth-failed"))
    text = reply.text
    if reply.transient:
        return "rate-limited" if _many(text) else "auth-busy"
    if _disabled(text):
        return "smtp-auth-disabled"
    if _app(text):
        return "app-password"
    if reply.code == 538 or (reply.code in (530, 503, 502) and not seen.tls):
        return "auth-needs-tls"
    if reply.code == 504:
        return "mechanism-not-offered"
    if reply.code in (535, 534) or (reply.status == "5.7.8"):
        return "token-refused" if seen.used in _bad_token else "wrong-password"
    return "auth-failed"


def _mail(stage: Stage, reply: Reply, seen: Seen) -> str:
    text = reply.text
    if reply.code == 530 or (reply.permanent and stage in (Stage.MAIL, Stage.RCPT) and not seen.login and _login(text)):
        return "need-tls" if not seen.tls and _tls(text) else "need-login"
    if (reply.code == 552 and stage is not Stage.RCPT) or reply.status in ("5.3.4", "5.2.3"):
        return "too-large"
    if reply.status in ("5.2.2", "4.2.2"):
        return "mailbox-full"
    if reply.transient:
        return _transient(stage, text)
    if stage is Stage.RCPT:
        if reply.status in ("5.1.1", "5.1.2", "5.1.10"):
            return "no-such-recipient"
        return "relaying-denied" if _relay(text) or reply.status == "5.7.1" else "permanent"
    if stage is Stage.MAIL:
        return "sender-refused"
    return "content-refused" if stage in (Stage.END_OF_DATA, Stage.BODY) else "permanent"


def _transient(stage: Stage, text: str) -> str:
    if _many(text):
        return "rate-limited"
    return "greylisted" if _grey(text) and stage in (Stage.RCPT, Stage.DATA, Stage.END_OF_DATA, Stage.MAIL) else "temporary"


def advise(trouble: str, failure: Failure, seen: Seen) -> Advice:
    """The words for a trouble."""
    exit_status, headline, steps = TROUBLES[trouble]
    certificate = seen.certificate
    words = {
        "server": seen.server,
        "port": str(seen.port),
        "security": "STARTTLS" if seen.security == "starttls" else "no encryption",
        "user": seen.user or "nobody logged in",
        "names": _list(certificate.names) if certificate is not None else "another",
        "issuer": certificate.issuer if certificate is not None else "unknown",
        "detail": failure.detail or failure.fault.value,
        "wanted": seen.mechanism or ("a login by token" if seen.by_token else "a mechanism that this program knows and may use here"),
        "offered": _list(seen.auth) or "none",
        "stage": failure.stage.value,
        "login_step": "Log in (--auth): servers relay only for users that they know."
        if not seen.login
        else "This account may not send there; ask the provider.",
    }
    return Advice(trouble, headline.format_map(words), tuple([step.format_map(words) for step in steps]), exit_status)


def _list(names: tuple[str, ...]) -> str:
    shown = ", ".join(names[:6])
    return f"{shown} and {len(names) - 6} more" if len(names) > 6 else shown
