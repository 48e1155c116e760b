"""The login of a test message: which mechanism, and the dialogue.

Raises Broken (AUTH) with the reply that refused, or NOT_OFFERED with a detail that says what is missing. A password never goes in the clear
to another machine unless the person said so. What the transcript shows of the dialogue has no secret in it.
"""

from __future__ import annotations

import secrets
import ssl
from collections.abc import Sequence
from ipaddress import ip_address
from typing import cast

from postwright.model.outcome import Failure, Fault, Stage
from postwright.model.reply import Reply
from postwright.net import channel_binding
from postwright.net.talk import Broken, Talk
from postwright.wire import client_choice
from postwright.wire.client_auth import Dialogue
from postwright.wire.client_choice import NO_MECHANISM
from postwright.wire.client_mechanisms import ClientLogin, make

UNPROVED = "unproved"


def choose(offered: Sequence[str], wanted: str, login: ClientLogin, *, certificate: bool, may_be_clear: bool) -> str:
    """The mechanism to use. Raises Broken (NOT_OFFERED) with what is missing (`wire.client_choice`) as its detail."""
    choice = client_choice.choose(offered, wanted, login, certificate=certificate, may_be_clear=may_be_clear)
    if choice.missing:
        raise _missing(choice.missing)
    return choice.mechanism


def run(talk: Talk, mechanism: str, login: ClientLogin) -> str:
    """The whole dialogue; the text of the 235. Raises Broken; in its failure `detail` is what the server said inside the dialogue."""
    dialogue = make(mechanism, login)
    if dialogue is None:
        raise _missing(NO_MECHANISM)
    verb, _, response = dialogue.first.partition(f" {mechanism}")
    reply = talk.say(dialogue.first, Stage.AUTH, f"{verb} {mechanism}{' ****' if response else ''}")
    while reply.code == 334:
        answer = dialogue.answer(reply.lines[0])
        if answer is None:
            refusal = talk.say("*", Stage.AUTH)
            raise Broken(Failure(Stage.AUTH, refusal, Fault.PROTOCOL, dialogue.told or "a challenge that makes no sense"))
        reply = talk.say(answer, Stage.AUTH, "****" if answer else "")
    return _judged(reply, dialogue)


def _judged(reply: Reply, dialogue: Dialogue) -> str:
    if reply.code != 235:
        raise Broken(Failure(Stage.AUTH, reply, Fault.NONE, dialogue.told))
    if not dialogue.satisfied:
        raise Broken(Failure(Stage.AUTH, reply, Fault.PROTOCOL, UNPROVED))
    return reply.text


def nonce() -> str:
    """For SCRAM: printable, never used before."""
    return secrets.token_urlsafe(24)


def may_be_clear(talk: Talk, insecure: bool) -> bool:
    """TLS, or a line that does not leave this machine, or the person's word."""
    return talk.tls is not None or insecure or ip_address(talk.peer.partition("%")[0]).is_loopback


def binding(talk: Talk) -> tuple[str, bytes] | None:
    """See `channel_binding.preferred_of_client`. None without TLS."""
    # An SSLSocket has what is asked of an SSLObject.
    return channel_binding.preferred_of_client(cast(ssl.SSLObject, talk.tls)) if talk.tls is not None else None


def _missing(what: str) -> Broken:
    return Broken(Failure(Stage.AUTH, None, Fault.NOT_OFFERED, what))
