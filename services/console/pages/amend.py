"""Amending an order: a new address or service, looked at before it is asked for.

What is typed goes to intake's edge, which seals it as it does a new order's address. It is kept nowhere here,
and the order's own contact is not opened for it.
"""

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request, Response
from pydantic import AfterValidator, BaseModel, Field

from libs.events.contract import OrderId
from services.console.change_view import preview_amend
from services.console.order_view import Preview
from services.console.pages.one_order import found, one_line, order_of, told
from services.console.pages.reasons import OF_ORDER, as_header, needed
from services.console.web.sessions import Session
from services.console.web.site import Site

SERVICES = ("standard", "express")
"""Offered; any name that a channel uses may be written."""
_NEEDED = ("name", "address", "city", "country")
_OPTIONAL = ("postcode", "phone", "email")


def _lines(text: str) -> str:
    return "\n".join(line for one in text.splitlines() if (line := one_line(one)))


Why = Annotated[str, Field(max_length=500), AfterValidator(one_line)]
Short = Annotated[str, Field(max_length=254), AfterValidator(one_line)]
Long = Annotated[str, Field(max_length=800), AfterValidator(_lines)]


class Typed(BaseModel):
    """The form, without blanks around its fields; an address is there once any of it is."""

    name: Short = ""
    address: Long = ""
    city: Short = ""
    postcode: Short = ""
    country: Annotated[Short, AfterValidator(str.upper)] = ""
    phone: Short = ""
    email: Short = ""
    service: Short = ""
    note: Why = ""

    def _named(self, *names: str) -> dict[str, str]:
        """Those of these fields that have anything in them."""
        return {name: text for name in names if (text := getattr(self, name))}

    @property
    def missing(self) -> tuple[str, ...]:
        """What an address lacks."""
        there = self._named(*_NEEDED)
        if not (there or self._named(*_OPTIONAL)):
            return ()
        if not (len(self.country) == 2 and self.country.isascii()):
            there.pop("country", None)
        return tuple(name for name in _NEEDED if name not in there)

    def body(self, reason: str) -> dict[str, object]:
        """As intake's edge takes it, which says what of it is missing or wrong."""
        asked: dict[str, object] = {"reason": reason, **self._named("service")}
        if self._named(*_NEEDED, *_OPTIONAL):
            to = {"name": self.name, "city": self.city, "country": self.country}
            asked["ship_to"] = {**to, "address_lines": self.address.splitlines(), **self._named(*_OPTIONAL)}
        return asked


def routes(site: Site) -> APIRouter:
    """/orders/{id}/amend, and what confirms it."""
    router = site.router()
    changer = Annotated[Session, Depends(site.guard.require("cancel"))]
    form = Annotated[Typed, Form()]

    @router.post("/orders/{order_id}/amend")
    async def ask(request: Request, session: changer, order_id: OrderId, asked: form) -> Response:
        _, state = await order_of(site, session, order_id)
        unserved = bool(asked.country) and await site.everything.served_by_none(session.tenant, asked.country)
        preview = preview_amend(state, asked.country, asked.service, unserved=unserved)
        if asked.missing:
            preview = Preview(False, f"The address is not whole: its {', '.join(asked.missing)} is missing.")
        return await site.page(
            request,
            session,
            "amend.html",
            order_id=order_id,
            preview=preview,
            asked=asked.model_dump(exclude={"note"}),
            note=asked.note,
        )

    @router.post("/orders/{order_id}/amend/confirm")
    async def amend(request: Request, session: changer, order_id: OrderId, asked: form) -> Response:
        await found(site, session, order_id)
        reason = needed(asked.note, OF_ORDER)
        path = f"/v1/orders/{order_id}/amend"
        outcome = await site.actions.call(
            session, "intake", "POST", path, body=asked.body(reason), reason=as_header(reason)
        )
        return await told(site, request, session, order_id, outcome)

    return router
