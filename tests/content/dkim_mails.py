"""Messages made to be hard on signatures, out of a seed: blanks where nobody expects them, fields folded at will, the same name two or
three times, octets above 127, bodies of nothing, of empty lines, without an end. All of them may travel by SMTP as they are.
"""

from __future__ import annotations

from random import Random

BLANKS = (b" ", b"  ", b"\t", b" \t ", b"   \t")
WORDS = (b"hello", b"a", b"=3D", b"b=c;", b"--", b".", b"..", b"x" * 60, "Grüße".encode(), b"\xe9\xff", b"From", b"dkim-signature:", b"0")
NAMES = (b"To", b"Cc", b"Subject", b"Date", b"Message-ID", b"MIME-Version", b"Content-Type", b"Reply-To", b"References", b"List-Post",
         b"Received", b"X-Odd", b"x-ODD")  # fmt: skip


def message(seed: int) -> bytes:
    """The message of that number: a header section with one From, and a body."""
    chance = Random(seed)
    neat = chance.random() < 0.3  # behind each colon one blank, as nearly all mail has it
    fields = [_field(chance, chance.choice(NAMES), neat) for _ in range(chance.randint(0, 8))]
    fields.insert(chance.randint(0, len(fields)), b"From: " + _folded(chance, b"Joe") + b" <joe@a.example>\r\n")
    return b"".join(fields) + b"\r\n" + _body(chance)


def _field(chance: Random, name: bytes, neat: bool) -> bytes:
    name = chance.choice([name, name.lower(), name.upper()])
    start = b": " if neat else chance.choice([b":", b": ", b":\t", b":  ", b":\r\n "])
    words = [chance.choice(WORDS) for _ in range(chance.randint(1, 9))]
    return name + start + _folded(chance, *words) + chance.choice([b"", b"", b" ", b"\t "]) + b"\r\n"


def _folded(chance: Random, *words: bytes) -> bytes:
    """Words with blanks or folds between; no line of blanks alone, which RFC 5322 has obsolete."""
    text = words[0]
    for word in words[1:]:
        blank = chance.choice(BLANKS)
        text += chance.choice([blank, blank, blank + b"\r\n" + blank, b"\r\n" + blank]) + word
    return text


def _body(chance: Random) -> bytes:
    kind = chance.randrange(8)
    if kind == 0:
        return chance.choice([b"", b"\r\n", b"\r\n\r\n", b" \r\n", b"\t\r\n \r\n", b" "])
    lines = [_line(chance) for _ in range(chance.randint(1, 30 if kind else 3))]
    return b"\r\n".join(lines) + chance.choice([b"", b"\r\n", b"\r\n", b"\r\n\r\n\r\n", b" \r\n\t\r\n", b"\r\n \r\n\r\n"])


def _line(chance: Random) -> bytes:
    text = b"".join([chance.choice(WORDS) + chance.choice((b"", *BLANKS)) for _ in range(chance.randint(0, 8))])
    return chance.choice([b"", b"", b" ", b"\t"]) + text
