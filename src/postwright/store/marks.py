"""Marks as a record of the journal, there and back. Pure; a record that is not one raises MarksError and nothing else.

The meta part has what recovery needs, in the form that it can use fastest: the ids of messages that are finished as packed numbers,
then what became of single recipients, then deferrals. The accounting records are the content part: a start reads only those that
stand behind the last checkpoint.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from postwright.model.errors import SpoolError
from postwright.model.record import Record
from postwright.store.spool import DEFERRED, Mark

MAX_RECIPIENTS = 1 << 20  # of one message; an index becomes a bit of a number

_encode = msgspec.msgpack.Encoder().encode
_Id = Annotated[int, msgspec.Meta(ge=0)]
_Index = Annotated[int, msgspec.Meta(ge=0, lt=MAX_RECIPIENTS)]
_Settled = tuple[_Id, tuple[_Index, ...]]
_Deferred = tuple[_Id, tuple[_Index, ...], float, int, float]


class _Meta(Struct, array_like=True, gc=False):
    finished: bytes
    settled: list[_Settled]
    deferred: list[_Deferred]


_decode_meta = msgspec.msgpack.Decoder(_Meta).decode
_decode_records = msgspec.msgpack.Decoder(list[Record]).decode


class MarksError(SpoolError):
    """The octets are no marks."""


class Marks(Struct, gc=False):
    """What one record says. `finished`: ids of messages with nothing left; the others as in `Mark`, in the order written."""

    finished: array[int]
    settled: list[_Settled]
    deferred: list[_Deferred]


def encode(marks: Sequence[Mark], finished: Iterable[int]) -> tuple[bytes, bytes]:
    """Meta part and content part ("" without accounting records). `finished`: messages of which these marks settle the last recipients."""
    done = array("Q", finished)
    gone = set(done)
    settled: list[_Settled] = []
    deferred: list[_Deferred] = []
    records: list[Record] = []
    for mark in marks:
        if mark.kind == DEFERRED:
            deferred.append((mark.message_id, mark.recipients, mark.due, mark.attempts, mark.first_attempt))
        elif mark.message_id not in gone:
            settled.append((mark.message_id, mark.recipients))
        if mark.records:
            records += mark.records
    return _encode(_Meta(done.tobytes(), settled, deferred)), _encode_records(records) if records else b""


def _encode_records(records: list[Record]) -> bytes:
    """A record with a text that is no Unicode (a lone surrogate) must not keep all others from the disk for ever: it is put right."""
    try:
        return _encode(records)
    except UnicodeEncodeError:
        return _encode([mended(record) for record in records])


def mended(record: Record) -> Record:
    """The record with texts that can be encoded."""
    return replace(record, **{name: _mend(getattr(record, name)) for name in record.__struct_fields__})


def _mend(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_mend(key): _mend(inner) for key, inner in value.items()}
    if isinstance(value, Struct):
        return replace(value, **{name: _mend(getattr(value, name)) for name in value.__struct_fields__})
    return value


def decode(meta: bytes | memoryview) -> Marks:
    """The meta part. Raises MarksError."""
    try:
        found = _decode_meta(meta)
        finished = array("Q")
        finished.frombytes(found.finished)
    except (msgspec.MsgspecError, ValueError) as error:
        raise MarksError(f"not marks: {error}") from None
    return Marks(finished, found.settled, found.deferred)


def decode_records(content: bytes | memoryview) -> list[Record]:
    """The content part. Raises MarksError."""
    if not content:
        return []
    try:
        return _decode_records(content)
    except (msgspec.MsgspecError, ValueError) as error:
        raise MarksError(f"not accounting records: {error}") from None
