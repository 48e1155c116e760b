"""Reads from TLS that ask for no more than a record can hold.

Event loops read 256 KB at a time, and Python makes room for what it is asked for before it knows what there is: a quarter of a megabyte for
a command of twenty octets. OpenSSL never gives more than one record, 16 KB (RFC 8446 section 5.1), so asking for that loses nothing, and
spares the heap holes that idle sessions then lie in. Raises what ssl.SSLObject raises.
"""

from __future__ import annotations

import ssl
from typing import Any, Final

RECORD: Final = 16384  # octets


class RecordObject(ssl.SSLObject):
    """`ssl.SSLContext.sslobject_class` of our servers' contexts."""

    def read(self, len: int = RECORD, buffer: Any = None) -> Any:
        """At most a record; into `buffer` when there is one (then how many octets)."""
        if buffer is not None:
            return super().read(len, buffer)
        return super().read(len if len < RECORD else RECORD)
