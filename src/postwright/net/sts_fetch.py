"""Fetches the MTA-STS policy of a domain over HTTPS (RFC 8461 section 3.3), once and blocking: for tools.

The certificate must be good for `mta-sts.DOMAIN`; redirections are not followed; 64 KiB at most are read. Nothing is raised: what went
wrong is the `problem` of the answer.
"""

from __future__ import annotations

import http.client
import ssl

from msgspec import Struct

from postwright.net.dialer_tls import describe
from postwright.net.talk import Broken, connect
from postwright.net.tls_look import client_context

PATH = "/.well-known/mta-sts.txt"
_MOST = 65536


class Fetched(Struct, frozen=True):
    """`text` of the policy, or why there is none."""

    text: str = ""
    problem: str = ""


def fetch(host: str, address: str, port: int, patience: float, ca_file: str = "") -> Fetched:
    """`host` is `mta-sts.DOMAIN`, wherever `address` came from."""
    try:
        context = client_context(verify=True, ca_file=ca_file)
        with connect(address, port, patience) as sock, context.wrap_socket(sock, server_hostname=host) as tls:
            return _ask(tls, host)
    except Broken as broken:
        return Fetched(problem=f"{address} port {port}: {broken}")
    except (OSError, ValueError, http.client.HTTPException) as error:
        return Fetched(problem=describe(error))


def _ask(tls: ssl.SSLSocket, host: str) -> Fetched:
    connection = http.client.HTTPConnection(host)
    connection.sock = tls
    connection.request("GET", PATH, headers={"User-Agent": "postwright-probe"})
    answer = connection.getresponse()
    if answer.status != http.client.OK:
        return Fetched(problem=f"the web server answers {answer.status}")
    if answer.headers.get_content_type() != "text/plain":
        return Fetched(problem=f"its type is {_shown(answer.headers.get_content_type())}, not text/plain")
    body = answer.read(_MOST + 1)
    return Fetched(body.decode("utf-8", "replace")) if len(body) <= _MOST else Fetched(problem="it is larger than 64 KiB")


def _shown(text: str) -> str:
    return "".join([c if c.isprintable() else "?" for c in text])[:80]
