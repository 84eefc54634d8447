"""The bench on a running stack: it measures, and what it counts is right. How fast is no test's matter."""

from typing import Any

import pytest

from tests.e2e.conftest import Stack

pytestmark = pytest.mark.e2e
_LOST = ("accepted and not released", "submitted and not accepted", "released twice")


def medians(answer: dict[str, Any]) -> dict[str, float]:
    return {figure["figure"]: figure["median"] for figure in answer["figures"]}


def test_a_lifecycle_is_measured_beside_its_floor(stack: Stack) -> None:
    answer = stack.json("bench", "lifecycle", "--orders", "100")
    found = medians(answer)
    assert found["ratio to the floor"] == pytest.approx(
        found["submitted → released"] / found["floor: as many hops without work"], abs=0.001
    )
    assert {"inventory", "PostgreSQL", "Kafka", "console"} <= found.keys()
    assert answer["orders_per_second"] >= answer["drained_orders_per_second"] > 0


def test_orders_at_a_pace_are_all_accounted_for(stack: Stack) -> None:
    answer = stack.json("bench", "latency", "--orders", "100", "--seconds", "1", "--slow", "1")
    found = medians(answer)
    assert {found[label] for label in _LOST} == {0}
    assert found["half load: p50"] <= found["half load: p99"]


def test_reservations_are_measured_beside_copy(stack: Stack) -> None:
    found = medians(stack.json("bench", "ledger", "--orders", "100"))
    assert {f"{choice}: ratio to COPY" for choice in ("uniform", "zipf", "hot")} <= found.keys()
