"""Intel's crypto_mb, called by ctypes: RSA for eight at a time, each in a lane of the processor's 512-bit registers (AVX-512 IFMA).

The extra `lanes` brings it (the package ipp-crypto, Apache-2.0, for Linux on x86-64); one of the system's goes before that. It is taken
when it can be loaded and says itself that the processor is one for it. Raises `Unavailable` else, with the reason; nobody needs it.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any, Final

EXTRA: Final = "lanes"
SWITCH: Final = "POSTWRIGHT_LANES"
"""A variable of the environment; `no` leaves the library alone."""

_NAME = "libcrypto_mb.so.13"
# The compiler's runtime, which is not free. The package's library names it and calls none of it: were that to change, it would not load.
_NOT_CALLED = frozenset((b"libsvml.so", b"libirng.so", b"libimf.so", b"libintlc.so.5"))

_POINTER, _INT = ctypes.c_void_p, ctypes.c_int
_SIGNATURES: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "mbx_is_crypto_mb_applicable": (_INT, (ctypes.c_uint64,)),
    # from[8], to[8], p[8], q[8], dp[8], dq[8], 1/q mod p[8], bits, method (of that many bits), buffer (its own)
    "mbx_rsa_private_crt_mb8": (ctypes.c_uint32, (*[_POINTER] * 7, _INT, _POINTER, _POINTER)),
    # from[8], to[8], n[8], bits, method (of that many bits, e = 65537), buffer (its own)
    "mbx_rsa_public_mb8": (ctypes.c_uint32, (*[_POINTER] * 3, _INT, _POINTER, _POINTER)),
}


class Unavailable(Exception):
    """There is no crypto_mb here; the text says why."""


def library() -> Any:
    """The loaded library, its functions declared. Raises Unavailable."""
    if os.environ.get(SWITCH, "").lower() == "no":
        raise Unavailable(f"{SWITCH} says no")
    loaded = _of_system() or _of_package()
    try:
        for name, (result, arguments) in _SIGNATURES.items():
            function = getattr(loaded, name)
            function.restype, function.argtypes = result, arguments
    except AttributeError as error:
        raise Unavailable(f"{_NAME} is another one: {error}") from None
    if not loaded.mbx_is_crypto_mb_applicable(0):
        raise Unavailable("the processor has no AVX-512 IFMA")
    return loaded


def _of_system() -> Any:
    try:
        return ctypes.CDLL(_NAME)
    except OSError:
        return None


def _of_package() -> Any:
    try:
        found = [file for file in metadata.files("ipp-crypto") or () if file.name == _NAME]
    except metadata.PackageNotFoundError:
        found = []
    if not found:
        raise Unavailable(f"{_NAME} is missing: install postwright[{EXTRA}]")
    try:
        return _loaded(without(Path(str(found[0].locate())).read_bytes(), _NOT_CALLED))
    except (OSError, ValueError) as error:
        raise Unavailable(f"{_NAME} cannot be loaded: {error}") from None


def _loaded(octets: bytes) -> Any:
    """A library that is in no file. RTLD_NOW: what is called and missing is found out here and not in the middle of a signature."""
    memory = os.memfd_create(_NAME, os.MFD_CLOEXEC)
    with os.fdopen(memory, "wb") as file:
        file.write(octets)
        file.flush()
        return ctypes.CDLL(f"/proc/self/fd/{memory}", mode=os.RTLD_NOW | os.RTLD_LOCAL)


_section = struct.Struct("<IIQQQQIIQQ")  # Elf64_Shdr: name, type, flags, address, offset, size, link, info, alignment, size of an entry
_entry = struct.Struct("<qQ")  # Elf64_Dyn: tag, value
_version = struct.Struct("<HHIII")  # Elf64_Verneed: version, count, file, its versions, next
_DYNAMIC, _NEEDED, _IGNORED = 6, 1, 21  # SHT_DYNAMIC, DT_NEEDED, DT_DEBUG (which means nothing in a library)
_VERSIONS: Final = 0x6FFFFFFE  # SHT_GNU_verneed
_Sections = list[tuple[int, ...]]


def without(elf: bytes, names: frozenset[bytes]) -> bytes:
    """A shared library (ELF, 64 bits, little endian) that does not ask for these others, as `patchelf --remove-needed` does it.

    Raises ValueError for what is no such library, and for one that wants something of a certain version from one of them: the linker
    does not refuse such a library, it ends the process.
    """
    if elf[:6] != b"\x7fELF\x02\x01":
        raise ValueError("it is no library of this machine")
    changed = bytearray(elf)
    try:
        sections = _sections(elf)
        for at, name in _needed(elf, sections):
            if name in names:
                _entry.pack_into(changed, at, _IGNORED, 0)
        versioned = [name for name in _versioned(elf, sections) if name in names]
    except (struct.error, IndexError, OverflowError):
        raise ValueError("it is damaged") from None
    if versioned:
        raise ValueError(f"it calls {versioned[0].decode('ascii', 'replace')}")
    return bytes(changed)


def _sections(elf: bytes) -> _Sections:
    (table,) = struct.unpack_from("<Q", elf, 40)
    size, count = struct.unpack_from("<HH", elf, 58)
    return [_section.unpack_from(elf, table + number * size) for number in range(count)]


def _needed(elf: bytes, sections: _Sections) -> Iterator[tuple[int, bytes]]:
    """Each library that this one asks for, and where the entry is that does."""
    for _, kind, _, _, offset, length, strings, *_ in sections:
        if kind != _DYNAMIC:
            continue
        for at in range(offset, offset + length, _entry.size):
            tag, value = _entry.unpack_from(elf, at)
            if tag == _NEEDED:
                yield at, _text(elf, sections[strings][4] + value)


def _versioned(elf: bytes, sections: _Sections) -> Iterator[bytes]:
    """Each library of which this one wants something of a certain version."""
    for _, kind, _, _, at, _, strings, count, *_ in sections:
        if kind != _VERSIONS:
            continue
        for _ in range(count):
            _, _, file, _, further = _version.unpack_from(elf, at)
            yield _text(elf, sections[strings][4] + file)
            if not further:
                break
            at += further


def _text(elf: bytes, at: int) -> bytes:
    return elf[at : elf.index(b"\0", at)]
