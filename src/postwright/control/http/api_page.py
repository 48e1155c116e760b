"""The API's description for people: one page out of its OpenAPI document, as HTML for /api/v1/docs and as Markdown for the documentation.

Pure; `control.http.api_reference` writes the latter. No script, no style of its own, nothing from elsewhere: it is read without the
internet, and under our policy.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any, Final

from msgspec import Struct

Document = Mapping[str, Any]
_METHODS: Final = ("get", "post", "put", "patch", "delete")


class Field(Struct):
    """A parameter, or a field of a type."""

    name: str
    kind: str
    text: str
    needed: bool
    place: str = ""


class Operation(Struct):
    """One method of one address. `body` and `answer` are names of types."""

    method: str
    path: str
    text: str
    scopes: list[str]
    parameters: list[Field]
    body: str
    answer: str
    statuses: list[tuple[str, str]]


def subjects(document: Document) -> dict[str, list[Operation]]:
    """Operations by their subject, in the order of the document."""
    found: dict[str, list[Operation]] = {}
    for path, item in document["paths"].items():
        for method in _METHODS:
            if method in item:
                tag = (item[method].get("tags") or ["more"])[0]
                found.setdefault(tag, []).append(_operation(document, method, path, item[method]))
    return found


def _operation(document: Document, method: str, path: str, said: Mapping[str, Any]) -> Operation:
    answers = said["responses"]
    good: Mapping[str, Any] = next((answers[status] for status in sorted(answers) if status < "300"), {})
    return Operation(
        method.upper(),
        path,
        said.get("description", ""),
        list(said.get("x-scopes", [])),
        [_parameter(document, one) for one in said.get("parameters", [])],
        _content(document, said.get("requestBody", {})),
        _content(document, good),
        [(status, answer.get("description", "")) for status, answer in sorted(answers.items())],
    )


def _parameter(document: Document, said: Mapping[str, Any]) -> Field:
    schema = said.get("schema", {})
    return Field(said["name"], kind_of(document, schema), _text(said, schema), said.get("required", False), said["in"])


def _text(said: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    text = str(said.get("description") or schema.get("description") or "")
    usual = schema.get("default")
    return f"{text}{'; ' if text else ''}{usual!r} if not given" if usual not in (None, "", False) else text


def _content(document: Document, said: Mapping[str, Any]) -> str:
    for media, content in said.get("content", {}).items():
        kind = kind_of(document, content.get("schema", {}))
        return kind if "json" in media else f"{media}"
    return ""


def kind_of(document: Document, schema: Mapping[str, Any]) -> str:
    """A type in a word: the name of one of ours, or what JSON calls it."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "enum" in schema:
        return " | ".join(repr(one) for one in schema["enum"])
    for several in ("oneOf", "anyOf"):
        if several in schema:
            return " | ".join(kind_of(document, one) for one in schema[several])
    kind = schema.get("type", "any")
    if kind == "array":
        return f"[{kind_of(document, schema.get('items', {}))}]"
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"{{name: {kind_of(document, schema['additionalProperties'])}}}"
    return " | ".join(kind) if isinstance(kind, list) else str(kind)


def types(document: Document) -> dict[str, tuple[str, list[Field]]]:
    """Types by name: what is said of them, and their fields."""
    found = {}
    for name, schema in sorted(document.get("components", {}).get("schemas", {}).items()):
        needed = schema.get("required", [])
        fields = [
            Field(field, kind_of(document, one), _text({}, one), field in needed) for field, one in schema.get("properties", {}).items()
        ]
        found[name] = (schema.get("description", ""), fields)
    return found


# Markdown ---------------------------------------------------------------------------------------------------------------


def markdown(document: Document) -> str:
    """The whole page."""
    return "\n".join(_markdown(document)) + "\n"


