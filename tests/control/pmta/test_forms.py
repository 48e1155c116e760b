"""The forms: what a standard parser reads back out of each is what was put in, whatever strangers wrote."""

from __future__ import annotations

import json
import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postwright.control.pmta.forms import CONTENT_TYPES, FORMS, Answer, Tree, YesNo, dom, failed, one_line, written, xml, xml_text

TREE: Tree = {
    "title": "Queues",
    "n": 3,
    "kb": 1.25,
    "on": True,
    "off": False,
    "none": None,
    "queue": [{"name": 'a"b', "paused": YesNo(True), "event": [{"text": "x < y & z"}]}, {"name": "c", "paused": YesNo(False), "event": []}],
    "deep": {"er": {"still": 1}},
}

XML = (
    "<rsp><data><title>Queues</title><n>3</n><kb>1.2</kb><on>1</on><off>0</off><none></none>"
    "<queue><name>a&quot;b</name><paused>yes</paused><event><text>x &lt; y &amp; z</text></event></queue>"
    "<queue><name>c</name><paused>no</paused></queue><deep><er><still>1</still></er></deep></data><succ/></rsp>\n"
)
DOM = """\
title="Queues"
n="3"
kb="1.2"
on="1"
off="0"
none=""
queue[0].name="a"b"
queue[0].paused="yes"
queue[0].event[0].text="x < y & z"
queue[1].name="c"
queue[1].paused="no"
deep.er.still="1"
"""


def test_xml() -> None:
    assert written(Answer(TREE, ()), "xml") == XML


def test_dom() -> None:
    assert written(Answer(TREE, ()), "dom") == DOM


def test_json_has_real_truths_and_numbers() -> None:
    answer = json.loads(written(Answer(TREE, ()), "json"))
    assert (answer["status"], answer["message"]) == ("success", "")
    data = answer["data"]
    assert (data["n"], data["kb"], data["on"], data["off"], data["none"]) == (3, 1.25, True, False, None)
    assert data["queue"] == [{"name": 'a"b', "paused": True, "event": [{"text": "x < y & z"}]}, {"name": "c", "paused": False, "event": []}]


def test_text_and_its_wrappings() -> None:
    answer = Answer(TREE, ("one", "two"))
    assert written(answer, "text") == "one\ntwo\n"
    assert json.loads(written(answer, "json-text"))["data"] == {"text": "one\ntwo"}
    assert ElementTree.fromstring(written(answer, "xml-text")).findtext("data/text") == "one\ntwo"


@pytest.mark.parametrize("form", FORMS)
def test_an_error_is_told_in_every_form(form: str) -> None:
    text = written(failed("there is no <queue>"), form)  # type: ignore[arg-type]
    assert text.endswith("\n")
    if form.startswith("json"):
        answer = json.loads(text)
        assert (answer["status"], answer["message"]) == ("error", "there is no <queue>")
    elif form.startswith("xml"):
        root = ElementTree.fromstring(text)
        assert root.findtext("fail/message") == "there is no <queue>"
        assert root.find("succ") is None
    else:
        assert "there is no <queue>" in text


def test_every_form_has_a_content_type() -> None:
    assert set(CONTENT_TYPES) == set(FORMS)


@given(st.text())
def test_xml_is_well_formed_whatever_was_written(text: str) -> None:
    read = ElementTree.fromstring(xml({"name": text})).findtext("data/name")
    assert read == re.sub(r"[^\t\n\r\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", _named, text)


def _named(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()


@given(st.text(st.characters(blacklist_categories=["Cc", "Cs", "Cn", "Co"])))
def test_harmless_text_comes_back_out_of_xml_as_it_was(text: str) -> None:
    assert ElementTree.fromstring(xml({"name": text})).findtext("data/name") == text


@given(st.text())
def test_json_is_ascii_and_comes_back_as_it_was(text: str) -> None:
    line = written(Answer({"name": text}, ()), "json")
    assert line.isascii()
    assert line[:-1].isprintable()
    assert json.loads(line)["data"] == {"name": text}


@given(st.lists(st.text(), max_size=4))
def test_dom_has_a_line_for_each_value_whatever_was_written(texts: list[str]) -> None:
    lines = written(Answer({"queue": [{"name": text} for text in texts]}, ()), "dom").splitlines()
    assert len(lines) == len(texts)
    for at, (line, text) in enumerate(zip(lines, texts, strict=True)):
        found = re.fullmatch(r'queue\[(\d+)\]\.name="(.*)"', line)
        assert found is not None
        assert int(found[1]) == at
        assert found[2] == one_line(text)


@given(st.text(st.characters(blacklist_categories=["Cc", "Cs", "Cf", "Zl", "Zp"])))
def test_harmless_text_stays_as_it_is_in_dom(text: str) -> None:
    assert list(dom({"a": text})) == [f'a="{text}"']


@pytest.mark.parametrize(
    ("text", "shown"),
    [("\x1b[2J", r"\x1b[2J"), ("a\r\nb", "a&#13;&#10;b"), ("\x00", r"\x00"), ("\ufffe", r"\ufffe"), ("\x9b1m", r"\x9b1m")],
)
def test_controls_are_named(text: str, shown: str) -> None:
    assert xml_text(text) == shown
