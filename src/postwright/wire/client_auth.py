"""The client's side of AUTH (RFC 4954): what a dialogue is, and CRAM-MD5 (RFC 2195). The other mechanisms are in `client_mechanisms`.

Pure. A mechanism is asked for its first line and then for an answer to each challenge; None means that the challenge makes no
sense and the dialogue is to be cancelled. Nothing is raised, and nothing here has a repr that shows a secret.
"""

from __future__ import annotations

import hmac

from postwright.wire.grammar import GrammarError, base64_decode, base64_encode


class Dialogue:
    """One AUTH dialogue: `first` is the command line without CRLF, `answer` the line after a 334."""

    __slots__ = ("_answers", "first")

    def __init__(self, first: str, answers: list[str]) -> None:
        self.first = first
        self._answers = answers

    def answer(self, challenge: str) -> str | None:
        return self._answers.pop(0) if self._answers else None

    @property
    def satisfied(self) -> bool:
        """The server may say 235 now. False while it still owes a proof of its own (SCRAM): a 235 then is somebody who only pretends."""
        return True

    @property
    def told(self) -> str:
        """What the server said of the failure inside the dialogue (the JSON of RFC 7628 section 3.2.2, SCRAM's `e=`), or ""."""
        return ""


class CramMd5(Dialogue):
    """RFC 2195: the password never goes over the line, but who listens may guess at leisure."""

    __slots__ = ("_password", "_user")

    def __init__(self, user: str, password: str) -> None:
        super().__init__("AUTH CRAM-MD5", [""])
        self._user = user
        self._password = password

    def answer(self, challenge: str) -> str | None:
        if super().answer(challenge) is None:
            return None
        try:
            text = base64_decode(challenge.encode("ascii", "replace"))
        except GrammarError:
            return None
        return base64_encode(f"{self._user} {hmac.digest(self._password.encode(), text, 'md5').hex()}".encode())
