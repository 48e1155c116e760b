"""Where the users and their passwords are, beside `<smtp-user>`: files of hashes, the system's own (PAM)."""

from __future__ import annotations

from postwright.control.config import kinds as k
from postwright.control.config.directive import Directive
from postwright.control.config.directives.rows import G, works

ROWS: tuple[Directive, ...] = (
    works("users-file", G, k.FILE, "File of users with hashes of their passwords, changed with `postwright user`", repeat=True, ours=True),
    works("pam-service", G, k.NAME, "PAM service (a file in /etc/pam.d) that judges users with authentication-method system", "smtp",
          ours=True),
)  # fmt: skip
