"""What mkdocs must know of our pages: links that leave docs/ are words on the site, and a list may follow its sentence at once.

The pages are written for a checkout and for hosts of repositories, where such links lead to sources and tests; tests/test_docs.py follows
them. Nothing outside of the page is read, and code blocks stay as they are.
"""

from __future__ import annotations

import posixpath
import re
from typing import Any

_LINK = re.compile(r"(?<!!)\[((?:[^\]\[]|\[[^\]\[]*\])+)\]\(([^)\s]+)\)")
_ITEM = re.compile(r"(?:[-*]|\d+\.) ")


def on_page_markdown(markdown: str, page: Any, **_more: Any) -> str:
    """The text of a page as Python-Markdown wants it."""
    return with_blank_lines(inside(markdown, page.file.src_uri))


def inside(text: str, page: str) -> str:
    """`text` without the links that lead out of docs/."""

    def instead(link: re.Match[str]) -> str:
        target = link[2].partition("#")[0]
        if re.match(r"[a-z]+:", target) or not posixpath.normpath(posixpath.join(posixpath.dirname(page), target)).startswith("../"):
            return link[0]
        return link[1]

    return _LINK.sub(instead, text)


def with_blank_lines(text: str) -> str:
    """A blank line before each list that follows a sentence at once (CommonMark needs none, Python-Markdown does)."""
    lines: list[str] = []
    fenced = False
    for line in text.split("\n"):
        before = lines[-1] if lines else ""
        fenced ^= line.startswith("```")
        begins = _ITEM.match(line) is not None and not re.match(r"(?:[-*]|\d+\.) |  ", before)
        if begins and before and not fenced and not line.startswith("```"):
            lines.append("")
        lines.append(line)
    return "\n".join(lines)
