"""Guessing at a real relay of two shards: failures add up over shards and mechanisms, locks are seen, released, and outlive deaths."""

from __future__ import annotations

import contextlib
import os
import signal
import smtplib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec

from postwright.net.listener import LOCKED_OUT
from postwright.policy.locks import Lock
from postwright.testing.relay_process import RelayProcess, plain_config
from postwright.testing.sockets import free_port

CONFIG = """\
auth-failures-per-user 6
auth-lock-time 1h
<source 0/0>
    allow-unencrypted-plain-auth yes
    auth-failures-per-network 8
</source>
relay-domain ours.example
<smtp-user anna>
    password secret
</smtp-user>
<smtp-user bert>
    password secret
    sender bert@ours.example
    daily-limit 3
</smtp-user>
"""
MECHANISMS = ("PLAIN", "LOGIN", "CRAM-MD5")
KNOWN, STRANGE, GUESSER = "127.0.9.1", "127.0.10.1", "127.0.7.1"


class Door:
    """How to reach the relay."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.relay = RelayProcess(folder, plain_config(self.port) + CONFIG, shards=2)

    @contextlib.contextmanager
    def session(self, address: str) -> Iterator[smtplib.SMTP]:
        with contextlib.closing(smtplib.SMTP("127.0.0.1", self.port, "c.example", timeout=20, source_address=(address, 0))) as smtp:
            smtp.ehlo()
            yield smtp

    def login(self, address: str, user: str = "anna", password: str = "secret") -> int:
        with self.session(address) as smtp:
            return log_in(smtp, "PLAIN", user, password)

    def guesses(self, addresses: list[str], user: str = "anna") -> list[int]:
        """One from each address, all connected at a time, by each mechanism in turn."""
        with contextlib.ExitStack() as stack:
            sessions = [stack.enter_context(self.session(address)) for address in addresses]
            return [log_in(smtp, MECHANISMS[at % 3], user, f"guess-{at}") for at, smtp in enumerate(sessions)]

    def locks(self) -> list[tuple[str, int]]:
        told = self.relay.ask("locks")
        return [(lock.who, lock.failures) for lock in msgspec.json.decode(told.body, type=list[Lock])]

    def postwright(self, *words: str) -> tuple[int, str]:
        """A command on the command line."""
        command = [sys.executable, "-m", "postwright", *words, "--state-dir", str(self.relay.state_dir)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        return done.returncode, done.stdout + done.stderr


def log_in(smtp: smtplib.SMTP, mechanism: str, user: str, password: str) -> int:
    smtp.user, smtp.password = user, password
    ways = {"PLAIN": smtp.auth_plain, "LOGIN": smtp.auth_login, "CRAM-MD5": smtp.auth_cram_md5}
    try:
        return smtp.auth(mechanism, ways[mechanism])[0]
    except smtplib.SMTPAuthenticationError as error:
        return error.smtp_code


async def test_guessing_over_both_shards_locks_and_a_good_user_goes_on(tmp_path: Path) -> None:
    door = Door(tmp_path)
    async with door.relay as relay:
        assert door.login(KNOWN) == 235
        assert door.guesses([f"127.0.8.{at}" for at in range(1, 6)]) == [535] * 5
        assert door.locks() == []
        assert (door.login(KNOWN), door.login("127.0.8.9")) == (235, 235)
        assert door.guesses(["127.0.8.6"]) == [535]
        assert door.locks() == [("anna", 6)]
        # on whatever shard: known from there, not known, another user
        assert [door.login(KNOWN) for _ in range(4)] == [235] * 4
        assert [door.login(STRANGE) for _ in range(4)] == [535] * 4
        assert door.login(STRANGE, "bert") == 235
        status = relay.status()
        assert all(shard.traffic.failed_logins for shard in status.shards), "only one shard was guessed at"
        assert (sum(shard.traffic.barred_logins for shard in status.shards), status.locks) == (4, 1)
        code, said = door.postwright("show", "locks")
        assert (code, "anna  user  " in said, "auth-failures-per-user" in said) == (0, True, True)
        assert door.postwright("unlock", "anna") == (0, "Released: user anna.\n")
        assert [door.login(STRANGE) for _ in range(4)] == [235] * 4
        assert door.postwright("unlock", "anna") == (1, "There is no lock on anna.\n")
        assert door.postwright("unlock")[0] == 2
        assert "failed logins: 10, 4 of them under a lock; locks now: 0" in door.postwright("status")[1]
        events = [event["event"] for event in relay.log() if "lock" in event["event"]]
        assert events == ["a lock begins", "a lock was released"]
        assert "guess-" not in relay.log_file.read_text("utf-8")


async def test_a_network_is_turned_away_and_stays_so_over_deaths_and_a_restart(tmp_path: Path) -> None:
    door = Door(tmp_path)
    async with door.relay as relay:
        assert door.guesses([GUESSER] * 8, user="nobody") == [535] * 8  # locks both
        assert sorted(door.locks()) == [(GUESSER, 8), ("nobody", 6)]
        assert [turned_away(door) for _ in range(3)] == [LOCKED_OUT.text] * 3
        assert door.login(KNOWN) == 235
        pid = relay.status().pids[0]
        os.kill(pid, signal.SIGKILL)
        await relay.until(lambda: [event["event"] for event in relay.log()].count("shard ready") == 3, "a new shard")
        assert [turned_away(door) for _ in range(6)] == [LOCKED_OUT.text] * 6
        assert sum(shard.refused_at_door["locked_out"] for shard in relay.status().shards) >= 6
        await relay.stop()
        await relay.start()
        assert sorted(door.locks()) == [(GUESSER, 8), ("nobody", 6)]
        assert turned_away(door) == LOCKED_OUT.text
        assert door.postwright("unlock", "--all")[0] == 0
        assert door.login(GUESSER) == 235
        assert door.guesses([f"127.0.8.{at}" for at in range(1, 7)]) == [535] * 6
        assert (door.login(STRANGE), door.login(KNOWN)) == (535, 235)  # where she is known is known still


async def test_the_volume_of_a_day_is_one_for_both_shards_and_outlives_a_restart(tmp_path: Path) -> None:
    door = Door(tmp_path)
    async with door.relay as relay:
        with contextlib.ExitStack() as stack:
            first, second = one_in_each_shard(door, stack)
            for smtp in (first, second):
                assert smtp.sendmail("bert@ours.example", ["x@ours.example"], "Subject: x\r\n\r\n") == {}
            assert first.mail("bert@elsewhere.example")[0] == 550
        await relay.stop()
        await relay.start()
        with door.session(KNOWN) as smtp:
            log_in(smtp, "PLAIN", "bert", "secret")
            refused = smtp.sendmail("bert@ours.example", ["x@ours.example", "y@ours.example"], "Subject: x\r\n\r\n")
            assert refused.keys() == {"y@ours.example"}
            assert smtp.mail("bert@ours.example")[0] == 450


def one_in_each_shard(door: Door, stack: contextlib.ExitStack) -> list[smtplib.SMTP]:
    """Sessions of bert; the system picks the shard, so as many are opened as it takes."""
    found: dict[int, smtplib.SMTP] = {}
    seen = [shard.connections_in for shard in door.relay.status().shards]
    for _ in range(64):
        smtp = stack.enter_context(door.session(KNOWN))
        assert log_in(smtp, "PLAIN", "bert", "secret") == 235
        now = [shard.connections_in for shard in door.relay.status().shards]
        [at] = [at for at, (before, after) in enumerate(zip(seen, now, strict=True)) if after > before]
        found.setdefault(at, smtp)
        if len(found) == len(now):
            return list(found.values())
        seen = now
    raise AssertionError("64 sessions, and all are on one shard")


def turned_away(door: Door) -> str:
    """What a connection of the guesser hears."""
    try:
        with door.session(GUESSER):
            return "let in"
    except smtplib.SMTPConnectError as error:
        return f"{error.smtp_code} {error.smtp_error.decode()}"
