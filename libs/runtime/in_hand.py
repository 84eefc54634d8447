"""The parts that a planner has in hand: as they were loaded, then as its batches have folded them so far."""

from collections.abc import Mapping
from dataclasses import dataclass

from libs.runtime.kept_parts import Kept
from libs.runtime.log import Snapshot, Writes
from libs.runtime.stage import Part, Stage, dump_part

_NOTHING: Kept = {}
ABSENT = Snapshot(0, b"")
"""A stream that was looked for, and of which nothing was ever written. What is so otherwise is written so."""


@dataclass(slots=True)
class Held:
    """One part in hand."""

    version: int
    part: Part
    lane: int
    changed: bool = False
    new: bool = False
    """It was never written before."""


class InHand:
    """Parts by key. What was loaded is decoded when it is first needed."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._loaded: dict[str, Snapshot] = {}
        self._known: dict[str, Part] = {}
        self._held: dict[str, Held] = {}

    def __len__(self) -> int:
        return len(self._held) + len(self._loaded)

    def learn(self, loaded: Mapping[str, Snapshot], kept: Kept = _NOTHING) -> None:
        """Streams as they were loaded. `kept` are parts as this process last committed or read them; used
        where a snapshot that was loaded has no part of its own."""
        self._loaded |= loaded
        for key, snapshot in loaded.items():
            if snapshot.part is None:
                self._known[key] = kept[key][1]

    def has(self, key: str) -> bool:
        """Whether a stream was loaded."""
        return key in self._held or key in self._loaded

    def version(self, key: str) -> int:
        """A loaded stream's version, as far as it is folded."""
        return self._held[key].version if key in self._held else self._loaded[key].version

    def hold(self, key: str, lane: int) -> Held:
        """A stream's part; one that was not loaded begins here."""
        held = self._held.get(key)
        if held is None:
            stream = key.partition("/")[2]
            found = self._loaded.pop(key, None)
            if found is not None and found.part is None:
                held = Held(found.version, self._known.pop(key), lane)
            elif found is None:
                held = Held(0, self._stage.empty(stream), lane, new=True)
            elif not found.part:
                held = Held(found.version, self._stage.empty(stream), lane, new=found is ABSENT)
            else:
                held = Held(found.version, self._stage.adapter(stream).validate_json(found.part), lane)
            self._held[key] = held
        return held

    def folded(self) -> dict[str, tuple[int, Part]]:
        """Version and part of every stream in hand, as they are once what was planned is committed."""
        return {key: (held.version, held.part) for key, held in self._held.items()}

    def write(self, writes: Writes) -> None:
        """Add a snapshot of each part that was changed since the last time; they count as written then, and
        what was only read as there: whoever locks it makes it."""
        for key, held in self._held.items():
            if held.changed:
                into = writes.new_parts if held.new else writes.parts
                into[key] = (held.lane, Snapshot(held.version, dump_part(held.part)))
            held.changed = held.new = False
