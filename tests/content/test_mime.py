"""Mail cut into parts: encodings, charsets, headers folded wrongly, boundaries that are missing, and the bounds."""

from __future__ import annotations

import pytest

from postwright.content.mime import MOST_FIELDS, clean, content_type, decoded, groups, parse, split, words


def texts(content: bytes) -> list[str]:
    return [part.text() for part in parse(content).parts]


def test_parts_of_parts_in_order() -> None:
    content = b"""Content-Type: multipart/mixed; boundary=a

preamble
--a
Content-Type: multipart/alternative; boundary=b

--b

one
--b
Content-Type: text/html

<p>two</p>
--b--
--a

three
--a--
epilogue
--a

never"""
    mail = parse(content.replace(b"\n", b"\r\n"))
    assert [(part.type, part.text().strip()) for part in mail.parts] == [
        ("text/plain", "one"),
        ("text/html", "two"),
        ("text/plain", "three"),
    ]
    assert (mail.shape, mail.excess) == ("multipart/mixed", "")


@pytest.mark.parametrize(
    ("encoding", "body", "expected"),
    [
        ("base64", b"aGVs\nbG8=", "hello"),
        ("base64", b"aGVsbG8", "hello"),  # torn
        ("base64", b"aGVs!!bG8=", "hello"),
        ("base64", b"aGVsb", "hel"),  # one character over
        ("Quoted-Printable", b"h=C3=A9ll=\no", "h\xe9llo"),
        ("8bit", "h\xe9llo".encode(), "h\xe9llo"),
        ("", "h\xe9llo".encode("latin-1"), "h\xe9llo"),
    ],
)
def test_transfer_encodings(encoding: str, body: bytes, expected: str) -> None:
    assert texts(f"Content-Transfer-Encoding: {encoding}\n\n".encode() + body) == [expected]


@pytest.mark.parametrize("charset", ["koi8-r", "iso-2022-jp", "gb2312", "big5", "x-none", "base64", "idna", "utf-8'", ""])
def test_any_charset_gives_some_text(charset: str) -> None:
    assert isinstance(decoded(bytes(range(256)), charset), str)


def test_japanese_without_a_charset() -> None:
    assert decoded("宛先".encode("iso-2022-jp"), "") == "宛先"


def test_html_is_read_without_its_tags() -> None:
    html = "<html><head><title>x</title></head><style>p{}</style><body>one<br>two &lt;a@b.example&gt;<script>hidden"
    (text,) = texts(b"Content-Type: text/html\n\n" + html.encode())
    assert [line.strip() for line in text.split("\n") if line.strip()] == ["one", "two <a@b.example>"]


def test_a_boundary_that_got_lost_is_seen_in_the_body() -> None:
    assert texts(b"Content-Type: multipart/mixed;\nboundary=a\n\n--a\n\none\n--a\n\ntwo\n--a--\n") == ["one", "two"]
    assert texts(b"Content-Type: multipart/mixed\n\nno parts here") == ["no parts here"]
    assert texts(b"Content-Type: multipart/mixed; boundary=a\n\nno parts here") == ["no parts here"]


def test_headers() -> None:
    fields, body = split(b"A: 1\nno field\nB:\n two\n\tthree\nA: 2\n\nbody\n\nmore")
    assert fields == (("A", "1"), ("B", "two three"), ("A", "2"))
    assert body == b"body\n\nmore"
    assert split(b"no header at all\nA: 1") == ((), b"no header at all\nA: 1")
    assert split(b"A: 1\nno field") == ((("A", "1"),), b"")
    assert len(split(b"A: 1\n" * (MOST_FIELDS + 5))[0]) == MOST_FIELDS


def test_a_line_of_an_mbox_is_passed_over() -> None:
    assert parse(b"From MAILER-DAEMON Wed Nov 25\nSubject: x\n\nbody").find("subject") == "x"


def test_groups_of_fields() -> None:
    assert groups(b"A: 1\n\n\n \nB: 2\nC: 3\n\nno field\n\nD: 4\n") == [(("A", "1"),), (("B", "2"), ("C", "3")), (("D", "4"),)]


def test_values() -> None:
    assert content_type('Text/HTML; Charset="utf-8"; x=y') == ("text/html", {"charset": "utf-8", "x": "y"})
    assert content_type('a/b; boundary="q\\"q"') == ("a/b", {"boundary": 'q"q'})
    assert content_type("nonsense") == ("text/plain", {})
    assert words("=?utf-8?q?=C3=A9?= =?iso-8859-1?b?6Q==?= x") == "\xe9\xe9 x"
    assert words("plain") == "plain"
    assert clean(" a\x1b[31m\u202eb\r\n ") == "a [31m b"
