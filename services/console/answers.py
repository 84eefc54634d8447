"""Answers of the query API: only the fields that were asked for, and nothing twice to who has it already."""

import hashlib
from collections.abc import Collection, Mapping
from typing import Annotated, Any

import orjson
from fastapi import Query, Request, Response

from libs.runtime.problems import Problem

FIELDS_LENGTH_MAX = 1000
Fields = Annotated[
    str | None,
    Query(
        max_length=FIELDS_LENGTH_MAX,
        description="Only these members of each row or of the document, separated by commas.",
    ),
]


def answer(request: Request, document: Mapping[str, Any], of_now: Collection[str] = ()) -> Response:
    """The document as JSON with its ETag; 304 without a body when `If-None-Match` names it. `of_now`: members
    that say when it was asked for; an answer that differs in them alone is the same, its ETag a weak one."""
    body = _json(document)
    told = _json({name: value for name, value in document.items() if name not in of_now}) if of_now else body
    etag = f'"{hashlib.sha256(told).hexdigest()[:32]}"'
    weak = "W/" if of_now else ""
    headers = {"ETag": weak + etag, "Cache-Control": "private, no-cache", "Vary": "Authorization"}
    known = [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]
    if etag in known or known == ["*"]:
        return Response(status_code=304, headers=headers)
    return Response(body, 200, headers, "application/json")


def selected(
    document: Mapping[str, Any], fields: str | None, perhaps: Collection[str] = ()
) -> dict[str, Any]:
    """The members that `fields` names, in the document's order. Problem 422: it has no such member, and it is
    none that it has `perhaps`."""
    if fields is None:
        return dict(document)
    wanted = {name.strip() for name in fields.split(",")} - {""}
    unknown = sorted(wanted - document.keys() - set(perhaps))
    if unknown or not wanted:
        raise Problem(
            422,
            "unknown_field",
            "No such field",
            f"{len(unknown)} of the names in `fields` are not there; a name at least must be.",
            f"Take some of {', '.join(dict.fromkeys([*document, *perhaps]))}.",
        )
    return {name: value for name, value in document.items() if name in wanted}


def _json(document: Mapping[str, Any]) -> bytes:
    return orjson.dumps(document, default=str, option=orjson.OPT_NON_STR_KEYS | orjson.OPT_UTC_Z)
