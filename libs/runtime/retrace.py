"""Traces every lane of a stage through its topics, from their beginning to their end."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial

from libs.runtime.complaint import Complaint
from libs.runtime.lane_trace import LaneTrace
from libs.runtime.log import TopicPartition
from libs.runtime.rebuild import Progress
from libs.runtime.stage import Stage
from libs.runtime.topic_reader import Read, up_to


async def retrace(
    stage: Stage,
    ends: Mapping[TopicPartition, int],
    read: Read,
    lane_of: Callable[[str], int],
    first: Mapping[int, int] | None = None,
    progress: Progress = lambda done, total: None,
) -> dict[int, LaneTrace]:
    """Each lane's trace. `ends` are the next offsets of the stage's own topic and of all that it hears;
    `first` counts, by lane, the events after which the digest is to be noted.

    Complaint: a topic has a hole, or falls silent before its end.
    """
    traces = {
        lane: LaneTrace(stage, lane, lane_of, (first or {}).get(lane, 0))
        for lane in sorted({lane for _, lane in ends})
    }
    total, done = sum(ends.values()), 0
    for lane, trace in traces.items():
        for topic, take in _in_order(stage, trace):
            async for records in up_to(read, topic, lane, ends[topic, lane], partial(_lacks, topic, lane)):
                for record in records:
                    take(record)
                done += len(records)
                progress(done, total)
    return traces


def _lacks(topic: str, lane: int, offset: int) -> Complaint:
    return Complaint(
        f"{topic}/{lane} does not hold all that was published to it: offset {offset} lacks.",
        "Was its retention shortened? `orderlog recover kafka --from log` makes it anew.",
    )


def _in_order(stage: Stage, trace: LaneTrace) -> Iterable[tuple[str, Callable[..., None]]]:
    """The stage's own topic first: what it says tells what was done with the others."""
    yield stage.topic, trace.own
    for topic in stage.topics:
        yield topic, trace.heard
