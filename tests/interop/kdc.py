"""A real MIT Kerberos on loopback: a realm of its own in a folder of the test, made and served by Debian's programs.

Nothing of the machine's own Kerberos is read or changed: `environment` leads everything (client, relay, tools) to the files here.
"""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from tests.conftest import system_cache
from tests.interop.peers import run, server

from postwright.testing.sockets import free_port

MASTER = "master-of-the-test"


class Kdc:
    """The realm `realm`, with users and services as the test adds them. Files are in `folder`."""

    def __init__(self, folder: Path, realm: str, needs: Callable[[str], Path]) -> None:
        self.folder = folder
        self.realm = realm
        self.port = free_port()
        self._needs = needs
        self.environment = {
            **os.environ,
            "KRB5_CONFIG": str(folder / "krb5.conf"),
            "KRB5_KDC_PROFILE": str(folder / "kdc.conf"),
            "KRB5CCNAME": f"FILE:{folder / 'ccache'}",
            "KRB5RCACHENAME": f"dfl:{folder / 'rcache'}",
        }
        folder.mkdir()
        (folder / "krb5.conf").write_text(_CLIENT.format(realm=realm, port=self.port))
        (folder / "kdc.conf").write_text(_SERVER.format(realm=realm, port=self.port, folder=folder, modules=_modules()))

    async def make(self) -> None:
        """The database, empty."""
        await self._tool("kdb5_util", "-r", self.realm, "create", "-s", "-P", MASTER)

    async def add(self, principal: str, password: str) -> None:
        """A user."""
        await self._tool("kadmin.local", "-r", self.realm, "-q", f"addprinc -pw {password} {principal}")

    async def keytab(self, principal: str, name: str = "relay.keytab") -> Path:
        """The file of the keys of a service, which is made."""
        await self._tool("kadmin.local", "-r", self.realm, "-q", f"addprinc -randkey {principal}")
        file = self.folder / name
        await self._tool("kadmin.local", "-r", self.realm, "-q", f"ktadd -k {file} {principal}")
        return file

    async def kinit(self, principal: str, password: str) -> None:
        """Log in: a ticket for the client's programs, in place of that of whoever was before."""
        await run(self._needs("kinit"), principal, stdin=f"{password}\n".encode(), env=self.environment)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """The KDC's process."""
        command = ("env", *(f"{name}={self.environment[name]}" for name in ("KRB5_CONFIG", "KRB5_KDC_PROFILE")), self._needs("krb5kdc"))
        async with server(*command, "-n", "-r", self.realm, port=self.port, output=self.folder / "kdc.out"):
            yield

    async def _tool(self, program: str, *words: str) -> None:
        done = await run(self._needs(program), *words, env=self.environment)
        assert not re.search(rb"rror|while ", done.stdout), done.stdout


def _modules() -> str:
    """Where the database module is, if the programs were unpacked and not installed."""
    found = sorted(system_cache().glob("root-krb5-kdc/usr/lib/*/krb5/plugins/kdb"))
    return f"db_module_dir = {found[0]}" if found else ""


_CLIENT = """\
[libdefaults]
    default_realm = {realm}
    dns_lookup_kdc = false
    dns_lookup_realm = false
    dns_canonicalize_hostname = false
    rdns = false
    udp_preference_limit = 1
[realms]
    {realm} = {{
        kdc = 127.0.0.1:{port}
    }}
[domain_realm]
    relay.example = {realm}
    localhost = {realm}
"""

_SERVER = """\
[kdcdefaults]
    kdc_listen = 127.0.0.1:{port}
    kdc_tcp_listen = 127.0.0.1:{port}
[realms]
    {realm} = {{
        database_name = {folder}/principal
        key_stash_file = {folder}/stash
        acl_file = {folder}/acl
        max_life = 1h
    }}
[dbmodules]
    {modules}
[logging]
    kdc = FILE:{folder}/kdc.log
    default = FILE:{folder}/default.log
"""
