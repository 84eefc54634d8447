"""What every stage's edge offers besides its trade: parked keys, seen and settled by their own tenant."""

from functools import partial
from pathlib import Path
from typing import cast

import pytest
from fastapi import APIRouter

from libs.runtime import platform_api
from libs.runtime.edge import Edge
from libs.runtime.log import Parked, Writes
from libs.runtime.memory_log import MemoryLog
from libs.runtime.postgres_log import PostgresLog
from tests.unit.edge_client import TENANT, EdgeClient


def parked(tenant: str, number: int) -> Parked:
    return Parked(0, f"{tenant}/o-{number}", "oms.intake.commands", 0, number, "failed", "why", tenant)


def client(folder: Path, log: MemoryLog) -> EdgeClient:
    def routes(edge: Edge) -> APIRouter:
        return platform_api.routes("intake", edge, cast(PostgresLog, log), {"work": partial(len, ())})

    return EdgeClient("intake", routes, folder)


@pytest.fixture
def log() -> MemoryLog:
    log = MemoryLog()
    theirs = [parked("globex", number) for number in range(300)]
    log._apply(Writes(parked=[*theirs, parked(TENANT, 1)]))
    return log


async def test_a_tenants_parked_keys_are_found_behind_any_number_of_anothers(
    tmp_path: Path, log: MemoryLog
) -> None:
    answer = await client(tmp_path, log).call("GET", "/v1/parked?limit=5", role="operator")
    assert [row["key"] for row in answer.json()["parked"]] == [f"{TENANT}/o-1"]


async def test_an_admin_sees_them_all_as_far_as_the_limit(tmp_path: Path, log: MemoryLog) -> None:
    answer = await client(tmp_path, log).call("GET", "/v1/parked?limit=250", role="admin")
    assert len(answer.json()["parked"]) == 250


@pytest.mark.parametrize("body", [{"key": f"{TENANT}/\x00"}, {"key": f"{TENANT}/o-1", "note": "a\x00b"}])
async def test_a_nul_in_a_key_or_note_is_refused(
    tmp_path: Path, log: MemoryLog, body: dict[str, str]
) -> None:
    """PostgreSQL's text takes none: it would be an internal error."""
    answer = await client(tmp_path, log).call("POST", "/v1/parked/discard", body, role="operator")
    assert answer.status_code == 422
    assert answer.json()["type"] == "urn:orderlog:problem:invalid_request"


async def test_another_tenants_key_is_not_to_be_settled(tmp_path: Path, log: MemoryLog) -> None:
    body = {"key": "globex/o-1"}
    answer = await client(tmp_path, log).call("POST", "/v1/parked/discard", body, role="operator")
    assert answer.status_code == 403