def _markdown(document: Document) -> Iterator[str]:
    yield "# Reference of the API"
    yield ""
    yield "Made out of the API's own description (`python -m postwright.control.http.api_reference docs/reference/api.md`); a relay has the"
    yield "same page at `/api/v1/docs`, and the description (OpenAPI 3.1) at `/api/v1/openapi.json`."
    yield "[The guide](../guides/http-api.md) has examples."
    yield ""
    yield str(document["info"]["description"]).strip()
    for tag, operations in subjects(document).items():
        yield from ("", f"## {tag}")
        for one in operations:
            yield from _operation_lines(one)
    yield from ("", "## Types")
    for name, (text, fields) in types(document).items():
        yield from ("", f"### {name}", "")
        if text:
            yield from (_plain(text), "")
        if fields:
            yield from ("| field | type | |", "|---|---|---|")
            yield from (f"| `{field.name}` | {_cell(field.kind)} | {_cell(_said(field))} |" for field in fields)


def _operation_lines(one: Operation) -> Iterator[str]:
    yield from ("", f"### {one.method} {one.path}", "")
    yield _plain(one.text)
    yield ""
    body = f" Body: {one.body}." if one.body else ""
    yield f"Scope: {' or '.join(f'`{scope}`' for scope in one.scopes)}.{body} Answer: {one.answer or 'none'}."
    if one.parameters:
        yield from ("", "| parameter | in | type | |", "|---|---|---|---|")
        for field in one.parameters:
            yield f"| `{field.name}` | {field.place} | {_cell(field.kind)} | {_cell(_said(field))} |"


def _said(field: Field) -> str:
    return f"{'needed' if field.needed else ''}{'; ' if field.needed and field.text else ''}{field.text}"


def _plain(text: str) -> str:
    return " ".join(text.split())


def _cell(text: str) -> str:
    return _plain(text).replace("|", "\\|").replace("<", "&lt;")


# HTML -------------------------------------------------------------------------------------------------------------------


def html(document: Document, stylesheet: str) -> str:
    """The whole page; `stylesheet` is an address on this port."""
    return "".join(_html(document, stylesheet))


def _html(document: Document, stylesheet: str) -> Iterator[str]:
    yield '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>API of Postwright</title>'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f'<link rel="stylesheet" href="{escape(stylesheet)}"></head><body><main>'
    yield f"<h1>API of Postwright {escape(str(document['info']['version']))}</h1><p>{_code(str(document['info']['description']))}</p>"
    yield '<p><a href="/api/v1/openapi.json">This description for programs (OpenAPI 3.1)</a></p><nav aria-label="Subjects"><ul>'
    told = subjects(document)
    yield "".join(f'<li><a href="#{escape(tag)}">{escape(tag)}</a></li>' for tag in told)
    yield "</ul></nav>"
    for tag, operations in told.items():
        yield f'<section id="{escape(tag)}"><h2>{escape(tag)}</h2>'
        for one in operations:
            yield from _operation_html(one)
        yield "</section>"
    yield '<section id="types"><h2>Types</h2>'
    for name, (text, fields) in types(document).items():
        yield f'<h3 id="type-{escape(name)}">{escape(name)}</h3><p>{_code(text)}</p>'
        if fields:
            yield _table(("field", "type", ""), [(field.name, field.kind, _said(field)) for field in fields])
    yield "</section></main></body></html>"


def _operation_html(one: Operation) -> Iterator[str]:
    yield f"<h3>{escape(one.method)} <code>{escape(one.path)}</code></h3><p>{_code(one.text)}</p>"
    body = f" Body: {_linked(one.body)}." if one.body else ""
    yield f"<p>Scope: {escape(' or '.join(one.scopes))}.{body} Answer: {_linked(one.answer or 'none')}.</p>"
    if one.parameters:
        rows = [(field.name, field.place, field.kind, _said(field)) for field in one.parameters]
        yield _table(("parameter", "in", "type", ""), rows)


def _linked(kind: str) -> str:
    return f'<a href="#type-{escape(kind)}">{escape(kind)}</a>' if kind.isalnum() and kind[:1].isupper() else escape(kind)


def _table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in header)
    lines = "".join("<tr>" + "".join(f"<td>{_code(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table>"


def _code(text: str) -> str:
    """Escaped, with `code` as it is meant."""
    parts = escape(_plain(text)).split("`")
    return "".join(f"<code>{part}</code>" if at % 2 and at < len(parts) - 1 else part for at, part in enumerate(parts))
