"""The chain of an ARC message (RFC 8617): sets taken out of a header, and judged from the newest to the oldest.

    chain = read(mail)                 None: no ARC at all; `problem` says what is wrong with its shape
    for name in chain.key_names: ...   TXT of each
    judge(mail, chain, answers)

Built of the parts of DKIM: canonical forms, tag lists, key records. Nothing is raised; reasons are words of ours.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import Struct

from postwright.content import dkim_tags
from postwright.content.dkim_canon import HeaderField, Mail, relaxed_field, without_value
from postwright.content.dkim_record import KeyRecord, verifies
from postwright.content.dkim_signature import Signature, of_tags
from postwright.content.dkim_tags import TagError
from postwright.content.dkim_verify import Answer, objection, usable_record

RESULTS: Final = b"arc-authentication-results"
MESSAGE: Final = b"arc-message-signature"
SEAL: Final = b"arc-seal"
KINDS: Final = (RESULTS, MESSAGE, SEAL)
"""The three fields of a set, in the order in which a seal signs them (section 5.1.1)."""
MOST: Final = 50  # sets (section 4.2.1)

NONE, PASS, FAIL = "none", "pass", "fail"
_STATES = (b"none", b"pass", b"fail")
_instance = re.compile(rb"[ \t\r\n]*i[ \t\r\n]*=[ \t\r\n]*([0-9]{1,3})[ \t\r\n]*;").match
_SEAL_TAGS = ("a", "b", "cv", "d", "i", "s")
_NOT_IN_A_SEAL = ("h", "bh")  # "Note especially that the DKIM "h" tag is NOT allowed" (section 4.1.3)


class ArcSet(Struct, frozen=True):
    """One hop's three fields, and what two of them say."""

    instance: int
    fields: tuple[HeaderField, HeaderField, HeaderField]
    message: Signature
    seal: Signature
    state: bytes


class Chain(Struct, frozen=True):
    """Sets from the first. `problem`: the shape alone makes it fail; `broken`: so much so that `sets` are not all that there are."""

    sets: tuple[ArcSet, ...] = ()
    problem: str = ""
    broken: bool = False

    @property
    def key_names(self) -> list[str]:
        """What the DNS has to be asked for; nothing for a chain that has failed already."""
        if self.problem:
            return []
        return sorted({self.sets[-1].message.key_name, *[one.seal.key_name for one in self.sets]})


class ArcVerdict(Struct, frozen=True):
    """The chain's state: none, pass or fail (section 4.4). `temporary`: another time may tell better."""

    state: str
    reason: str = ""
    temporary: bool = False


def read(mail: Mail) -> Chain | None:
    """The chain in a header; None when there is no field of ARC."""
    found: dict[int, dict[bytes, HeaderField]] = {}
    any_field = False
    for field in mail.fields:
        if field.name not in KINDS:
            continue
        any_field = True
        match = _instance(field.raw.partition(b":")[2]) if field.name == RESULTS else None
        try:
            number = int(match[1]) if match is not None else _number(field)
        except TagError as error:
            return Chain(problem=str(error), broken=True)
        if not 1 <= number <= MOST:
            return Chain(problem="an instance out of range", broken=True)
        of = found.setdefault(number, {})
        if field.name in of:
            return Chain(problem=f"two fields of one kind in set {number}", broken=True)
        of[field.name] = field
    return _chain(found) if any_field else None


def _number(field: HeaderField) -> int:
    """i= of a signature or seal."""
    if field.name == RESULTS:
        raise TagError("ARC-Authentication-Results without an instance")
    value = dkim_tags.tags(field.raw.partition(b":")[2]).get("i")
    if value is None:
        raise TagError("i= is missing")
    if not value.isdigit() or len(value) > 3:
        raise TagError("i= is no number")
    return int(value)


def _chain(found: dict[int, dict[bytes, HeaderField]]) -> Chain:
    sets: list[ArcSet] = []
    for number in range(1, len(found) + 1):
        of = found.get(number)
        if of is None or len(of) != len(KINDS):
            return Chain(tuple(sets), f"set {number} is not whole", broken=True)
        try:
            sets.append(_set(number, (of[RESULTS], of[MESSAGE], of[SEAL])))
        except TagError as error:
            return Chain(tuple(sets), f"set {number}: {error}", broken=True)
    return Chain(tuple(sets), _states(sets))


