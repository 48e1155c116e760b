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
    if hmac == sip:
        raise click.UsageError("say which digest: --hmac-sha256 or --siphash")
    if [key is not None, hexkey is not None, key_stdin].count(True) > 1:
        raise click.UsageError("one key is enough: --key, --hexkey or --key-stdin")
    octets = _octets(key, hexkey, from_stdin=key_stdin)
    try:
        result = siphash(octets, text) if sip else hmac_sha256(octets, text)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    click.echo(f"Result: {result}")


def _octets(key: str | None, hexkey: str | None, *, from_stdin: bool) -> bytes:
    if hexkey is not None:
        try:
            return bytes.fromhex(hexkey)
        except ValueError:
            raise click.UsageError("the key is not in hex") from None
    text = key if key is not None else secret("key", VARIABLE, from_stdin=from_stdin)
    return text.encode("utf-8", "surrogateescape")
