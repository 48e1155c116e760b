"""Header fields for the accounting: what `record-fields … header_X` and `map-header-to-field` ask for is read once, at intake.

It is kept with the message, so that no later attempt need read the content for it. A relay whose accounting files ask for nothing pays a
comparison with None. Values stand as they came, unfolded and no longer than `LONGEST`: encoded words stay encoded. Nothing is raised.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from postwright.content.headers import Finder, finder, search
from postwright.content.merge import Template
from postwright.content.transform import Submission
from postwright.policy.acct import headers_wanted
from postwright.policy.settings import Settings

LONGEST = 1024
"""Characters kept of one value: it goes into every record of the message."""


def finder_of(settings: Settings) -> Finder | None:
    """What looks for all fields that some file wants of messages; None when none does."""
    names = headers_wanted(settings.acct_files)
    return finder(frozenset(name.encode("utf-8") for name in names)) if names else None


def noted(content: bytes, header_size: int, wanted: Finder, submission: Submission) -> dict[str, str]:
    """The fields of a message, the first of each name: as the client sent it, and of those that it lacks what we put before it.

    So x-job counts though it is cut out, and the Message-ID that we gave.
    """
    found: dict[str, str] = {}
    ahead = submission.parts[0][: submission.ahead] if submission.ahead else b""
    for text, size in ((content, header_size), (ahead, len(ahead))):
        for field in search(text, size, wanted):
            found.setdefault(field.name.decode("utf-8", "replace"), _text(field.value))
    return found


def _text(value: bytes) -> str:
    return value[: 4 * LONGEST].decode("utf-8", "replace")[:LONGEST]


def expander(headers: Mapping[str, str], *, keep: bool) -> Callable[[Mapping[str, bytes]], dict[str, str]] | None:
    """What makes the same of a mail merge's recipients, given the variables of one; compiled once for them all, None where there is
    nothing to expand. `keep` says that undefined ones stay as they are written."""
    octets = {name: text.encode("utf-8", "surrogatepass") for name, text in headers.items()}
    templates = {name: Template(text, keep=keep) for name, text in octets.items() if b"[" in text}
    if not templates:
        return None
    return lambda values: {**headers, **{name: _text(template.expand(values)) for name, template in templates.items()}}
