"""Which order waits with a parked key, if any: the key is a stage's, and need not be an order's."""

import pytest

from services.console.parked_items import Item, item_of

SUBJECT = "parked/inventory/3/"


@pytest.mark.parametrize(
    ("key", "order_id"),
    [
        ("acme/0b1c-4d", "0b1c-4d"),
        ("acme/sku/A 1/B", None),
        ("acme/nodes", None),
        ("acme/exception.rules", None),
        ("?oms.intake.commands/0/2462", None),
        ("?", None),
        ("acme/", None),
    ],
)
def test_a_key_names_its_order(key: str, order_id: str | None) -> None:
    item = item_of(SUBJECT + key)
    assert item == Item("inventory", "3", key)
    assert item.order_id == order_id
