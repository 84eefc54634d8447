"""Logs, traces, metrics: one place for their names and set-up.

Metrics (Prometheus, each with a `stage` label):
  orderlog_records_total            records that were taken, of any kind
  orderlog_events_total             log rows decided (relayed) and heard, by origin
  orderlog_published_total          rows that the relay published
  orderlog_parked_total             records that were parked, by code
  orderlog_batch_seconds            time of one transaction, load to commit
  orderlog_batch_records            records in one transaction
  orderlog_batches_waited_total     attempts at a batch that failed, so that it waits, by cause
  orderlog_lanes_halted             lanes that wait for a person; alert on > 0
  orderlog_held_back_seconds_total  time in which commands waited, as the next stage could not keep up
  orderlog_edge_commands_in_flight  commands of requests that Kafka has not stored yet
  orderlog_edge_requests_waiting    requests that wait for their outcome
  orderlog_edge_refused_total       requests that were sent away (429, 503), by code
"""

import logging
import sys
from collections.abc import Sequence

import structlog
from fastapi.telemetry import TelemetryConfig
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON
from opentelemetry.trace import Link, SpanContext, TraceFlags, Tracer
from prometheus_client import Counter, Gauge, Histogram

from libs.runtime.settings import Settings

RECORDS = Counter("orderlog_records_total", "Records that were taken", ["stage"])
EVENTS = Counter("orderlog_events_total", "Log rows written", ["stage", "origin"])
PUBLISHED = Counter("orderlog_published_total", "Log rows that the relay published", ["stage"])
PARKED = Counter("orderlog_parked_total", "Records that were parked", ["stage", "code"])
BATCH_SECONDS = Histogram(
    "orderlog_batch_seconds",
    "Time of one transaction",
    ["stage"],
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 2),
)
BATCH_RECORDS = Histogram(
    "orderlog_batch_records", "Records in one transaction", ["stage"], buckets=(1, 5, 20, 50, 100, 200, 500)
)
BATCHES_WAITED = Counter(
    "orderlog_batches_waited_total",
    "Attempts at a batch that failed, so that it waits: the store does not take it (store), or a fault",
    ["stage", "cause"],
)
HALTED = Gauge("orderlog_lanes_halted", "Lanes that wait for a person", ["stage"])
HELD_BACK = Counter(
    "orderlog_held_back_seconds_total", "Time in which commands waited for the next stage", ["stage"]
)
EDGE_IN_FLIGHT = Gauge(
    "orderlog_edge_commands_in_flight", "Commands that Kafka has not stored yet", ["stage"]
)
EDGE_WAITING = Gauge("orderlog_edge_requests_waiting", "Requests that wait for their outcome", ["stage"])
EDGE_REFUSED = Counter("orderlog_edge_refused_total", "Requests that were sent away", ["stage", "code"])

_LINKS_MAX = 32


def set_up(settings: Settings, service: str) -> Tracer:
    """Configure logging and tracing of this process; call once, first."""
    level = logging.getLevelNamesMapping().get(settings.log_level.upper(), logging.INFO)
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer() if settings.log_json else structlog.dev.ConsoleRenderer()
    )
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stdout),
    )
    structlog.contextvars.bind_contextvars(service=service)
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    logging.basicConfig(level=max(level, logging.WARNING), handlers=[handler], force=True)
    exporting = settings.traces == "console"
    provider = TracerProvider(
        sampler=ALWAYS_ON if exporting else ALWAYS_OFF,
        resource=Resource.create({"service.name": f"orderlog-{service}"}),
    )
    if exporting:
        provider.add_span_processor(BatchSpanProcessor(ConsoleSpanExporter()))
    trace.set_tracer_provider(provider)
    return trace.get_tracer("orderlog")


def of_requests(settings: Settings) -> TelemetryConfig:
    """What FastAPI is to tell of requests: their spans, where somebody exports them. Else it would make one
    for each all the same, which takes a third of a command's time."""
    return {"tracing": settings.traces == "console", "metrics": False, "logs": False}


def links(traceparents: Sequence[bytes | str]) -> list[Link]:
    """Span links to the traces that a batch continues; at most 32, malformed ones left out."""
    found = []
    for text in traceparents[:_LINKS_MAX]:
        parts = (text.decode("ascii", "replace") if isinstance(text, bytes) else text).split("-")
        try:
            context = SpanContext(
                int(parts[1], 16), int(parts[2], 16), is_remote=True, trace_flags=TraceFlags(1)
            )
        except (IndexError, ValueError):
            continue
        if context.is_valid:
            found.append(Link(context))
    return found
