"""What all routes share: the settings in force, the way to the relay, who may what, the log. One value per process.

`apply` takes new settings; a request that is under way keeps what it has. It owns no socket.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import structlog

from postwright.control.api.idempotency import ANSWERS, Answers
from postwright.control.http.access import Gate, Guess, Identity, Refusal
from postwright.control.http.asking import RelayClient
from postwright.control.http.csrf import CsrfTokens
from postwright.control.http.keys import KeyFile, KeysError
from postwright.control.http.pace import Paces
from postwright.control.monitor.sampler import Sampler
from postwright.engine.http_tls import HttpTls
from postwright.engine.injection_client import InjectionClient
from postwright.engine.state_folder import HTTP_KEYS
from postwright.policy.settings import Settings


class Site:
    """`config_file` is the relay's configuration, None in the sandbox, whose configuration is no file."""

    def __init__(
        self,
        settings: Settings,
        state_dir: Path,
        log: structlog.stdlib.BoundLogger,
        secret: bytes,
        config_file: Path | None = None,
        tolerant: bool = False,
        shards: int = 1,
    ) -> None:
        self.settings = settings
        self.state_dir = state_dir
        self.config_file = config_file
        self.tolerant = tolerant
        self.log = log
        self.started = time.time()
        self.relay = RelayClient(state_dir / "control.sock")
        self.csrf = CsrfTokens(secret)
        self.keys = KeyFile(state_dir / HTTP_KEYS)
        self.paces = Paces()
        self.tools = asyncio.Semaphore(2)  # programs that are run for somebody, at once
        self.config_turn = asyncio.Lock()  # one change at a time: two that were both found sound need not be so together
        self.injection = InjectionClient(state_dir / "run", shards)
        self.answers = Answers(state_dir / ANSWERS)
        self.sampler: Sampler | None = None  # the process has one
        self._guesses = Guess()
        self._complaint = ""
        self.apply(settings)

    def apply(self, settings: Settings) -> None:
        """These settings are in force."""
        self.settings = settings
        self.gate = Gate(settings, self._guesses)
        self.tls = HttpTls(settings, self.state_dir)

    def identify(self, address: str, headers: dict[str, str]) -> Identity | Refusal:
        """Who asks; the keys are as of now."""
        try:
            self.keys.refresh()
        except KeysError as error:
            if str(error) != self._complaint:
                self._complaint = str(error)
                self.log.error("the file of API keys cannot be read; the keys read before stay", error=str(error))
        return self.gate.identify(address, headers, self.keys.by_digest, time.time())
