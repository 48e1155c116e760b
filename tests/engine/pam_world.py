"""A PAM of a test's own: real libpam, real modules, service files in a folder of the test (pam_wrapper). The machine's PAM is not touched.

`smtp` has its users in a file (pam_matrix), `closed` lets nobody in (pam_deny), `broken` names a module that there is not.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

_OURS = ("LD_PRELOAD", "PYTHONPATH", "PAM_WRAPPER", "PAM_WRAPPER_MODULES")


def environment(wrapper: Path, folder: Path, **users: str) -> dict[str, str]:
    """What the environment of a process has to say so that its PAM knows these users; `wrapper` is the program `pam-wrapper`."""
    printed = subprocess.run([wrapper, "env"], capture_output=True, text=True, check=True).stdout
    found = dict(line.split("=", 1) for line in printed.splitlines() if line.split("=", 1)[0] in _OURS)
    services = folder / "pam.d"
    services.mkdir()
    passwords = folder / "pam.passwords"
    passwords.write_text("".join([f"{user}:{password}:smtp\n" for user, password in users.items()]))
    matrix = f"{found['PAM_WRAPPER_MODULES']}/pam_matrix.so passdb={passwords}"
    (services / "smtp").write_text(f"auth required {matrix}\naccount required {matrix}\n")
    (services / "closed").write_text("auth required pam_deny.so\naccount required pam_deny.so\n")
    (services / "broken").write_text("auth required pam_no_such_module.so\naccount required pam_permit.so\n")
    (services / "other").write_text("auth required pam_deny.so\naccount required pam_deny.so\n")
    return {**found, "PAM_WRAPPER_SERVICE_DIR": str(services)}
