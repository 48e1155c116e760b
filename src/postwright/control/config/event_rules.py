"""The value of `url` of `<event-stream>`: which broker, by which protocol, where. Raises `ValueProblem` with the column at fault.

Name and password have directives of their own: a URL is written to logs.
"""

from __future__ import annotations

import re

from postwright.control.config.directive import ValueProblem
from postwright.control.config.scan import one_word
from postwright.policy.settings import EVENT_STREAM_SCHEMES

_HOST = r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?"
_whole = re.compile(rf"[a-z]+://{_HOST}(?:,{_HOST})*(?:/[^\s/?#]*)?").fullmatch


def stream_url(text: str) -> str:
    """`SCHEME://HOST[:PORT][,HOST[:PORT]…][/VHOST]`, the scheme in lower case."""
    word = one_word(text)
    scheme, sep, rest = word.partition("://")
    if not sep or scheme.lower() not in EVENT_STREAM_SCHEMES:
        raise ValueProblem("this is no URL of a broker", hint=f"it begins with {', '.join(f'{one}://' for one in EVENT_STREAM_SCHEMES)}")
    if "@" in rest:
        raise ValueProblem("name and password do not belong into a URL", len(scheme) + 3, "give them as username and password")
    url = f"{scheme.lower()}://{rest}"
    if _whole(url) is None:
        raise ValueProblem("this is no URL of a broker", len(scheme) + 3, "such as kafka://a.example:9092,b.example:9092")
    if "," in rest and scheme.lower().startswith(("amqp", "otlp")):
        raise ValueProblem(f"{scheme[:4].upper()} has one host", len(scheme) + 3)
    if "/" in rest and not scheme.lower().startswith(("amqp", "otlp")):
        raise ValueProblem("only AMQP has a virtual host behind the slash", len(scheme) + 3 + rest.index("/"))
    return url
