"""An answer in one of PowerMTA's forms: XML, DOM lines, JSON (powermta.md sections 3 and 4). A writer for each, of the same tree.

A tree is a mapping whose values are trees, lists of trees, texts, numbers and truths. A list becomes repeated elements in XML, an index in
DOM, an array in JSON. Truths are 0 and 1 in XML and DOM and real ones in JSON; `YesNo` is a word in the former. Texts are strangers' words:
XML is well-formed whatever they hold, a value of DOM stays on its line, JSON is ASCII; controls, which XML cannot say and no terminal
should be told, are written as `\\x1b`. Inner quotes of DOM stand as they are, as PowerMTA's consumers expect. Pure; nothing is raised.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Literal, get_args

from msgspec import Struct


class YesNo(Struct, frozen=True):
    """A truth that PowerMTA writes as a word where it writes no JSON."""

    value: bool


Leaf = str | int | float | bool | YesNo | None
Node = Leaf | Mapping[str, "Node"] | Sequence[Mapping[str, "Node"]]
Tree = Mapping[str, Node]

Form = Literal["text", "xml", "dom", "json", "xml-text", "json-text"]
FORMS: Final[tuple[Form, ...]] = get_args(Form)
CONTENT_TYPES: Final[Mapping[Form, str]] = {
    "text": "text/plain; charset=utf-8",
    "dom": "text/plain; charset=utf-8",
    "xml": "text/xml; charset=utf-8",
    "xml-text": "text/xml; charset=utf-8",
    "json": "application/json",
    "json-text": "application/json",
}

# What XML 1.0 has no way to say (section 2.2), and what C0, DEL and C1 would do to a terminal. Blanks of all kinds but the space are told
# by references, else a reader would change them.
_UNSAYABLE: Final = re.compile("[^\t\n\r\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_MARKUP: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"}
_MARKED: Final = re.compile('[&<>"\t\n\r]')
_UNPRINTED: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


class Answer(Struct, frozen=True):
    """What a command came to. `text` for a person, a line each; `notes` are to be told beside it (a shard that did not answer)."""

    tree: Tree
    text: tuple[str, ...]
    ok: bool = True
    notes: tuple[str, ...] = ()


def failed(*lines: str) -> Answer:
    """Nothing but why."""
    return Answer({}, lines, ok=False)


def written(answer: Answer, form: Form) -> str:
    """The whole answer; every form ends in a line feed."""
    if form == "text":
        return "".join(f"{line}\n" for line in answer.text)
    tree = answer.tree if form in ("xml", "dom", "json") else {"text": "\n".join(answer.text)}
    message = "" if answer.ok else "\n".join(answer.text)
    if form in ("xml", "xml-text"):
        return xml(tree, message if not answer.ok else None)
    if form == "dom":
        return "".join(f"{line}\n" for line in dom(tree if answer.ok else {"error": message}))
    return as_json(tree, answer.ok, message)


# XML --------------------------------------------------------------------------------------------------------------------


def xml(tree: Tree, error: str | None = None) -> str:
    """`<rsp><data>...</data><succ/></rsp>`; with an error, `<fail>` has it and stands in for `<succ/>`.

    In ASCII and without a declaration: no reader has to be told of an encoding, nor is one upset that was told of another."""
    end = "<succ/>" if error is None else f"<fail><message>{xml_text(error)}</message></fail>"
    text = f"<rsp><data>{''.join(_elements(tree))}</data>{end}</rsp>\n"
    return text.encode("ascii", "xmlcharrefreplace").decode()


def _elements(tree: Tree) -> Iterator[str]:
    for name, node in tree.items():
        if isinstance(node, Mapping):
            yield f"<{name}>{''.join(_elements(node))}</{name}>"
        elif isinstance(node, Sequence) and not isinstance(node, str):
            for one in node:
                yield f"<{name}>{''.join(_elements(one))}</{name}>"
        else:
            yield f"<{name}>{xml_text(_word(node))}</{name}>"


def xml_text(text: str) -> str:
    """A stranger's text between two tags."""
    return _MARKED.sub(_reference, _UNSAYABLE.sub(_escape, text))


def _reference(found: re.Match[str]) -> str:
    return _MARKUP[found[0]]


def _escape(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode("ascii")


def _word(leaf: Leaf) -> str:
    if isinstance(leaf, YesNo):
        return "yes" if leaf.value else "no"
    if isinstance(leaf, bool):
        return "1" if leaf else "0"
    if isinstance(leaf, float):
        return f"{leaf:.1f}"
    return "" if leaf is None else str(leaf)


# DOM --------------------------------------------------------------------------------------------------------------------


def dom(tree: Tree, path: str = "") -> Iterator[str]:
    """`path.to.key="value"`, a line each."""
    for name, node in tree.items():
        if isinstance(node, Mapping):
            yield from dom(node, f"{path}{name}.")
        elif isinstance(node, Sequence) and not isinstance(node, str):
            for at, one in enumerate(node):
                yield from dom(one, f"{path}{name}[{at}].")
        else:
            yield f'{path}{name}="{one_line(_word(node))}"'


def one_line(text: str) -> str:
    """A stranger's text without anything that ends a line or moves a cursor."""
    return _UNPRINTED.sub(_escape, text)


# JSON -------------------------------------------------------------------------------------------------------------------


def as_json(tree: Tree, ok: bool, message: str) -> str:
    """`{"data":..., "status":"success", "message":""}`, in ASCII without controls."""
    return ascii_json(json.dumps({"data": _plain(tree), "status": "success" if ok else "error", "message": message})) + "\n"


def ascii_json(text: str) -> str:
    """A line of JSON that is made already, said in ASCII without controls."""
    if text.isascii() and text.isprintable():
        return text
    return "".join([c if c.isascii() and c.isprintable() else "".join([f"\\u{unit:04x}" for unit in _units(c)]) for c in text])


def _units(character: str) -> list[int]:
    raw = character.encode("utf-16-be", "surrogatepass")
    return [int.from_bytes(raw[at : at + 2], "big") for at in range(0, len(raw), 2)]


def _plain(node: Node) -> object:
    if isinstance(node, YesNo):
        return node.value
    if isinstance(node, Mapping):
        return {name: _plain(one) for name, one in node.items()}
    if isinstance(node, Sequence) and not isinstance(node, str):
        return [_plain(one) for one in node]
    return node
