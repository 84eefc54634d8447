"""The stack that all end-to-end tests share: started once a session, taken down again.

With ORDERLOG_E2E_ATTACH set, the stack that runs already is used and left as it is.
"""

import os
from collections.abc import Iterator

import pytest

from libs.runtime.serve import collect_seldom
from libs.runtime.settings import settings
from tests.e2e.demos import Demo, play
from tests.e2e.stacks import Stack, own_stack


def pytest_collection_finish() -> None:
    """As a stage's own process does: a fifth of the suites' time went into looking through what their imports
    have made. pytest collects once more at the end, so what only that finds is still an error."""
    collect_seldom()


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    if os.environ.get("ORDERLOG_E2E_ATTACH"):
        yield Stack(settings().home.resolve())
        return
    with own_stack() as running:
        yield running


@pytest.fixture(scope="session")
def demo(stack: Stack) -> Demo:
    """A part of a real retailer's month, played through the stack, and what came of it."""
    return play(stack)
