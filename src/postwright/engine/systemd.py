"""Tells systemd how the service is (sd_notify): READY, RELOADING, STOPPING, WATCHDOG. Without systemd it does nothing."""

from __future__ import annotations

import os
import socket
import time


def notify(state: str) -> bool:
    """Send `state` ("READY=1") to the socket that systemd named in NOTIFY_SOCKET. False when there is none or it fails."""
    target = os.environ.get("NOTIFY_SOCKET", "")
    if not target:
        return False
    if state == "RELOADING=1":
        # Type=notify-reload wants the monotonic time beside it (sd_notify(3))
        state += f"\nMONOTONIC_USEC={time.monotonic_ns() // 1000}"
    address = "\0" + target[1:] if target.startswith("@") else target
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.sendto(state.encode(), address)
    except OSError:
        return False
    return True
