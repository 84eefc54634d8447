"""What the contracts have in common by which people take an exception, put it off, or settle it by hand.

Each is of an exception of an order, of stock, of a feed or of a parked key: a command and its event beside
one another.
"""

from typing import Annotated

from pydantic import AwareDatetime, StringConstraints

from libs.events.contract import Name, Value

Why = Annotated[str, StringConstraints(pattern=r"^[^\x00]{1,500}$")]
"""A person's reason, which there must be; never personal data."""


class Taken(Value):
    """Whose it is from now on; None, nobody's."""

    assignee: Name | None = None


class PutOff(Value):
    """It need not be looked at before then."""

    until: AwareDatetime
    why: Why


class SeenTo(Value):
    """A person has seen to it, and says how."""

    note: Why
