"""The stack that all end-to-end tests share: started once a session, taken down again.

With ORDERLOG_E2E_ATTACH set, the stack that runs already is used and left as it is.
"""

import os
from collections.abc import Iterator

import pytest

from libs.runtime.settings import settings
from tests.e2e.stacks import Stack, own_stack


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    if os.environ.get("ORDERLOG_E2E_ATTACH"):
        yield Stack(settings().home.resolve())
        return
    with own_stack() as running:
        yield running
