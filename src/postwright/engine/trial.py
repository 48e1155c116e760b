"""One test message to one server, the way a CMS or mail program would send it: connect, TLS, login, envelope, content.

`run` does it and gives an `Outcome`; it raises nothing for what a server, the network or the DNS may do, only MessageError for addresses
that cannot be sent. It never tries a second way behind the person's back: what was asked for works, or the outcome says what did not
and (`trial_advice`) what to change. Where a reason can be had by looking once more (is this port TLS at once? whose certificate is
that?) it looks.
"""

from __future__ import annotations

import socket
import ssl
import time

from msgspec import Struct

from postwright.engine import tls_trouble, trial_login
from postwright.engine.trial_advice import Advice, Seen, advise, diagnose
from postwright.engine.trial_message import MessageError
from postwright.model.address import Address
from postwright.model.envelope import Recipient
from postwright.model.outcome import Failure, Fault, Stage
from postwright.model.reply import Reply
from postwright.model.route import SessionOptions
from postwright.net.talk import Broken, Said, Talk, connect, look_up
from postwright.net.tls_look import CertFacts, client_context
from postwright.wire.body import scan
from postwright.wire.client_choice import told_of_offers
from postwright.wire.client_ehlo import misfit, read_ehlo, read_helo
from postwright.wire.client_encode import Unsendable, commands, for_data
from postwright.wire.client_mechanisms import ClientLogin
from postwright.wire.client_states import Capabilities, Transaction

LOOK_PATIENCE = 5.0  # seconds for a second look at something that has failed already


class Order(Struct, frozen=True):
    """What is wanted. `security` "none", "starttls" or "ssl"; `mechanism` "" chooses; `notify` and `ret` as RFC 3461 has them.

    `insecure`: certificates are not checked, and a password may go in the clear. `certificate` and `key` are PEM files, the client's own.
    """

    server: str
    port: int
    security: str
    sender: Address
    recipients: tuple[Address, ...]
    content: bytes
    login: bool = False
    user: str = ""
    password: str = ""
    token: str = ""
    mechanism: str = ""
    notify: int = 0
    ret: str = ""
    insecure: bool = False
    ca_file: str = ""
    certificate: str = ""
    key: str = ""
    helo: str = ""
    patience: float = 60.0
    family: int = socket.AF_UNSPEC

    def __repr__(self) -> str:
        return f"Order({self.server}:{self.port}, {self.security})"


class Outcome(Struct):
    """How it went. `said` is the reply that ended it, good or bad; `advice` None when all recipients were taken.

    `refused` (recipient, reply) of those that the server did not want while it took others.
    """

    sent: bool = False
    advice: Advice | None = None
    stage: str = ""
    said: str = ""
    detail: str = ""
    address: str = ""
    greeting: str = ""
    tls: str = ""
    mechanism: str = ""
    accepted: list[str] = []
    refused: list[tuple[str, str]] = []
    seconds: float = 0.0
    transcript: list[Said] = []


def run(order: Order) -> Outcome:
    """Sends the message. Raises MessageError, before anything is sent, and ssl.SSLError or OSError for certificate files of our own."""
    context = None
    if order.security != "none":
        context = client_context(verify=not order.insecure, ca_file=order.ca_file, certificate=order.certificate, key=order.key)
    trial = _Trial(order, context)
    start = time.monotonic()
    try:
        trial.run()
    except Broken as broken:
        trial.failed(broken)
    trial.outcome.seconds = time.monotonic() - start
    return trial.outcome


def helo_name() -> str:
    """What we call ourselves: a real name if this machine has one, else an address literal as RFC 5321 section 4.1.4 wants, made later."""
    name = socket.gethostname().lower()
    return name if "." in name and name.isascii() and name.replace(".", "").replace("-", "").isalnum() else ""


def literal(address: str) -> str:
    """RFC 5321 section 4.1.3."""
    bare = address.partition("%")[0]
    return f"[IPv6:{bare}]" if ":" in bare else f"[{bare}]"


