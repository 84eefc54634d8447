"""`orderlog recover`: each store from the other. A stage's database from the topics, topics from the logs."""

import asyncio
import signal
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from importlib import import_module
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import Progress as Bars

from cli.output import JsonOption, Steps, bar, console, emit, table
from cli.text import add_row, count, tell
from libs.runtime.complaint import Complaint
from libs.runtime.settings import STAGES, settings

if TYPE_CHECKING:
    from libs.runtime.rebuild import Progress
    from libs.runtime.recover_kafka import RecoveredKafka
    from libs.runtime.recover_stage import Recovered
    from libs.runtime.stage import Stage

app = typer.Typer(no_args_is_help=True, help="Make a lost store anew from the other one.")

FromOption = Annotated[str, typer.Option("--from", help="What to make it from.")]
StopOption = Annotated[bool, typer.Option("--stop", help="Stop what runs of it on the local stack first.")]
DiscardOption = Annotated[
    bool, typer.Option("--discard", help="Give up events that only the old database holds.")
]
_OLD = {
    "gone": "There was no database.",
    "empty": "The database there was had no log.",
    "same": "The old database said the same.",
    "behind": "The old database was behind its topic.",
    "differs": "The old database said something else.",
}


_SERVICES = (*STAGES, "console")


def register(parent: typer.Typer) -> None:
    """Add `recover` to the command line."""
    for name in STAGES:
        _add(name)
    parent.add_typer(app, name="recover")


@app.command("kafka")
def kafka(
    source: FromOption,
    stop: StopOption = False,
    recreate: Annotated[
        bool, typer.Option("--recreate", help="Delete and make anew topics that do not fit their log.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Make lost or emptied topics anew from the stages' logs, and place everybody who reads them.

    Every stage and the console must be stopped. Commands are in no log: those that nobody had read are lost.

    Example: orderlog recover kafka --from log --stop --json
    """
    _expect("kafka", source, "log")
    from libs.runtime.recover_kafka import recover_kafka  # imported late: other commands need no database

    if stop:
        stop_services(_SERVICES)
    stages = [_stage(name) for name in STAGES]
    with bar() as bars:
        recovered = asyncio.run(
            recover_kafka(settings(), stages, recreate=recreate, told=lambda what: _progress(bars, what))
        )
    _tell_topics(recovered)
    if json:
        emit({"ok": recovered.match, **asdict(recovered)})
    if not recovered.match:
        raise typer.Exit(1)


def _add(name: str) -> None:
    @app.command(
        name,
        help=f"Make the database of {name} anew from Kafka, and put it in the old one's place.\n\n"
        "The stage must be stopped. The old database, if there is one, stays under a dated name.\n\n"
        f"Example: orderlog recover {name} --from kafka --stop --json",
    )
    def recover_one(
        source: FromOption, stop: StopOption = False, discard: DiscardOption = False, json: JsonOption = False
    ) -> None:
        _expect(name, source, "kafka")
        if stop:
            stop_services((name,))
        recovered = _recover(name, discard)
        _tell(recovered)
        if json:
            emit({"ok": recovered.match, **asdict(recovered)})


def _expect(what: str, source: str, known: str) -> None:
    if source != known:
        raise Complaint(f"{what} cannot be recovered from `{source}`.", f"Say --from {known}.", exit_code=2)


def _recover(name: str, discard: bool) -> "Recovered":
    from libs.runtime.recover_stage import recover_stage  # imported late: other commands need no database

    with bar() as bars:
        return asyncio.run(
            recover_stage(
                settings(),
                _stage(name),
                discard=discard,
                told=lambda what: _progress(bars, f"{name}: {what}"),
            )
        )


def _stage(name: str) -> "Stage":
    stage: Stage = import_module(f"services.{name}.app").STAGE
    return stage


def _progress(bars: Bars, what: str) -> "Progress":
    task = bars.add_task(what, total=None)
    return lambda done, total: bars.update(task, completed=done, total=total)


def _tell_topics(recovered: "RecoveredKafka") -> None:
    drawn = table("topic", "events#", "published again#", "is its log")
    for topic in recovered.topics:
        add_row(
            drawn,
            topic.topic,
            f"{topic.events:,}",
            f"{topic.published:,}",
            "yes" if topic.match else "NO",
        )
    console.print(drawn)
    if recovered.moved:
        moved = ", ".join(f"{name} in {partitions}" for name, partitions in recovered.moved.items())
        tell(f"Read on elsewhere, by partitions: {moved}.")
    if recovered.begun_again:
        tell(f"Lost, and begun again: {', '.join(recovered.begun_again)}.", "yellow")
        tell(
            "Commands that nobody had read are in no store. Send again, under their ids, what has no answer."
        )
    if recovered.parked_lost:
        tell(
            f"{count(recovered.parked_lost, 'parked record')} went with their topic: discard them.", "yellow"
        )
    if recovered.match:
        tell(f"Every topic says what its log says ({recovered.seconds:.1f} s). Start: orderlog up", "green")
    else:
        tell("A topic is not what its log says; no reader was placed. --recreate makes it anew.", "red")


def _tell(recovered: "Recovered") -> None:
    tell(
        f"{recovered.stage}: recovered, {count(recovered.events, 'event')} in {recovered.seconds:.1f} s; "
        "its log is what its topic says, lane by lane.",
        "green",
    )
    tell(f"  digest   {recovered.digest}")
    tell(
        f"Waiting in it: {count(recovered.effects, 'effect')}, {count(recovered.timers, 'timer')}, "
        f"{count(recovered.parked, 'parked record')}."
    )
    tell(_OLD[recovered.old])
    if recovered.kept_as:
        tell(f"It is kept as {recovered.kept_as}; drop it once nobody needs it any more.")
    if recovered.conflicts:
        tell(
            f"{count(recovered.conflicts, 'record')} on its topic came under a sequence that another event"
            " had before: nobody has heard them, and they are not in the recovered log.",
            "yellow",
        )
    tell("Start it again: orderlog up")


def stop_services(services: Sequence[str]) -> None:
    """Stop every process of these services on the local stack, and wait until Kafka has seen them go."""
    from deploy.local import programs, replicas, stack
    from libs.runtime.groups import ensure_stopped

    place, chosen = stack.home(), settings()
    patience = chosen.stop_seconds + stack.STOP_GRACE_SECONDS
    with Steps() as steps, place.locked():
        running = [
            name
            for name in programs.noted(place)
            if (found := replicas.service_of(name)) is not None and found[0] in services
        ]
        with steps.step("stopping") as step, ThreadPoolExecutor(max(1, len(running))) as pool:
            stops = {
                name: pool.submit(programs.stop, place, name, signal.SIGTERM, patience) for name in running
            }
            stopped = [name for name, done in stops.items() if done.result()]
            step.note(", ".join(stopped) or "nothing was running")
        with steps.step("leaving their groups") as step:
            asyncio.run(
                ensure_stopped(
                    chosen,
                    services,
                    patience_seconds=chosen.session_timeout_seconds + 5,
                    waiting=lambda who: step.note(f"waiting for {who}"),
                )
            )
