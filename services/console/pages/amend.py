"""Amending an order: a new address or service, looked at before it is asked for.

What is typed goes to intake's edge, which seals it as it does a new order's address. It is kept nowhere here,
and the order's own contact is not opened for it.
"""

from dataclasses import asdict, dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request, Response

from libs.events.contract import OrderId
from services.console.change_view import preview_amend
from services.console.order_view import Preview
from services.console.pages.one_order import found, one_line, order_of, told
from services.console.pages.reasons import OF_ORDER, as_header, needed
from services.console.web.sessions import Session
from services.console.web.site import Site

Why = Annotated[str, Form(max_length=500)]
Short = Annotated[str, Form(max_length=254)]
Long = Annotated[str, Form(max_length=800)]
SERVICES = ("standard", "express")
"""Offered; any name that a channel uses may be written."""


@dataclass(frozen=True, slots=True)
class Typed:
    """A form's fields, without blanks around them; an address is there once any of it is."""

    name: str
    address: str
    city: str
    postcode: str
    country: str
    phone: str
    email: str
    service: str

    @property
    def has_address(self) -> bool:
        return any((self.name, self.address, self.city, self.postcode, self.country, self.phone, self.email))

    @property
    def missing(self) -> tuple[str, ...]:
        """What an address lacks."""
        country = self.country if len(self.country) == 2 and self.country.isascii() else ""
        parts = {"name": self.name, "address": self.address, "city": self.city, "country": country}
        return tuple(name for name, text in parts.items() if not text) if self.has_address else ()

    def body(self, reason: str) -> dict[str, object]:
        """As intake's edge takes it, which says what of it is missing or wrong."""
        asked: dict[str, object] = {"reason": reason}
        if self.service:
            asked["service"] = self.service
        if self.has_address:
            lines = [line for text in self.address.splitlines() if (line := one_line(text))]
            to: dict[str, object] = {"name": self.name, "city": self.city, "country": self.country}
            optional = {"postcode": self.postcode, "phone": self.phone, "email": self.email}
            given = {name: text for name, text in optional.items() if text}
            asked["ship_to"] = {**to, "address_lines": lines, **given}
        return asked


def typed(
    name: Short = "",
    address: Long = "",
    city: Short = "",
    postcode: Short = "",
    country: Short = "",
    phone: Short = "",
    email: Short = "",
    service: Short = "",
) -> Typed:
    """The form, put together."""
    lines = "\n".join(line for text in address.splitlines() if (line := one_line(text)))
    country = one_line(country).upper()
    return Typed(
        one_line(name),
        lines,
        one_line(city),
        one_line(postcode),
        country,
        one_line(phone),
        one_line(email),
        one_line(service),
    )


def routes(site: Site) -> APIRouter:
    """/orders/{id}/amend, and what confirms it."""
    router = site.router()
    changer = Annotated[Session, Depends(site.guard.require("cancel"))]
    form = Annotated[Typed, Depends(typed)]

    @router.post("/orders/{order_id}/amend")
    async def ask(
        request: Request, session: changer, order_id: OrderId, asked: form, note: Why = ""
    ) -> Response:
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
            asked=asdict(asked),
            note=one_line(note),
        )

    @router.post("/orders/{order_id}/amend/confirm")
    async def amend(
        request: Request, session: changer, order_id: OrderId, asked: form, note: Why = ""
    ) -> Response:
        await found(site, session, order_id)
        reason = needed(one_line(note), OF_ORDER)
        path = f"/v1/orders/{order_id}/amend"
        outcome = await site.actions.call(
            session, "intake", "POST", path, body=asked.body(reason), reason=as_header(reason)
        )
        return await told(site, request, session, order_id, outcome)

    return router
