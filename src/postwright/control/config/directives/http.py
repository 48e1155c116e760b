"""The web monitor, its access list and TLS, and submission over HTTP (`<transmissions-api>`)."""

from __future__ import annotations

from postwright.control.config import kinds as k
from postwright.control.config.directive import Directive, Scope
from postwright.control.config.directives.rows import G, no_effect, steering

API = Scope.TRANSMISSIONS_API

_MONITOR: tuple[Directive, ...] = (
    steering("http-mgmt-port", G, k.PORT_OR_OFF, "Port of the web monitor; 0: none", "8080"),
    steering("http-redirect-to-https", G, k.BOOL, "Send who comes by HTTP to HTTPS", "yes"),
    steering("http-access", G, k.HTTP_ACCESS, "Network and what it may: none, monitor, operator or admin; the first that fits counts",
             repeat=True),
    steering("http-csrf-protection", G, k.BOOL, "Changes need a POST with a key or a token", "yes"),
    steering("http-api-key", G, k.API_KEY, "Key that makes an administrator of who sends it as X-API-Key", repeat=True),
    steering("http-strict-transport-security-max-age", G, k.COUNT, "Seconds of Strict-Transport-Security", "0"),
    steering("http-mgmt-source", G, k.CIDR, "Network that may see the monitor", repeat=True, deprecated="http-access"),
    steering("no-http-mgmt-source", G, k.CIDR, "Network that may not see the monitor", repeat=True, deprecated="http-access"),
    steering("http-default-max-items", G, k.COUNT, "Rows of the monitor's tables", "10"),
    steering("http-default-sort-order", G, k.CHOICE("rcpt", "name", "size"), "Order of the monitor's tables", "rcpt"),
    steering("http-log-requests", G, k.BOOL, "Log requests", "no"),
    steering("http-log-data", G, k.BOOL, "Log every octet", "no"),
    steering("http-log-tls", G, k.BOOL, "Log TLS handshakes", "no"),
)  # fmt: skip

_TLS: tuple[Directive, ...] = (
    steering("http-tls-allow-tlsv1", G, k.BOOL, "Allow TLS 1.0", "no"),
    steering("http-tls-allow-tlsv1.1", G, k.BOOL, "Allow TLS 1.1", "no"),
    steering("http-tls-allow-tlsv1.2", G, k.BOOL, "Allow TLS 1.2", "yes"),
    steering("http-tls-allow-tlsv1.3", G, k.BOOL, "Allow TLS 1.3", "yes"),
    no_effect("http-tls-allow-sslv3", G, k.BOOL, "Allow SSL 3", "no",
              reason="SSL 3 is broken (RFC 7568) and no TLS library has it any more"),
    steering("http-tls-ciphers", G, k.CIPHERS, "Ciphers up to TLS 1.2, as OpenSSL writes them", "HIGH:!ADH:@STRENGTH"),
    steering("http-tls-tlsv1.3-ciphersuites", G, k.TEXT, "Cipher suites of TLS 1.3", "(OpenSSL's)"),
    no_effect("http-tls-dh-key-length", G, k.COUNT, "Length of Diffie-Hellman keys", "1024",
              reason="a Diffie-Hellman group is chosen by OpenSSL to fit the certificate; the 1024 bits of old are no more allowed"),
    steering("http-tls-ca-file", G, k.FILE, "Certification authorities that clients' certificates are checked against"),
)  # fmt: skip

_API: tuple[Directive, ...] = (
    steering("api-key", API, k.API_KEY, "Key of a client", repeat=True),
    steering("log-requests", API, k.BOOL, "Log requests", "no"),
    steering("log-data", API, k.BOOL, "Log every octet", "no"),
    steering("log-tls", API, k.BOOL, "Log TLS handshakes", "no"),
)  # fmt: skip

ROWS: tuple[Directive, ...] = _MONITOR + _TLS + _API
