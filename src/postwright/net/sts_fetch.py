"""Fetches the MTA-STS policy of a domain over HTTPS (RFC 8461 section 3.3), once: for the engine, and for tools.

The certificate must be good for `mta-sts.DOMAIN`, whatever address the connection goes to; redirections are not followed; 64 KiB at most
are read. All of it together has `patience` seconds: whoever runs the web server of a policy is a stranger, and may well say `100
Continue` for ever. Nothing is raised: what went wrong is the `problem` of the answer.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Sequence
from email.message import Message
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from postwright.net.dialer_tls import describe

if TYPE_CHECKING:
    import aiohttp

PATH = "/.well-known/mta-sts.txt"
_MOST = 65536


class Fetched(Struct, frozen=True):
    """`text` of the policy, or why there is none. `certificate`: that is because of the web server's certificate."""

    text: str = ""
    problem: str = ""
    certificate: bool = False


async def fetch(host: str, addresses: Sequence[str], port: int, patience: float, ca_file: str = "") -> Fetched:
    """`host` is `mta-sts.DOMAIN`, wherever `addresses` came from; they are tried in turn."""
    import aiohttp  # here, since it costs a start 0.2 s

    try:
        context = ssl.create_default_context(cafile=ca_file or None)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        async with _session(host, addresses, context, patience) as session:
            url = f"https://{host}:{port}{PATH}"
            async with session.get(url, allow_redirects=False, headers={"Host": host, "Accept": "text/plain"}) as answer:
                return await _read(answer)
    except TimeoutError:
        return Fetched(problem=f"no answer within {patience:g} s")
    except aiohttp.ClientConnectorCertificateError as error:
        return Fetched(problem=describe(error.certificate_error), certificate=True)
    except (aiohttp.ClientError, OSError, ValueError, LookupError) as error:
        return Fetched(problem=_shown(_told(error)))


def _session(host: str, addresses: Sequence[str], context: ssl.SSLContext, patience: float) -> aiohttp.ClientSession:
    """A client that knows where one host is, and nothing else: no proxy of the environment, no cookies, one connection."""
    import aiohttp

    class Known(aiohttp.abc.AbstractResolver):
        async def resolve(self, name: str, port: int = 0, family: Any = 0) -> list[Any]:
            if name != host:
                raise OSError(f"{name} is not to be asked")
            return [
                {"hostname": name, "host": address, "port": port, "family": 10 if ":" in address else 2, "proto": 0, "flags": 4}
                for address in addresses
            ]

        async def close(self) -> None:
            return

    return aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=patience),
        connector=aiohttp.TCPConnector(ssl=context, resolver=Known(), limit=1, force_close=True),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,  # a bound on what is read would be none on what it unfolds to
    )


async def _read(answer: aiohttp.ClientResponse) -> Fetched:
    if answer.status != 200:  # redirections, too: "MUST NOT be followed"
        return Fetched(problem=f"the web server answers {answer.status}")
    kind = _type(answer.headers.get("Content-Type", ""))
    if kind != "text/plain":
        return Fetched(problem=f"its type is {_shown(kind)}, not text/plain")
    body = await answer.content.read(_MOST + 1)
    while len(body) <= _MOST and not answer.content.at_eof():
        body += await answer.content.read(_MOST + 1 - len(body))
    return Fetched(body.decode("utf-8", "replace")) if len(body) <= _MOST else Fetched(problem="it is larger than 64 KiB")


def _type(header: str) -> str:
    """The media type without its parameters, as RFC 2045 reads it: what cannot be read is text/plain there, and would be let through."""
    message = Message()
    message["Content-Type"] = header
    return message.get_content_type() if "/" in header else header


def _told(error: BaseException) -> str:
    """aiohttp wraps what the system said; "Cannot connect to host ... ssl:<object>" helps nobody."""
    inner = getattr(error, "os_error", None)
    if isinstance(inner, OSError) and inner.errno and not isinstance(inner, ssl.SSLError):
        return os.strerror(inner.errno)  # asyncio puts its own words in the place of the system's
    return describe(inner if isinstance(inner, OSError) else error)


def _shown(text: str) -> str:
    return "".join([c if c.isprintable() else "?" for c in text])[:200]


def fetch_now(host: str, addresses: Sequence[str], port: int, patience: float, ca_file: str = "") -> Fetched:
    """`fetch` for a program that waits for nothing else."""
    return asyncio.run(fetch(host, addresses, port, patience, ca_file))
