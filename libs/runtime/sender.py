"""The sender: does what events owe the outside world, and reports the outcome as a command.

An effect is claimed with a lease, done outside any transaction, and settled by the decision on its outcome. A
crash in between repeats it after the lease, under the same id. Replays and rebuilds owe nothing, so they send
nothing.

What is owed of one stream is done in the order in which it was decided, one after the other: what cannot be
done now holds up what is behind it. Once it was tried in vain `_WAITED_FOR` times, or failed unforeseen, it
is still tried first, and those behind it go on whatever comes of it.
"""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from traceback import format_tb
from typing import Any, Protocol

import structlog

from libs.events.catalogue import encode
from libs.events.contract import Command
from libs.events.envelope import Envelope
from libs.events.ids import command_id
from libs.runtime import wire
from libs.runtime.log import EffectRow, Log, Snapshot, Unavailable
from libs.runtime.relay import Message, Publisher, PublishFailed
from libs.runtime.stage import Stage, commands_topic

logger = structlog.get_logger()
_LEASE_SECONDS = 60.0
_AT_ONCE = 200
_REPORTED_AT_ONCE = 20
"""Effects that are performed side by side and then reported; a crash repeats at most these."""
_WAITED_FOR = 10
"""Attempts at one effect for which those behind it wait. As they are due no earlier than it is, they stay
behind it even later, should what was away for all come back."""
_POLL_SECONDS = 1.0
_BEGIN_WITHIN = timedelta(seconds=_LEASE_SECONDS / 2)
"""How long after their claim effects are begun; the rest of the lease is for those under way."""


class TryAgain(Exception):
    """The effect could not be done now; nothing says that it cannot be done later."""


class Performer(Protocol):
    """Does a stage's effects."""

    async def perform(self, tenant: str, effect_id: str, state: Any) -> Command:
        """Do it, and return the command that reports the outcome. Raises TryAgain."""

    async def close(self) -> None: ...


class Sender:
    """Performs the effects of the lanes that this process owns; `run` is its task."""

    def __init__(
        self,
        stage: Stage,
        log: Log,
        publisher: Publisher,
        performer: Performer,
        lanes: Callable[[], Sequence[int]],
        lane_of: Callable[[str], int],
        retry_seconds_max: float = 900.0,
    ) -> None:
        """What cannot be done now is tried again after two seconds, then after twice as long, …, and never
        after more than `retry_seconds_max`; what failed unforeseen, after just that."""
        self._retry_seconds_max = retry_seconds_max
        self._stage, self._log, self._publisher = stage, log, publisher
        self._performer, self._lanes, self._lane_of = performer, lanes, lane_of
        self.wake = asyncio.Event()

    async def run(self) -> None:
        """Perform for ever: at once when something is owed, and every second what is due again."""
        while True:
            try:
                while await self.turn():
                    pass
            except (Unavailable, PublishFailed) as error:
                logger.warning("sender will try again", error=str(error))
            except Exception as error:
                logger.error("sender will try again", exc_info=error)
            try:
                async with asyncio.timeout(_POLL_SECONDS):
                    await self.wake.wait()
            except TimeoutError:
                pass
            self.wake.clear()

    async def turn(self) -> int:
        """Perform what is due once; how many effects."""
        lanes = self._lanes()
        if not lanes:
            return 0
        claimed_at = _now()
        effects = await self._log.claim_effects(lanes, claimed_at, _LEASE_SECONDS, _AT_ONCE)
        snapshots = await self._log.snapshots(sorted({effect.key for effect in effects}))
        states = {key: self._state(key, snapshot) for key, snapshot in snapshots.items()}
        begin_until, waiting = claimed_at + _BEGIN_WITHIN, set[str]()
        for start in range(0, len(effects), _REPORTED_AT_ONCE):
            if _now() > begin_until:
                break  # who claims the rest when its lease is over may be another process
            owned, of_keys = self._lanes(), dict[str, list[EffectRow]]()
            for effect in effects[start : start + _REPORTED_AT_ONCE]:
                if effect.lane in owned and effect.key not in waiting:
                    of_keys.setdefault(effect.key, []).append(effect)
            done = await asyncio.gather(
                *(self._perform(some, states[key], begin_until) for key, some in of_keys.items())
            )
            reports: dict[int, list[Message]] = {}
            for (key, some), (messages, whole) in zip(of_keys.items(), done, strict=True):
                reports.setdefault(some[0].lane, []).extend(messages)
                if not whole:
                    waiting.add(key)
            for lane, messages in reports.items():
                if messages:
                    await self._publisher.publish(commands_topic(self._stage.name), lane, messages)
        return len(effects)

    def _state(self, key: str, snapshot: Snapshot) -> Any:
        assert snapshot.part, f"an effect is owed by {key}, a stream without events"
        return self._stage.adapter(key.partition("/")[2]).validate_json(snapshot.part)

    async def _perform(
        self, effects: Sequence[EffectRow], state: Any, begin_until: datetime
    ) -> tuple[list[Message], bool]:
        """Do effects of one key, one after the other: the messages that report them, and whether what is
        behind them may be done."""
        reports = list[Message]()
        for effect in effects:
            if _now() > begin_until:
                return reports, False
            try:
                tenant = effect.key.partition("/")[0]
                report = await self._performer.perform(tenant, effect.effect_id, state)
            except TryAgain as error:
                if await self._put_off(effect, error):
                    return reports, False
            except Exception as error:
                await self._failed(effect, error)
            else:
                reports.append(self._message(effect, report))
        return reports, True

    async def _put_off(self, effect: EffectRow, error: TryAgain) -> bool:
        """Try it again later; whether those behind it wait for it."""
        waited_for = effect.attempts < _WAITED_FOR
        pause = timedelta(seconds=min(2.0 ** min(effect.attempts, 30), self._retry_seconds_max))
        logger.warning("effect put off", effect=effect.effect_id, attempts=effect.attempts, error=str(error))
        await self._log.postpone_effect(effect.effect_id, _now() + pause, with_later=waited_for)
        return waited_for

    async def _failed(self, effect: EffectRow, error: Exception) -> None:
        """Try it again much later: it is likely that somebody must mend it."""
        # Where, not what: the message of an error may name whom a mail was for.
        where = "".join(format_tb(error.__traceback__))
        kind = type(error).__name__
        logger.error("effect failed, put off", effect=effect.effect_id, error=kind, where=where)
        later = _now() + timedelta(seconds=self._retry_seconds_max)
        await self._log.postpone_effect(effect.effect_id, later)

    def _message(self, effect: EffectRow, report: Command) -> Message:
        """The command that reports an effect, as a record of the stage's own commands."""
        tenant, _, stream = effect.key.partition("/")
        id_ = command_id(tenant, f"effect/{effect.effect_id}/{effect.attempts}")
        envelope = Envelope(
            id_,
            tenant,
            stream,
            report,
            _now(),
            f"orderlog/{self._stage.name}",
            "",
            id_,
            id_,
            f"orderlog/{self._stage.name}/sender",
        )
        return (
            effect.key.encode(),
            encode(report),
            wire.headers(envelope),
            int(envelope.at.timestamp() * 1000),
        )


def _now() -> datetime:
    return datetime.now(UTC)
