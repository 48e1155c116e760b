"""Answers that are validated by DNSSEC: libunbound within this process, called by ctypes (docs/decisions/dnssec-by-libunbound.md).

`UnboundSource` is a `DnsSource` that validates. The library works in a thread of its own and tells by a descriptor that answers are there;
the event loop waits on that and never blocks. It keeps a cache of its own, and asks the name servers given, or the system's, which must
pass DNSSEC records on. Raises Unavailable when the library or a trust anchor cannot be had; a name server's silence is the answer FAILED.
"""

from __future__ import annotations

import asyncio
import ctypes
import ctypes.util
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from postwright.net.dns_client import answer_of
from postwright.net.dns_query import DnsAnswer, DnsStatus
from postwright.net.dns_servers import ServerBook
from postwright.wire import dns_message as m

# The keys of the root since 2017 and 2024, as IANA publishes them (root-anchors.xml, RFC 7958).
ROOT_ANCHORS = (
    ". IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D",
    ". IN DS 38696 8 2 683D2D0ACB8C9B712A1948B27F741219298D0A450D612C483AF444A4C0FB2B16",
)
_OPTIONS = (
    ("do-not-query-localhost:", "no"),
    # Names of a private network are the name server's business, as without us.
    ("unblock-lan-zones:", "yes"),
    ("msg-cache-size:", "16m"),
    ("rrset-cache-size:", "32m"),
    # Our own cache decides what is kept for how long; answers past their time are its doing alone.
    ("serve-expired:", "no"),
    ("cache-max-ttl:", "3600"),
    ("val-bogus-ttl:", "30"),
)


class Unavailable(Exception):
    """DNSSEC cannot be validated here; the text says what is missing."""


class _Result(ctypes.Structure):
    """struct ub_result of libunbound 1.9 and later (soname 8)."""

    _fields_ = [
        ("qname", ctypes.c_char_p),
        ("qtype", ctypes.c_int),
        ("qclass", ctypes.c_int),
        ("data", ctypes.c_void_p),
        ("len", ctypes.c_void_p),
        ("canonname", ctypes.c_char_p),
        ("rcode", ctypes.c_int),
        ("answer_packet", ctypes.c_void_p),
        ("answer_len", ctypes.c_int),
        ("havedata", ctypes.c_int),
        ("nxdomain", ctypes.c_int),
        ("secure", ctypes.c_int),
        ("bogus", ctypes.c_int),
        ("why_bogus", ctypes.c_char_p),
    ]


_Callback = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int, ctypes.POINTER(_Result))
_TEXT, _CTX, _INT = ctypes.c_char_p, ctypes.c_void_p, ctypes.c_int
_SIGNATURES: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "ub_ctx_create": (_CTX, ()),
    "ub_ctx_delete": (None, (_CTX,)),
    "ub_ctx_set_option": (_INT, (_CTX, _TEXT, _TEXT)),
    "ub_ctx_set_fwd": (_INT, (_CTX, _TEXT)),
    "ub_ctx_add_ta": (_INT, (_CTX, _TEXT)),
    "ub_ctx_add_ta_file": (_INT, (_CTX, _TEXT)),
    "ub_ctx_async": (_INT, (_CTX, _INT)),
    "ub_fd": (_INT, (_CTX,)),
    "ub_process": (_INT, (_CTX,)),
    "ub_resolve_async": (_INT, (_CTX, _TEXT, _INT, _INT, ctypes.c_void_p, _Callback, ctypes.POINTER(_INT))),
    "ub_resolve_free": (None, (ctypes.POINTER(_Result),)),
    "ub_strerror": (_TEXT, (_INT,)),
}


@cache
def library(path: str = "") -> Any:
    """The loaded library, its functions declared. Raises Unavailable."""
    for name in (path,) if path else ("libunbound.so.8", ctypes.util.find_library("unbound")):
        try:
            loaded = ctypes.CDLL(name) if name else None
        except OSError:
            continue
        if loaded is not None and all(hasattr(loaded, function) for function in _SIGNATURES):
            for function, (result, arguments) in _SIGNATURES.items():
                getattr(loaded, function).restype = result
                getattr(loaded, function).argtypes = arguments
            return loaded
    raise Unavailable("libunbound is not on this machine (Debian and Ubuntu: apt-get install libunbound8)")


