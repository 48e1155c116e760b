"""`auth-mechanisms`: what a source's clients are offered, from the text of a configuration to the line of EHLO."""

from __future__ import annotations

from collections.abc import Callable

from postwright.model.credentials import CredentialKinds
from postwright.policy.mechanisms import TLS_AT_BEST, offered
from postwright.policy.resolve import Resolved
from postwright.policy.settings import Settings

KINDS = CredentialKinds(passwords=True, secrets=True, scram=("SHA-1", "SHA-256"))
TEXT = """
<source 0/0>
    auth-mechanisms plain,scram-sha-256
</source>
<source 192.0.2.0/24>
    auth-mechanisms CRAM-MD5
</source>
"""


def test_a_source_s_list_is_read_in_either_case_and_the_narrower_network_wins(good: Callable[..., Settings]) -> None:
    resolved = Resolved(good(TEXT))
    assert offered(resolved.source("198.51.100.1"), TLS_AT_BEST, KINDS) == ("SCRAM-SHA-256", "PLAIN")
    assert offered(resolved.source("192.0.2.1"), TLS_AT_BEST, KINDS) == ("CRAM-MD5",)


def test_a_mechanism_that_nobody_knows(found: Callable[..., list[tuple[str, int, str]]]) -> None:
    [(level, line, message)] = [one for one in found(TEXT.replace("plain,", "digest-md5,")) if one[1] == 3]
    assert (level, line) == ("error", 3)
    assert "digest-md5" in message
