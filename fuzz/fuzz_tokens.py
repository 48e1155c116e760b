"""Fuzzes what reads tokens and keys before anything is trusted: the look at a JWT, key sets, and the judgement on claims.

Nothing raises but the ValueError of a document that is no key set; a token that nobody signed proves nothing; a judgement names a
user or an error, never both.
"""

from __future__ import annotations

import base64
import json

import common
import msgspec

from postwright.engine import jwt
from postwright.policy.oauth import OauthProvider, judge

PROVIDER = OauthProvider("corp", "https://id.example", ("relay",), required_scopes=("smtp.send",), user_claim=("email", "sub"))
CLAIMS = {"iss": "https://id.example", "aud": ["relay"], "exp": 1.8e9, "iat": 1, "scope": "smtp.send", "email": "a@b.example"}
CURVE = {"kty": "EC", "crv": "P-256", "kid": "a", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
         "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}  # fmt: skip  # RFC 7517 appendix A.1 has its like
KEYS = jwt.read_keys(json.dumps({"keys": [CURVE]}).encode())


def _part(value: object) -> bytes:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")


SEEDS = (
    b"t" + _part({"alg": "ES256", "kid": "a"}) + b"." + _part(CLAIMS) + b"." + base64.urlsafe_b64encode(bytes(64)).rstrip(b"="),
    b"t" + _part({"alg": "none"}) + b"." + _part(CLAIMS) + b".",
    b"k" + json.dumps({"keys": [CURVE, {"kty": "RSA", "n": "AQAB", "e": "AQAB"}, {"kty": "oct", "k": "AA"}]}).encode(),
    b"c" + json.dumps(CLAIMS).encode(),
)


def fuzz_one(data: bytes) -> None:
    kind, rest = data[:1], data[1:]
    if kind == b"k":
        try:
            assert jwt.read_keys(rest)
        except ValueError:
            return
    elif kind == b"c":
        try:
            claims = msgspec.json.decode(rest, type=dict[str, object])
        except (ValueError, RecursionError):
            return
        judged = judge(PROVIDER, claims, "", 1.7e9)
        assert bool(judged.user) != bool(judged.error)
    else:
        _token(rest.decode("utf-8", "surrogateescape"))


def _token(token: str) -> None:
    claimed = jwt.peek(token)
    if claimed is not None:
        for key in jwt.fitting(KEYS, claimed):
            assert jwt.verify(token, key, claimed.algorithm) is None, "nobody has this key"


if __name__ == "__main__":
    common.run(fuzz_one, SEEDS)
