"""Answers that need no relay: `show version`, `license`, `registration`. Pure; the body of an answer is not looked at."""

from __future__ import annotations

import struct
from typing import Final

from postwright import __version__
from postwright.control.pmta.forms import Answer, Tree
from postwright.control.pmta.status import PRODUCT

_BITS: Final = 8 * struct.calcsize("P")


def version(body: bytes = b"") -> Answer:
    """The version of this program."""
    tree: Tree = {"product": {"name": PRODUCT, "version": __version__, "buildDate": "", "revision": "", "bits": _BITS}}
    return Answer(tree, (f"{PRODUCT} v{__version__} ({_BITS}-bit).",))


def license_(body: bytes = b"") -> Answer:
    """There is no key, no limit and no end."""
    tree: Tree = {"license": {"product": PRODUCT, "type": "open source", "expires": "never", "serial": "", "instances": 0}}
    lines = (f"Product:  {PRODUCT}", "Type:     open source, see the file LICENSE", "Expires:  never", "Limits:   none")
    return Answer(tree, lines)


def registration(body: bytes = b"") -> Answer:
    """There is nothing to register."""
    text = f"{PRODUCT} needs no registration."
    return Answer({"registration": {"registered": False, "text": text}}, (text,))
