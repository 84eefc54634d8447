"""The command line's way in: who it says it is, what it repeats, and what a person hears of a failure.

The edges are replaced (cli_world): this is the text layer.
"""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from cli import client
from cli.client import Refused, Unanswered
from libs.runtime.complaint import Complaint
from libs.runtime.settings import settings
from libs.runtime.tokens import verify
from tests.unit.cli_world import FakeEdges, edges_of, signing_key

PATH = "/v1/orders/o1/cancel"


@pytest.fixture(autouse=True)
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr("cli.client.time.sleep", lambda seconds: None)
    with signing_key(tmp_path, monkeypatch) as key:
        yield key


def test_it_calls_as_the_user_for_the_tenant(key: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cli.client.getpass.getuser", lambda: "ada")
    fake = FakeEdges({("intake", PATH): {"decided": True}})
    with edges_of(fake, "shop", "support") as edges:
        edges.send("intake", PATH, {})
    scheme, token = fake.requests[0].headers["authorization"].split()
    claims = verify(key, token)
    assert (scheme, claims.tenant, claims.actor, claims.role) == ("Bearer", "shop", "ada", "support")


def test_what_a_path_asks_for_is_asked() -> None:
    fake = FakeEdges({("intake", PATH): {"decided": True}})
    with edges_of(fake) as edges:
        edges.send("intake", f"{PATH}?dry_run=true", {})
        edges.get("intake", f"{PATH}?dry_run=true", limit=5)
        edges.get("intake", PATH)
    assert [one.url.query for one in fake.requests] == [b"dry_run=true", b"dry_run=true&limit=5", b""]


def test_a_problem_becomes_a_sentence_and_a_next_step() -> None:
    problem = {
        "type": "urn:orderlog:problem:invalid_order",
        "title": "The order is not valid",
        "detail": "one field is wrong",
        "next_step": "Correct it.",
        "errors": [{"where": "lines.0.quantity", "what": "Value error, too small"}],
    }
    fake = FakeEdges({("intake", PATH): httpx.Response(422, json=problem)})
    with edges_of(fake) as edges, pytest.raises(Refused) as refused:
        edges.send("intake", PATH, {})
    told = refused.value
    assert (told.sentence, told.next_step) == ("One field is wrong.", "Correct it.")
    assert told.details == "lines.0.quantity: too small"
    assert (told.status, told.code) == (422, "invalid_order")


def test_what_is_no_problem_document_is_told_all_the_same() -> None:
    fake = FakeEdges({("intake", PATH): httpx.Response(502, text="<html>bad gateway</html>")})
    with edges_of(fake) as edges, pytest.raises(Refused, match=r"HTTP status 502\..*orderlog logs"):
        edges.send("intake", PATH, {})


def test_a_command_is_repeated_under_its_key() -> None:
    fake = FakeEdges(
        {("intake", PATH): [httpx.Response(503), httpx.ReadTimeout("slow"), {"decided": True}]},
    )
    with edges_of(fake) as edges:
        assert edges.send("intake", PATH, {}) == {"decided": True}
    keys = {request.headers["idempotency-key"] for request in fake.requests}
    assert (len(fake.requests), len(keys)) == (3, 1)


def test_an_edge_that_is_busy_is_left_alone_for_as_long_as_it_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr("cli.client.time.sleep", slept.append)
    busy = [httpx.Response(429, headers={"retry-after": after}) for after in ("2", "3600", "soon")]
    fake = FakeEdges({("intake", PATH): [*busy, {"decided": True}]})
    with edges_of(fake) as edges:
        assert edges.send("intake", PATH, {}) == {"decided": True}
    assert [slept[0], slept[2], slept[4]] == [2.0, 5.0, 0.0]


def test_repeating_ends() -> None:
    fake = FakeEdges({("intake", PATH): httpx.ReadTimeout("slow")})
    with edges_of(fake) as edges, pytest.raises(Unanswered, match=r"intake at .* broke off"):
        edges.send("intake", PATH, {})
    assert len(fake.requests) == 4


def test_a_service_that_is_down_is_named() -> None:
    fake = FakeEdges({("console", "/v1/orders"): httpx.ConnectError("refused")})
    with (
        edges_of(fake) as edges,
        pytest.raises(Unanswered, match=r"console does not answer at .*orderlog up"),
    ):
        edges.get("console", "/v1/orders")
    assert len(fake.requests) == 1


def test_pages_are_read_to_the_end_and_none_is_not_asked_for() -> None:
    fake = FakeEdges(
        {
            ("console", "/v1/orders"): [
                {"orders": [{"n": 1}], "next": "p2"},
                {"orders": [{"n": 2}], "next": None},
            ]
        }
    )
    with edges_of(fake) as edges:
        assert list(edges.pages("/v1/orders", "orders", sku="A", status=None)) == [{"n": 1}, {"n": 2}]
    asked = [dict(request.url.params) for request in fake.requests]
    assert asked == [{"limit": "200", "sku": "A"}, {"limit": "200", "after": "p2", "sku": "A"}]


def test_a_name_that_no_tenant_can_have_is_refused_before_anything_is_sent() -> None:
    for name in ("Acme", "a/b", "", "-a", "a" * 33):
        with pytest.raises(Complaint, match="not the name of a tenant"):
            edges_of(FakeEdges(), name)


def test_without_a_signing_key_the_next_step_is_up(key: Path) -> None:
    key.unlink()
    with pytest.raises(Complaint, match="orderlog up"):
        edges_of(FakeEdges())


def test_an_address_to_bind_is_not_one_to_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDERLOG_HTTP_HOST", "0.0.0.0")  # noqa: S104
    settings.cache_clear()
    assert client.address("inventory") == "http://127.0.0.1:18081"
