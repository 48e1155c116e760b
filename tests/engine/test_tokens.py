"""Tokens of a real authorisation server: good ones of every kind, forged ones of every known kind, keys that change, servers that fail.

Time is a fake clock's where it decides. Takes about two seconds, most of it for making RSA keys.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import structlog
from joserfc.jwk import ECKey, OKPKey, RSAKey
from msgspec import structs
from structlog.testing import CapturingLogger

from postwright.engine.tokens import TokenResult, Tokens
from postwright.model.errors import LoginUnavailable
from postwright.net.clock import SystemClock
from postwright.policy.settings import OauthProvider, Settings, UserSettings

from .token_issuer import ISSUER, TokenIssuer

ALICE = UserSettings("Alice@corp.example", source="staff")
CAROL = UserSettings("carol@corp.example")


class Clock(SystemClock):
    """The system's, moved on by hand."""

    ahead = 0.0

    def monotonic(self) -> float:  # type: ignore[override]
        return SystemClock.monotonic() + self.ahead

    def now(self) -> float:  # type: ignore[override]
        return SystemClock.now() + self.ahead


class Seen(TokenResult):
    """A result, or that there is none now."""

    temporary: bool = False


class Bench:
    """Tokens of one provider in front of one issuer."""

    def __init__(self, issuer: TokenIssuer) -> None:
        self.issuer = issuer
        self.clock = Clock()
        self.lines = CapturingLogger()
        self.tokens = Tokens(self.clock, structlog.wrap_logger(self.lines, processors=[]), self.find, self.knows)
        self.provider = OauthProvider("corp", ISSUER, ("relay",), issuer.jwks_url, required_scopes=("smtp.send",))
        self.asking = structs.replace(self.provider, jwks="", introspection_url=issuer.ask_url, client_id="relay", client_secret="se/sa&me")

    def find(self, name: str) -> UserSettings | asyncio.Future[UserSettings | None] | None:
        if name.lower() == "carol@corp.example":
            future: asyncio.Future[UserSettings | None] = asyncio.get_running_loop().create_future()
            future.set_result(CAROL)
            return future
        return ALICE if name.lower() == "alice@corp.example" else None

    def knows(self, name: str) -> bool | asyncio.Future[bool]:
        """There are Dora, who is disabled, and Emil of the look-up, who is too."""
        if name.lower() == "emil@corp.example":
            future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
            future.set_result(True)
            return future
        return name.lower() == "dora@corp.example"

    def use(self, *providers: OauthProvider) -> None:
        self.tokens.apply(Settings(oauth_providers=providers))

    async def check(self, token: str, hint: str = "") -> Seen:
        try:
            result = await self.tokens.check(hint, token)
        except LoginUnavailable:
            return Seen(None, temporary=True)
        return Seen(result.user, result.error, result.reason, result.scope)


@pytest.fixture(scope="module")
def made() -> TokenIssuer:
    return TokenIssuer()  # keys once: an RSA key takes a third of a second


@pytest.fixture
async def bench(made: TokenIssuer) -> AsyncIterator[Bench]:
    issuer = TokenIssuer.__new__(TokenIssuer)
    issuer.__dict__.update({**made.__dict__, "keys": list(made.keys), "said": {}, "questions": [], "fetches": 0, "asked": asyncio.Event()})
    async with issuer:
        bench = Bench(issuer)
        bench.use(bench.provider)
        yield bench
        await bench.tokens.close()


# -- good ones ----------------------------------------------------------------------------


async def test_a_good_token_lets_its_user_in(bench: Bench) -> None:
    assert bench.tokens.available
    assert await bench.check(bench.issuer.token(), "ALICE@corp.example") == Seen(ALICE)


GOOD: dict[str, Callable[[TokenIssuer], str]] = {
    "ES256": lambda issuer: issuer.token(issuer.keys[1], algorithm="ES256"),
    "PS512": lambda issuer: issuer.token(algorithm="PS512"),
    "without a key id": lambda issuer: issuer.token(header={"kid": None}),
    "several audiences": lambda issuer: issuer.token(aud=["other", "relay"]),
}


