"""Messages that are built: whatever is written, a reader of MIME reads it again, in lines that every server takes; with a template, too."""

from __future__ import annotations

import unicodedata
from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from postwright.content.merge import Template
from postwright.control.api import mime_build
from postwright.control.api.mime_build import HOLES_MOST, File, Holes, Letter, Mailbox, MimeError, build, hole

ANNE = Mailbox("anne@sender.example", "Anne")
TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\u2028\u2029"), max_size=120)
BODY = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), max_size=300)


def parsed(content: bytes) -> EmailMessage:
    """Read again; on the way every line is ASCII of at most 998 octets, and ends in CRLF."""
    assert content.isascii()
    assert content.count(b"\n") == content.count(b"\r\n") == content.count(b"\r")
    assert max(map(len, content.split(b"\r\n"))) <= 998
    message = message_from_bytes(content, policy=policy.default)
    assert isinstance(message, EmailMessage)
    assert [part.defects for part in message.walk() if part.defects] == []
    return message


def body(message: EmailMessage, kind: str) -> str:
    found = message.get_body((kind,))
    assert found is not None
    octets = found.get_payload(decode=True)
    assert isinstance(octets, bytes)
    return octets.decode()


def as_sent(text: str) -> str:
    lines = text.replace("\r\n", "\n").replace("\n", "\r\n")
    return lines if not lines or lines.endswith("\r\n") else lines + "\r\n"


@given(TEXT, BODY, BODY)
@example("Re: [x] " + "wort " * 40, "x" * 3000 + "\n.\nFrom me\n trailing \n=\n", "<p>ä</p>")
@settings(max_examples=25, deadline=None)
def test_what_is_written_is_read(subject: str, text: str, html: str) -> None:
    message = parsed(build(Letter(ANNE, (Mailbox("you@example.com"),), subject=subject, text=text or "x", html=html or "x")))
    assert unicodedata.normalize("NFC", str(message["Subject"] or "")).split() == unicodedata.normalize("NFC", subject).split()
    assert body(message, "plain") == as_sent(text or "x")
    assert body(message, "html") == as_sent(html or "x")


@given(BODY, st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=90), min_size=1, max_size=4))
@example("[{{v}}] {{v}}{{ v }}\n{{w}}[[x]", ["ü[=" * 60, "", "plain"])
@settings(max_examples=25, deadline=None)
def test_what_is_merged_is_what_would_have_been_written(text: str, values: list[str]) -> None:
    """The relay's own merge fills the template for each recipient."""
    text = f"{text}{{{{v}}}}{text}"
    to = [Mailbox(f"u{number}@example.com") for number in range(len(values))]
    holes = Holes([{"v": value} for value in values], to=to, escapes_html=True)
    template = Template(build(Letter(ANNE, subject="s {{v}}", text=text), holes))
    for number, value in enumerate(values):
        message = parsed(template.expand({name: own.encode() for name, own in holes.values[number].items()}))
        assert str(message["To"]) == f"u{number}@example.com"
        assert body(message, "plain") == (as_sent(_filled(text, value)) or "\r\n")


def _filled(text: str, value: str) -> str:
    return hole.sub(lambda found: value if found[1] == "v" else "", text)


@pytest.mark.parametrize("name", ["plain.txt", "Übersicht.pdf", "Ü" * 100 + ".pdf", 'a"b\\c[d].txt', "x" * 200, "日本語 テスト.xlsx", ""])
def test_names_of_files(name: str) -> None:
    content = build(Letter(ANNE, (Mailbox("you@example.com"),), text="x", files=(File(name, b"\0\xff" * 100, "image/png"),)))
    [attached] = parsed(content).iter_attachments()
    assert (attached.get_filename() or "", attached.get_content()) == (name, b"\0\xff" * 100)
    assert max(map(len, content.split(b"\r\n"))) <= 78


@pytest.mark.parametrize(
    "letter",
    [
        Letter(ANNE, subject="a\r\nBcc: b@example.com"),
        Letter(ANNE, fields=(("X-A", "1\n2"),)),
        Letter(ANNE, fields=(("X A", "1"),)),
        Letter(ANNE, fields=(("X-A: 1\r\nX-B", "1"),)),
        Letter(Mailbox("a@b.example>\r\nX: 1")),
        Letter(Mailbox("a@b.example", "x\u2028y")),
        Letter(ANNE, (Mailbox(""),)),
        Letter(ANNE, (Mailbox("ä@b.example"),)),
        Letter(ANNE, files=(File("a\nb", b""),)),
        Letter(ANNE, files=(File("a", b"", content_id="a>b"),)),
        Letter(ANNE, text="\ud800"),
    ],
)
def test_what_would_be_another_field_is_refused(letter: Letter) -> None:
    with pytest.raises(MimeError):
        build(letter)


def test_a_hole_is_filled_once_however_often_it_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    pieces, filled = mime_build._pieces, []

    def counted(value: str) -> list[str]:
        filled.append(value)
        return pieces(value)

    monkeypatch.setattr(mime_build, "_pieces", counted)
    holes = Holes([{"v": "one"}, {"v": "two"}], escapes_html=True)
    content = build(Letter(ANNE, text="{{v}}" * HOLES_MOST), holes)
    assert (filled, content.count(b"[p0]")) == (["one", "two"], HOLES_MOST)
    with pytest.raises(MimeError, match="more than 10000 holes"):
        build(Letter(ANNE, text="{{v}}" * (HOLES_MOST + 1)), holes)
