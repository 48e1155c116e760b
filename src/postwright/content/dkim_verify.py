"""What a DKIM signature is worth, in steps without I/O (RFC 6376 section 6.1, RFC 8301, RFC 8463; results of RFC 8601 section 2.7.1).

    mail = Mail(header, body)
    for candidate in candidates(mail, now):     what there is to look at, or a verdict already
        answer = ... TXT of candidate.signature.key_name ...
        judge(mail, candidate, answer)

Nothing is raised for what a message or a record may hold. Reasons are words of ours: no octet of the message or of the DNS is in them.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from postwright.content.dkim_canon import HeaderField, Mail, signed_header
from postwright.content.dkim_record import KeyRecord, Unusable, key_record, verifies
from postwright.content.dkim_signature import FIELD, Signature, read
from postwright.content.dkim_tags import TagError

MOST: Final = 10  # signatures that are looked at, from the top: each costs a question to the DNS and a piece of arithmetic
RECORDS_MOST: Final = 3  # key records of one name that are tried; there should be one (section 3.6.2.2)

PASS: Final = "pass"
FAIL: Final = "fail"
NEUTRAL: Final = "neutral"
POLICY: Final = "policy"
TEMPERROR: Final = "temperror"
PERMERROR: Final = "permerror"


class Verdict(Struct, frozen=True):
    """One signature's. `result` as above, `reason` for a remark ("" if there is nothing to say), `signature` None if it could not be read.

    `testing`: the key is marked t=y. `unsigned` octets of the body are behind l=.
    """

    result: str
    reason: str = ""
    signature: Signature | None = None
    bits: int = 0
    testing: bool = False
    unsigned: int = 0


class Candidate(Struct, frozen=True):
    """A signature that wants its key, or that has its verdict without one."""

    field: HeaderField
    signature: Signature | None
    verdict: Verdict | None = None


class Answer(Struct, frozen=True):
    """What the DNS said about a key's name: TXT records, each joined; `temporary` when it could not be asked."""

    records: tuple[bytes, ...] = ()
    temporary: bool = False


def candidates(mail: Mail, now: float, most: int = MOST) -> list[Candidate]:
    """The signatures of a message from the top, `most` of them. `now` in Unix seconds."""
    fields = [field for field in mail.fields if field.name == FIELD]
    return [_candidate(field, now) for field in fields[:most]]


def _candidate(field: HeaderField, now: float) -> Candidate:
    try:
        signature = read(field)
    except TagError as error:
        # "The signature or signatures contained syntax errors" is neutral in RFC 8601
        return Candidate(field, None, Verdict(NEUTRAL, str(error)))
    refused = _refusal(signature, now)
    return Candidate(field, signature, None if refused is None else Verdict(*refused, signature))


def _refusal(signature: Signature, now: float) -> tuple[str, str] | None:
    """(result, reason) where no key could help."""
    if not signature.dns:
        return PERMERROR, "unknown query method"
    if not signature.digest:
        return PERMERROR, "unknown algorithm"
    if signature.digest == "sha1":
        return POLICY, "rsa-sha1 proves nothing (RFC 8301)"
    if b"from" not in signature.names:
        return PERMERROR, "From is not signed"
    if signature.expires_at is not None and now > signature.expires_at:
        return FAIL, "signature expired"
    return None


def judge(mail: Mail, candidate: Candidate, answer: Answer) -> Verdict:
    """The verdict on a signature, given what was found under its `key_name`."""
    signature = candidate.signature
    if candidate.verdict is not None or signature is None:
        return candidate.verdict or Verdict(NEUTRAL)
    if answer.temporary:
        return Verdict(TEMPERROR, "the key could not be looked up", signature)
    record = usable_record(answer.records, signature)
    if isinstance(record, tuple):
        return Verdict(*record, signature)
    if record.strict and signature.identity.rpartition("@")[2] != signature.domain:
        return Verdict(PERMERROR, "the key is not for subdomains", signature, record.bits, record.testing)
    reason = objection(mail, candidate.field, signature, record)
    result, left = FAIL if reason else PASS, _unsigned(mail, signature)
    if result == PASS and left:
        reason = f"{left} octets of the body are not signed"
    return Verdict(result, reason, signature, record.bits, record.testing, left)


def usable_record(records: Sequence[bytes], signature: Signature) -> KeyRecord | tuple[str, str]:
    """The first of the records that is a key for this signature; else (result, reason) about the first."""
    found: tuple[str, str] | None = None
    for octets in records[:RECORDS_MOST]:
        why = _fits(octets, signature)
        if isinstance(why, KeyRecord):
            return why
        found = found or why
    return found or (PERMERROR, "no key for signature")


def _fits(octets: bytes, signature: Signature) -> KeyRecord | tuple[str, str]:
    record = key_record(octets)
    if isinstance(record, Unusable):
        return (POLICY if record.insecure else PERMERROR), record.reason
    if record.kind != signature.key_kind:
        return PERMERROR, "the key is of another type"
    if record.hashes and signature.digest.encode() not in record.hashes:
        return PERMERROR, "the key does not allow this hash"
    return record


def objection(mail: Mail, field: HeaderField, signature: Signature, record: KeyRecord) -> str:
    """Why a signature over body and header does not hold, "" if it does; of ARC, too. Body before header: it is the cheaper, and the
    likelier to have been changed on the way."""
    size = len(mail.canonical_body(signature.body_form))
    if signature.limit is not None and signature.limit > size:
        return "the body is shorter than was signed"
    if not hmac.compare_digest(mail.body_hash(signature.body_form, signature.digest, signature.limit), signature.body_hash):
        return "body hash did not verify"
    octets = signed_header(mail.fields, signature.names, field, signature.header_form)
    return "" if verifies(record.key, signature.digest, octets, signature.signature) else "signature did not verify"


def _unsigned(mail: Mail, signature: Signature) -> int:
    if signature.limit is None:
        return 0
    return max(0, len(mail.canonical_body(signature.body_form)) - signature.limit)
