"""Implementations of DKIM that other people wrote, each made to look for keys in a file: dkimpy, OpenDKIM, Mail::DKIM, mailauth.

A verifier says of each message whether all that it looked at verified; a signer gives the field to put before a message.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import dkim

Zone = Mapping[str, bytes]

PERL = Path(__file__).parent / "clients" / "mail_dkim.pl"
NODE = Path(__file__).parent / "clients" / "mailauth.cjs"
_verified = re.compile(r"^opendkim: (\S+): verification \(.*\) succeeded", re.MULTILINE)


def dkimpy_verifies(content: bytes, zone: Zone) -> bool:
    """dkimpy, every signature of one message."""
    count = len(re.findall(rb"(?im)^dkim-signature:", content.partition(b"\r\n\r\n")[0]))
    checks = [dkim.DKIM(content).verify(idx=at, dnsfunc=lambda name, timeout=5: zone.get(name.decode().rstrip("."))) for at in range(count)]
    return bool(checks) and all(checks)


def opendkim_verifies(program: str, contents: Sequence[bytes], zone: Zone, folder: Path) -> list[bool]:
    """The filter of OpenDKIM in its test mode; it reports the first signature that verifies."""
    keys = folder / "zone"
    keys.write_text("".join(f"{name} {record.decode()}\n" for name, record in zone.items()))
    config = folder / "opendkim.conf"
    config.write_text(f"Mode v\nTestDNSData {keys}\nSyslog no\n")
    found: set[str] = set()
    files = _files([content.replace(b"\r\n", b"\n") for content in contents], folder)  # it takes its files for Unix's own
    for at in range(0, len(files), 100):
        ran = subprocess.run([program, "-x", str(config), "-v", "-t", ",".join(files[at : at + 100])], capture_output=True, timeout=120)
        found.update(_verified.findall((ran.stdout + ran.stderr).decode("utf-8", "replace")))
    return [file in found for file in files]


def opendkim_signs(
    program: str, contents: Sequence[bytes], selector: str, domain: str, key: str, method: str, folder: Path
) -> list[bytes]:
    """The filter of OpenDKIM, signing: the fields, each with CRLF. `method` as c= has it."""
    config = folder / "signing.conf"
    config.write_text(
        f"Mode s\nDomain {domain}\nSelector {selector}\nKeyFile {key}\nCanonicalization {method}\n"
        "InternalHosts 0.0.0.0/0\nRequireSafeKeys no\nSyslog no\n"
    )
    fields: list[bytes] = []
    files = _files([content.replace(b"\r\n", b"\n") for content in contents], folder)
    for at in range(0, len(files), 50):
        ran = subprocess.run([program, "-x", str(config), "-vvv", "-t", ",".join(files[at : at + 50])], capture_output=True, timeout=120)
        values = re.findall(rb"hname='DKIM-Signature' hvalue='([^']*)'", ran.stdout)
        assert len(values) == len(files[at : at + 50]), ran.stderr
        fields += [b"DKIM-Signature: " + value.replace(b"\n", b"\r\n") + b"\r\n" for value in values]
    return fields


def mail_dkim_verifies(program: str, contents: Sequence[bytes], zone: Zone, folder: Path) -> list[list[str]]:
    """Mail::DKIM: for each message, `algorithm result` of each signature."""
    keys = folder / "zone.perl"
    keys.write_text("".join(f"{name} {record.decode()}\n" for name, record in zone.items()))
    lines = _perl(program, "verify", str(keys), *_files(contents, folder))
    return [line.split(",") if line else [] for line in lines]


def mail_dkim_signs(
    program: str, contents: Sequence[bytes], selector: str, domain: str, key: str, method: str, folder: Path
) -> list[bytes]:
    """Mail::DKIM: the fields, each with CRLF. `method` as c= has it."""
    lines = _perl(program, "sign", selector, domain, key, method, *_files(contents, folder))
    return [line.replace("\\n", "\r\n").encode("latin-1") + b"\r\n" for line in lines]


def mail_dkim_chains(program: str, contents: Sequence[bytes], zone: Zone, folder: Path) -> list[str]:
    """Mail::DKIM: the state of each message's ARC chain, and why it is no other."""
    keys = folder / "zone.perl"
    keys.write_text("".join(f"{name} {record.decode()}\n" for name, record in zone.items()))
    return _perl(program, "arc-verify", str(keys), *_files(contents, folder))


def mail_dkim_seals(program: str, contents: Sequence[bytes], selector: str, domain: str, key: str, host: str, folder: Path) -> list[bytes]:
    """Mail::DKIM: the next set of each message, its fields with CRLF; cv= is what the results of `host` say."""
    lines = _perl(program, "arc-seal", selector, domain, key, host, *_files(contents, folder))
    return [line.replace("\\n", "\r\n").encode("latin-1") for line in lines]


def mailauth_sees(program: str, contents: Sequence[bytes], zone: Zone, folder: Path) -> list[tuple[list[str], str | None]]:
    """mailauth: for each message the result of each signature, and the state of its ARC chain, None without one."""
    keys = folder / "zone.node"
    keys.write_text("".join(f"{name} {record.decode()}\n" for name, record in zone.items()))
    return [(dkim, arc) for dkim, arc in _node(program, "verify", str(keys), *_files(contents, folder))]


def mailauth_signs(
    program: str, contents: Sequence[bytes], selector: str, domain: str, key: str, methods: Sequence[str], folder: Path
) -> list[bytes]:
    """mailauth: the fields, each with CRLF. `methods` as c= has them, in turn."""
    fields = _node(program, "sign", selector, domain, key, ",".join(methods), *_files(contents, folder))
    return [field.strip().encode("latin-1") + b"\r\n" for field in fields]


def mailauth_seals(
    program: str, contents: Sequence[bytes], selector: str, domain: str, key: str, results: str, state: str, folder: Path
) -> list[bytes]:
    """mailauth: the next set of each message, its fields with CRLF; what they say is given."""
    return [made.encode("latin-1") for made in _node(program, "arc-seal", selector, domain, key, results, state, *_files(contents, folder))]


def _node(program: str, *arguments: str) -> list[Any]:
    ran = subprocess.run([program, str(NODE), *arguments], capture_output=True, timeout=300, check=False)
    assert ran.returncode == 0, ran.stderr.decode("utf-8", "replace")[-2000:]
    return [json.loads(line) for line in ran.stdout.splitlines()]


def _perl(program: str, *arguments: str) -> list[str]:
    ran = subprocess.run([program, str(PERL), *arguments], capture_output=True, timeout=300, check=True)
    return ran.stdout.decode("latin-1").split("\n")[:-1]


def _files(contents: Sequence[bytes], folder: Path) -> list[str]:
    names = []
    for number, content in enumerate(contents):
        file = folder / f"{number:05}.eml"
        file.write_bytes(content)
        names.append(str(file))
    return names
