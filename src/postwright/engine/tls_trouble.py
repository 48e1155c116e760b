"""Why a TLS handshake failed, as a word that advice can be hung on.

`trouble` reads OpenSSL's error; it opens nothing. `speaks_tls` and `look` open a connection of their own: to learn whether a silent
port waits for TLS, and what certificate a server shows to those who do not check. Both answer rather than raise.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable

from postwright.model.outcome import Fault, Stage
from postwright.net.talk import Broken, Talk, connect
from postwright.net.tls_look import CertFacts, cert_facts, chain, client_context

# X509_V_ERR_*, stable numbers of OpenSSL's public interface.
_VERIFY = {
    9: "cert-not-yet",
    10: "cert-expired",
    18: "cert-self-signed",
    19: "cert-unknown-ca",  # a self-signed one at the end of the chain: an authority of somebody's own
    20: "cert-unknown-ca",
    21: "cert-unknown-ca",
    62: "cert-name",
    64: "cert-name",
}
# What OpenSSL says when the first octets are no TLS record; the name changed between 3.0 and 3.2.
_NO_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG", "HTTP_REQUEST", "UNKNOWN_PROTOCOL")
_TOO_OLD = (
    "UNSUPPORTED_PROTOCOL",
    "PROTOCOL_VERSION",
    "NO_PROTOCOLS_AVAILABLE",
    "HANDSHAKE_FAILURE",
    "NO_SHARED_CIPHER",
    "DH_KEY_TOO_SMALL",
)
_WANTS_OURS = ("CERTIFICATE_REQUIRED", "BAD_CERTIFICATE", "UNKNOWN_CA", "CERTIFICATE_UNKNOWN")


def trouble(broken: Broken) -> str:
    """ "not-tls", "tls-old", "tls-wants-certificate", "cert-expired", "cert-name" … or "tls-failed", when nothing more is known."""
    error = broken.__cause__
    if isinstance(error, ssl.SSLCertVerificationError):
        return _VERIFY.get(error.verify_code, "cert-other")
    reason = (getattr(error, "reason", None) or "") if isinstance(error, ssl.SSLError) else ""
    for words, name in ((_NO_TLS, "not-tls"), (_TOO_OLD, "tls-old"), (_WANTS_OURS, "tls-wants-certificate")):
        if any(word in reason for word in words):
            return name
    return "tls-timeout" if broken.failure.fault is Fault.TIMEOUT else "tls-failed"


def speaks_tls(address: str, port: int, name: str, patience: float) -> bool:
    """Does the port want TLS from the first octet?"""
    try:
        talk = Talk(connect(address, port, patience), patience, [])
    except Broken:
        return False
    try:
        talk.handshake(client_context(verify=False, old=True), name)
    except Broken:
        return False
    finally:
        talk.close()
    return True


def look(open_talk: Callable[[], Talk], name: str) -> tuple[CertFacts, ...]:
    """The certificates that a server shows after `open_talk` has come to where the handshake begins; empty if it did not come so far."""
    try:
        talk = open_talk()
    except Broken:
        return ()
    try:
        tls = talk.handshake(client_context(verify=False, old=True), name)
        return tuple([cert_facts(der) for der in chain(tls)])
    except Broken:
        return ()
    finally:
        talk.close()


def is_tls_failure(broken: Broken) -> bool:
    """The handshake itself broke, rather than STARTTLS being refused."""
    failure = broken.failure
    return failure.stage is Stage.STARTTLS and failure.reply is None and failure.fault in (Fault.TLS, Fault.TIMEOUT)
