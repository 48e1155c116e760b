"""Templates: what a hole is, what fills it, what stays; and that whatever comes out is as clean as what went in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postwright.content.merge import Template
from postwright.wire.body import has_bare

HEADER = b"Subject: s\r\n\r\n"


@pytest.mark.parametrize(
    ("template", "filled"),
    [
        (b"Dear [name],", b"Dear Anna,"),
        (b"[NAME][Name][name]", b"AnnaAnnaAnna"),
        (b"a [[]name] b", b"a [name] b"),
        (b"[[][name]]", b"[Anna]"),
        (b"[none]", b""),
        (b"[*to]", b"you@example.com"),
        (b"[1] [_a] [a-b] [ name ] [] [*] [name", b"[1] [_a] [a-b] [ name ] [] [*] [name"),
        (b"[na\r\nme]", b"[na\r\nme]"),
        (b"\xff[name]\x80", b"\xffAnna\x80"),
        (b"[a_1]", b"[name]"),  # a value is no template
        (b"", b""),
    ],
)
def test_holes(template: bytes, filled: bytes) -> None:
    values = {"name": b"Anna", "*to": b"you@example.com", "a_1": b"[name]"}
    assert Template(HEADER + template).expand(values) == HEADER + filled


def test_what_nobody_defined_may_stay() -> None:
    template = Template(HEADER + b"[None] [name] [[]", keep=True)
    assert template.expand({"name": b"Anna"}) == HEADER + b"[None] Anna ["


@pytest.mark.parametrize(
    ("template", "filled"),
    [
        (b"A: b\r\n[extra]\r\nC: d\r\n\r\n[extra]\r\n", b"A: b\r\nC: d\r\n\r\n\r\n"),
        (b"A: b\r\n [extra]\t[none]\r\nC: d\r\n\r\n", b"A: b\r\nC: d\r\n\r\n"),
        (b"[extra]\r\nC: d\r\n\r\n", b"C: d\r\n\r\n"),
        (b"A: [extra]\r\n\r\nx", b"A: \r\n\r\nx"),
        (b"A: b\r\n[more]\r\n\r\nx", b"A: b\r\nX: y\r\n\r\nx"),
        (b"\r\n[extra]\r\nx", b"\r\n\r\nx"),
    ],
)
def test_no_variable_ends_the_header_section(template: bytes, filled: bytes) -> None:
    assert Template(template).expand({"more": b"X: y"}) == filled


def test_names() -> None:
    assert Template(b"[A]: x\r\n[opt]\r\n\r\n[b][[][*date]").names == {"a", "opt", "b", "*date"}


pieces = st.lists(
    st.one_of(st.sampled_from([b"[a]", b"[B_1]", b"[[]", b"[", b"]", b"\r\n", b"[*to]", b".", b"\r\n.", b" "]), st.binary(max_size=8)),
    max_size=30,
).map(b"".join)
value = st.text(st.characters(exclude_characters="\r\n\0", codec="utf-8"), max_size=20).map(str.encode)
values = st.dictionaries(st.sampled_from(["a", "b_1", "*to"]), value)


@given(pieces, values, st.booleans())
def test_any_template_has_an_expansion_within_its_size(template: bytes, said: dict[str, bytes], keep: bool) -> None:
    made = Template(template, keep=keep)
    assert len(made.expand(said)) <= made.size(said)


@given(pieces.filter(lambda text: not has_bare(text)), values)
def test_clean_in_clean_out(template: bytes, said: dict[str, bytes]) -> None:
    """No value can make half a line end, and none can begin a line."""
    filled = Template(template).expand(said)
    assert not has_bare(filled)
    assert filled.count(b"\r\n") <= template.count(b"\r\n")


@given(st.lists(st.one_of(st.binary(max_size=8).filter(lambda b: b"[" not in b), st.sampled_from(["a", "b_1", "zz"]))), values)
def test_as_the_definition_says(made_of: list[bytes | str], said: dict[str, bytes]) -> None:
    """Against the plainest way to do it; in a body, where no line is left out."""
    template = HEADER + b"".join([f"[{piece}]".encode() if isinstance(piece, str) else piece for piece in made_of])
    wanted = HEADER + b"".join([said.get(piece, b"") if isinstance(piece, str) else piece for piece in made_of])
    assert Template(template).expand(said) == wanted
