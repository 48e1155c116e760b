"""The API against its own description (OpenAPI 3.1) by schemathesis, before a real relay: no answer that the description does not have, no
5xx, and nothing unexpected inside, whatever is asked. The short run always; `./dev soak` asks a hundred times more."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from postwright.testing.relay_process import RelayProcess, plain_config
from postwright.testing.sockets import free_port

schemathesis = pytest.importorskip("schemathesis")
requests = pytest.importorskip("requests")

KEY = "k" * 32


def config(smtp: int, http: int) -> str:
    return plain_config(smtp) + (
        f"event-log yes\nhttp-mgmt-port {http}\nhttp-mgmt-address 127.0.0.1\nhttp-redirect-to-https no\nhttp-api-key {KEY}\n"
        "<source 127.0.0.1/32>\nalways-allow-relaying yes\n</source>\n<domain *>\ntype discard\n</domain>\n"
    )


async def tried(folder: Path, examples: int) -> dict[str, Counter[int]]:
    """Statuses by operation, after so many well-formed and so many ill-formed requests of each."""
    http = free_port()
    async with RelayProcess(folder, config(free_port(), http)) as relay:
        await relay.until(lambda: any(line["event"] == "the HTTP process answers" for line in relay.log()), "the HTTP process")
        return await asyncio.to_thread(asked, f"http://127.0.0.1:{http}", examples)


def asked(base: str, examples: int) -> dict[str, Counter[int]]:
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi.checks import (
        content_type_conformance,
        negative_data_rejection,
        response_schema_conformance,
        status_code_conformance,
    )

    checks = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance, negative_data_rejection]
    found: dict[str, Counter[int]] = {}
    with requests.Session() as session:
        session.headers["X-API-Key"] = KEY
        schema = schemathesis.openapi.from_dict(session.get(f"{base}/api/v1/openapi.json").json())
        for result in schema.get_all_operations():
            operation = result.ok()
            statuses = found[operation.label] = Counter()
            for mode in schemathesis.GenerationMode:
                ask(operation.as_strategy(generation_mode=mode), base, session, checks, examples, statuses)
    return found


def ask(strategy: Any, base: str, session: Any, checks: list[Any], examples: int, statuses: Counter[int]) -> None:
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.explicit, Phase.generate],
    )
    @given(case=strategy)
    def one(case: Any) -> None:
        response = case.call(base_url=base, session=session)
        statuses[response.status_code] += 1
        case.validate_response(response, checks=checks)

    one()


def judge(found: dict[str, Counter[int]]) -> None:
    assert len(found) >= 42
    answered = [label for label, statuses in found.items() if any(status < 300 for status in statuses)]
    refused = [label for label, statuses in found.items() if any(400 <= status < 500 for status in statuses)]
    # else the requests that were tried were none that mean anything
    assert len(answered) >= 20
    assert len(refused) >= 25


@pytest.mark.usefixtures("collected")
async def test_the_api_is_as_it_says(tmp_path: Path) -> None:
    judge(await tried(tmp_path, 2))


@pytest.mark.soak
async def test_the_api_is_as_it_says_for_long(tmp_path: Path) -> None:
    judge(await tried(tmp_path, 150))
