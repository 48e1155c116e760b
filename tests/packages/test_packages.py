"""What people install: a Debian package that is built, unpacked and run; the unit of systemd and the container file by their linters."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest
import yaml
from hatchling.builders.wheel import WheelBuilder

from postwright import __version__
from postwright.control.cli.main import COMMANDS, main
from postwright.testing.relay_process import RelayProcess, plain_config
from postwright.testing.sockets import free_port
from postwright.testing.source import SourceClient

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ROOT / "packages"
UNIT = PACKAGES / "systemd" / "postwright.service"
CONTAINER = PACKAGES / "container" / "Containerfile"
GUIDE = ROOT / "docs" / "guides" / "packages.md"

Needs = Callable[[str], Path]


def test_the_wheel_would_have_all_data() -> None:
    """Nothing is built: the build backend says what it would take. The package below is built of the wheel."""
    source = ROOT / "src" / "postwright"
    ours = {str(file.relative_to(source.parent)) for file in source.rglob("*") if file.is_file() and "__pycache__" not in file.parts}
    taken = {file.distribution_path for file in WheelBuilder(str(ROOT)).recurse_included_files()}
    assert ours - taken == set()
    assert [name for name in taken if not name.startswith("postwright/")] == []


# -- Debian ------------------------------------------------------------------------------------------------------------------


class Unpacked:
    """A package that was built here, and its files."""

    def __init__(self, folder: Path) -> None:
        self.archive = next(folder.glob("*.deb"))
        self.root = folder / "root"
        self.control = folder / "control"

    def field(self, name: str) -> str:
        return subprocess.run(["dpkg-deb", "-f", self.archive, name], capture_output=True, text=True, check=True).stdout.strip()

    @property
    def site(self) -> Path:
        return next((self.root / "usr/lib/postwright/lib").glob("python3.*/site-packages"))


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory, needs: Needs) -> Unpacked:
    needs("dpkg-deb")
    folder = tmp_path_factory.mktemp("deb")
    build = [PACKAGES / "debian" / "build", folder, "--libraries-of", sys.executable, "--compression", "none"]
    done = subprocess.run([sys.executable, *build], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    made = Unpacked(folder)
    subprocess.run(["dpkg-deb", "-x", made.archive, made.root], check=True)
    subprocess.run(["dpkg-deb", "-e", made.archive, made.control], check=True)
    _borrow_python(made.root / "usr/lib/postwright")
    return made


def _borrow_python(top: Path) -> None:
    """Where Debian has another Python than we run on, or none: ours stands in for the one that the package depends on."""
    python = top / "bin" / "python3"
    if not python.exists():
        home = Path(sys.base_prefix) / "bin"
        name = python.readlink().name
        python.unlink()
        python.symlink_to(home / name)
        file = top / "pyvenv.cfg"
        file.write_text(file.read_text().replace("home = /usr/bin", f"home = {home}"))


@pytest.mark.soak
@pytest.mark.needs("dpkg-deb")
def test_the_package_runs_without_anything_of_ours(package: Unpacked, tmp_path: Path) -> None:
    python = package.root / "usr/lib/postwright/bin/python3"
    command = [package.root / "usr/bin/postwright", "--version"]
    told = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path, env={"PATH": "/usr/bin:/bin"})
    assert told.stdout == f"postwright {__version__}\n"
    where = "import postwright, sys; print(postwright.__file__); print(sys.prefix)"
    lines = subprocess.run([python, "-c", where], capture_output=True, text=True, check=True, env={}).stdout.split()
    assert all(line.startswith(str(package.root)) for line in lines)


@pytest.mark.soak
@pytest.mark.needs("dpkg-deb")
async def test_a_relay_of_the_package_takes_mail(package: Unpacked, tmp_path: Path) -> None:
    port = free_port()
    rules = "<source 127.0.0.1>\nalways-allow-relaying yes\n</source>\n<domain *>\ntype discard\n</domain>\n"
    python = str(package.root / "usr/lib/postwright/bin/python3")
    async with (
        RelayProcess(tmp_path, plain_config(port) + rules, python=python) as relay,
        await SourceClient.connect("127.0.0.1", port) as client,
    ):
        await client.ehlo()
        sent = await client.send("me@a.example", ["you@b.example"], b"Subject: s\r\n\r\ntext\r\n")
        assert sent.final.code == 250
        await relay.wait_for_records("d", 1)


@pytest.mark.soak
@pytest.mark.needs("dpkg-deb")
def test_all_data_is_in_the_wheel(package: Unpacked) -> None:
    source = ROOT / "src" / "postwright"
    ours = {file.relative_to(source) for file in source.rglob("*") if file.is_file() and "__pycache__" not in file.parts}
    missing = [str(file) for file in sorted(ours) if not (package.site / "postwright" / file).is_file()]
    assert missing == []
    assert any(file.suffix == ".toml" for file in ours)


@pytest.mark.soak
@pytest.mark.needs("dpkg-deb")
def test_the_package_has_what_belongs_to_a_package(package: Unpacked) -> None:
    share = package.root / "usr/share"
    assert {file.name for file in (share / "man/man1").iterdir()} >= {f"postwright-{name}.1.gz" for name in COMMANDS}
    for file in (
        "bash-completion/completions/postwright", "zsh/vendor-completions/_postwright", "fish/vendor_completions.d/postwright.fish",
        "doc/postwright/copyright", "postwright/grafana/postwright.json", "postwright/prometheus/postwright.rules.yml",
    ):  # fmt: skip
        assert (share / file).stat().st_size > 100
    assert (package.root / "usr/lib/systemd/system/postwright.service").read_text() == UNIT.read_text()
    assert "Apache License" in (share / "doc/postwright/copyright").read_text()
    assert package.field("Version") == __version__.replace(".dev", "~dev")
    assert f"python3 (>= 3.{sys.version_info[1]}~)" in package.field("Depends")
    listed = subprocess.run(["dpkg-deb", "-c", package.archive], capture_output=True, text=True, check=True).stdout
    assert re.findall(r"^.(?!rwxr-xr-x|rw-r--r--|rwxrwxrwx)\S+ .*", listed, re.MULTILINE) == []
    assert "root/root" in listed
    assert not (package.site / "hatchling").exists()


SCRIPTS = ("postinst", "prerm", "postrm")


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_of_the_package_are_good_shell(name: str) -> None:
    subprocess.run(["sh", "-n", PACKAGES / "debian" / name], check=True)


@pytest.mark.soak
@pytest.mark.needs("dpkg-deb")
def test_scripts_of_the_package_are_in_it(package: Unpacked) -> None:
    for name in SCRIPTS:
        assert (package.control / name).read_text() == (PACKAGES / "debian" / name).read_text()
        assert (package.control / name).stat().st_mode & 0o111


def stubbed(tmp_path: Path, name: str, *arguments: str) -> list[str]:
    """What a script of the package calls, on a machine without our user; nothing of it happens."""
    called = tmp_path / "called"
    for program in ("adduser", "install", "systemctl", "find"):
        stub = tmp_path / program
        stub.write_text(f'#!/bin/sh\necho "{program} $*" >>{called}\n')
        stub.chmod(0o755)
    (tmp_path / "getent").write_text("#!/bin/sh\nexit 2\n")
    (tmp_path / "getent").chmod(0o755)
    path = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    subprocess.run(["sh", PACKAGES / "debian" / name, *arguments], check=True, env=path, capture_output=True)
    return called.read_text().splitlines() if called.exists() else []


def test_installing_makes_a_user_and_enables_nothing(tmp_path: Path) -> None:
    called = stubbed(tmp_path, "postinst", "configure", "")
    assert any(line.startswith("adduser --system --group") and line.endswith("postwright") for line in called)
    assert "install -d -o postwright -g postwright -m 0750 /var/lib/postwright /var/log/postwright" in called
    assert [line for line in called if re.search(r"systemctl (enable|start|restart)", line)] == []


def test_a_failed_upgrade_changes_nothing(tmp_path: Path) -> None:
    assert stubbed(tmp_path, "postinst", "abort-upgrade", "1.0") == []


def test_a_purge_throws_no_mail_away() -> None:
    text = (PACKAGES / "debian" / "postrm").read_text()
    assert not re.search(r"\brm\b|deluser|userdel", text)


# -- systemd -----------------------------------------------------------------------------------------------------------------

MOST_EXPOSED = 2.0


@pytest.mark.needs("systemd-analyze")
def test_the_unit_is_hardened(needs: Needs, tmp_path: Path) -> None:
    def exposure(unit: Path) -> float:
        command = [needs("systemd-analyze"), "security", "--offline=true", "--no-pager", unit]
        told = subprocess.run(command, capture_output=True, text=True).stdout
        return float(re.findall(r"Overall exposure level for \S+: ([\d.]+)", told)[0])

    found = exposure(UNIT)
    assert found <= MOST_EXPOSED
    assert f"gives it {found} " in UNIT.read_text()
    assert f"{found}" in GUIDE.read_text("utf-8")
    bare = tmp_path / "bare.service"
    bare.write_text("[Service]\nExecStart=/bin/true\n")
    assert exposure(bare) > 9


@pytest.mark.needs("systemd-analyze")
def test_the_unit_has_no_words_that_systemd_does_not_know(needs: Needs, tmp_path: Path) -> None:
    here = tmp_path / "postwright.service"
    here.write_text(UNIT.read_text().replace("/usr/bin/postwright", sys.executable).replace("Documentation=man:", "#"))
    done = subprocess.run([needs("systemd-analyze"), "verify", "--man=no", here], capture_output=True, text=True)
    assert [line for line in done.stderr.splitlines() if "postwright.service" in line] == []


def test_the_unit_runs_a_command_that_there_is() -> None:
    (line,) = re.findall(r"^ExecStart=/usr/bin/(.*)$", UNIT.read_text(), re.MULTILINE)
    assert accepts(shlex.split(line))


# -- containers --------------------------------------------------------------------------------------------------------------


@pytest.mark.needs("hadolint")
def test_the_container_file_has_no_fault_that_hadolint_knows(needs: Needs) -> None:
    done = subprocess.run([needs("hadolint"), CONTAINER], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


def instructions() -> list[tuple[str, str]]:
    text = re.sub(r"\\\n\s*", " ", re.sub(r"^#.*\n", "", CONTAINER.read_text(), flags=re.MULTILINE))
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in text.splitlines() if line)]


def test_the_container_is_nobodys_root_and_says_how_it_is() -> None:
    last = instructions()[max(at for at, (word, _) in enumerate(instructions()) if word == "FROM") :]
    said = dict(last)
    assert int(said["USER"].partition(":")[0]) > 0
    order = [word for word, _ in last]
    assert order.index("USER") > order.index("COPY")
    assert accepts([*words(said["ENTRYPOINT"]), *words(said["CMD"])])
    assert accepts(words(said["HEALTHCHECK"].partition("CMD ")[2]))
    images = [rest.partition(" ")[0] for word, rest in instructions() if word == "FROM"]
    assert images
    # a version, and no host: whose registry it comes from is not ours to say
    assert [image for image in images if not re.fullmatch(r"[a-z]+:\d[\w.-]*", image)] == []


def words(text: str) -> list[str]:
    return [str(word) for word in yaml.safe_load(text)]


def test_the_container_copies_what_there_is_and_what_it_lets_in() -> None:
    copied = [rest.split()[:-1] for word, rest in instructions() if word == "COPY" and not rest.startswith("--from")]
    sources = [name for names in copied for name in names]
    assert [name for name in sources if not (ROOT / name).exists()] == []
    let_in = re.findall(r"^!(.*)$", CONTAINER.with_name("Containerfile.dockerignore").read_text(), re.MULTILINE)
    assert sorted(let_in) == sorted(sources)


def accepts(line: list[str]) -> bool:
    """Is that a command line of ours: a command that there is, its options known, not an argument too many? Nothing is run."""
    name, *words = line
    assert name == "postwright"
    command: click.Command = main
    try:
        context = command.make_context(name, words)
        while isinstance(command, click.Group):
            name, found, words = command.resolve_command(context, [*context._protected_args, *context.args])
            assert found is not None
            command, context = found, found.make_context(name, words, parent=context)
    except click.ClickException:
        return False
    return True


def test_a_command_line_with_an_unknown_option_is_seen() -> None:
    assert not accepts(["postwright", "run", "--no-such-option"])
    assert not accepts(["postwright", "no-such-command"])
    assert not accepts(["postwright", "init", "one-too-many"])
    assert accepts(["postwright", "spool", "verify", "--json"])


# -- the guide ---------------------------------------------------------------------------------------------------------------

OURS = re.findall(r"^(?:    |)(postwright .*?)(?: >.*)?$", GUIDE.read_text("utf-8"), re.MULTILINE)


@pytest.mark.parametrize("line", OURS)
def test_the_guide_names_commands_and_options_that_there_are(line: str) -> None:
    assert accepts(shlex.split(line))


def test_the_guide_names_files_that_there_are() -> None:
    named = set(re.findall(r"(?<![\w/.-])((?:packages|requirements|docs)/[\w./-]+\w)", GUIDE.read_text("utf-8")))
    assert len(named) > 3
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


@pytest.mark.soak
def test_the_wheel_as_the_guide_has_it(tmp_path: Path) -> None:
    """But for the index: what the lock file names is taken from the environment that the tests run in."""
    text = GUIDE.read_text("utf-8")
    build, _, _, install = re.findall(r"^    (pip wheel .*|python3 -m venv .*|/opt/postwright/bin/pip install .*)$", text, re.MULTILINE)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    words = shlex.split(build)[1:]
    subprocess.run([*pip, *words[:-3], "-w", tmp_path / "dist", ROOT, "--no-build-isolation", "--no-index"], check=True)
    wheels = [str(one) for one in (tmp_path / "dist").glob("postwright-*.whl")]
    options = [word for word in shlex.split(install)[2:] if word.startswith("--")]
    subprocess.run([*pip, "install", *options, "--target", tmp_path / "env", *wheels], check=True)
    told = subprocess.run(
        [sys.executable, tmp_path / "env" / "bin" / "postwright", "--version"],
        capture_output=True, text=True, check=True, env={"PYTHONPATH": str(tmp_path / "env")}, cwd=tmp_path,
    )  # fmt: skip
    assert told.stdout == f"postwright {__version__}\n"