class UnboundSource:
    """`servers` as `dns_servers.read_server` has them; `anchors` a file of DS or DNSKEY records, "" for the root's keys. The context is
    made at the first question, so after a process has forked."""

    validates = True

    def __init__(self, servers: Sequence[str] = (), *, anchors: str = "", library_path: str = "") -> None:
        self._library = library(library_path)
        self._book = ServerBook(servers)
        if anchors:
            _look_at(Path(anchors))
        self._anchors = anchors
        self._context: int | None = None
        self._waiting: dict[int, asyncio.Future[DnsAnswer]] = {}
        self._number = 0
        self._fd = -1
        self._loop: asyncio.AbstractEventLoop | None = None
        self._heard = _Callback(self._answered)  # kept here, or it would be freed under the library's hands
        self._closed = False

    async def query(self, name: str, kind: str) -> DnsAnswer:
        """As `DnsSource` has it."""
        if self._closed:
            return DnsAnswer(DnsStatus.FAILED, detail="the resolver is closed")
        try:
            m.encode_name(name)
            context = self._start()
        except m.DnsFormatError as error:
            return DnsAnswer(DnsStatus.NO_NAME, detail=str(error))
        except Unavailable as error:
            return DnsAnswer(DnsStatus.FAILED, detail=str(error))
        self._number += 1
        number = self._number
        answer: asyncio.Future[DnsAnswer] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        asked = self._library.ub_resolve_async(context, name.encode(), m.KINDS[kind], 1, number, self._heard, ctypes.byref(_INT()))
        if asked:
            del self._waiting[number]
            return DnsAnswer(DnsStatus.FAILED, detail=f"libunbound: {self._library.ub_strerror(asked).decode()}")
        try:
            return await answer
        finally:
            self._waiting.pop(number, None)

    async def close(self) -> None:
        self._closed = True
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_result(DnsAnswer(DnsStatus.FAILED, detail="the resolver is closed"))
        if self._context is not None:
            assert self._loop is not None
            self._loop.remove_reader(self._fd)
            self._library.ub_ctx_delete(self._context)
            self._context = None

    def _start(self) -> int:
        """The context, made at the first call. Raises Unavailable."""
        if self._context is not None:
            return self._context
        context: int | None = self._library.ub_ctx_create()
        if not context:
            raise Unavailable("libunbound: no context (out of memory or descriptors)")
        try:
            self._set_up(context)
        except Unavailable:
            self._library.ub_ctx_delete(context)
            raise
        self._fd = self._library.ub_fd(context)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._fd, self._library.ub_process, context)
        self._context = context
        return context

    def _set_up(self, context: int) -> None:
        lib = self._library
        for option, value in _OPTIONS:
            lib.ub_ctx_set_option(context, option.encode(), value.encode())  # one that this version lacks is no loss
        for server in self._book.all():
            _must(lib, lib.ub_ctx_set_fwd(context, f"{server.address}@{server.port}".encode()), f"name server {server}")
        if self._anchors:
            _must(lib, lib.ub_ctx_add_ta_file(context, self._anchors.encode()), f"trust anchors of {self._anchors}")
        else:
            for anchor in ROOT_ANCHORS:
                _must(lib, lib.ub_ctx_add_ta(context, anchor.encode()), "trust anchor of the root")
        _must(lib, lib.ub_ctx_async(context, 1), "thread")

    def _answered(self, number: int, error: int, result: Any) -> None:
        """Called by `ub_process` on the loop, once for each question."""
        answer = self._waiting.pop(number, None)
        try:
            if answer is not None and not answer.done():
                answer.set_result(_meaning(self._library, error, result))
        finally:
            if result:
                self._library.ub_resolve_free(result)


def _look_at(anchors: Path) -> None:
    """The library itself says of a bad file only that it does not start, and that at the first question. Raises Unavailable."""
    try:
        lines = anchors.read_text(errors="replace").splitlines()
    except OSError as error:
        raise Unavailable(f"the trust anchors of {anchors} cannot be read: {(error.strerror or type(error).__name__).lower()}") from error
    words = [line.partition(";")[0].split() for line in lines]
    if not any(words) or not all({"DS", "DNSKEY"} & {word.upper() for word in line} for line in words if line):
        raise Unavailable(f"{anchors} has to have a DS or DNSKEY record on each line")


def _must(lib: Any, error: int, what: str) -> None:
    if error:
        raise Unavailable(f"libunbound: {what}: {lib.ub_strerror(error).decode()}")


def _meaning(lib: Any, error: int, result: Any) -> DnsAnswer:
    if error or not result:
        return DnsAnswer(DnsStatus.FAILED, detail=f"libunbound: {lib.ub_strerror(error).decode()}")
    told = result.contents
    if told.bogus:
        why = (told.why_bogus or b"").decode("ascii", "replace")
        return DnsAnswer(DnsStatus.FAILED, detail=f"DNSSEC validation failed: {why}", bogus=True)
    if told.rcode not in (0, 3) or not told.answer_packet:
        return DnsAnswer(DnsStatus.FAILED, detail=f"name server: {m.RCODES.get(told.rcode, f'RCODE{told.rcode}')}")
    try:
        return answer_of(m.decode_reply(ctypes.string_at(told.answer_packet, told.answer_len)), secure=bool(told.secure))
    except m.DnsFormatError as problem:
        return DnsAnswer(DnsStatus.FAILED, detail=f"name server: {problem}")
