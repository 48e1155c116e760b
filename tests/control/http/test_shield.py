"""What every request passes: framing, redirect, host, identity; what every answer has; what the log is told, and never is."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path

import pytest
from tests.control.http.asgi import KEY, PLAIN, Page, Relay

from postwright.control.http.csrf import COOKIE

OPEN = "http-redirect-to-https no\nhttp-access 192.0.2.0/24 admin\n"
WHO = "/api/v1/whoami"


async def test_every_answer_is_protected(tmp_path: Path) -> None:
    page = Page(tmp_path, OPEN)
    for path, client in ((WHO, "192.0.2.1"), ("/nothing/here", "192.0.2.1"), (WHO, "198.51.100.1")):
        headers = (await page.get(path, client=client)).headers
        assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self';")
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["cache-control"] == "no-store"
        assert not [name for name in headers if name.startswith("access-control")]  # no CORS
        assert "server" not in headers


async def test_nobody_gets_past_without_a_right(tmp_path: Path) -> None:
    page = Page(tmp_path, OPEN)
    assert (await page.get(WHO, client="198.51.100.1")).status == 403
    assert (await page.get("/nothing", client="198.51.100.1")).status == 403  # not even what there is
    wrong = await page.get(WHO, key="x" * 32)
    assert wrong.status == 401
    assert wrong.headers["www-authenticate"].startswith("Bearer")  # Basic would have a browser keep and send it
    assert wrong.headers["content-type"] == "application/problem+json"
    assert wrong.json()["title"] == "The key is wrong"
    refused = [line for line in page.log.lines if line["event"] == "an API key was refused"]
    assert [line["peer"] for line in refused] == ["192.0.2.9"]
    assert "x" * 32 not in repr(page.log.lines)


@pytest.mark.directive("http-redirect-to-https")
async def test_plain_http_is_sent_to_https(tmp_path: Path) -> None:
    page = Page(tmp_path, f"http-api-key {KEY}\n")
    got = await page.get("/queues?queue=a%20b/*", headers={"host": "relay.example:8080"})
    assert (got.status, got.headers["location"]) == (301, "https://relay.example:8080/queues?queue=a%20b/*")
    assert (await page.post("/command", key=KEY)).status == 308
    assert (await page.get(WHO, key=KEY, scheme="https")).status == 200
    for host in ("evil.example/x", "a\tb", "user@relay.example", ""):
        bad = await page.get("/", headers={"host": host})
        assert (bad.status, "location" in bad.headers) == (400, False)


@pytest.mark.directive("http-redirect-to-https")
async def test_or_answered_where_the_operator_says_so(tmp_path: Path) -> None:
    assert (await Page(tmp_path, PLAIN).get(WHO, key=KEY)).status == 200


@pytest.mark.directive("http-strict-transport-security-max-age")
@pytest.mark.parametrize(
    ("line", "scheme", "value"),
    [("600", "https", "max-age=600"), ("600", "http", None), ("0", "https", None), (None, "https", None)],
)
async def test_hsts(tmp_path: Path, line: str | None, scheme: str, value: str | None) -> None:
    config = PLAIN + (f"http-strict-transport-security-max-age {line}\n" if line else "")
    got = await Page(tmp_path, config).get(WHO, key=KEY, scheme=scheme)
    assert got.headers.get("strict-transport-security") == value


async def test_two_lengths_are_none(tmp_path: Path) -> None:
    got = await Page(tmp_path).get(WHO, key=KEY, headers={"transfer-encoding": "chunked"})
    assert got.status == 400


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:8080", 200),
        ("127.0.0.1:8080", 200),
        ("[::1]:8080", 200),
        ("[::1]", 200),
        ("Relay.Example", 200),
        ("rebound.example:8080", 421),
        ("localhost.rebound.example", 421),
    ],
)
async def test_a_strangers_name_does_not_lead_to_loopback(tmp_path: Path, host: str, status: int) -> None:
    page = Page(tmp_path, PLAIN + "host-name relay.example\n")
    assert (await page.get(WHO, key=KEY, server="127.0.0.1", headers={"host": host})).status == status
    assert (await page.get(WHO, key=KEY, headers={"host": host})).status == 200  # elsewhere any name of the machine's


@pytest.mark.directive("http-log-requests")
@pytest.mark.parametrize("on", [True, False])
async def test_requests_are_logged(tmp_path: Path, on: bool) -> None:
    page = Page(tmp_path, PLAIN + ("http-log-requests yes\n" if on else ""))
    await page.get(f"{WHO}?x=%0d%0ay", key=KEY)
    await page.get(WHO)
    lines = [{name: line[name] for name in ("who", "line", "status")} for line in page.log.lines if line["event"] == "http request"]
    expected = [
        {"who": "key http-api-key 1", "line": f"GET {WHO}?x=%0d%0ay", "status": 200},
        {"who": "", "line": f"GET {WHO}", "status": 403},
    ]
    assert lines == (expected if on else [])


@pytest.mark.directive("http-log-data")
@pytest.mark.parametrize("on", [True, False])
async def test_octets_are_logged_and_secrets_are_not(tmp_path: Path, on: bool) -> None:
    page = Page(tmp_path, PLAIN + ("http-log-data yes\n" if on else ""), Relay())
    await page.post(WHO, b"some octets", key=KEY, headers={"cookie": f"{COOKIE}=seed", "authorization": "Bearer " + KEY})
    await page.get(WHO, key=KEY)
    text = repr(page.log.lines)
    assert ("key http-api-key 1" in text) == on  # the body of the answer
    assert ("'x-content-type-options': 'nosniff'" in text) == on
    assert KEY not in text
    assert "seed" not in text


@pytest.mark.directive("http-log-requests", "http-log-data")
async def test_keys_of_commands_and_texts_of_the_configuration_are_not_logged(tmp_path: Path) -> None:
    page = Page(tmp_path, PLAIN + "http-log-data yes\nhttp-log-requests yes\n", Relay())
    page.site.config_file = tmp_path / "config"
    page.site.config_file.write_text("host-name a.example\n# sesame\n")
    form = {"content-type": "application/x-www-form-urlencoded"}
    asked = [
        await page.post("/command?command=digest+--siphash+--key=sesame+x", key=KEY),
        await page.post("/command", b"command=digest+--siphash+--key=sesame+x", key=KEY, headers=form),
        await page.get("/configFile?op=read&filename=config", key=KEY),
        await page.get("/api/v1/config/file?name=config", key=KEY),
        await page.post("/configFile", b"filename=config&file=host-name+a.example%0a%23+sesame", key=KEY, headers=form),
    ]
    assert [answer.status for answer in asked] == [200] * 5
    text = repr(page.log.lines)
    assert "sesame" not in text
    assert "POST /command?***" in text
    assert "GET /configFile?op=read&filename=config" in text


@pytest.mark.directive("http-csrf-protection")
async def test_a_change_needs_a_key_or_a_token(tmp_path: Path) -> None:
    page = Page(tmp_path, OPEN)
    seed = page.site.csrf.seed("")
    token = page.site.csrf.token(seed)
    other = page.site.csrf.token(page.site.csrf.seed(""))

    async def post(headers: dict[str, str], body: bytes = b"", client: str = "192.0.2.1", key: str = "") -> int:
        return (await page.post("/command", body, headers=headers, client=client, key=key)).status

    form = {"content-type": "application/x-www-form-urlencoded"}
    assert await post({}) == 403
    assert await post({"x-csrf-token": token}) == 403  # without its cookie
    assert await post({"cookie": f"{COOKIE}={seed}"}) == 403  # a browser sends that for anybody
    assert await post({"cookie": f"{COOKIE}={seed}", "x-csrf-token": other}) == 403
    assert await post({"cookie": f"{COOKIE}=evil", "x-csrf-token": page.site.csrf.token("evil")}) == 403
    good = {"cookie": f"{COOKIE}={seed}", "x-csrf-token": token}
    assert await post({**good, "sec-fetch-site": "cross-site"}) == 403
    assert await post(good) == 400  # it has passed: there was no command in it
    assert await post({"cookie": f"{COOKIE}={seed}", **form}, f"CSRFToken={token}".encode()) == 400
    assert await post({"cookie": f"{COOKIE}={seed}", **form}, f"CSRFToken={other}".encode()) == 403


@pytest.mark.directive("http-csrf-protection")
async def test_a_key_is_proof_enough_and_the_protection_may_be_off(tmp_path: Path) -> None:
    assert (await Page(tmp_path).post("/command", key=KEY)).status == 400
    assert (await Page(tmp_path, OPEN + "http-csrf-protection no\n").post("/command", client="192.0.2.1")).status == 400


async def test_a_key_that_a_browser_remembers_is_no_proof(tmp_path: Path) -> None:
    basic = {"authorization": "Basic " + b64encode(f"api:{KEY}".encode()).decode()}
    page = Page(tmp_path)
    assert (await page.post("/command", headers=basic)).status == 400
    assert (await page.post("/command", headers={**basic, "sec-fetch-site": "cross-site"})).status == 403
    # by plain HTTP a browser says no more than this
    assert (await page.post("/command", headers={**basic, "origin": "http://evil.example"})).status == 403
    assert (await page.post("/command", headers={**basic, "origin": "https://relay.test", "sec-fetch-site": "none"})).status == 400


async def test_a_defect_is_told_to_the_log_and_not_to_the_peer(tmp_path: Path) -> None:
    class Broken(Relay):
        async def ask_with(self, verb: str, arguments: dict[str, str]) -> object:  # type: ignore[override]
            raise ZeroDivisionError("the inside of things")

    page = Page(tmp_path, PLAIN, Broken())
    got = await page.get("/status?format=json", key=KEY)
    assert got.status == 500
    assert b"inside" not in got.body
    assert b"ZeroDivision" not in got.body
    assert [line["event"] for line in page.log.lines] == ["unexpected"]


async def test_a_relay_that_is_away_is_503(tmp_path: Path) -> None:
    got = await Page(tmp_path).get("/status?format=json", key=KEY)
    assert (got.status, got.headers["retry-after"]) == (503, "5")


async def test_who_asks_too_fast_waits(tmp_path: Path) -> None:
    page = Page(tmp_path)
    page.site.paces._burst = 3.0
    page.site.paces._rate = 0.001
    assert [(await page.get(WHO, key=KEY)).status for _ in range(4)] == [200, 200, 200, 429]
    assert int((await page.get(WHO, key=KEY)).headers["retry-after"]) > 100
