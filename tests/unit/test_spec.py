"""given/when/then itself: it must fail where a decider would break a replay."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from types import ModuleType
from typing import Any, ClassVar

import pytest

from libs.events.contract import Command, Contract, Event
from libs.events.envelope import Envelope
from libs.events.refusal import CommandRefused
from tests.spec import given


class LightLamp(Command):
    TYPE: ClassVar[str] = "oms.lamp.light_lamp"
    lamp: str

    @property
    def stream(self) -> str:
        return self.lamp


class LampLit(Event):
    TYPE: ClassVar[str] = "oms.lamp.lamp_lit"
    lamp: str

    @property
    def stream(self) -> str:
        return self.lamp


class NightFell(LampLit):
    TYPE: ClassVar[str] = "oms.sky.night_fell"


@dataclass(frozen=True)
class Lamp:
    lit: bool = False
    nights: int = 0


def evolve(state: Lamp, event: Event) -> Lamp:
    if isinstance(event, NightFell):
        return replace(state, nights=state.nights + 1)
    return replace(state, lit=True)


def decide(state: Lamp, heard: Envelope[Contract], at: datetime) -> list[Event]:
    if state.lit:
        return []
    if isinstance(heard.body, LightLamp) and not state.nights:
        return [
            CommandRefused(
                refused_stream=heard.stream,
                command_id=heard.id,
                command_type=heard.body.TYPE,
                code="daylight",
                message="It is day.",
                next_step="Wait for the night.",
            )
        ]
    return [LampLit(lamp=heard.stream)]


def lamp_domain(**parts: Any) -> ModuleType:
    domain = ModuleType("services.lamp.domain")
    vars(domain).update({"INITIAL": Lamp(), "evolve": evolve, "decide": decide} | parts)
    return domain


def test_it_reads_as_a_sentence() -> None:
    lamp, night = LightLamp(lamp="a"), NightFell(lamp="a")
    given(lamp_domain()).when(lamp).then_refused("daylight")
    given(lamp_domain(), night).when(lamp).then(LampLit(lamp="a")).when(lamp).then_nothing()
    given(lamp_domain()).heard(night).when(night).then_nothing()
    given(lamp_domain()).when(night).then_one(LampLit, lamp="a")


def test_lamps_do_not_know_each_other() -> None:
    given(lamp_domain(), NightFell(lamp="a")).when(LightLamp(lamp="b")).then_refused("daylight")


def other_stream(state: Lamp, heard: Envelope[Contract], at: datetime) -> list[Event]:
    return [LampLit(lamp="elsewhere")]


def counting() -> Callable[..., list[Event]]:
    asked: list[datetime] = []

    def moody(state: Lamp, heard: Envelope[Contract], at: datetime) -> list[Event]:
        asked.append(at)
        return [LampLit(lamp=heard.stream)] * len(asked)

    return moody


def wasteful(state: Lamp, event: Event) -> Lamp:
    return replace(state)


@pytest.mark.parametrize(
    ("broken", "complaint"),
    [
        ({"decide": other_stream}, "of elsewhere in a turn of a"),
        ({"decide": counting()}, "decided twice, differently"),
        ({"evolve": wasteful}, "return the same state"),
    ],
)
def test_what_breaks_a_replay_fails(broken: dict[str, Any], complaint: str) -> None:
    with pytest.raises(AssertionError, match=complaint):
        given(lamp_domain(**broken)).when(NightFell(lamp="a"))


def test_a_state_that_json_forgets_fails() -> None:
    def forgetful(state: Any, event: Event) -> Any:
        hidden = replace(state)
        object.__setattr__(hidden, "lit", lambda: True)
        return hidden

    with pytest.raises((AssertionError, ValueError)):
        given(lamp_domain(evolve=forgetful)).when(NightFell(lamp="a"))


def test_a_wrong_expectation_fails() -> None:
    with pytest.raises(AssertionError):
        given(lamp_domain(), NightFell(lamp="a")).when(LightLamp(lamp="a")).then_nothing()
