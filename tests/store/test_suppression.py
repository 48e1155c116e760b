"""The suppression store on disk: what holds, for whom, for how long; several processes at once; files that are none."""

from __future__ import annotations

import multiprocessing
import sqlite3
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postwright.model.errors import SuppressionError
from postwright.model.suppression import Suppressed
from postwright.store.suppression import VERSION, SuppressionStore

NOW = 1_000.0


def store_at(folder: Path) -> SuppressionStore:
    return SuppressionStore(folder / "s.db", create=True)


def entry(key: str = "bob@a.example", scope: str = "", expires: float | None = None, added: float = NOW, reason: str = "r") -> Suppressed:
    return Suppressed(key, scope, reason, "test", added, expires)


def test_what_is_added_is_found_by_whoever_opens_the_file_until_it_is_removed(tmp_path: Path) -> None:
    first, second = store_at(tmp_path), store_at(tmp_path)
    assert not second
    assert first.add([entry()]) == 1
    assert second
    assert second.find(["x@a.example", "bob@a.example"], [""], NOW) == entry()
    assert second.find(["x@a.example"], [""], NOW) is None
    assert second.remove(["bob@a.example"]) == 1
    assert first.find(["bob@a.example"], [""], NOW) is None
    assert first.remove(["bob@a.example"]) == 0


def test_scopes_hold_for_their_own_alone_and_the_widest_is_told(tmp_path: Path) -> None:
    store = store_at(tmp_path)
    store.add([entry(scope="user:shop", reason="his")])
    assert store.find(["bob@a.example"], ["", "user:other"], NOW) is None
    found = store.find(["bob@a.example"], ["", "user:shop"], NOW)
    assert found is not None
    assert found.reason == "his"
    store.add([entry(reason="all")])
    found = store.find(["bob@a.example"], ["", "user:shop"], NOW)
    assert found is not None
    assert found.reason == "all"
    assert store.remove(["bob@a.example"], "user:shop") == 1
    assert [one.scope for one in store.entries(NOW)] == [""]


def test_an_entry_ends_at_its_time_and_is_then_as_good_as_none(tmp_path: Path) -> None:
    store = store_at(tmp_path)
    store.add([entry(expires=NOW + 10, reason="first")])
    assert store.find(["bob@a.example"], [""], NOW + 9) is not None
    assert store.find(["bob@a.example"], [""], NOW + 10) is None
    assert (store.count(NOW), store.count(NOW + 10)) == (1, 0)
    assert store.add([entry(expires=NOW + 99, added=NOW + 20, reason="second")]) == 1
    found = store.find(["bob@a.example"], [""], NOW + 30)
    assert found is not None
    assert (found.reason, found.added) == ("second", NOW + 20)
    assert store.purge(NOW + 98) == 0
    assert store.purge(NOW + 99) == 1
    assert not store


@pytest.mark.parametrize(
    ("old", "new", "holds", "changed"),
    [
        (None, NOW + 5, None, 0),
        (NOW + 5, None, None, 1),
        (NOW + 5, NOW + 9, NOW + 9, 1),
        (NOW + 9, NOW + 5, NOW + 9, 0),
        (None, None, None, 0),
    ],
)
def test_what_holds_longer_wins(tmp_path: Path, old: float | None, new: float | None, holds: float | None, changed: int) -> None:
    store = store_at(tmp_path)
    store.add([entry(expires=old, reason="old")])
    assert store.add([entry(expires=new, reason="new")]) == changed
    assert list(store.entries(NOW)) == [entry(expires=holds, reason="old")]


def test_which_digests_there_are(tmp_path: Path) -> None:
    store = store_at(tmp_path)
    store.add([entry("md5x@a.example"), entry("md5:" + "0" * 32), entry("sha256:" + "0" * 64)])
    assert set(store.digests()) == {"md5", "sha256"}


def _add_many(path: Path, name: str) -> None:
    store = SuppressionStore(path, create=True)
    for number in range(20):
        store.add([entry(f"{name}{number}@a.example")])


def test_several_processes_write_at_once_from_the_making_of_the_file_on(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    spawn = multiprocessing.get_context("spawn")
    writers = [spawn.Process(target=_add_many, args=(path, name)) for name in "abc"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
        assert writer.exitcode == 0
    assert SuppressionStore(path).count(NOW) == 60


def test_a_batch_that_fails_leaves_nothing(tmp_path: Path) -> None:
    store = store_at(tmp_path)
    with pytest.raises(SuppressionError, match=r"s\.db"):
        store.add([entry("a@a.example"), Suppressed("b@a.example", "", None, "", NOW)])  # type: ignore[arg-type]
    assert not store


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(SuppressionError, match="unable to open"):
        SuppressionStore(tmp_path / "absent.db")
    assert not (tmp_path / "absent.db").exists()
    (tmp_path / "text.db").write_text("bob@a.example\n" * 100)
    with pytest.raises(SuppressionError, match="not a database"):
        SuppressionStore(tmp_path / "text.db")
    newer = tmp_path / "newer.db"
    with sqlite3.connect(newer) as db:
        db.execute(f"PRAGMA user_version = {VERSION + 1}")
    with pytest.raises(SuppressionError, match="newer Postwright"):
        SuppressionStore(newer)


_keys = st.sampled_from([f"{name}@a.example" for name in "abc"])
_scopes = st.sampled_from(["", "user:u", "job:j"])
_times = st.one_of(st.none(), st.integers(1, 30).map(float))
_steps = st.lists(
    st.one_of(
        st.tuples(st.just("add"), _keys, _scopes, _times),
        st.tuples(st.just("remove"), _keys, st.one_of(st.none(), _scopes), st.none()),
        st.tuples(st.just("purge"), st.none(), st.none(), st.none()),
    ),
    max_size=25,
)


@given(_steps)
def test_it_is_a_dictionary_with_times(steps: list[tuple[str, str, str, float | None]]) -> None:
    store = SuppressionStore.__new__(SuppressionStore)
    store.path = Path(":memory:")
    store._db = sqlite3.connect(":memory:", isolation_level=None)
    store._upgrade(store._db)
    model: dict[tuple[str, str], float | None] = {}
    for now, (verb, key, scope, lasts) in enumerate(steps):
        model = {one: until for one, until in model.items() if until is None or until > now}
        if verb == "add":
            until = None if lasts is None else now + lasts
            store.add([entry(key, scope, until, float(now))])
            old = model.get((key, scope), 0.0)
            model[key, scope] = None if until is None or old is None else max(old, until)
        elif verb == "remove":
            store.remove([key], scope)
            model = {one: until for one, until in model.items() if one[0] != key or scope not in (None, one[1])}
        else:
            store.purge(float(now))
        assert {(one.key, one.scope): one.expires for one in store.entries(float(now))} == model
        for one in "abc":
            found = store.find([f"{one}@a.example"], ["", "user:u"], float(now))
            assert (found is not None) == any((f"{one}@a.example", scope) in model for scope in ("", "user:u"))


def test_root_makes_nothing_where_the_relays_user_has_a_link_to(tmp_path: Path) -> None:
    """The folder is his; a program that root runs there would make the file, and give it to him."""
    elsewhere = tmp_path / "elsewhere"
    (tmp_path / "s.db").symlink_to(elsewhere)
    with pytest.raises(SuppressionError, match=r"s\.db"):
        store_at(tmp_path)
    assert not elsewhere.exists()
