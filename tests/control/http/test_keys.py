"""`postwright key` and its file: shown once, kept as a digest, seen by a relay that runs."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner

from postwright.control.cli.main import main
from postwright.control.http.keys import KeyFile, KeysError, digest, read


def run(folder: Path, *words: str, status: int = 0) -> str:
    result = CliRunner().invoke(main, ["key", *words, "--state-dir", str(folder)])
    assert result.exit_code == status, result.output
    return result.output.strip()


def test_a_key_is_shown_once_and_kept_as_a_digest(tmp_path: Path) -> None:
    secret = run(tmp_path, "add", "shop", "--scope", "submit", "--scope", "read", "--expires", "90d", "--from", "192.0.2.0/24")
    [key] = read(tmp_path / "http-keys.json")
    assert (key.name, key.scopes, key.networks, key.digest) == ("shop", ("submit", "read"), ("192.0.2.0/24",), digest(secret))
    assert round(key.expires - key.made) == 90 * 86400
    assert secret.startswith("pw_")
    assert len(secret) == 43
    assert secret.encode() not in (tmp_path / "http-keys.json").read_bytes()
    assert stat.S_IMODE(os.stat(tmp_path / "http-keys.json").st_mode) == 0o600
    for shown in (run(tmp_path, "list"), run(tmp_path, "list", "--json")):
        assert "shop" in shown
        assert secret not in shown
        assert key.digest not in shown
    run(tmp_path, "remove", "shop")
    assert read(tmp_path / "http-keys.json") == []


@pytest.mark.parametrize(
    ("words", "status", "text"),
    [
        (("add", "two words", "--scope", "read"), 1, "a key's name is"),
        (("add", "a", "--scope", "everything"), 2, "everything"),
        (("add", "a"), 2, "--scope"),
        (("add", "a", "--scope", "read", "--expires", "soon"), 2, "is no time"),
        (("add", "a", "--scope", "read", "--from", "here"), 1, "here"),
        (("add", "old", "--scope", "read"), 1, "there is a key old already"),
        (("remove", "a"), 1, "there is no key a"),
    ],
)
def test_what_is_refused(tmp_path: Path, words: tuple[str, ...], status: int, text: str) -> None:
    run(tmp_path, "add", "old", "--scope", "read")
    before = (tmp_path / "http-keys.json").read_bytes()
    assert text in run(tmp_path, *words, status=status)
    assert (tmp_path / "http-keys.json").read_bytes() == before


def test_a_relay_sees_a_change_and_survives_a_bad_file(tmp_path: Path) -> None:
    file = KeyFile(tmp_path / "http-keys.json")
    file.refresh()
    assert file.by_digest == {}
    secret = run(tmp_path, "add", "a", "--scope", "read")
    file.refresh()
    assert [key.name for key in file.by_digest.values()] == ["a"]
    assert digest(secret) in file.by_digest
    (tmp_path / "http-keys.json").write_text("{")
    with pytest.raises(KeysError, match=r"http-keys\.json"):
        file.refresh()
    assert digest(secret) in file.by_digest
    file.refresh()  # complained of once
    (tmp_path / "http-keys.json").unlink()
    file.refresh()
    assert file.by_digest == {}


def test_what_lies_in_the_relays_folder_leads_root_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder is the relay user's; root makes keys there, and must not write or give away what that user has linked to."""
    given: list[int] = []
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "fchown", lambda fd, uid, gid: given.append(os.fstat(fd).st_ino))
    (tmp_path / "state").mkdir()
    theirs = tmp_path / "theirs"
    theirs.write_bytes(b"kept")

    (tmp_path / "state" / "http-keys.json.new").symlink_to(theirs)
    run(tmp_path / "state", "add", "a", "--scope", "read")
    lock = tmp_path / "state" / "http-keys.json.lock"
    lock.unlink()
    lock.symlink_to(theirs)
    assert "http-keys.json.lock" in run(tmp_path / "state", "add", "b", "--scope", "read", status=1)
    lock.unlink()
    os.link(theirs, lock)
    run(tmp_path / "state", "add", "c", "--scope", "read")

    assert [key.name for key in read(tmp_path / "state" / "http-keys.json")] == ["a", "c"]
    assert theirs.read_bytes() == b"kept"
    assert given
    assert theirs.stat().st_ino not in given
