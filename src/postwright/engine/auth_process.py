"""The supervisor's end of the login helper: starts its keeper while there are rights to give it, tells it the settings, logs what it says.

The listening socket is made here and stays open, so a helper that is started anew is found under the same name, and shards that connect
meanwhile wait in its backlog. A relay whose settings need no helper starts none. A reload that needs one starts it, unless root has been
given up since: then it is refused, since a helper without rights would answer, and wrongly (pam_unix could not read a password).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
from pathlib import Path

import structlog

from postwright.engine import auth_frames as a
from postwright.engine import child, gssapi, pam, privileges
from postwright.engine.bus import Link, listen_unix
from postwright.engine.frames import Frame
from postwright.policy.settings import Settings

SOCKET = "auth.sock"
PAUSE = 2.0
GRACE = 5.0
TOO_LATE = (
    "this configuration needs the login helper, which has to be started before privileges are dropped: restart the relay; "
    "the old configuration stays"
)


def socket_path(state_dir: Path) -> Path:
    """Where shards find the helper."""
    return state_dir / "run" / SOCKET


def needed(settings: Settings) -> bool:
    """Does anything in these settings ask the helper?"""
    return uses_pam(settings) or bool(settings.general.kerberos_keytab)


def uses_pam(settings: Settings) -> bool:
    """A user whose password the system knows."""
    return any(user.authentication_method == "system" for user in settings.users.values())


def check(settings: Settings) -> None:
    """Raises ValueError or OSError, naming what is missing, when the helper could not do what these settings ask of it."""
    if uses_pam(settings) and not pam.available():
        raise ValueError(pam.MISSING)
    if settings.general.kerberos_keytab:
        gssapi.library()


class AuthProcess:
    """The keeper process and our connection to it. `open` before privileges are dropped, then `attend` as a task, `stop` at the end."""

    def __init__(self, state_dir: Path, user: str, log: structlog.stdlib.BoundLogger) -> None:
        self._path = socket_path(state_dir)
        self.restarts = 0
        self._user = user
        self._log = log
        self._settings = Settings()
        self._listening: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._link: Link | None = None
        self._began_as_root = os.geteuid() == 0
        self._unprivileged = ""  # whom the helper becomes where PAM needs no root
        self._stopping = asyncio.Event()
        self._wanted = asyncio.Event()

    @property
    def pid(self) -> int:
        """Of the keeper; 0 when there is none."""
        return self._process.pid if self._process is not None and self._process.poll() is None else 0

    def open(self, settings: Settings) -> None:
        """Start it if these settings need it. Raises OSError or ValueError."""
        self._settings = settings
        if needed(settings) and self._listening is None:
            check(settings)
            target = privileges.wanted_user(settings, self._user)
            self._unprivileged = target.pw_name if target is not None else ""
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._listening = listen_unix(self._path)
            for path in (self._path.parent, self._path):
                privileges.give(path, settings, self._user)
            self._spawn()
            self._wanted.set()

    def judge(self, settings: Settings) -> None:
        """Could they be put in force? Raises ValueError when they need a helper that cannot be had any more."""
        if needed(settings) and self._listening is None and self._has_lost_its_rights():
            raise ValueError(TOO_LATE)

    def reload(self, settings: Settings) -> None:
        """New settings, which `judge` has let pass. Raises OSError or ValueError when no helper can be started."""
        self.open(settings)
        self._equip()

    async def attend(self) -> None:
        """Keep one alive until `stop`: talk to it, start another when it has died."""
        await self._wanted.wait()
        while not self._stopping.is_set():
            try:
                if self._control is None:
                    self._spawn()
                await self._converse()
            except OSError as error:
                self._log.error("the login helper cannot be started", error=str(error))
            if self._stopping.is_set():
                return
            if self._has_lost_its_rights():
                self._log.error("the login helper's keeper has died, and its rights are given up: restart the relay (until then: 454)")
                self._close_door()
                return
            self.restarts += 1
            self._log.error("the login helper's keeper has died and is started anew")
            await asyncio.sleep(PAUSE)

    async def stop(self) -> None:
        """Close our end, which tells it to leave; whoever does not is killed."""
        self._stopping.set()
        if self._link is not None:
            self._link.abort()
        if self._control is not None:
            self._control.close()
        self._close_door()
        if self._process is not None:
            await child.reap(self._process, GRACE)

    def _has_lost_its_rights(self) -> bool:
        """One started now could do less than one started then, and would refuse who is right."""
        return self._began_as_root and os.geteuid() != 0

    def _close_door(self) -> None:
        """Whoever connects is told at once that nobody is there."""
        if self._listening is not None:
            self._listening.close()
            self._listening = None
            with contextlib.suppress(OSError):
                self._path.unlink(missing_ok=True)

    def _spawn(self) -> None:
        assert self._listening is not None
        command = [sys.executable, "-m", "postwright.engine.auth_keeper"]
        self._process, self._control = child.spawn(command, [self._listening.fileno()])

    async def _converse(self) -> None:
        """One keeper's life, from its socket's point of view."""
        loop = asyncio.get_running_loop()
        gone = asyncio.Event()

        def closed(link: Link, reason: str) -> None:
            gone.set()

        sock, self._control = self._control, None
        _, self._link = await loop.create_connection(lambda: Link(self._heard, closed, "login helper"), sock=sock)
        self._equip()
        try:
            await gone.wait()
        finally:
            self._link = None

    def _equip(self) -> None:
        if self._link is not None:
            self._link.send(equipment(self._settings, self._unprivileged))

    def _heard(self, link: Link, frame: Frame) -> None:
        if isinstance(frame, a.Noticed):
            self._log.warning(frame.event, detail=frame.detail)


def equipment(settings: Settings, unprivileged: str = "") -> a.Equip:
    """What the helper is told of the settings; `unprivileged` is the user whose rights are enough without PAM, "" for our own."""
    general = settings.general
    run_as = "" if uses_pam(settings) else unprivileged
    return a.Equip(general.pam_service, general.kerberos_keytab, general.kerberos_service, general.kerberos_realms, run_as)
