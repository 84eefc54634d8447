"""Capture: an order as a channel sends it becomes an order id, what is to be sealed, and its terms.

The shape here is what integrators write (POST /v1/orders); the contract that travels is `SubmitOrder`.
Personal data goes from `ship_to` into the sealed sub-object and nowhere else; what sourcing needs of it is
made coarse.
"""

import re
from typing import Annotated, Any, NamedTuple

from email_validator import EmailNotValidError, validate_email
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from libs.events.contract import AmountMinor, Country, Currency, LineNumber, Name, PromiseId, Quantity, Sku
from libs.events.ids import order_id, subject_of
from libs.events.intake import OrderTerms, PaymentState, SubmitOrder
from libs.events.order import Charge, Destination, OrderLine, Sealed

LINES_MAX = 1000
CHARGES_MAX = 100
SHORT_POSTCODE = 4
"""Countries with postcodes up to this long: two characters are an area there, elsewhere three."""
COARSE_DECIMALS = 1
"""A tenth of a degree is about 11 km: enough to source by, not to find a door."""


def _mail_address(text: str) -> str:
    try:
        validate_email(text, check_deliverability=False, test_environment=True)
    except EmailNotValidError:
        # The library's own sentence may quote the address.
        raise ValueError("not a mail address; write it as name@example.com") from None
    return text


_LINE = StringConstraints(strip_whitespace=True, min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f]*$")
PersonalText = Annotated[str, _LINE]
Postcode = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=16, pattern=r"^[^\x00-\x1f\x7f]*$")
]
Phone = Annotated[
    str, StringConstraints(strip_whitespace=True, max_length=32, pattern=r"^[0-9+][0-9 ()./x-]{2,}$")
]
MailAddress = Annotated[
    str, StringConstraints(strip_whitespace=True, max_length=254), AfterValidator(_mail_address)
]


def _no_mail_address(text: str) -> str:
    if "@" in text:
        raise ValueError("looks like a mail address, which is personal data; use a customer number")
    return text


class Request(BaseModel):
    """A part of what a channel sends. Unknown fields are errors: a typo must not pass."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ShipTo(Request):
    """Who receives it, and where. Everything but the country is personal data and is sealed."""

    name: PersonalText
    address_lines: Annotated[list[PersonalText], Field(min_length=1, max_length=6)]
    city: PersonalText
    postcode: Postcode | None = None
    country: Country
    """ISO 3166-1 alpha-2, in capitals; ZZ where it is not known: the order is held."""
    phone: Phone | None = None
    email: MailAddress | None = None
    latitude: Annotated[float, Field(ge=-90, le=90)] | None = None
    longitude: Annotated[float, Field(ge=-180, le=180)] | None = None


class LineRequest(Request):
    """One line. Without a number it gets its position in the order."""

    line: LineNumber | None = None
    sku: Sku
    quantity: Quantity
    unit_price_minor: AmountMinor
    description: Name | None = None


class ChargeRequest(Request):
    """Money that is no goods: postage, a discount (negative), a manual charge."""

    kind: Name
    amount_minor: AmountMinor


class OrderRequest(Request):
    """An order, as a channel sends it."""

    channel: Name
    external_id: Name
    """The channel's own order number; with the channel it makes the order's id."""
    placed_at: AwareDatetime
    """With an offset, such as 2026-03-02T12:00:00Z."""
    currency: Currency
    lines: Annotated[list[LineRequest], Field(min_length=1, max_length=LINES_MAX)]
    charges: Annotated[tuple[ChargeRequest, ...], Field(max_length=CHARGES_MAX)] = ()
    total_minor: AmountMinor | None = None
    payment: PaymentState = "paid"
    customer_id: Annotated[Name, AfterValidator(_no_mail_address)] | None = None
    """A number or pseudonym of the merchant's, never a name or mail address; none for a guest."""
    ship_to: ShipTo
    promise_id: PromiseId | None = None
    """The basket that was held for it: POST /v1/promises."""
    order_type: Name | None = None
    """What kind of order it is to the merchant: consumer, wholesale, marketplace, …"""
    service: Name | None = None
    """What was promised to the customer about speed: express, standard, …"""


class Captured(NamedTuple):
    """An order, taken apart: `personal` is for the keyring to seal, `terms` are free of it."""

    order_id: str
    subject: str
    personal: dict[str, Any]
    terms: OrderTerms


def capture(tenant: str, order: OrderRequest) -> Captured:
    """A tenant's order as its id, its data subject, its personal data, and its terms without contact."""
    id_ = order_id(tenant, order.channel, order.external_id)
    terms = OrderTerms(
        channel=order.channel,
        external_id=order.external_id,
        placed_at=order.placed_at,
        currency=order.currency,
        lines=tuple(_line(position, line) for position, line in enumerate(order.lines, start=1)),
        charges=tuple(Charge(kind=charge.kind, amount_minor=charge.amount_minor) for charge in order.charges),
        total_minor=order.total_minor,
        payment=order.payment,
        customer_id=order.customer_id,
        destination=destination_of(order.ship_to),
        promise_id=order.promise_id,
        order_type=order.order_type,
        service=order.service,
    )
    return Captured(id_, subject_of(id_, order.customer_id), personal_of(order.ship_to), terms)


def command(captured: Captured, contact: Sealed) -> SubmitOrder:
    """The command that submits it, once its personal data is sealed."""
    return SubmitOrder(order_id=captured.order_id, **{**dict(captured.terms), "contact": contact})


def postcode_area(country: str, postcode: str | None) -> str | None:
    """The coarse part of a postcode: GB's outward code, elsewhere the first two or three characters."""
    if postcode is None:
        return None
    known = re.sub(r"[^A-Z0-9]", "", postcode.upper())
    if country == "GB":
        # The inward code is always the last three characters, a digit and two letters (BS 7666).
        outward = known[:-3] if re.fullmatch(r"[A-Z0-9]{2,4}[0-9][A-Z]{2}", known) else known[:4]
        return outward or None
    return known[: 2 if len(known) <= SHORT_POSTCODE else 3] or None


def personal_of(to: ShipTo) -> dict[str, Any]:
    """What is sealed of who receives it, and where."""
    personal = {
        "name": to.name,
        "address_lines": to.address_lines,
        "city": to.city,
        "postcode": to.postcode,
        "phone": to.phone,
        "email": to.email,
    }
    return {field: value for field, value in personal.items() if value is not None}


def destination_of(to: ShipTo) -> Destination:
    """Where it goes, as coarse as sourcing needs it."""
    known = to.latitude is not None and to.longitude is not None
    return Destination(
        country=to.country,
        postcode_area=postcode_area(to.country, to.postcode),
        latitude=round(to.latitude, COARSE_DECIMALS) if known and to.latitude is not None else None,
        longitude=round(to.longitude, COARSE_DECIMALS) if known and to.longitude is not None else None,
    )


def _line(position: int, line: LineRequest) -> OrderLine:
    return OrderLine(
        line=line.line or position,
        sku=line.sku,
        quantity=line.quantity,
        unit_price_minor=line.unit_price_minor,
        description=line.description,
    )
