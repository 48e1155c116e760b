"""SASLprep (RFC 4013): the one form of a user name or password that different keyboards write differently.

Pure and without exceptions: what SASLprep forbids stays as it was typed, and so equals only itself. A password that the standard would not
have may long be in use, and refusing it now would lock its owner out (PostgreSQL and Cyrus decide alike). Who stores passwords prepares
them when they are stored, who compares prepares what was shown; mechanisms do so for what they decode.
"""

from __future__ import annotations

import stringprep
import unicodedata
from typing import Final

_FORBIDDEN: Final = (
    stringprep.in_table_c12,
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
)
LONGEST: Final = 1024  # characters; longer ones are left alone, so that nobody makes us normalise for long


def prepared(text: str) -> str:
    """`text` as a "query" string of RFC 4013 (unassigned code points allowed), or as it is when that is forbidden or comes to nothing."""
    if text.isascii() and text.isprintable():
        return text
    if len(text) > LONGEST:
        return text
    return _prepare(text) or text


def _prepare(text: str) -> str:
    mapped = "".join([" " if stringprep.in_table_c12(char) else char for char in text if not stringprep.in_table_b1(char)])
    normal = unicodedata.ucd_3_2_0.normalize("NFKC", mapped)
    if any(forbidden(char) for char in normal for forbidden in _FORBIDDEN) or not _one_way(normal):
        return ""
    return normal


def _one_way(text: str) -> bool:
    """RFC 3454 section 6: right-to-left text has no left-to-right characters in it, and begins and ends with a right-to-left one."""
    if not any(map(stringprep.in_table_d1, text)):
        return True
    return not any(map(stringprep.in_table_d2, text)) and stringprep.in_table_d1(text[0]) and stringprep.in_table_d1(text[-1])
