"""The web monitor, its access list and TLS, and submission over HTTP (`<transmissions-api>`)."""

from __future__ import annotations

from postwright.control.config import kinds as k
from postwright.control.config.directive import Directive, Scope
from postwright.control.config.directives.rows import G, no_effect, works

API = Scope.TRANSMISSIONS_API

_MONITOR: tuple[Directive, ...] = (
    works("http-mgmt-port", G, k.PORT_OR_OFF, "Port of the web monitor; 0: none", "8080"),
    works("http-mgmt-address", G, k.IP, "Address to listen at there; without this line all of the machine's", repeat=True, ours=True),
    works("http-redirect-to-https", G, k.BOOL, "Send who comes by HTTP to HTTPS", "yes"),
    works("http-access", G, k.HTTP_ACCESS, "Network and what it may: none, monitor, operator or admin; the first that fits counts",
             repeat=True),
    works("http-csrf-protection", G, k.BOOL, "Changes need a POST with a key or a token", "yes"),
    works("http-api-key", G, k.API_KEY, "Key that makes an administrator of who sends it as X-API-Key", repeat=True),
    works("http-strict-transport-security-max-age", G, k.COUNT, "Seconds of Strict-Transport-Security", "0"),
    works("http-mgmt-source", G, k.CIDR, "Network that may see the monitor", repeat=True, deprecated="http-access"),
    works("no-http-mgmt-source", G, k.CIDR, "Network that may not see the monitor", repeat=True, deprecated="http-access"),
    works("http-default-max-items", G, k.COUNT, "Rows of the monitor's tables", "10"),
    works("http-default-sort-order", G, k.CHOICE("rcpt", "name", "size"), "Order of the monitor's tables", "rcpt"),
    works("http-log-requests", G, k.BOOL, "Log requests", "no"),
    works("http-log-data", G, k.BOOL, "Log heads and bodies, but for keys, the texts of the configuration and of commands", "no"),
    works("http-log-tls", G, k.BOOL, "Log TLS handshakes", "no"),
)  # fmt: skip

_TLS: tuple[Directive, ...] = (
    works("http-tls-allow-tlsv1", G, k.BOOL, "Allow TLS 1.0", "no"),
    works("http-tls-allow-tlsv1.1", G, k.BOOL, "Allow TLS 1.1", "no"),
    works("http-tls-allow-tlsv1.2", G, k.BOOL, "Allow TLS 1.2", "yes"),
    works("http-tls-allow-tlsv1.3", G, k.BOOL, "Allow TLS 1.3", "yes"),
    no_effect("http-tls-allow-sslv3", G, k.BOOL, "Allow SSL 3", "no",
              reason="SSL 3 is broken (RFC 7568) and no TLS library has it any more"),
    works("http-tls-ciphers", G, k.CIPHERS, "Ciphers up to TLS 1.2, as OpenSSL writes them", "HIGH:!ADH:@STRENGTH"),
    works("http-tls-tlsv1.3-ciphersuites", G, k.TEXT, "Cipher suites of TLS 1.3", "(OpenSSL's)"),
    no_effect("http-tls-dh-key-length", G, k.COUNT, "Length of Diffie-Hellman keys", "1024",
              reason="a Diffie-Hellman group is chosen by OpenSSL to fit the certificate; the 1024 bits of old are no more allowed"),
    works("http-tls-ca-file", G, k.FILE, "Certification authorities that clients' certificates are checked against"),
    works("http-tls-certificate", G, k.FILE_PASSWORD, "PEM file with the monitor's certificate and key; else the state folder's webmon.pem",
          ours=True),
)  # fmt: skip

_API: tuple[Directive, ...] = (
    works("api-key", API, k.API_KEY, "Key of a client", repeat=True),
    works("log-requests", API, k.BOOL, "Log requests", "no"),
    works("log-data", API, k.BOOL, "Log every octet", "no"),
    works("log-tls", API, k.BOOL, "Log TLS handshakes", "no"),
)  # fmt: skip

ROWS: tuple[Directive, ...] = _MONITOR + _TLS + _API
