"""Includes (powermta.md 1.4): files, globs, places, circles, and what cannot be read. Takes milliseconds."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from postwright.control.config import LoadResult, load
from postwright.control.config.includes import MAX_DEPTH, read_octets


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_conf", ".conf")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder / "main.conf"


def lines(result: LoadResult) -> list[tuple[str, str, int, str]]:
    return [(problem.level, Path(problem.file).name, problem.line, problem.message) for problem in result.problems if problem.line]


@pytest.mark.directive("include")
def test_a_glob_is_read_in_order_and_relative_to_the_file(tmp_path: Path) -> None:
    main = write(
        tmp_path,
        main_conf="include conf.d/*.conf\ninclude more/one.conf\nlog-file main.log\n",
        **{"conf.d__b_conf": "log-rotate 2\n", "conf.d__a_conf": "log-rotate 1\nhost-name a.example", "conf.d__c_txt": "nonsense\n"},
        more__one_conf="include two.conf\n",
        more__two_conf="postmaster pm@b.example\n",
    )
    result = load(main)
    assert result.settings is not None, result.problems
    general = result.settings.general
    assert (general.log_rotate, general.host_name, general.postmaster) == (2, ("a.example",), ("pm@b.example",))


@pytest.mark.directive("include")
def test_includes_within_blocks(tmp_path: Path) -> None:
    main = write(
        tmp_path,
        main_conf="log-file x\n<virtual-mta m>\ninclude keys.conf\n<domain *>\ninclude limits.conf\n</domain>\n</virtual-mta>\n"
        "<source 10/8>\ninclude source.conf\n</source>\n<smtp-pattern-list l>\ninclude replies.conf\n</smtp-pattern-list>\n",
        keys_conf="domain-key s, *, k.pem\n",
        limits_conf="max-smtp-out 3\n",
        source_conf="require-auth yes\n",
        replies_conf="reply /x/ skip-mx\n",
    )
    result = load(main, offline=True)
    assert result.settings is not None, result.problems
    vmta = result.settings.vmtas["m"]
    assert vmta.domain_keys[0].file == str(tmp_path / "k.pem")
    assert vmta.domains[0].assignments["max_smtp_out"].origin.line == 1
    assert result.settings.sources[0].assignments["require_auth"].value is True
    assert result.settings.smtp_pattern_lists["l"][0].action.skip_mx


def test_an_include_may_not_stand_anywhere(tmp_path: Path) -> None:
    main = write(tmp_path, main_conf="log-file x\n<smtp-user u>\npassword p\ninclude x.conf\n</smtp-user>\n", x_conf="")
    [(level, _, line, message)] = lines(load(main))
    assert (level, line) == ("error", 4)
    assert message.startswith("`include` belongs in the open")


def test_an_included_file_closes_its_own_blocks(tmp_path: Path) -> None:
    main = write(tmp_path, main_conf="log-file x\ninclude a.conf\n<domain b>\n</domain>\n", a_conf="<domain a>\nmax-smtp-out 1\n")
    assert lines(load(main)) == [("error", "a.conf", 1, "<domain a> is never closed")]


def test_circles_are_errors_twice_is_none(tmp_path: Path) -> None:
    main = write(tmp_path, main_conf="log-file x\ninclude a.conf\ninclude a.conf\n", a_conf="host-name a.example\n")
    assert load(main).errors == ()
    main = write(tmp_path, main_conf="log-file x\ninclude a.conf\n", a_conf="include sub/../main.conf\n", sub__x_conf="")
    assert lines(load(main)) == [("error", "a.conf", 1, "include: the file includes itself: main.conf → a.conf → main.conf")]


def test_a_link_does_not_hide_a_circle(tmp_path: Path) -> None:
    main = write(tmp_path, main_conf="log-file x\ninclude link.conf\n")
    (tmp_path / "link.conf").symlink_to(main)
    assert [message for *_, message in lines(load(main))] == ["include: the file includes itself: main.conf → main.conf"]


def test_depth_is_bounded(tmp_path: Path) -> None:
    files = {f"f{n}_conf": f"include f{n + 1}.conf\n" for n in range(MAX_DEPTH + 3)}
    main = write(tmp_path, main_conf="log-file x\ninclude f0.conf\n", **files)
    assert [message for *_, message in lines(load(main))] == [f"include: more than {MAX_DEPTH} files within one another"]


def test_files_that_multiply_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("postwright.control.config.includes.MAX_FILES", 50)
    files = {f"f{n}_conf": f"include f{n + 1}.conf\n" * 2 for n in range(20)} | {"f20_conf": ""}
    main = write(tmp_path, main_conf="log-file x\ninclude f0.conf\n", **files)
    assert {message for *_, message in lines(load(main))} == {"include: more than 50 files"}


def test_what_cannot_be_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.conf")
    main = write(
        tmp_path,
        main_conf="log-file x\ninclude none.conf\ninclude none/*.conf\ninclude https://example.com/x.conf\n"
        "include fifo.conf\ninclude\ninclude a\\0\n",
    )
    result = load(main)
    assert [(problem.level, problem.line, problem.kind) for problem in result.problems if problem.line] == [
        ("error", 2, "environment"),
        ("warning", 3, "environment"),
        ("error", 4, "language"),
        ("error", 5, "environment"),
        ("error", 6, "language"),
        ("error", 7, "environment"),
    ]
    assert result.problems[2].message == "include: a URL is not fetched"
    offline = load(main, offline=True)
    assert [problem.line for problem in offline.problems if problem.line] == [4, 6]


def test_a_main_file_that_is_not_there(tmp_path: Path) -> None:
    for path in (tmp_path / "none", tmp_path, Path("a\0b")):
        result = load(path)
        assert result.settings is None
        [problem] = result.problems
        assert (problem.level, problem.kind) == ("error", "environment")
        assert problem.render()


def test_files_too_large_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("postwright.control.config.includes.MAX_OCTETS", 10)
    (tmp_path / "x").write_bytes(b"0123456789a")
    with pytest.raises(OSError, match="larger"):
        read_octets(str(tmp_path / "x"))
