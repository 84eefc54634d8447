"""A search that has not looked at all says so: on its page, in the API's answer; what it left comes next."""

import csv
import html
from typing import Any

import pytest

from tests.console_database import console_dsn, pool
from tests.console_site import People, people
from tests.log.test_console_access import filled
from tests.log.test_console_api import Api, api

__all__ = ["api", "console_dsn", "filled", "people", "pool"]

LIKE_MANY = "m-1"
"""The beginning of eleven orders' ids."""
OF_ALL = "No order is like that"
OF_A_PART = "None of those that were looked at is like that"


@pytest.mark.parametrize(("looks_at", "partly"), [(4, True), (1000, False)])
async def test_a_list_of_what_was_looked_at_is_not_called_a_list_of_all(
    filled: People, monkeypatch: pytest.MonkeyPatch, looks_at: int, partly: bool
) -> None:
    monkeypatch.setattr("services.console.hits.HITS_MAX", looks_at)
    person = await filled.sign_in("viewer")
    likes: list[dict[str, Any]] = [{}, {"status": "held"}, {"channel": "phone"}]
    for more in likes:
        drawn = html.unescape(await person.get("/orders", q=LIKE_MANY, **more))
        assert ("Only a part was looked at" in drawn) is partly, more
        assert ("Next page" in drawn) is partly, more
        assert (OF_ALL in drawn) is bool(more and not partly), more
        assert (OF_A_PART in drawn) is bool(more and partly), more
        rows = list(csv.reader((await person.get("/orders.csv", q=LIKE_MANY, **more)).splitlines()))
        assert len(rows) == 1 + (0 if more else 11), "its pages are looked through to the end"


async def test_programs_are_told_too(filled: People, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    for looks_at, complete in ((1000, True), (4, False)):
        monkeypatch.setattr("services.console.hits.HITS_MAX", looks_at)
        found = await api.get("/v1/orders", q=LIKE_MANY, status="held")
        assert (found["orders"], found["complete"]) == ([], complete)
        assert found["hits"] == min(looks_at, 11)


async def test_a_list_is_exported_to_its_end(filled: People, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.console.pages.orders._EXPORT_PAGE", 4)
    person = await filled.sign_in("viewer")
    rows = list(csv.DictReader((await person.get("/orders.csv")).splitlines()))
    assert len({row["order_id"] for row in rows}) == len(rows) == 25
