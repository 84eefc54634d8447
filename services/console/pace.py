"""How much of the machine the console takes: little while nobody looks, its share while pages are open."""

from collections.abc import Callable

from libs.runtime.settings import Settings

WATCHED_FETCH_MS = 50


class Pace:
    """One process's. `wait_at_broker` bounds in milliseconds how long fetches wait for `fetch_bytes_min`;
    `yield_session` is `libs.runtime.serve.yield_session`."""

    def __init__(
        self,
        config: Settings,
        wait_at_broker: Callable[[int], None],
        yield_session: Callable[[int], bool],
    ) -> None:
        self._config, self._wait_at_broker, self._yield_session = config, wait_at_broker, yield_session
        self._nice = config.nice

    def keep(self, *, watched: bool) -> None:
        """Be as quick as is due now. To be called now and then: what was not heard is said again."""
        config = self._config
        hurries = watched and config.fetch_bytes_min > 1
        self._wait_at_broker(WATCHED_FETCH_MS if hurries else config.fetch_wait_ms)
        nice = 0 if watched else config.nice
        if nice != self._nice and self._yield_session(nice):
            self._nice = nice
