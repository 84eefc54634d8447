"""A tenant's exception rules in intake: changed by people, in versions, for a reason."""

from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from fastapi import FastAPI

from libs.events.exception_rules import (
    RULES_STREAM,
    ChangeExceptionRule,
    DropExceptionRule,
    ExceptionRuleChanged,
    ExceptionRuleDropped,
    RuleTerms,
)
from libs.runtime.edge import Edge
from libs.runtime.stage import dump_part
from services.intake import domain
from services.intake.exception_rules import RULES_MAX
from services.intake.rules_api import routes
from tests.spec import given
from tests.unit.edge_client import EdgeClient
from tests.unit.test_inventory_api import Taken

WHY = "The warehouse counts at night."
SHORT = RuleTerms(kind="short_picked", owner="support", after_minutes=30, sla_minutes=60)
PAYMENT = RuleTerms(
    kind="hold", which="payment", owner="operations", after_minutes=0, sla_minutes=240, next_step="Call."
)


def change(terms: RuleTerms, based_on: int = 0, **other: Any) -> ChangeExceptionRule:
    return ChangeExceptionRule(**vars(terms) | other, based_on=based_on, note=WHY)


def changed(terms: RuleTerms, version: int = 1, **other: Any) -> ExceptionRuleChanged:
    return ExceptionRuleChanged(**vars(terms) | other, version=version, note=WHY)


def test_each_change_is_a_version_with_its_reason() -> None:
    given(domain).when(change(SHORT)).then(changed(SHORT))
    given(domain, changed(SHORT)).when(change(PAYMENT, 1)).then(changed(PAYMENT, 2))
    later = changed(SHORT, 3, owner="warehouse")
    given(domain, changed(SHORT), changed(PAYMENT, 2)).when(change(SHORT, 2, owner="warehouse")).then(later)


def test_what_is_so_already_changes_nothing_whatever_it_is_based_on() -> None:
    given(domain, changed(SHORT), changed(PAYMENT, 2)).when(change(SHORT, 0)).then_nothing()
    given(domain).when(DropExceptionRule(kind="hold", based_on=7, note=WHY)).then_nothing()


def test_the_console_s_own_rule_holds_again() -> None:
    drop = DropExceptionRule(kind="hold", which="payment", based_on=2, note=WHY)
    dropped = ExceptionRuleDropped(kind="hold", which="payment", version=3, note=WHY)
    given(domain, changed(SHORT), changed(PAYMENT, 2)).when(drop).then(dropped)
    given(domain, changed(PAYMENT)).when(DropExceptionRule(kind="hold", based_on=1, note=WHY)).then_nothing()
    given(domain, changed(SHORT), changed(PAYMENT, 2), dropped).when(change(PAYMENT, 3)).then(
        changed(PAYMENT, 4)
    )


@pytest.mark.parametrize("based_on", [0, 2])
def test_two_who_change_at_once_do_not_undo_each_other(based_on: int) -> None:
    given(domain, changed(SHORT)).when(change(PAYMENT, based_on)).then_refused("rules_changed")
    drop = DropExceptionRule(kind="short_picked", based_on=based_on, note=WHY)
    given(domain, changed(SHORT)).when(drop).then_refused("rules_changed")


def test_nothing_is_overdue_before_it_comes() -> None:
    given(domain).when(change(SHORT, after_minutes=61)).then_refused("due_before_it_comes")
    given(domain).when(change(SHORT, after_minutes=60)).then(changed(SHORT, after_minutes=60))


def test_there_are_so_many_rules_and_no_more() -> None:
    full = [changed(SHORT, number + 1, which=f"x{number}") for number in range(RULES_MAX)]
    given(domain, *full).when(change(PAYMENT, RULES_MAX)).then_refused("too_many_rules")
    given(domain, *full).when(change(SHORT, RULES_MAX, which="x0", owner="platform")).then(
        changed(SHORT, RULES_MAX + 1, which="x0", owner="platform")
    )


BODY: dict[str, Any] = {"kind": "short_picked", "owner": "support", "after_minutes": 30, "sla_minutes": 60}
WHOSE = {"based_on": 0, "note": WHY}


PATH = "/v1/exception-rules"
PLACE: dict[str, Any] = {"kind": "hold", "which": "payment"}


async def test_over_http_by_who_edits_rules(tmp_path: Path) -> None:
    client = EdgeClient("intake", routes, tmp_path)
    asked = ((PATH, BODY | WHOSE), (f"{PATH}/drop", PLACE | WHOSE))
    for path, body in asked:
        for role in ("viewer", "support", "operator", "integrator"):
            assert (await client.call("POST", path, body, role=role)).status_code == 403, (path, role)
        assert (await client.call("POST", path, body, role=None)).status_code == 401, path
        assert (await client.call("POST", path, body, role="rule_editor")).status_code == 202, path
        assert (await client.call("POST", path, body, role="admin")).status_code == 202, path
    dropped = DropExceptionRule(kind="hold", which="payment", based_on=0, note=WHY)
    assert client.kept.commands() == [change(SHORT), change(SHORT), dropped, dropped]


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "Hold'; DROP TABLE orders"},
        {"which": "<script>"},
        {"owner": "the king"},
        {"after_minutes": -1},
        {"sla_minutes": 10**9},
        {"sla_minutes": "soon"},
        {"next_step": "x" * 201},
        {"next_step": "a\x00b"},
        {"note": ""},
        {"note": "a\x00b"},
        {"based_on": -1},
        {"tenant": "rival"},
    ],
)
async def test_what_is_no_rule_is_refused(tmp_path: Path, wrong: dict[str, Any]) -> None:
    client = EdgeClient("intake", routes, tmp_path)
    answer = await client.call("POST", PATH, BODY | WHOSE | wrong, role="rule_editor")
    assert answer.status_code == 422
    assert client.kept.commands() == []


async def test_they_are_read_with_their_version() -> None:
    taken, app = Taken(), FastAPI()
    app.include_router(routes(cast(Edge, taken)))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://intake") as http:
        assert (await http.get(PATH)).json() == {"version": 0, "rules": []}
        state = domain.evolve(domain.evolve(domain.INITIAL, changed(SHORT)), changed(PAYMENT, 2))
        taken.parts[RULES_STREAM] = dump_part(state)
        told = (await http.get(PATH)).json()
    assert told == {"version": 2, "rules": [SHORT.model_dump(), PAYMENT.model_dump()]}
