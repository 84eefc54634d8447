"""What a consumer does not read for now, whoever wants it so."""

from collections.abc import Collection, Iterable

from aiokafka import AIOKafkaConsumer

from libs.runtime.kafka import wait_at_broker

LEFT_OUT_WAIT_MS = 20
"""How long a fetch waits at the broker at most while some topics are left out."""
_BACKLOG_RECORDS = 200
"""What a poll brings of the topics that come first, when they have a backlog."""
_POLLS_GIVEN_WAY_MAX = 16
"""How many polls in a row the others may be left out."""


class Pauses:
    """Lanes that are halted, topics that give way to others, and topics that are held back: a partition is
    read when nothing of it holds. Each change is followed by `settle`, on the consumer as it is then."""

    def __init__(self, first: Collection[str], others: Collection[str], wait_ms: int) -> None:
        """While `first` topics have a backlog, the `others` are not read. Fetches wait for `wait_ms`."""
        self._first, self._others = frozenset(first), frozenset(others)
        self._wait_ms = self._wait_ms_max = wait_ms
        self._halted, self._held_back = set[int](), frozenset[str]()
        self._given_way = 0

    @property
    def give_way(self) -> bool:
        """Whether the others are left out now."""
        return self._given_way > 0

    def came(self, topics: Iterable[tuple[str, int]]) -> bool:
        """A poll brought so many records of each topic; whether that changed anything.

        Nothing new is begun while much comes of what is to be finished: what is begun and not finished is
        dear to keep, and the more so the more of it there is.
        """
        if not self._first:
            return False
        backlog = sum(count for topic, count in topics if topic in self._first) >= _BACKLOG_RECORDS
        before = self.give_way
        self._given_way = self._given_way + 1 if backlog and self._given_way < _POLLS_GIVEN_WAY_MAX else 0
        return self.give_way is not before

    def hold_back(self, topics: Collection[str]) -> bool:
        """Leave these topics out, until called again without them; whether that changed anything."""
        before, self._held_back = self._held_back, frozenset(topics)
        return self._held_back != before

    def wait_at_broker(self, milliseconds: int) -> None:
        """Fetches wait no longer than this."""
        self._wait_ms = min(milliseconds, self._wait_ms_max)

    def halt(self, lanes: Iterable[int]) -> None:
        """Read nothing of these lanes, in any topic."""
        self._halted.update(lanes)

    def resume(self, lanes: Iterable[int]) -> None:
        """Take these up again."""
        self._halted.difference_update(lanes)

    def settle(self, consumer: AIOKafkaConsumer) -> None:
        """Have the consumer read what is to be read of its partitions, and nothing else."""
        left_out = self._held_back | (self._others if self.give_way else frozenset())
        places = consumer.assignment()
        paused = {place for place in places if place.partition in self._halted or place.topic in left_out}
        wait_at_broker(consumer, min(LEFT_OUT_WAIT_MS, self._wait_ms) if left_out else self._wait_ms)
        consumer.pause(*paused)
        consumer.resume(*(places - paused))