def _set(number: int, fields: tuple[HeaderField, HeaderField, HeaderField]) -> ArcSet:
    if len(fields[0].raw) > dkim_tags.MOST:  # as the two others: every seal from here on goes over it once more
        raise TagError("the results are too long")
    message = of_tags(dkim_tags.tags(fields[1].raw.partition(b":")[2]), with_identity=False)
    if SEAL in message.names:
        raise TagError("the message signature signs a seal")  # section 4.1.2
    tags = dkim_tags.tags(fields[2].raw.partition(b":")[2])
    missing = [name for name in _SEAL_TAGS if name not in tags]
    if missing:
        raise TagError(f"{missing[0]}= is missing in the seal")
    if any(name in tags for name in _NOT_IN_A_SEAL):
        raise TagError("the seal has a tag of a signature")
    state = tags["cv"].lower()
    if state not in _STATES:
        raise TagError("cv= is unknown")
    # A seal has no body and names no fields; what it shares with a signature is read as one.
    seal = of_tags({**tags, "h": b"arc-seal", "bh": b""}, with_identity=False)
    return ArcSet(number, fields, message, seal, state)


def _states(sets: list[ArcSet]) -> str:
    """Section 5.2 steps 2 and 3: what each hop said of those before it."""
    if sets[-1].state == b"fail":
        return "the chain had failed before"
    for one in sets:
        if one.state != (b"none" if one.instance == 1 else b"pass"):
            return f"cv= of set {one.instance} cannot be"
    return ""


def judge(mail: Mail, chain: Chain | None, answers: Mapping[str, Answer]) -> ArcVerdict:
    """The state of the chain (section 5.2), given the TXT records of its `key_names`."""
    if chain is None:
        return ArcVerdict(NONE)
    if chain.problem:
        return ArcVerdict(FAIL, chain.problem)
    newest = chain.sets[-1]
    why, temporary = _message(mail, newest, answers)
    if why:
        return ArcVerdict(FAIL, f"message signature of set {newest.instance}: {why}", temporary)
    relaxed = [relaxed_set(one.fields) for one in chain.sets]
    for one in reversed(chain.sets):
        why, temporary = _sealed(relaxed[: one.instance - 1], one, answers)
        if why:
            return ArcVerdict(FAIL, f"seal of set {one.instance}: {why}", temporary)
    return ArcVerdict(PASS)


def _message(mail: Mail, one: ArcSet, answers: Mapping[str, Answer]) -> tuple[str, bool]:
    """Why the message signature does not hold ("" if it does), and whether another time may tell better."""
    signature = one.message
    record, why, temporary = _key(signature, answers)
    if record is None:
        return why, temporary
    return objection(mail, one.fields[1], signature, record), False


def _sealed(before: Sequence[bytes], one: ArcSet, answers: Mapping[str, Answer]) -> tuple[str, bool]:
    record, why, temporary = _key(one.seal, answers)
    if record is None:
        return why, temporary
    octets = sealed_octets(before, one.fields)
    return ("" if verifies(record.key, one.seal.digest, octets, one.seal.signature) else "did not verify"), False


def relaxed_set(fields: Sequence[HeaderField]) -> bytes:
    """The fields of a set as the seals of later ones sign them."""
    return b"".join([relaxed_field(field) for field in fields])


def sealed_octets(before: Sequence[bytes], fields: Sequence[HeaderField]) -> bytes:
    """What a seal signs (section 5.1.1): all sets up to its own, relaxed (`before`), its own last in `fields`, b= empty and no CRLF."""
    return b"".join(before) + relaxed_set([*fields[:-1], without_value(fields[-1])]).removesuffix(b"\r\n")


def _key(signature: Signature, answers: Mapping[str, Answer]) -> tuple[KeyRecord | None, str, bool]:
    if not signature.digest or signature.digest == "sha1":
        return None, "unknown algorithm", False
    answer = answers.get(signature.key_name, Answer(temporary=True))
    if answer.temporary:
        return None, "the key could not be looked up", True
    record = usable_record(answer.records, signature)
    return (None, record[1], False) if isinstance(record, tuple) else (record, "", False)
