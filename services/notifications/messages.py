"""Writes the mails: a subject and a plain text for each milestone, from templates/ and what the stage knows.

Pure: the same message, order and personal data give the same text. Whatever a customer or a channel wrote is
cleaned of control characters before it gets near a header or a body.
"""

import unicodedata
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from babel.dates import format_date
from babel.numbers import format_currency, get_currency_precision
from email_validator import EmailNotValidError, validate_email
from jinja2 import StrictUndefined, Template
from jinja2.sandbox import ImmutableSandboxedEnvironment

from libs.events.notifications import Fact
from libs.events.record import record
from services.notifications.domain import State

LOCALE = "en_GB"
NAME_LENGTH_MAX = 100
SUBJECT_LENGTH_MAX = 150
BODY_LENGTH_MAX = 20_000
LISTS = frozenset({"sku", "tracking", "substitute", "ordered"})
"""Facts that a message may have several of."""

_BIDI = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


class Unsendable(Exception):
    """This message can never be sent; the text says why, without personal data."""


@record
class Message:
    """One mail. No field holds a control character, but for the line feeds of `body`."""

    message_id: str
    to_name: str
    to: str
    subject: str
    body: str


def _templates() -> dict[str, tuple[Template, Template]]:
    """(subject, body) by milestone, and the frame around each body: a file's first line, and the rest."""
    environment = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False
    )
    found: dict[str, tuple[Template, Template]] = {}
    for file in sorted((Path(__file__).parent / "templates").glob("*.txt")):
        subject, _, body = file.read_text(encoding="utf-8").partition("\n")
        if file.stem == "frame":
            subject, body = "", f"{subject}\n{body}"
        found[file.stem] = environment.from_string(subject), environment.from_string(body)
    return found


_TEMPLATES = _templates()


def render(state: State, message_id: str, personal: Mapping[str, Any], link: str = "") -> Message:
    """A message of an order as a mail. `personal` is the opened contact; `link` is where its customer
    sees the order, if there is such a place. Raises Unsendable."""
    letter = state.letters[message_id]
    to = _address(personal.get("email"))
    name = clean(str(personal.get("name") or ""), NAME_LENGTH_MAX)
    words = _words((*state.facts, *letter.facts))
    words |= {"name": name, "subject_id": clean(letter.subject_id or "", 200)}
    subject, body = _TEMPLATES[letter.milestone]
    content = body.render(words).strip()
    text = _TEMPLATES["frame"][1].render(words | {"content": content, "link": link})
    return Message(
        message_id=message_id,
        to_name=name,
        to=to,
        subject=clean(subject.render(words), SUBJECT_LENGTH_MAX),
        body=text[:BODY_LENGTH_MAX].rstrip() + "\n",
    )


def clean(text: str, length_max: int) -> str:
    """One line of printable text: no line breaks, NULs, surrogates, or marks that reverse its direction."""
    kept = (
        " " if unicodedata.category(mark) in ("Cc", "Cs", "Zl", "Zp") or mark in _BIDI else mark
        for mark in text
    )
    return " ".join("".join(kept).split())[:length_max].rstrip()


def _address(email: object) -> str:
    if not isinstance(email, str) or not email.strip():
        raise Unsendable("the contact has no mail address")
    try:
        valid = validate_email(email.strip(), check_deliverability=False, test_environment=True)
    except EmailNotValidError:
        raise Unsendable("the contact's mail address is not valid") from None
    return valid.ascii_email or valid.normalized


def _words(facts: tuple[Fact, ...]) -> dict[str, Any]:
    """Facts by name as a template names them: dates and amounts in words, lists as lists."""
    words: dict[str, Any] = {}
    for fact in facts:
        value = clean(fact.value, 500)
        if fact.name in LISTS:
            words.setdefault(fact.name, []).append(value)
        elif fact.name.endswith("_at"):
            day = format_date(datetime.fromisoformat(value), format="long", locale=LOCALE)
            words[f"{fact.name.removesuffix('_at')}_on"] = day
        else:
            words[fact.name] = value
    for name in [name for name in words if name.endswith("_minor")]:
        words[name.removesuffix("_minor")] = money(int(words[name]), words["currency"])
    return words


def money(amount_minor: int, currency: str) -> str:
    """An amount in the currency's minor unit as people write it: £12.50."""
    amount = Decimal(amount_minor).scaleb(-get_currency_precision(currency))
    return format_currency(amount, currency, locale=LOCALE)