@pytest.mark.parametrize("make", GOOD.values(), ids=GOOD)
async def test_good(bench: Bench, make: Callable[[TokenIssuer], str]) -> None:
    assert (await bench.check(make(bench.issuer))).user == ALICE


async def test_edwards_curves(bench: Bench) -> None:
    key = OKPKey.generate_key("Ed25519", {"kid": "ed"})
    bench.issuer.keys.append(key)
    assert (await bench.check(bench.issuer.token(key, algorithm="Ed25519"))).user == ALICE


# -- forged ones --------------------------------------------------------------------------

STRANGER = RSAKey.generate_key(2048, {"kid": "first"})  # the same name, another key

FORGED: dict[str, Callable[[TokenIssuer], str]] = {
    "another key of that name": lambda issuer: issuer.token(STRANGER),
    "another key without a name": lambda issuer: issuer.token(STRANGER, header={"kid": None}),
    "its own key in the header": lambda issuer: issuer.token(STRANGER, header={"jwk": STRANGER.as_dict(private=False), "kid": None}),
    "alg none": lambda issuer: issuer.unsigned(),
    "HMAC with the public key, PEM": lambda issuer: issuer.confused(pem=True),
    "HMAC with the public key, JWK": lambda issuer: issuer.confused(pem=False),
    "claims of another token": lambda issuer: issuer.tampered(),
    "no signature": lambda issuer: issuer.token().rpartition(".")[0] + ".",
    "cut": lambda issuer: issuer.token()[:-10],
    "EC algorithm with an RSA key": lambda issuer: issuer.token(issuer.keys[1], algorithm="ES256", header={"kid": "first"}),
    "critical header nobody knows": lambda issuer: issuer.critical(),
    "expired": lambda issuer: issuer.token(exp=int(issuer.claims()["iat"]) - 61),
    "wrong audience": lambda issuer: issuer.token(aud="other"),
    "wrong issuer": lambda issuer: issuer.token(iss="https://evil.example"),
    "no issuer": lambda issuer: issuer.token(iss=None),
    "empty": lambda issuer: "",
    "opaque": lambda issuer: "ya29.opaque",
    "too long": lambda issuer: issuer.token(padding="x" * 16384),
    "no text at all": lambda issuer: "\udcff.\0.é",
    "deep JSON": lambda issuer: "W1tb" * 3000 + "." + "W1tb" * 900 + ".AA",
}


@pytest.mark.parametrize("make", FORGED.values(), ids=FORGED)
async def test_forged(bench: Bench, make: Callable[[TokenIssuer], str]) -> None:
    result = await bench.check(make(bench.issuer))
    assert (result.user, result.error, result.temporary) == (None, "invalid_token", False), result.reason
    assert (await bench.check(bench.issuer.token())).user == ALICE, "and the next good one is good"


async def test_a_missing_scope_is_told_apart(bench: Bench) -> None:
    seen = await bench.check(bench.issuer.token(scope="openid"))
    assert (seen.error, seen.scope) == ("insufficient_scope", "smtp.send")


async def test_only_the_algorithms_of_the_provider(bench: Bench) -> None:
    bench.use(structs.replace(bench.provider, algorithms=("ES256",)))
    assert (await bench.check(bench.issuer.token())).reason == "the token is signed by an algorithm that is not allowed"
    assert (await bench.check(bench.issuer.token(bench.issuer.keys[1], algorithm="ES256"))).user == ALICE


async def test_a_key_that_says_its_algorithm_is_for_no_other(bench: Bench) -> None:
    bench.issuer.keys[0] = RSAKey.import_key({**bench.issuer.keys[0].as_dict(private=True), "alg": "RS512"})
    assert (await bench.check(bench.issuer.token(algorithm="RS512"))).user == ALICE
    twin = RSAKey.import_key({name: part for name, part in bench.issuer.keys[0].as_dict(private=True).items() if name != "alg"})
    assert (await bench.check(bench.issuer.token(twin, algorithm="RS256"))).user is None