class _Trial:
    def __init__(self, order: Order, context: ssl.SSLContext | None) -> None:
        self.order = order
        self.outcome = Outcome()
        self.seen = Seen(order.server, order.port, order.security, order.user, order.login, order.mechanism, bool(order.token))
        self._context = context
        self._trouble = ""
        self._offered = Capabilities()
        facts = scan(order.content)
        recipients = [Recipient(address, order.notify) for address in order.recipients]
        self._transaction = Transaction(
            order.sender,
            recipients,
            [order.content],
            facts,
            ret=order.ret,
            smtputf8=any(map(_beyond_ascii, (order.sender, *order.recipients))),
        )

    def run(self) -> None:
        talk = self._open()
        try:
            self._greeted(talk)
            if self.order.login:
                self._login(talk)
            self._send(talk)
        except Broken as broken:
            if broken.failure.reply is not None and broken.failure.reply.code != 421:
                self._leave(talk)
            raise
        finally:
            talk.close()

    # connection ------------------------------------------------------------------------------------------------------

    def _open(self) -> Talk:
        talk = self._connected(self.order.patience, self.outcome.transcript)
        if self.order.security == "ssl":
            self._handshake(talk)
        return talk

    def _connected(self, patience: float, transcript: list[Said]) -> Talk:
        """The first address that answers; the failure of the last one when none does."""
        broken = Broken(Failure(Stage.RESOLVE, None, Fault.UNREACHABLE, "no address"))
        for address in look_up(self.order.server, self.order.family):
            try:
                talk = Talk(connect(address, self.order.port, patience), patience, transcript)
            except Broken as error:
                broken = error
                transcript.append(Said("*", f"{address} port {self.order.port}: {error}", time.monotonic()))
                continue
            self.outcome.address = address
            talk.note("*", f"connected to {address} port {self.order.port}")
            return talk
        raise broken

    def _greeted(self, talk: Talk) -> None:
        self.outcome.greeting = _positive(self._banner(talk), Stage.BANNER).text
        self._ehlo(talk)
        if self.order.security == "starttls":
            if not self._offered.starttls:
                raise Broken(Failure(Stage.STARTTLS, None, Fault.NOT_OFFERED, "STARTTLS"))
            self._ask_for_tls(talk)
            self._handshake(talk)
            self._ehlo(talk)

    def _banner(self, talk: Talk) -> Reply:
        """The greeting. A port that is silent for a while may wait for our TLS: that is looked into before patience is lost."""
        patience = self.order.patience
        if self.order.security == "ssl":
            return talk.read(Stage.BANNER)
        talk.patience = min(patience, LOOK_PATIENCE)
        try:
            return talk.read(Stage.BANNER)
        except Broken as broken:
            if broken.failure.fault in (Fault.TIMEOUT, Fault.LOST) and self._speaks_tls(talk.patience):
                self._trouble = "tls-at-once"
                raise
            if broken.failure.fault is not Fault.TIMEOUT or patience <= talk.patience:
                raise
        finally:
            talk.patience = patience
        return talk.read(Stage.BANNER)

    def _speaks_tls(self, patience: float) -> bool:
        return tls_trouble.speaks_tls(self.outcome.address, self.order.port, self.order.server, patience)

    def _ask_for_tls(self, talk: Talk) -> None:
        _positive(talk.say("STARTTLS", Stage.STARTTLS), Stage.STARTTLS)
        if talk.unread:
            raise Broken(Failure(Stage.STARTTLS, None, Fault.PROTOCOL, "octets in the clear after the reply to STARTTLS"))

    def _ehlo(self, talk: Talk) -> None:
        name = self.order.helo or helo_name() or literal(talk.local)
        reply = talk.say(f"EHLO {name}", Stage.EHLO)
        if reply.permanent:
            self._offered = read_helo(_positive(talk.say(f"HELO {name}", Stage.EHLO), Stage.EHLO))
        else:
            self._offered = read_ehlo(_positive(reply, Stage.EHLO), SessionOptions())
        self.seen.keywords = self._offered.keywords
        self.seen.auth = self._offered.auth

    def _handshake(self, talk: Talk) -> None:
        if self._context is not None:
            tls = talk.handshake(self._context, self.order.server)
            self.outcome.tls = f"{tls.version()}, {(tls.cipher() or ('?',))[0]}"
            self.seen.tls = True

    # login and message -----------------------------------------------------------------------------------------------

    def _login(self, talk: Talk) -> None:
        order = self.order
        login = ClientLogin(
            order.user,
            order.password,
            order.token,
            host=order.server,
            port=order.port,
            nonce=trial_login.nonce(),
            binding=trial_login.binding(talk),
        )
        login = told_of_offers(login, self._offered.auth)
        mechanism = trial_login.choose(
            self._offered.auth,
            order.mechanism,
            login,
            certificate=bool(order.certificate),
            may_be_clear=trial_login.may_be_clear(talk, order.insecure),
        )
        self.outcome.mechanism = self.seen.used = mechanism
        trial_login.run(talk, mechanism, login)

    def _send(self, talk: Talk) -> None:
        transaction = self._transaction
        lacking = misfit(transaction, self._offered)
        if lacking is not None:
            raise Broken(lacking)
        try:
            mail, *rcpts = commands(transaction, self._offered, SessionOptions())
        except Unsendable as error:
            raise MessageError(str(error)) from None
        _positive(talk.say(mail.decode().rstrip(), Stage.MAIL), Stage.MAIL)
        self._recipients(talk, rcpts)
        reply = talk.say("DATA", Stage.DATA)
        if reply.code != 354:
            raise Broken(Failure(Stage.DATA, reply))
        content = b"".join(for_data(transaction))
        talk.give(content, Stage.BODY, f"(content, {len(content)} octets)")
        final = _positive(talk.read(Stage.END_OF_DATA), Stage.END_OF_DATA)
        self.outcome.sent = True
        self.outcome.said = final.text
        self._leave(talk)

    def _recipients(self, talk: Talk, rcpts: list[bytes]) -> None:
        refusal: Reply | None = None
        for line, address in zip(rcpts, self.order.recipients, strict=True):
            reply = talk.say(line.decode().rstrip(), Stage.RCPT)
            if reply.code < 300:
                self.outcome.accepted.append(address.text)
            else:
                refusal = refusal or reply
                self.outcome.refused.append((address.text, reply.text))
        if refusal is None:
            return
        failure = Failure(Stage.RCPT, refusal)
        if not self.outcome.accepted:
            raise Broken(failure)
        self._explain(failure, "")

    def _leave(self, talk: Talk) -> None:
        """All is said and done; a server that does not answer QUIT changes nothing."""
        talk.patience = min(talk.patience, LOOK_PATIENCE)
        try:
            talk.quit()
        except Broken as broken:
            talk.note("*", f"QUIT: {broken}")

    # failures --------------------------------------------------------------------------------------------------------

    def failed(self, broken: Broken) -> None:
        """What it means; with a second look where that tells more."""
        trouble = self._trouble
        if tls_trouble.is_tls_failure(broken):
            trouble = tls_trouble.trouble(broken)
            if trouble.startswith("cert-"):
                self._look_at_certificate()
        self._explain(broken.failure, trouble)

    def _look_at_certificate(self) -> None:
        shown: tuple[CertFacts, ...] = tls_trouble.look(self._up_to_tls, self.order.server)
        if shown:
            self.seen.certificate = shown[0]

    def _up_to_tls(self) -> Talk:
        talk = self._connected(min(self.order.patience, LOOK_PATIENCE), [])
        if self.order.security == "starttls":
            talk.read(Stage.BANNER)
            talk.say(f"EHLO {self.order.helo or helo_name() or literal(talk.local)}", Stage.EHLO)
            self._ask_for_tls(talk)
        return talk

    def _explain(self, failure: Failure, trouble: str) -> None:
        outcome = self.outcome
        outcome.stage = failure.stage.value
        outcome.said = failure.reply.text if failure.reply is not None else ""
        outcome.detail = failure.detail
        outcome.advice = advise(trouble or diagnose(failure, self.seen), failure, self.seen)


def _positive(reply: Reply, stage: Stage) -> Reply:
    if 200 <= reply.code < 300:
        return reply
    raise Broken(Failure(stage, reply))


def _beyond_ascii(address: Address) -> bool:
    return not address.local.isascii()
