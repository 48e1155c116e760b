"""`/api/v1/rules`: the bounce rules in force, and what they make of a reply."""

from __future__ import annotations

import asyncio
from typing import Annotated

from litestar import get, post
from litestar.params import JSONBody
from msgspec import Meta, Struct

from postwright.control.api.common import PROBLEMS, AnyRequest, Free
from postwright.control.http.guard import site_of
from postwright.control.http.problems import Refused
from postwright.engine.classify import AnySorter, ShownRule, Sorted, rules_of, shown_rules, sort_reply
from postwright.policy.settings import Settings

_Reply = Annotated[str, Meta(min_length=1, max_length=4000, description="As a log shows it: 550 5.1.1 no such user")]


class BounceRules(Struct):
    """Those of `<bounce-category-patterns>`, in order: the first that fits counts. Without that block (`shipped`) those that we ship."""

    shipped: bool
    rules: list[ShownRule]


class Replies(Struct, forbid_unknown_fields=True):
    """`host` is who said so, for rules of single providers."""

    replies: Annotated[list[_Reply], Meta(min_length=1, max_length=1000)]
    host: Free = ""


class Classified(Struct):
    """In the order of the question."""

    items: list[Sorted]


@get("/api/v1/rules/bounces", opt={"scope": "read"}, tags=["rules"], responses=PROBLEMS)
async def bounces(request: AnyRequest) -> BounceRules:
    """The bounce rules in force."""
    settings = site_of(request).settings
    return BounceRules(settings.bounce_categories is None, shown_rules(settings))


@post("/api/v1/rules/classify", opt={"scope": "read"}, tags=["rules"], status_code=200, responses=PROBLEMS)
async def classify(request: AnyRequest, data: JSONBody[Replies]) -> Classified:
    """Which category each reply belongs to, and which rule says so."""
    return await asyncio.to_thread(_classified, site_of(request).settings, data)


def _classified(settings: Settings, data: Replies) -> Classified:
    """In a thread: a thousand replies against the patterns of an operator may take a while, and mail is handed in beside this."""
    sorter = _sorter(settings)
    return Classified([sort_reply(sorter, text, data.host) for text in data.replies])


_kept: list[tuple[Settings, AnySorter]] = []


def _sorter(settings: Settings) -> AnySorter:
    """Compiled once for each generation of settings."""
    if not _kept or _kept[0][0] is not settings:
        try:
            _kept[:] = [(settings, rules_of(settings, ""))]
        except (ValueError, OSError) as error:
            raise Refused(422, str(error)) from error
    return _kept[0][1]


ROUTES = [bounces, classify]
