"""The main job on real Kafka and PostgreSQL: a month's first orders, also while stages are killed."""

import json
import os
import signal
import subprocess
import sys
import time
from typing import Any

import pytest

from deploy.local.home import Home
from deploy.local.programs import find
from tests.e2e.demos import ORDERS, SECONDS, Demo, closed, fetch
from tests.e2e.stacks import ROOT, Stack

pytestmark = pytest.mark.e2e

ORDERS_KILLED = 80
ZEROS = (
    "oversold_units",
    "duplicate_effects",
    "lost_orders",
    "open_orders",
    "stranded_units",
    "unpublished_events",
)


def _is_sound(report: dict[str, Any], orders: int) -> None:
    assert report["ok"], report
    assert {name: report[name] for name in ZEROS} == dict.fromkeys(ZEROS, 0)
    assert report["submitted"] == report["accepted"] + report["held"] + report["rejected"] == orders
    assert sum(report["outcomes"].values()) == orders
    assert report["ledger_holds"]
    assert report["edge_refusals"] == {}
    assert report["messages_failed"] == 0


def _every_mail_is_there_once(stack: Stack) -> None:
    """The sink holds one file for each message that notifications' log says was sent, to whichever tenant."""
    query = "SELECT 1 FROM log WHERE type = 'oms.notifications.message_sent'"
    sent = fetch("notifications", query)
    mails = [mail.name for mail in Home(stack.home).mail.glob("*.eml")]
    assert len(mails) == len(sent) > ORDERS
    assert all(name.endswith("-1.eml") for name in mails)


def test_a_part_of_the_month_comes_out_sound(stack: Stack, demo: Demo) -> None:
    report = demo.report
    _is_sound(report, ORDERS)
    assert report["file"]["lines"] == 42_481
    assert report["file"]["invoices"] == 2_025
    assert demo.closed == ORDERS
    assert report["backorders_filled"] == report["backordered"] > 0
    assert report["returns"] > 0
    assert report["orders_per_second"] > 0
    _every_mail_is_there_once(stack)
    assert report["submitted_to_released_ms"]["p50"] <= report["submitted_to_released_ms"]["p99"]


def test_stages_killed_in_the_middle_change_nothing(stack: Stack) -> None:
    tenant = "killed"
    demo = subprocess.Popen(
        (
            sys.executable,
            "-m",
            "cli.main",
            "demo",
            "--orders",
            str(ORDERS_KILLED),
            "--tenant",
            tenant,
            "--json",
        ),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        for at, stage in ((1, "inventory"), (20, "fulfillment"), (40, "intake")):
            _wait_for_closed(demo, tenant, at)
            _kill(stack, stage)
            stack.json("up")
        out, errors = demo.communicate(timeout=SECONDS)
    finally:
        demo.kill()
        demo.wait()
    assert demo.returncode == 0, errors
    _is_sound(json.loads(out.splitlines()[-1]), ORDERS_KILLED)


def _wait_for_closed(demo: "subprocess.Popen[str]", tenant: str, orders: int) -> None:
    deadline = time.monotonic() + SECONDS
    while closed(tenant) < orders:
        assert demo.poll() is None, "the demo ended before a stage could be killed in its middle"
        assert time.monotonic() < deadline, f"{orders} orders were not closed in time"


def _kill(stack: Stack, stage: str) -> None:
    running = find(Home(stack.home), stage)
    assert running is not None, f"{stage} is not running"
    os.kill(running.pid, signal.SIGKILL)