async def test_no_token_and_no_secret_gets_into_the_log(bench: Bench) -> None:
    bench.use(bench.provider, structs.replace(bench.asking, name="asked", issuer=""))
    token = bench.issuer.token(aud="other")
    await bench.check(token)
    await bench.check("opaque-token")
    bench.issuer.said["broken"] = 500
    await bench.check("broken")
    logged = repr(bench.lines.calls)
    assert "another audience" in logged
    assert [part for part in (*token.split("."), "opaque-token", "se/sa&me", "alice") if part in logged] == []


# -- whom it lets in ------------------------------------------------------------------------


async def test_users_who_are_not_configured(bench: Bench) -> None:
    token = bench.issuer.token(email="new@corp.example")
    assert (await bench.check(token)).error == "invalid_token"
    bench.use(structs.replace(bench.provider, accept_unknown_users=True, source="cloud"))
    assert await bench.check(token) == Seen(UserSettings("new@corp.example", source="cloud"))
    assert await bench.check(bench.issuer.token()) == Seen(ALICE), "who has a source keeps it"
    carol = (await bench.check(bench.issuer.token(email="carol@corp.example"))).user
    assert carol is not None
    assert (carol.name, carol.source) == ("carol@corp.example", "cloud")


async def test_who_is_disabled_is_not_unknown(bench: Bench) -> None:
    bench.use(structs.replace(bench.provider, accept_unknown_users=True, source="cloud"))
    for name in ("dora", "emil"):
        assert (await bench.check(bench.issuer.token(email=f"{name}@corp.example"))).error == "invalid_token"
    assert "has to log in otherwise" in repr(bench.lines.calls)


# -- keys -----------------------------------------------------------------------------------


async def test_keys_are_fetched_once(bench: Bench) -> None:
    await asyncio.gather(*(bench.check(bench.issuer.token()) for _ in range(20)))
    assert bench.issuer.fetches == 1
    bench.use(structs.replace(bench.provider, origin=type(bench.provider.origin)("other", 7)))
    await bench.check(bench.issuer.token())
    assert bench.issuer.fetches == 1, "a reload that changes nothing forgets nothing"


async def test_a_provider_changes_its_keys(bench: Bench) -> None:
    await bench.check(bench.issuer.token())
    new = ECKey.generate_key("P-256", {"kid": "second"})
    bench.issuer.keys = [new]
    bench.clock.ahead = 31.0  # beyond the refresh interval
    assert (await bench.check(bench.issuer.token(new, algorithm="ES256"))).user == ALICE
    assert bench.issuer.fetches == 2
    assert (await bench.check(bench.issuer.token(STRANGER))).user is None, "the old name is not known any more"


async def test_unknown_key_ids_fetch_no_oftener_than_the_interval(bench: Bench) -> None:
    for number in range(50):
        key = ECKey.generate_key("P-256", {"kid": f"unknown-{number}"})
        assert (await bench.check(bench.issuer.token(key, algorithm="ES256"))).error == "invalid_token"
    assert bench.issuer.fetches == 1
    bench.clock.ahead = 31.0
    await bench.check(bench.issuer.token(key, algorithm="ES256"))
    assert bench.issuer.fetches == 2


async def test_old_keys_serve_while_the_url_fails_and_not_for_ever(bench: Bench) -> None:
    await bench.check(bench.issuer.token())
    bench.issuer.broken = True
    for ahead in (301.0, 400.0, 86_000.0):
        bench.clock.ahead = ahead
        assert (await bench.check(bench.issuer.token(exp=bench.clock.now() + 600, iat=bench.clock.now()))).user == ALICE
    bench.clock.ahead = 86_401.0
    late = await bench.check(bench.issuer.token(exp=bench.clock.now() + 600))
    assert (late.user, late.temporary) == (None, True)


