"""`postwright digest`: what `privacy-policy` puts in the place of a local part, so that a person can be found in hidden accounting files.

Computes, asks no relay and keeps nothing. The key comes as with `pmta digest`, or from the environment or standard input, since everybody
on the machine may read arguments.
"""

from __future__ import annotations

import click

from postwright.control.cli.tool import ToolCommand, secret
from postwright.model.digest import hmac_sha256, siphash

VARIABLE = "POSTWRIGHT_DIGEST_KEY"


@click.command("digest", cls=ToolCommand)
@click.option("--hmac-sha256", "hmac", is_flag=True, help="HMAC-SHA256 (RFC 2104).")
@click.option("--siphash", "sip", is_flag=True, help="SipHash-2-4; the key has at most 16 octets.")
@click.option("--key", metavar="TEXT", help=f"The key as text. Without a key: {VARIABLE} of the environment, or typed unseen.")
@click.option("--hexkey", metavar="HEX", help="The key in hex.")
@click.option("--key-stdin", is_flag=True, help="The key as text is the first line of standard input.")
@click.argument("text", metavar="STRING")
def command(hmac: bool, sip: bool, key: str | None, hexkey: str | None, key_stdin: bool, text: str) -> None:
    """The digest of STRING: give it the local part of an address, in lower case, as privacy-policy sees it.

    \b
    Example: postwright digest --siphash --key=secret bob.smith
    Exit status: 0 printed, 64 wrong usage.
    """
    if [key is not None, hexkey is not None, key_stdin].count(True) > 1:
        raise click.UsageError("one key is enough: --key, --hexkey or --key-stdin")
    if key is None and hexkey is None and hmac != sip:
        key = secret("key", VARIABLE, from_stdin=key_stdin)
    try:
        click.echo(told(hmac, sip, key, hexkey, text))
    except ValueError as error:
        raise click.UsageError(str(error)) from None


def told(hmac: bool, sip: bool, key: str | None, hexkey: str | None, text: str) -> str:
    """What is printed, with one of the two keys. Raises ValueError, which says nothing of the key."""
    if hmac == sip:
        raise ValueError("say which digest: --hmac-sha256 or --siphash")
    if (key is None) == (hexkey is None):
        raise ValueError("one key is needed, and one is enough: --key or --hexkey")
    octets = _of_hex(hexkey) if hexkey is not None else (key or "").encode("utf-8", "surrogateescape")
    return f"Result: {siphash(octets, text) if sip else hmac_sha256(octets, text)}"


def _of_hex(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise ValueError("the key is not in hex") from None
