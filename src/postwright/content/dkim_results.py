"""Verdicts on DKIM signatures as Authentication-Results tell them (RFC 8601 section 2.7.1, RFC 6008 for header.b).

What stands in a signature is its sender's word: `authres` leaves out what is not of the plainest form. Pure and total.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Final

from postwright.content.authres import Result
from postwright.content.dkim_verify import Verdict

METHOD: Final = "dkim"
_TOLD = 8  # characters of b= (RFC 6008 section 4: "at least the first 8")


def results(verdicts: Sequence[Verdict], traces: Sequence[str] = ()) -> list[Result]:
    """One result for each signature, `none` where there are none; `traces` are remarks on the first (`trace-dkim-check`)."""
    if not verdicts:
        return [Result(METHOD, "none", (), ("no signatures", *traces))]
    return [_result(verdict, traces if number == 0 else ()) for number, verdict in enumerate(verdicts)]


def _result(verdict: Verdict, traces: Sequence[str]) -> Result:
    properties: tuple[tuple[str, str], ...] = ()
    remarks = [verdict.reason] if verdict.reason else []
    signature = verdict.signature
    if signature is not None:
        properties = (
            ("header.d", signature.domain),
            ("header.i", signature.identity),
            ("header.s", signature.selector),
            ("header.a", signature.algorithm),
            ("header.b", base64.b64encode(signature.signature[: _TOLD * 3 // 4]).decode("ascii")),
        )
    if verdict.bits and verdict.result == "pass":
        remarks.append(f"{verdict.bits}-bit key")
    if verdict.testing:
        remarks.append("test mode")
    return Result(METHOD, verdict.result, properties, (*remarks, *traces))
