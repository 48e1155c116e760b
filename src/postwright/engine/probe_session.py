"""One look at one server over SMTP: greeting, EHLO, TLS with its certificate, logins on offer, pipelining, relaying, QUIT.

Writes what it sees into a `ProbeReport` as it goes, so that a session that breaks leaves all that was seen before. It sends no mail: the
furthest that it goes is RCPT, in the relay test and there alone, and RSET behind it. `look` raises nothing for what a server may do.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Sequence

from msgspec import Struct

from postwright.engine import tls_trouble
from postwright.engine.ehlo_words import meaning
from postwright.engine.probe_report import EhloLine, ProbeReport, RelayLine, TlsReport
from postwright.engine.trial import helo_name, literal
from postwright.engine.trial_advice import Seen, advise
from postwright.model.outcome import Failure, Fault, Stage
from postwright.model.reply import Reply
from postwright.model.route import SessionOptions
from postwright.net.talk import Broken, Talk, connect
from postwright.net.tls_look import cert_facts, chain, client_context, name_matches, public_key
from postwright.wire.client_ehlo import read_ehlo

CLEAR_MECHANISMS = ("PLAIN", "LOGIN", "XOAUTH2", "OAUTHBEARER")
SOON = 14  # days before its end that a certificate is worth a word
SILENCE = 8.0  # seconds of silence after which a port is asked whether it waits for TLS
_OLD = ("TLSv1", "TLSv1.1", "SSLv3")


class SessionOrder(Struct, frozen=True):
    """`tls` "auto", "starttls", "immediate" or "none"; `judge` False takes any certificate; `relay` recipients for the relay test."""

    tls: str = "auto"
    patience: float = 30.0
    helo: str = ""
    source: str = ""
    ca_file: str = ""
    judge: bool = True
    relay_from: str = ""
    relay: tuple[str, ...] = ()


class Session:
    """`report` knows host, port and address already, and `sock` is connected there. `shown` are the server's certificates (whole, public
    key) afterwards."""

    def __init__(self, order: SessionOrder, report: ProbeReport, sock: socket.socket) -> None:
        self._sock: socket.socket | None = sock
        self.shown: list[tuple[bytes, bytes]] = []
        self._order = order
        self._report = report
        self._immediate = order.tls == "immediate" or (order.tls == "auto" and report.port == 465)
        self._starttls = order.tls in ("auto", "starttls")

    def look(self) -> None:
        """All of it. What breaks is a finding."""
        try:
            talk = self._opened()
        except Broken as broken:
            self._broken(broken.failure)
            return
        if talk is None:
            return
        try:
            self._pipelining(talk)
            self._relaying(talk)
            self._quit(talk)
        except Broken as broken:
            self._broken(broken.failure)
        finally:
            talk.close()

    # opening -----------------------------------------------------------------------------------------------------------

    def _opened(self) -> Talk | None:
        """As far as EHLO over TLS, by a client that checks; if that fails by one that only looks, and at last without TLS."""
        checking = client_context(verify=self._order.judge, ca_file=self._order.ca_file)
        for context in (checking, client_context(verify=False, old=True)):
            try:
                return self._open(context)
            except Broken as broken:
                if not tls_trouble.is_tls_failure(broken):
                    raise
                self._tls_failed(broken)
        if self._immediate:
            return None
        self._starttls = False
        return self._open(checking)

    def _tls_failed(self, broken: Broken) -> None:
        """The first failure is the one that counts: the second client is less choosy, and fails only where nothing goes."""
        report = self._report
        if report.tls is not None and report.tls.trouble:
            return
        report.tls = TlsReport("immediate" if self._immediate else "starttls")
        report.tls.trouble = tls_trouble.trouble(broken)
        report.tls.why = broken.failure.detail

    def _open(self, context: ssl.SSLContext) -> Talk | None:
        report, patience = self._report, self._order.patience
        sock, self._sock = self._sock, None
        if sock is None:
            sock = connect(report.address, report.port, patience, self._order.source)
        talk = Talk(sock, patience, report.transcript)
        talk.note("*", f"connected to {report.address} port {report.port}")
        try:
            if self._immediate:
                self._handshake(talk, context, "immediate")
            if not self._greeted(talk):
                talk.close()
                return None if not self._immediate or report.greeting else self._open(context)
            self._introduce(talk)
            if self._starttls and not self._immediate:
                self._upgrade(talk, context)
        except Broken:
            talk.close()
            raise
        return talk

    def _greeted(self, talk: Talk) -> bool:
        """False: no session will come of it, or (nothing greeted, and now `_immediate`) only over TLS."""
        report = self._report
        try:
            greeting = self._banner(talk)
        finally:
            report.stages["banner"] = _milliseconds(talk.spent.get(Stage.BANNER, 0.0))
        if greeting is None:
            return False
        report.greeting = greeting.text
        if greeting.code == 220:
            return True
        report.problem(f"the server does not take us: {greeting.text}")
        return False

    def _banner(self, talk: Talk) -> Reply | None:
        """The greeting; None when the port turns out to want TLS first."""
        patience = self._order.patience
        talk.patience = min(patience, SILENCE)
        try:
            return talk.read(Stage.BANNER)
        except Broken as broken:
            waits = broken.failure.fault is Fault.TIMEOUT
            if not self._immediate and (waits or broken.failure.fault is Fault.LOST) and self._wants_tls(talk.patience):
                return None
            if not waits or patience <= talk.patience:
                raise
        finally:
            talk.patience = patience
        return talk.read(Stage.BANNER)

    def _wants_tls(self, patience: float) -> bool:
        report = self._report
        if not tls_trouble.speaks_tls(report.address, report.port, report.host, patience):
            return False
        if self._order.tls == "auto":
            report.note(f"port {report.port} speaks TLS from the first byte")
            self._immediate = True
        else:
            report.problem(f"port {report.port} speaks TLS from the first byte: ask with --tls immediate")
        return True

    def _introduce(self, talk: Talk) -> None:
        """EHLO, or HELO where that is not known; what is offered goes to the report."""
        report = self._report
        name = self._order.helo or helo_name() or literal(talk.local)
        before = talk.spent.get(Stage.EHLO, 0.0)
        reply = talk.say(f"EHLO {name}", Stage.EHLO)
        report.stages["EHLO over TLS" if talk.tls else "EHLO"] = _milliseconds(talk.spent[Stage.EHLO] - before)
        report.extended = reply.code == 250
        if reply.permanent:
            hello = talk.say(f"HELO {name}", Stage.EHLO)
            if hello.code != 250:
                raise Broken(Failure(Stage.EHLO, hello))
            report.problem(f"the server knows no EHLO ({reply.text}): no TLS, no login, no SIZE")
        elif reply.code != 250:
            raise Broken(Failure(Stage.EHLO, reply))
        self._offers(reply, over_tls=talk.tls is not None)

    def _offers(self, reply: Reply, *, over_tls: bool) -> None:
        report = self._report
        capabilities = read_ehlo(reply, SessionOptions()) if report.extended else None
        auth = capabilities.auth if capabilities is not None else ()
        report.ehlo = _ehlo_lines(reply) if report.extended else []
        if over_tls:
            report.auth_tls = auth
        else:
            report.ehlo_clear, report.auth_clear = report.ehlo, auth
        report.size = capabilities.size if capabilities is not None and capabilities.size_offered else None

    # TLS ---------------------------------------------------------------------------------------------------------------

    def _upgrade(self, talk: Talk, context: ssl.SSLContext) -> None:
        report = self._report
        if not any(line.keyword == "STARTTLS" for line in report.ehlo_clear):
            report.problem("STARTTLS is not offered: everything goes in the clear")
            return
        reply = talk.say("STARTTLS", Stage.STARTTLS)
        if reply.code != 220:
            report.problem(f"STARTTLS is offered and then refused: {reply.text}")
            return
        if talk.unread:
            report.problem("something is said in the clear behind the answer to STARTTLS: replies can be slipped in (CVE-2021-33515)")
            raise Broken(Failure(Stage.STARTTLS, None, Fault.PROTOCOL, "octets in the clear after the reply to STARTTLS"))
        self._handshake(talk, context, "starttls")
        self._introduce(talk)
        if any(line.keyword == "STARTTLS" for line in report.ehlo):
            report.note("STARTTLS is offered again although TLS is on (RFC 3207 section 4.2 says it must not be)")

    def _handshake(self, talk: Talk, context: ssl.SSLContext, mode: str) -> None:
        report = self._report
        try:
            tls = talk.handshake(context, report.host)
        finally:
            report.stages["TLS"] = _milliseconds(talk.spent.get(Stage.STARTTLS, 0.0))
        seen = report.tls if report.tls is not None else TlsReport(mode)
        ders = chain(tls)
        self.shown = [(der, public_key(der)) for der in ders]
        seen.version, seen.cipher = tls.version() or "", (tls.cipher() or ("",))[0]
        if seen.version in _OLD:
            # However the choosier client was turned away: this is why.
            seen.trouble = "tls-old"
        seen.verified = context.verify_mode is ssl.CERT_REQUIRED
        seen.chain = tuple([cert_facts(der) for der in ders])
        if seen.chain:
            seen.host_match = name_matches(seen.chain[0].names, report.host)
            seen.days_left = (seen.chain[0].not_after - time.time()) / 86400
        report.tls = seen

    def judge_tls(self) -> None:
        """The findings about TLS, once all is seen."""
        report = self._report
        tls = report.tls
        if tls is None:
            return
        if tls.trouble and tls.version not in _OLD:
            seen = Seen(report.host, report.port, "ssl" if self._immediate else "starttls", "", False)
            seen.certificate = tls.chain[0] if tls.chain else None
            report.problem(advise(tls.trouble, Failure(Stage.STARTTLS, None, Fault.TLS, tls.why), seen).headline)
        elif tls.verified and tls.days_left < SOON:
            report.problem(f"the certificate ends in {tls.days_left:.0f} days")
        if tls.version in _OLD:
            report.problem(f"the server speaks no TLS newer than {tls.version}, which nobody should use any more")

    def judge_logins(self) -> None:
        """A password that may be sent in the clear, will be."""
        report = self._report
        clear = [name for name in report.auth_clear if name in CLEAR_MECHANISMS]
        if clear and not self._immediate:
            report.problem(f"logins are offered in the clear ({', '.join(clear)}): a client that is set up wrong shows its password")

    # the rest ------------------------------------------------------------------------------------------------------------

    def _pipelining(self, talk: Talk) -> None:
        """MAIL, RSET and NOOP in one write (RFC 2920): three replies must come, whatever they are."""
        report = self._report
        if not any(line.keyword == "PIPELINING" for line in report.ehlo):
            report.pipelining = "not offered"
            return
        start = time.monotonic()
        try:
            replies = talk.group(["MAIL FROM:<>", "RSET", "NOOP"], Stage.MAIL)
        except Broken as broken:
            report.pipelining = f"offered, and broken: {broken}"
            report.problem("PIPELINING is offered, and several commands at a time do not get their replies")
            raise
        report.stages["pipelined MAIL, RSET, NOOP"] = _milliseconds(time.monotonic() - start)
        report.pipelining = "works"
        if replies[1].code != 250:
            report.note(f"RSET is answered with {replies[1].text}")

    def _relaying(self, talk: Talk) -> None:
        """Envelopes of strangers to strangers, up to RCPT and no further."""
        report = self._report
        for recipient in self._order.relay:
            mail = talk.say(f"MAIL FROM:<{self._order.relay_from}>", Stage.MAIL)
            said = talk.say(f"RCPT TO:<{recipient}>", Stage.RCPT) if mail.positive else mail
            talk.say("RSET", Stage.RCPT)
            report.relay.append(RelayLine(recipient, said.text, mail.positive and said.positive))
        taken = [line.recipient for line in report.relay if line.open]
        if taken:
            report.problem(
                f"the server would relay for this address without a login, to {', '.join(taken)}: an open relay, if it does not trust us"
            )

    def _quit(self, talk: Talk) -> None:
        reply = talk.quit()
        self._report.stages["QUIT"] = _milliseconds(talk.spent.get(Stage.QUIT, 0.0))
        if reply.code != 221:
            self._report.note(f"QUIT is answered with {reply.text}")

    def _broken(self, failure: Failure) -> None:
        what = failure.reply.text if failure.reply is not None else failure.detail or failure.fault.value
        self._report.problem(f"the session ended at {failure.stage.value}: {what}")


def _ehlo_lines(reply: Reply) -> list[EhloLine]:
    found: dict[str, list[str]] = {}
    for line in reply.lines[1:65]:
        keyword, _, rest = line.replace("AUTH=", "AUTH ", 1).partition(" ")
        if keyword:
            found.setdefault(keyword.upper()[:40], []).extend(rest.split())
    return [
        EhloLine(keyword, tuple(dict.fromkeys(words)), meaning(keyword, tuple(dict.fromkeys(words)))) for keyword, words in found.items()
    ]


def relay_recipients(host: str, foreign: str) -> Sequence[str]:
    """Forms of a foreign recipient by which badly set up servers were led to relay."""
    local, _, domain = foreign.partition("@")
    return (foreign, f"{local}%{domain}@{host}", f'"{foreign}"', f"{domain}!{local}@{host}", f"@{host}:{foreign}")


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 2)
