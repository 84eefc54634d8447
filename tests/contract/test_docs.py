"""docs/contracts.md is what a consumer builds on: its table is complete and its code runs."""

import re
from typing import Any

import orjson
import pytest

from cli.contracts import ROOT
from libs.events.ids import order_id
from tests.contract.example_parts import ORDER

PAGE = (ROOT / "docs" / "contracts.md").read_text()
SCHEMAS: dict[str, Any] = orjson.loads((ROOT / "contracts" / "asyncapi.json").read_bytes())["components"][
    "schemas"
]


def table() -> dict[str, str]:
    """Header name to where it is found: `all`, `events`, `some`."""
    return dict(re.findall(r"^\| `([a-z_-]+)` \| (all|events|some) \|", PAGE, re.MULTILINE))


def test_the_table_names_each_header_and_where_it_is_found() -> None:
    event, command = SCHEMAS["eventHeaders"], SCHEMAS["commandHeaders"]
    assert set(table()) == set(event["properties"])
    assert {name for name, where in table().items() if where != "some"} == set(event["required"])
    assert {name for name, where in table().items() if where == "all"} == {
        *command["required"],
        "ce_typeversion",
    }


def test_the_code_drops_what_comes_again_and_stops_at_a_gap() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    found: dict[str, Any] = {}
    exec(code, found)  # noqa: S102 - our own page
    seen = found["Seen"]({})

    def headers(sequence: int, lane: int = 0, source: str = "orderlog/intake") -> dict[str, str]:
        return {"ce_source": source, "ce_lane": str(lane), "ce_sequence": str(sequence)}

    assert [seen.is_new(headers(n)) for n in (1, 2, 2, 1, 3)] == [True, True, False, False, True]
    assert seen.is_new(headers(1, lane=1))
    assert seen.is_new(headers(1, source="orderlog/routing"))
    with pytest.raises(LookupError, match="4 expected, 5 came"):
        seen.is_new(headers(5))
    assert seen.is_new(headers(4))


def test_every_link_leads_to_a_file() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", PAGE)
    assert links
    for link in links:
        assert (ROOT / "docs" / link).exists(), link


def test_the_example_order_has_the_id_that_the_edge_would_give_it() -> None:
    assert order_id("acme", "web", "536365") == ORDER
