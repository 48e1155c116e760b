"""The relay's log: a line for each event, a JSON object or (`log-format text`) words, appended to `log-file`, else to standard error.

Every process of the relay appends to the same file, a whole line in one write, so lines never mix. Rotation renames the file
(`log` becomes `log.1` and so on) and the processes open it anew. Fields whose names speak of secrets are masked here, as the
last of several guards; a log that cannot be written never stops mail.
"""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import structlog

from postwright.policy.settings import GeneralSettings

_encoder = msgspec.json.Encoder()
_SECRET = ("password", "secret", "token", "credential", "auth_password", "initial_response", "api_key")

Event = structlog.types.EventDict


class LogFile:
    """An append-only file descriptor that can be opened anew after a rotation. `form` "json" or "text": what its lines are."""

    def __init__(self, path: Path | None, world_readable: bool = False, form: str = "json") -> None:
        self.path = path
        self.form = form
        self._mode = 0o644 if world_readable else 0o640
        self._fd = 2
        self.reopen()

    def reopen(self) -> None:
        """Open the file again (after a rotation). Without a path the log goes to standard error."""
        if self.path is None:
            return
        try:
            fd = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, self._mode)
        except OSError as error:
            print(f"postwright: cannot open the log {self.path}: {error}; logging to standard error", file=sys.stderr)
            fd = 2
        if self._fd > 2:
            os.close(self._fd)
        self._fd = fd

    def write(self, line: bytes) -> None:
        """Append a whole line. An error is swallowed: mail matters more than the log."""
        try:
            os.write(self._fd, line)
        except OSError:
            return


def _stamp(logger: Any, method: str, event: Event) -> Event:
    return {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "level": method, **event}


def _mask(logger: Any, method: str, event: Event) -> Event:
    for key in event:
        event[key] = _masked(key, event[key])
    return event


def _masked(key: str, value: Any) -> Any:
    if any(word in key.lower() for word in _SECRET):
        return "***"
    if isinstance(value, dict):
        return {name: _masked(str(name), inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_masked("", inner) for inner in value]
    return value


def _render(logger: Any, method: str, event: Event) -> str:
    return _encoder.encode(_visible(event)).decode()


def _render_text(logger: Any, method: str, event: Event) -> str:
    """`2026-11-25T15:17:03.123+00:00 warning shard died shard=0 status=1`; more lines, as of a traceback, follow indented."""
    shown = _visible(event)
    head = f"{shown.pop('time', '')} {shown.pop('level', '')} {shown.pop('event', '')}"
    trace = shown.pop("exception", "")
    words = [f"{name}={_word(value)}" for name, value in shown.items()]
    return "\n    ".join([" ".join([head, *words]), *trace.splitlines()])


def _word(value: Any) -> str:
    """What is no plain word is in JSON, so that a value cannot be taken for the next field, nor for another line."""
    plain = isinstance(value, str) and value and value.isprintable() and not set(value) & set(' "=')
    return value if plain else _encoder.encode(value).decode()


def _visible(value: Any) -> Any:
    """What a peer has sent must not move a terminal's cursor, nor fail to encode: what cannot be printed becomes an escape."""
    if isinstance(value, str):
        return value if value.isprintable() else "".join([c if c.isprintable() or c == "\n" else _escape(c) for c in value])
    if isinstance(value, dict):
        return {_visible(str(key)): _visible(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_visible(inner) for inner in value]
    if value is None or isinstance(value, (bool, int, float)):
        return value
    return _visible(str(value))  # a struct in its own words, which leave out its secrets


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode()


def open_log(general: GeneralSettings) -> LogFile:
    """As the settings say: `log-file`, `log-file-world-readable`, `log-format`."""
    path = Path(general.log_file) if general.log_file else None
    return LogFile(path, general.log_file_world_readable, general.log_format)


def same_log(file: LogFile | None, general: GeneralSettings) -> bool:
    """Is that the file which these settings mean?"""
    return file is not None and file.path == (Path(general.log_file) if general.log_file else None) and file.form == general.log_format


class _Writer:
    def __init__(self, file: LogFile) -> None:
        self._file = file

    def msg(self, line: str) -> None:
        self._file.write(line.encode() + b"\n")

    log = debug = info = warning = error = critical = fatal = exception = msg


def configure(file: LogFile, debug: bool = False, **context: object) -> structlog.stdlib.BoundLogger:
    """The logger of this process, writing to `file`; `context` stands in every line (shard=1)."""
    level = 10 if debug else 20
    logger: structlog.stdlib.BoundLogger = structlog.wrap_logger(
        _Writer(file),
        processors=[_stamp, _mask, structlog.processors.format_exc_info, _render_text if file.form == "text" else _render],
        wrapper_class=structlog.make_filtering_bound_logger(level),
    ).bind(**context)
    return logger


def rotate(path: Path, keep: int) -> None:
    """`log` to `log.1`, `log.1` to `log.2` …, `keep` files in all with the current one (`log-rotate`); 0 keeps one growing file."""
    if keep <= 0 or not path.exists():
        return
    oldest = path.with_name(f"{path.name}.{keep - 1}")
    oldest.unlink(missing_ok=True)
    for number in range(keep - 2, 0, -1):
        source = path.with_name(f"{path.name}.{number}")
        if source.exists():
            source.rename(path.with_name(f"{path.name}.{number + 1}"))
    if keep > 1:
        path.rename(path.with_name(f"{path.name}.1"))
    else:
        path.unlink()
