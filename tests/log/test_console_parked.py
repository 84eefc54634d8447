"""Parked keys below the queue of exceptions, as the stages tell of them."""

from typing import Any

import pytest

from services.console.web.actions import Outcome
from tests.console_database import console_dsn, pool
from tests.console_site import People, people

__all__ = ["console_dsn", "people", "pool"]


def row(number: int, key: str, state: str, tenant: str = "acme") -> dict[str, Any]:
    return {
        "id": number,
        "key": key,
        "state": state,
        "tenant": tenant,
        "code": "unreadable",
        "reason": "<b>no JSON</b>",
        "at": f"2026-03-02T12:00:0{number}+00:00",
    }


@pytest.fixture
def stages(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    """Intake has three records parked, one of them another tenant's; returns does not answer."""
    intake = [
        row(1, "acme/o-1", "parked"),
        row(2, "acme/o-1", "queued"),
        row(3, "beta/o-9", "parked", "beta"),
    ]

    async def call(_: Any, session: Any, stage: str, *arguments: Any, **named: Any) -> Outcome:
        if stage == "returns":
            return Outcome(False, "Returns does not answer.", "Look at Platform.")
        return Outcome(True, "Done.", events=({"parked": intake if stage == "intake" else []},))

    monkeypatch.setattr(people.site.actions.__class__, "call", call)


@pytest.mark.usefixtures("stages")
async def test_the_first_of_each_key_is_told_with_where_to_see_to_it(people: People) -> None:
    operator = await people.sign_in("operator")
    assert 'hx-get="/parts/parked"' in await operator.get("/exceptions")
    drawn = await operator.get("/parts/parked")
    assert drawn.count("<tr><td>") == 1
    assert "acme/o-1" in drawn
    assert "&lt;b&gt;no JSON&lt;/b&gt;" in drawn
    assert 'href="/platform#park-intake-1"' in drawn
    assert "Behind them, or being replayed: 1." in drawn
    assert "Returns does not answer. What is parked there is not shown." in drawn
    assert "beta/o-9" not in drawn


async def test_who_may_not_see_platform_is_not_told(people: People) -> None:
    viewer = await people.sign_in("viewer")
    assert "/parts/parked" not in await viewer.get("/exceptions")
    await viewer.get("/parts/parked", 403)
