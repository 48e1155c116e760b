"""An authorisation server for tests: real keys, a real HTTP server for the key set and for introspection, and tokens of every wrong kind.

It serves on 127.0.0.1 in the test's own loop. What it is told to answer is in plain attributes; what it was asked is counted.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import time
from types import TracebackType
from typing import Any

from aiohttp import encode_basic_auth, web
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from joserfc import jwt
from joserfc.jwk import ECKey, Key, RSAKey

ISSUER = "https://id.example"


class TokenIssuer:
    """`keys` are published at `jwks_url`; `said` maps opaque tokens to what introspection answers (a dictionary, or a status)."""

    def __init__(self) -> None:
        self.keys: list[Key] = [RSAKey.generate_key(2048, {"kid": "first"}), ECKey.generate_key("P-256", {"kid": "curve"})]
        self.said: dict[str, dict[str, Any] | int] = {}
        self.broken = False
        self.fetches = 0
        self.questions: list[str] = []
        self.asked = asyncio.Event()
        self.hold: asyncio.Event | None = None
        self._runner: web.AppRunner | None = None
        self.url = ""

    async def __aenter__(self) -> TokenIssuer:
        app = web.Application()
        app.add_routes([web.get("/keys", self._keys), web.post("/ask", self._ask), web.get("/moved", self._moved)])
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    @property
    def jwks_url(self) -> str:
        return f"{self.url}/keys"

    @property
    def ask_url(self) -> str:
        return f"{self.url}/ask"

    def key_set(self, *extra: dict[str, Any]) -> str:
        return json.dumps({"keys": [*(key.as_dict(private=False) for key in self.keys), *extra]})

    async def _keys(self, request: web.Request) -> web.Response:
        self.fetches += 1
        if self.hold is not None:
            await self.hold.wait()
        if self.broken:
            return web.Response(status=503)
        return web.Response(text=self.key_set(), content_type="application/json")

    async def _moved(self, request: web.Request) -> web.Response:
        raise web.HTTPFound("/keys")

    async def _ask(self, request: web.Request) -> web.Response:
        token = str((await request.post())["token"])
        self.questions.append(token)
        self.asked.set()
        if self.hold is not None:
            await self.hold.wait()
        if request.headers.get("Authorization") != encode_basic_auth("relay", "se%2Fsa%26me"):
            return web.Response(status=401)
        said = self.said.get(token, {"active": False})
        return web.Response(status=said) if isinstance(said, int) else web.json_response(said)

    # -- tokens -------------------------------------------------------------------------------

    def claims(self, **changed: Any) -> dict[str, Any]:
        now = int(time.time())
        return {"iss": ISSUER, "aud": "relay", "exp": now + 600, "iat": now, "scope": "smtp.send", "email": "alice@corp.example", **changed}

    def token(self, key: Key | None = None, *, algorithm: str = "RS256", header: dict[str, Any] | None = None, **changed: Any) -> str:
        """A token signed by `key`, the first published one if none is given."""
        key = key or self.keys[0]
        head: dict[str, Any] = {"alg": algorithm, "kid": key.kid, **(header or {})}
        head = {name: value for name, value in head.items() if value is not None}
        return jwt.encode(head, self.claims(**changed), key, algorithms=[algorithm])

    def unsigned(self) -> str:
        """`alg` none (RFC 7519 section 6.1): the first trick there was."""
        return f"{_part({'alg': 'none', 'kid': 'first'})}.{_part(self.claims())}."

    def confused(self, pem: bool) -> str:
        """Signed by HMAC with the public key as the secret: who trusts `alg` and has that key is fooled (RFC 8725 section 2.1)."""
        key = self.keys[0]
        public = key.as_pem(private=False) if pem else json.dumps(key.as_dict(private=False)).encode()
        signed = f"{_part({'alg': 'HS256', 'kid': 'first'})}.{_part(self.claims())}"  # by hand: the library would not
        return f"{signed}.{_base64(hmac.digest(public, signed.encode(), 'sha256'))}"

    def critical(self) -> str:
        """With a header that must be understood and is not (RFC 7515 section 4.1.11); well signed."""
        signed = f"{_part({'alg': 'RS256', 'kid': 'first', 'crit': ['exp2'], 'exp2': 1})}.{_part(self.claims())}"
        key = serialization.load_pem_private_key(self.keys[0].as_pem(private=True), None)
        assert isinstance(key, rsa.RSAPrivateKey)
        return f"{signed}.{_base64(key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()))}"

    def tampered(self) -> str:
        """The signature of one token under the claims of another."""
        head, _, signature = self.token().split(".")
        return f"{head}.{_part(self.claims(email='root@corp.example'))}.{signature}"


def _part(value: dict[str, Any]) -> str:
    return _base64(json.dumps(value).encode())


def _base64(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()
