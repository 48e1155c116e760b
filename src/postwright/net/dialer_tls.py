"""TLS contexts for sessions to receivers, made once for each kind and shared; files that change are read again at the next handshake.

Makes contexts and tells failures apart; opens no socket. A context is expensive to make (the CA bundle is parsed) and free to
share. Raises OSError or ValueError, naming the file, for certificates and authorities that cannot be used.
"""

from __future__ import annotations

import os
import ssl
import warnings
from collections.abc import Sequence
from ipaddress import ip_address
from typing import Final

from postwright.model.outcome import TlsTrouble
from postwright.model.route import ClientTls, Route, SessionOptions, TlsLevel, TlsRule
from postwright.net import openssl
from postwright.net.tls_memory import ClientContext
from postwright.net.tls_record import RecordObject

# Where nobody is checked, TLS of any strength is better than none (RFC 7435 section 3), so a weak key of theirs is no reason to send in the
# clear: Python's own list, with SHA-1 and RSA key exchange behind it.
_OPPORTUNISTIC: Final = "ECDH+AESGCM:ECDH+CHACHA20:ECDH+AES:DHE+AES:RSA+AES:!aNULL:!eNULL:!aDSS:!AESCCM:@SECLEVEL=0"
_OLD: Final = ("TLSv1", "TLSv1.1")  # they sign with MD5 and SHA-1 together, which OpenSSL 3 does at security level 0 only
_BOUND: Final = {
    "TLSv1": ssl.TLSVersion.TLSv1,
    "TLSv1.1": ssl.TLSVersion.TLSv1_1,
    "TLSv1.2": ssl.TLSVersion.TLSv1_2,
    "TLSv1.3": ssl.TLSVersion.TLSv1_3,
}
_FORBID: Final = {"TLSv1.1": ssl.OP_NO_TLSv1_1, "TLSv1.2": ssl.OP_NO_TLSv1_2}  # the only ones that can stand between two others

_Stamps = tuple[tuple[int, int], ...]
DEFAULT = ClientTls()


class TlsContexts:
    """Client contexts by what they do and have to verify. `ca_file` PEM, "" the system's bundle; what the rules name goes before it."""

    def __init__(self, ca_file: str = "") -> None:
        self._ca_file = ca_file
        self._made: dict[tuple[ClientTls, bool, bool], tuple[_Stamps, ssl.SSLContext]] = {}

    def context(self, rules: ClientTls = DEFAULT, *, verify: bool = False, later: bool = False) -> ssl.SSLContext:
        """Chain and name are checked if `verify`: elsewhere TLS is better than none, whoever it is with (RFC 7435). `later`: they are
        checked after the handshake, by DANE; so it must be as strong, and nothing is checked in it."""
        stamps = _stamps(rules)
        found = self._made.get((rules, verify, later))
        if found is None or found[0] != stamps:
            found = self._made[rules, verify, later] = (stamps, self._make(rules, verify, later))
        return found[1]

    def _make(self, rules: ClientTls, verify: bool, later: bool) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=rules.ca_file or self._ca_file or None)
        context.__class__ = ClientContext  # what `create_default_context` sets differs between releases, and is wanted
        context.sslobject_class = RecordObject
        if not verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        _set_versions(context, rules.versions, verify or later)
        _set_ciphers(context, rules, verify or later)
        if rules.certificate:
            _load_certificate(context, rules)
        return context


def must_verify(route: Route, options: SessionOptions) -> bool:
    """Does the receiver have to show that it is who the route says? Where a login goes, yes: a password told to somebody in the middle is
    lost for good, and a relay never notices. Who stands between us and loopback has this machine already."""
    demand = route.demand
    if options.verify or (demand is not None and demand.rule in (TlsRule.STS, TlsRule.STS_TESTING)):
        return True
    if demand is not None and demand.rule is TlsRule.DANE:
        return False  # TLSA records say more of the host than any authority (RFC 7672 section 1.3.4); see `dane_check`
    if options.tls is TlsLevel.VERIFIED:
        return True
    return options.login is not None and options.login.verify and not ip_address(route.address).is_loopback


def _stamps(rules: ClientTls) -> _Stamps:
    files = [os.stat(file) for file in (rules.ca_file, rules.certificate) if file]
    return tuple([(found.st_mtime_ns, found.st_ino) for found in files])


def _set_versions(context: ssl.SSLContext, versions: Sequence[str], verify: bool) -> None:
    """With a certificate that is checked 1.2 at least, whatever else is allowed: what 1.1 signs, others can forge (RFC 8996)."""
    allowed = [version for version in _BOUND if version in versions and not (verify and version in _OLD)]
    if not allowed:
        raise ValueError("no version of TLS is allowed that could be used here (smtp-tls-allow-tlsv1.2, smtp-tls-allow-tlsv1.3)")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that 1.0 and 1.1 are old is no news
        context.minimum_version, context.maximum_version = _BOUND[allowed[0]], _BOUND[allowed[-1]]
        for version, option in _FORBID.items():
            if allowed[0] < version < allowed[-1] and version not in allowed:
                context.options |= option


def _set_ciphers(context: ssl.SSLContext, rules: ClientTls, verify: bool) -> None:
    old = not verify and any(version in _OLD for version in rules.versions)
    if rules.ciphers:
        context.set_ciphers(rules.ciphers + (":@SECLEVEL=0" if old and "@SECLEVEL" not in rules.ciphers else ""))
    elif not verify:
        context.set_ciphers(_OPPORTUNISTIC)
    if rules.suites:
        openssl.set_ciphersuites(context, rules.suites)


def _load_certificate(context: ssl.SSLContext, rules: ClientTls) -> None:
    try:
        # a password function, so that OpenSSL never asks a terminal that is not there
        context.load_cert_chain(rules.certificate, password=lambda: rules.password)
    except ssl.SSLError as error:
        raise ValueError(f"our certificate {rules.certificate} cannot be used: {error.reason or error}") from error


def server_name(route: Route) -> str:
    """The name for SNI and the check of the certificate: the MX host's (with DANE the name that has the records), or its address if it has
    no other."""
    if route.demand is not None and route.demand.names:
        return route.demand.names[0]
    name = route.host.rstrip(".").strip("[]").removeprefix("IPv6:")
    return name or route.address


def describe(error: BaseException) -> str:
    """What a failed handshake says to an operator."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate not accepted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        # Those that OpenSSL did not raise have no reason at all.
        return getattr(error, "reason", None) or str(error)
    return str(error) or type(error).__name__


_TROUBLES: Final = {62: TlsTrouble.NAME, 64: TlsTrouble.NAME, 9: TlsTrouble.EXPIRED, 10: TlsTrouble.EXPIRED,
                    2: TlsTrouble.UNTRUSTED, 18: TlsTrouble.UNTRUSTED, 19: TlsTrouble.UNTRUSTED, 20: TlsTrouble.UNTRUSTED,
                    21: TlsTrouble.UNTRUSTED}  # fmt: skip  # X509_V_ERR_* of openssl/x509_vfy.h


def trouble_of(error: BaseException) -> TlsTrouble | None:
    """What a failed handshake says of the certificate; None when it was something else."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _TROUBLES.get(error.verify_code, TlsTrouble.OTHER)
    return None
