"""Where mail comes in: listeners (`smtp-listener`, one line or a block), their TLS, users, the black-hole listener."""

from __future__ import annotations

from postwright.control.config import kinds as k
from postwright.control.config.directive import Directive, Scope
from postwright.control.config.directives.rows import G, no_effect, works

LISTENER = Scope.LISTENER
API = Scope.TRANSMISSIONS_API_LISTENER
USER = Scope.USER

_SSL3 = "SSL 3 is broken (RFC 7568) and no TLS library has it any more"
_DH = "key exchange is by elliptic curves; finite-field Diffie-Hellman is offered to nobody (CVE-2002-20001)"
_SINK = "trials want `postwright sink`, a receiver of its own; or <domain> with type discard"

LISTENERS: tuple[Directive, ...] = (
    works("smtp-listener", G, k.LISTENER_ADDRESS, "Address and port that mail is taken on, and the named source of who connects there",
          "(0.0.0.0:25)", setting="listeners", repeat=True),
    works("smtp-ip", G, k.IP, "Address that mail is taken on; ignored beside an smtp-listener", deprecated="smtp-listener"),
    works("smtp-port", G, k.PORT, "Port that mail is taken on; ignored beside an smtp-listener", "25", deprecated="smtp-listener"),
    works("source", (LISTENER, USER), k.NAME, "Named source that holds for who connects there, or for this user"),
    works("protocol", LISTENER, k.CHOICE("smtp", "lmtp"), "What is spoken; lmtp (RFC 2033) is never spoken on port 25", "smtp", ours=True),
    works("immediate-tls", LISTENER, k.BOOL, "TLS from the first octet (port 465)", "no"),
)  # fmt: skip

TLS: tuple[Directive, ...] = (
    works("smtp-server-tls-certificate", G, k.FILE_PASSWORD,
          "Certificate, chain and key of listeners (PEM, one file), and the key's password; a new file is taken at once"),
    works("smtp-server-tls-sni-certificate", G, k.FILE_PASSWORD,
          "A further certificate, shown to clients that ask for one of its names; several lines add up", repeat=True, ours=True),
    works("smtp-server-tls-ca-file", G, k.FILE,
          "Authorities for clients' certificates: a client may have none, but one that does not verify ends the handshake"),
    works("smtp-server-tls-allow-tlsv1", G, k.BOOL, "Allow TLS 1.0, with the old ciphers and signatures that it needs", "no"),
    works("smtp-server-tls-allow-tlsv1.1", G, k.BOOL, "Allow TLS 1.1, with the old ciphers and signatures that it needs", "no"),
    works("smtp-server-tls-allow-tlsv1.2", G, k.BOOL, "Allow TLS 1.2", "yes"),
    works("smtp-server-tls-allow-tlsv1.3", G, k.BOOL, "Allow TLS 1.3", "yes"),
    no_effect("smtp-server-tls-allow-sslv3", G, k.BOOL, "Allow SSL 3", "no", reason=_SSL3),
    works("smtp-server-tls-ciphers", G, k.CIPHERS,
          "Ciphers up to TLS 1.2, as OpenSSL writes them; PowerMTA's default stands for Mozilla's intermediate profile",
          "HIGH:!ADH:@STRENGTH"),
    works("smtp-server-tls-v1.3-ciphersuites", G, k.TLS13_SUITES, "Cipher suites of TLS 1.3, with colons between them", "(OpenSSL's)"),
    no_effect("smtp-server-tls-dh-key-length", G, k.COUNT, "Length of Diffie-Hellman keys", "1024", reason=_DH),
    works("tls-certificate", LISTENER, k.FILE_PASSWORD, "Certificate, chain and key of this listener", "(smtp-server-tls-certificate)"),
    works("tls-sni-certificate", LISTENER, k.FILE_PASSWORD,
          "A further certificate of this listener, for clients that ask for one of its names; several lines add up",
          "(smtp-server-tls-sni-certificate, without an own tls-certificate)", repeat=True, ours=True),
    works("tls-certificate", USER, k.FILE_PASSWORD, "Certificate by which this user logs in; it is trusted as it stands"),
    works("tls-certificate", API, k.FILE_PASSWORD, "Certificate and key of this listener"),
    works("tls-allow-tlsv1", LISTENER, k.BOOL, "Allow TLS 1.0", "(smtp-server-tls-allow-tlsv1)"),
    works("tls-allow-tlsv1.1", LISTENER, k.BOOL, "Allow TLS 1.1", "(smtp-server-tls-allow-tlsv1.1)"),
    works("tls-allow-tlsv1.2", LISTENER, k.BOOL, "Allow TLS 1.2", "(smtp-server-tls-allow-tlsv1.2)"),
    works("tls-allow-tlsv1.3", LISTENER, k.BOOL, "Allow TLS 1.3", "(smtp-server-tls-allow-tlsv1.3)"),
    works("tls-allow-tlsv1", API, k.BOOL, "Allow TLS 1.0", "no"),
    works("tls-allow-tlsv1.1", API, k.BOOL, "Allow TLS 1.1", "no"),
    works("tls-allow-tlsv1.2", API, k.BOOL, "Allow TLS 1.2", "yes"),
    works("tls-allow-tlsv1.3", API, k.BOOL, "Allow TLS 1.3", "yes"),
    works("tls-ciphers", LISTENER, k.CIPHERS, "Ciphers up to TLS 1.2", "(smtp-server-tls-ciphers)"),
    works("tls-ciphers", API, k.CIPHERS, "Ciphers up to TLS 1.2", "(OpenSSL's)"),
    works("tls-tlsv1.3-ciphersuites", LISTENER, k.TLS13_SUITES, "Cipher suites of TLS 1.3", "(smtp-server-tls-v1.3-ciphersuites)"),
    works("tls-tlsv1.3-ciphersuites", API, k.TLS13_SUITES, "Cipher suites of TLS 1.3", "(OpenSSL's)"),
    no_effect("tls-dh-key-length", (LISTENER, API), k.COUNT, "Length of Diffie-Hellman keys", "1024", reason=_DH),
    works("tls-ca-file", LISTENER, k.FILE, "Authorities for clients' certificates", "(smtp-server-tls-ca-file)"),
    works("tls-ca-file", API, k.FILE, "Certification authorities that clients' certificates are checked against"),
)  # fmt: skip