async def test_no_keys_yet_is_temporary(bench: Bench) -> None:
    bench.issuer.broken = True
    result = await bench.check(bench.issuer.token())
    assert (result.user, result.error, result.temporary) == (None, "", True)
    bench.issuer.broken = False
    bench.clock.ahead = 31.0
    assert (await bench.check(bench.issuer.token())).user == ALICE


async def test_a_server_that_is_silent_is_temporary(bench: Bench) -> None:
    bench.issuer.hold = asyncio.Event()
    bench.use(structs.replace(bench.provider, request_timeout=0.05))
    assert (await bench.check(bench.issuer.token())).temporary
    bench.issuer.hold.set()


async def test_a_redirection_is_not_followed(bench: Bench) -> None:
    bench.use(structs.replace(bench.provider, jwks=f"{bench.issuer.url}/moved"))
    assert (await bench.check(bench.issuer.token())).temporary
    assert bench.issuer.fetches == 0


async def test_keys_in_a_file_that_changes(bench: Bench, tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    bench.use(structs.replace(bench.provider, jwks=str(file)))
    for _ in range(3):
        assert (await bench.check(bench.issuer.token())).temporary, "no file yet"
    assert [call.kwargs["event"] for call in bench.lines.calls] == ["keys cannot be read"], "once"
    useless = {"kty": "oct", "k": "AAAA", "kid": "hmac"}, {"kty": "unknown"}, {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}
    file.write_text(bench.issuer.key_set(*useless))
    assert (await bench.check(bench.issuer.token())).user == ALICE
    bench.issuer.keys = [STRANGER]
    file.write_text(bench.issuer.key_set())
    assert (await bench.check(bench.issuer.token(STRANGER))).user == ALICE
    file.write_text("{ half a file")
    assert (await bench.check(bench.issuer.token(STRANGER))).user == ALICE, "a broken file changes nothing"


@pytest.mark.parametrize("bits", [512, 1024, 2047, 8193])
async def test_rsa_keys_of_a_size_that_is_not_to_be_trusted(bench: Bench, tmp_path: Path, bits: int) -> None:
    modulus = base64.urlsafe_b64encode(((1 << bits - 1) + 1).to_bytes((bits + 7) // 8)).decode().rstrip("=")
    file = tmp_path / "keys.json"
    file.write_text(json.dumps({"keys": [{"kty": "RSA", "n": modulus, "e": "AQAB", "kid": "first"}]}))
    bench.use(structs.replace(bench.provider, jwks=str(file)))
    assert (await bench.check(bench.issuer.token())).temporary, "no key of use"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"keys": {}}', '{"keys": []}', '{"keys": [{"kty": "oct", "k": "AAAA"}]}', "\xff"])
async def test_files_that_hold_no_keys(bench: Bench, tmp_path: Path, text: str) -> None:
    file = tmp_path / "keys.json"
    file.write_text(text, "latin-1")
    bench.use(structs.replace(bench.provider, jwks=str(file)))
    assert (await bench.check(bench.issuer.token())).temporary


# -- introspection ----------------------------------------------------------------------------


def active(bench: Bench, **changed: Any) -> dict[str, Any]:
    return {"active": True, **bench.issuer.claims(**changed)}


async def test_an_opaque_token_is_asked_about_once(bench: Bench) -> None:
    bench.use(bench.asking)
    bench.issuer.said["opaque"] = active(bench)
    results = await asyncio.gather(*(bench.check("opaque", "alice@corp.example") for _ in range(10)))
    assert [result.user for result in results] == [ALICE] * 10
    assert bench.issuer.questions == ["opaque"]
    assert (await bench.check("opaque", "bob@corp.example")).error == "invalid_token", "kept is what was said, not who was let in"
    bench.clock.ahead = 301.0
    await bench.check("opaque")
    assert bench.issuer.questions == ["opaque", "opaque"]


async def test_an_answer_is_not_kept_beyond_the_tokens_end(bench: Bench) -> None:
    bench.use(structs.replace(bench.asking, clock_leeway=0.0))
    bench.issuer.said["short"] = active(bench, exp=bench.clock.now() + 60)
    assert (await bench.check("short")).user == ALICE
    bench.issuer.said["short"] = {"active": False}
    bench.clock.ahead = 61.0
    assert (await bench.check("short")).error == "invalid_token"
    assert len(bench.issuer.questions) == 2


async def test_a_bad_token_is_not_asked_about_again_at_once(bench: Bench) -> None:
    bench.use(bench.asking)
    for _ in range(5):
        assert (await bench.check("unknown")).error == "invalid_token"
    assert len(bench.issuer.questions) == 1
    bench.clock.ahead = 11.0
    bench.issuer.said["unknown"] = active(bench)
    assert (await bench.check("unknown")).user == ALICE


@pytest.mark.parametrize("said", [500, 401, 302, 404, {"no": "verdict"}, {"active": "true"}], ids=str)
async def test_a_server_that_does_not_say_is_temporary(bench: Bench, said: Any) -> None:
    bench.use(bench.asking)
    bench.issuer.said["opaque"] = said
    result = await bench.check("opaque")
    assert (result.user, result.temporary) == (None, True)
    await bench.check("opaque")
    assert [call.kwargs["event"] for call in bench.lines.calls] == ["tokens cannot be checked"], "once, not with each token"
    bench.issuer.said["opaque"] = active(bench)
    assert (await bench.check("opaque")).user == ALICE, "trouble is not kept"


async def test_a_server_that_is_not_there_is_temporary(bench: Bench) -> None:
    bench.use(structs.replace(bench.asking, introspection_url="http://127.0.0.1:1/ask"))
    assert (await bench.check("opaque")).temporary


async def test_a_session_that_goes_does_not_take_the_question_with_it(bench: Bench) -> None:
    bench.use(bench.asking)
    bench.issuer.hold = asyncio.Event()
    bench.issuer.said["opaque"] = active(bench)
    gone, stays = bench.tokens.check("", "opaque"), bench.tokens.check("", "opaque")
    async with asyncio.timeout(5):
        await bench.issuer.asked.wait()
    gone.cancel()
    bench.issuer.hold.set()
    assert (await stays).user == ALICE
    assert len(bench.issuer.questions) == 1


async def test_several_providers_by_issuer_and_opaque_ones_in_turn(bench: Bench) -> None:
    other = RSAKey.generate_key(2048, {"kid": "first"})
    other_issuer = structs.replace(bench.provider, name="other", issuer="https://other.example", jwks=str(Path("/nonexistent")))
    bench.use(other_issuer, bench.provider, structs.replace(bench.asking, name="asked", issuer="https://third.example"))
    assert (await bench.check(bench.issuer.token())).user == ALICE
    assert (await bench.check(bench.issuer.token(other, iss="https://other.example"))).temporary, "its own provider has no keys"
    assert bench.issuer.questions == [], "whose issuer is known is shown to nobody"
    bench.issuer.said["opaque"] = active(bench, iss="https://third.example")
    assert (await bench.check("opaque")).user == ALICE


async def test_a_jwt_may_be_introspected_instead(bench: Bench) -> None:
    token = bench.issuer.token()
    for issuer in (ISSUER, ""):
        bench.use(structs.replace(bench.asking, issuer=issuer))
        bench.issuer.said[token] = active(bench)
        assert (await bench.check(token)).user == ALICE
    bench.use(bench.asking)
    assert (await bench.check(bench.issuer.token(jti="revoked"))).error == "invalid_token"


async def test_an_answer_without_end_is_cut(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.issuer.key_set = lambda *extra: json.dumps({"keys": [], "padding": "x" * (1 << 20)})  # type: ignore[method-assign]
    assert (await bench.check(bench.issuer.token())).temporary


async def test_without_a_provider_nothing_is_offered(bench: Bench) -> None:
    bench.use()
    assert not bench.tokens.available
    assert (await bench.check(bench.issuer.token())).error == "invalid_token"
