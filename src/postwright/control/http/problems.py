"""Errors as answers: `application/problem+json` (RFC 9457) for the API, a line of text for everything else.

What a route raises becomes an answer here, at the rim; what we did not expect is 500 with no word of the cause, which is in the log. What
whoever asked has written never becomes a field of an answer's head.
"""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException
from msgspec import Struct

from postwright.control.http.asking import RelayAway, RelayError
from postwright.model.errors import PostwrightError

PROBLEM = "application/problem+json"

AnyRequest = Request[Any, Any, Any]

TITLES = {
    400: "Bad request",
    401: "The key is wrong",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    406: "Not acceptable",
    409: "Conflict",
    413: "Too large",
    415: "Unsupported media type",
    421: "Misdirected request",
    422: "Not possible",
    428: "A precondition is missing",
    429: "Too many requests",
    500: "Internal error",
    501: "Not implemented",
    503: "The relay does not answer",
}


class Problem(Struct, omit_defaults=True, rename={"kind": "type"}):
    """RFC 9457. `errors` are one sentence each, for what is wrong in several places."""

    status: int
    title: str
    detail: str = ""
    kind: str = "about:blank"
    errors: list[str] = []


class Refused(PostwrightError):
    """A route's no: the status, and words for whoever asked."""

    def __init__(self, status: int, detail: str, errors: list[str] | None = None, retry_after: int = 0) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = errors or []
        self.retry_after = retry_after


def as_bytes(path: str, status: int, detail: str, errors: list[str] | None = None) -> tuple[str, bytes]:
    """Media type and body of an error for somebody who asked for `path`."""
    title = TITLES.get(status, "Error")
    detail = "" if detail.lower() == title.lower() else detail
    if path.startswith("/api/"):
        return PROBLEM, msgspec.json.encode(Problem(status, title, detail, errors=errors or []))
    text = "\n".join([f"{status} {title}: {detail}" if detail else f"{status} {title}", *(errors or [])])
    return "text/plain", text.encode("utf-8", "replace") + b"\n"


def answer(
    request: AnyRequest, status: int, detail: str, errors: list[str] | None = None, headers: dict[str, str] | None = None
) -> Response[bytes]:
    """An error as an answer to this request."""
    media, body = as_bytes(request.url.path, status, detail, errors)
    return Response(body, status_code=status, media_type=media, headers=headers or {})


def of_refusal(request: AnyRequest, error: Refused) -> Response[bytes]:
    wait = {"Retry-After": str(error.retry_after)} if error.retry_after else None
    return answer(request, error.status, error.detail, error.errors, wait)


def of_http(request: AnyRequest, error: HTTPException) -> Response[bytes]:
    """litestar's own: no such route, a parameter that is none, a body that is too large."""
    extra = error.extra if isinstance(error.extra, list) else []
    errors = [_said(one) for one in extra]
    allow = {name: value for name, value in (error.headers or {}).items() if name.lower() in ("allow", "retry-after")}
    return answer(request, error.status_code, error.detail, errors, allow)


def _said(one: Any) -> str:
    if isinstance(one, dict):
        return ": ".join(str(one[part]) for part in ("key", "message") if one.get(part))
    return str(one)


def of_relay(request: AnyRequest, error: RelayAway) -> Response[bytes]:
    return answer(request, 503, str(error), headers={"Retry-After": "5"})


def of_order(request: AnyRequest, error: RelayError) -> Response[bytes]:
    """The relay understood, and said no."""
    return answer(request, 422, error.lines[0] if error.lines else "", error.lines[1:])


def of_defect(request: AnyRequest, error: Exception) -> Response[bytes]:
    """A defect of ours: the log has it, the peer has not."""
    request.app.state.site.log.error("unexpected", what=f"{request.method} {request.url.path}", exc_info=error)
    return answer(request, 500, "the log has more")


HANDLERS: Any = {
    Refused: of_refusal,
    HTTPException: of_http,
    RelayAway: of_relay,
    RelayError: of_order,
    Exception: of_defect,
}
