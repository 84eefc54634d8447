"""A stage's relay, whose process answers for it."""

import asyncio
from typing import Any

from libs.runtime.health import Health
from libs.runtime.log import Unavailable
from libs.runtime.relay import PublishFailed, Relay


class WatchedRelay(Relay):
    """One turn at a time, and its unforeseen failures are told to the process's health."""

    def __init__(self, *arguments: Any, health: Health, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._health, self._one_at_a_time = health, asyncio.Lock()

    async def turn(self) -> int:
        async with self._one_at_a_time:
            try:
                published = await super().turn()
            except (PublishFailed, Unavailable):
                self._health.well("relay")
                raise
            except Exception as error:
                self._health.failing("relay", error)
                raise
            self._health.well("relay")
            return published