USERS: tuple[Directive, ...] = (
    works("password", USER, k.SECRET, "The user's password"),
    works("authentication-method", USER, k.CHOICE("password", "system", "certificate", "elsewhere"),
          "How the user logs in: this password, PAM, tls-certificate; elsewhere (ours): OAuth token or Kerberos only", "password"),
)  # fmt: skip

DUMMY: tuple[Directive, ...] = (
    no_effect("dummy-smtp-ip", G, k.IP, "Address of the black-hole listener", reason=_SINK),
    no_effect("dummy-smtp-port", G, k.PORT_OR_OFF, "Port of the black-hole listener; 0: none", "0", reason=_SINK),
    no_effect("dummy-smtp-await-slot", G, k.BOOL, "smtp-await-slot of the black-hole listener", "no", reason=_SINK),
    no_effect("dummy-smtp-has-chunking", G, k.BOOL, "It offers CHUNKING", "no", reason=_SINK),
    no_effect("dummy-smtp-has-pipelining", G, k.BOOL, "It offers PIPELINING", "no", reason=_SINK),
    no_effect("dummy-smtp-has-verp", G, k.BOOL, "It offers VERP", "no", reason=_SINK),
    no_effect("dummy-smtp-has-mailmerge", G, k.BOOL, "It offers XMRG", confirmed=False, reason=_SINK),
    no_effect("dummy-smtp-latency", G, k.COUNT, "Milliseconds that it waits", "0", reason=_SINK),
    no_effect("dummy-smtp-update-stats", G, k.BOOL, "Its traffic is counted", "yes", reason=_SINK),
    no_effect("dummy-smtp-blacklist", G, k.FILE, "File of recipients that it refuses", confirmed=False, reason=_SINK),
    no_effect("dummy-smtp-log-blacklist", G, k.BOOL, "Log what it refuses", confirmed=False, reason=_SINK),
    no_effect("dummy-smtp-blacklist-bounce-method", G, k.TEXT, "How it refuses", confirmed=False, reason=_SINK),
    no_effect("dummy-smtp-blacklist-bounce-percent", G, k.COUNT, "How often it refuses", confirmed=False, reason=_SINK),
)  # fmt: skip

ROWS: tuple[Directive, ...] = LISTENERS + TLS + USERS + DUMMY
