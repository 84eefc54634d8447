"""Runs inventory as a member of a group of its own, so that Kafka gives it partitions that others have.

Nothing of the product does so; it stands for a broker that gives one partition to two.
"""

from typing import Any
from unittest.mock import patch

from libs.runtime import service
from libs.runtime.consume import Subscription
from services.inventory.app import STAGE, all_routes


def elsewhere(*arguments: Any, group: str, **named: Any) -> Subscription:
    """The subscription as the service makes it, in another group."""
    return Subscription(*arguments, group=f"{group}.another", **named)


if __name__ == "__main__":
    with patch.object(service, "Subscription", elsewhere):
        service.run(STAGE, all_routes)
