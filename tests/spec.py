"""Deciders as sentences: given(domain, facts…).when(input).then(events…).

    given(intake, accepted).when(CancelOrder(…)).then(OrderCancellationRequested(…))
    given(routing, *nodes).when(reserved).then_one(OrderRouted, round=1)
    given(intake).heard(submitted).when(submitted).then_nothing()
    given(intake).when(CancelOrder(…)).then_refused("unknown_order")

`domain` is the module services/<stage>/domain.py; an input is a command, another stage's event or a due
timer. Inputs take the way that the stage loop gives them: a foreign event is folded, then decided on, and its
own events are folded. Each turn is also held to what a replay stands on: the same decision twice,
events of the input's own stream, a state that survives JSON, and a fold of the log that rebuilds it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from importlib import import_module
from types import ModuleType
from typing import Any
from uuid import UUID, uuid5

from pydantic import TypeAdapter

from libs.events.contract import Contract, Event
from libs.events.envelope import Envelope
from libs.events.refusal import CommandRefused

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
TENANT = "acme"
_ADAPTERS: dict[type[Any], TypeAdapter[Any]] = {}
_INPUTS = UUID("b7d9a7f0-0f57-5d8e-8d2b-3f5f1a7f9c11")


def given(domain: ModuleType, *facts: Event, at: datetime = NOON) -> "Spec":
    """A stage that knows these facts, own or foreign, in this order; nothing is decided about them."""
    spec = Spec(_Stage(domain), at=at)
    for fact in facts:
        spec.fold(fact)
    return spec


@dataclass(frozen=True, slots=True)
class _Stage:
    """One face for domains of one stream (INITIAL) and of several (compose, decompose, more_streams)."""

    domain: ModuleType

    @property
    def state(self) -> ModuleType:
        """What the stage knows and how it changes: the domain's own, or a module beside it."""
        if hasattr(self.domain, "INITIAL"):
            return self.domain
        return import_module(f"{self.domain.__package__}.state")

    @property
    def own_prefix(self) -> str:
        return f"oms.{self.domain.__name__.split('.')[-2]}."

    def empty(self, stream: str) -> Any:
        return self.domain.empty(stream) if self._composite else self.state.INITIAL

    def load(self, heard: Envelope[Any], parts: Mapping[str, Any]) -> Any:
        """The state that the input is decided on."""
        home = heard.stream
        home_part = parts.get(home, self.empty(home))
        if not self._composite:
            return home_part
        streams = dict.fromkeys((home, *self.domain.more_streams(heard, home_part)))
        return self.domain.compose(home, {s: parts.get(s, self.empty(s)) for s in streams})

    def parts(self, home: str, state: Any) -> dict[str, Any]:
        return dict(self.domain.decompose(state)) if self._composite else {home: state}

    @property
    def _composite(self) -> bool:
        return hasattr(self.domain, "compose")


@dataclass
class Spec:
    """What the stage knows by now, and what its last turn answered."""

    stage: _Stage
    at: datetime
    parts: dict[str, Any] = field(default_factory=dict)
    """State by stream."""
    inputs: int = 0
    answer: "Answer | None" = None

    def fold(self, fact: Event) -> None:
        """Let the stage know a fact without asking for a decision."""
        envelope = self._envelope(fact, self.at)
        state = self.stage.state.evolve(self.stage.load(envelope, self.parts), fact)
        self.parts |= self.stage.parts(fact.stream, state)

    def heard(self, *inputs: Contract, at: datetime | None = None) -> "Spec":
        """Take these inputs, whatever they are answered with."""
        for body in inputs:
            self.when(body, at=at)
        return self

    def after(self, **passed: float) -> "Spec":
        """Let time pass: after(days=2), after(minutes=5)."""
        self.at += timedelta(**passed)
        return self

    def when(self, body: Contract, *, at: datetime | None = None, **envelope: Any) -> "Answer":
        """One turn of the stage loop. `envelope` overrides what travels with the input: actor, reason, id…"""
        heard = replace(self._envelope(body, at or self.at), **envelope)
        decide, evolve = self.stage.domain.decide, self.stage.state.evolve
        before = self.stage.load(heard, self.parts)
        state, logged = before, list[Event]()
        if isinstance(body, Event) and not body.TYPE.startswith(self.stage.own_prefix):
            state = evolve(before, body)
            assert state is before or state != before, f"{body.TYPE} changes nothing: return the same state"
            logged += [] if state is before else [body]
        events = decide(state, heard, heard.at)
        assert decide(state, heard, heard.at) == events, (
            "the same input on the same state was decided twice, differently"
        )
        for event in events:
            assert isinstance(event, Event), f"{type(event).__name__} is no event"
            assert event.stream == heard.stream, f"{event.TYPE} of {event.stream} in a turn of {heard.stream}"
            state = evolve(state, event)
        self._must_replay(before, [*logged, *events], state)
        known = self.stage.parts(heard.stream, state)
        _must_survive_json(known)
        self.parts |= known
        self.answer = Answer(self, heard, events)
        return self.answer

    def _must_replay(self, before: Any, logged: list[Event], after: Any) -> None:
        state = before
        for event in logged:
            copy = type(event).model_validate_json(event.model_dump_json())
            state = self.stage.state.evolve(state, copy)
        assert state == after, "the fold of what was logged does not rebuild the state"

    def _envelope(self, body: Contract, at: datetime) -> Envelope[Any]:
        self.inputs += 1
        own_id = uuid5(_INPUTS, str(self.inputs))
        return Envelope(
            id=own_id,
            tenant=TENANT,
            stream=body.stream,
            body=body,
            at=at,
            actor="spec",
            reason="",
            causation_id=own_id,
            correlation_id=own_id,
            source="spec",
            sequence=self.inputs if isinstance(body, Event) else 0,
        )


@dataclass(frozen=True)
class Answer:
    """What one turn decided. Each `then` returns the Spec, so that a life of several turns reads on."""

    spec: Spec
    heard: Envelope[Any]
    events: list[Event]

    def then(self, *expected: Event) -> Spec:
        """Exactly these events, in this order."""
        assert self.events == list(expected)
        return self.spec

    def then_nothing(self) -> Spec:
        """A repeat, or none of this stage's business."""
        assert self.events == []
        return self.spec

    def then_types(self, *expected: type[Event]) -> Spec:
        """Events of these types, in this order."""
        assert [type(event) for event in self.events] == list(expected)
        return self.spec

    def then_one(self, expected: type[Event], **fields: Any) -> Spec:
        """One event, of this type, with at least these values."""
        assert [type(event) for event in self.events] == [expected]
        assert {name: getattr(self.events[0], name) for name in fields} == fields
        return self.spec

    def then_refused(self, code: str) -> Spec:
        """The command is refused with this code, and told what to do."""
        event = refused(self.events, code)
        assert event.command_id == self.heard.id
        assert event.command_type == self.heard.body.TYPE
        return self.spec


def refused(events: Sequence[Event], code: str | None = None) -> CommandRefused:
    """The one answer: the command is refused, with this code if one is asked for, and told what to do."""
    [event] = events
    assert isinstance(event, CommandRefused)
    assert code in (None, event.code)
    assert event.message
    assert event.next_step
    return event


def _must_survive_json(parts: Mapping[str, Any]) -> None:
    for stream, part in parts.items():
        adapter = _ADAPTERS.get(type(part)) or TypeAdapter(type(part))
        _ADAPTERS[type(part)] = adapter
        assert adapter.validate_json(adapter.dump_json(part)) == part, (
            f"the state of {stream} does not survive JSON"
        )
