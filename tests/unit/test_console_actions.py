"""What a person is told who wants something of a stage that does not answer: whether anything was done."""

from pathlib import Path

import httpx2
import pytest

from libs.runtime.settings import Settings
from libs.runtime.tokens import new_signing_key
from services.console.queries import Queries
from services.console.web.actions import Actions
from services.console.web.sessions import Session


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (httpx2.ConnectError("refused"), "Intake does not answer. Nothing was changed."),
        (httpx2.ConnectTimeout("too slow"), "Intake does not answer. Nothing was changed."),
        (httpx2.PoolTimeout("too many"), "Intake does not answer. Nothing was changed."),
        (httpx2.ReadTimeout("too slow"), "Intake broke off (ReadTimeout). Whether it was done is not known."),
    ],
)
async def test_what_was_never_sent_has_changed_nothing(
    tmp_path: Path, error: httpx2.HTTPError, told: str
) -> None:
    def fail(request: httpx2.Request) -> httpx2.Response:
        raise error

    key = tmp_path / "jwt.json"
    key.write_bytes(new_signing_key())
    async with httpx2.AsyncClient(transport=httpx2.MockTransport(fail)) as http:
        actions = Actions(Settings(jwt_key_file=key), Queries.__new__(Queries), http)
        session = Session("acme", "ann", "Ann", "operator", "token")
        outcome = await actions.call(session, "intake", "POST", "/v1/commands", body={})
    assert (outcome.ok, outcome.sentence, outcome.code) == (False, told, "stage_unavailable")
