"""Where somebody is in the queue of exceptions: their filter and page, as addresses and forms carry it."""

from typing import Annotated, Literal
from urllib.parse import parse_qsl, urlencode

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from libs.events.exception_rules import Owner
from services.console.cursor import CURSOR_LENGTH_MAX
from services.console.exceptions import NOBODY, QueueFilter
from services.console.rules import Kind
from services.console.web.sessions import Session

Whose = Literal["anybody", "mine", "nobody"]


class Place(BaseModel):
    """What is not as at the beginning stands in the address. `after`: the cursor of the page."""

    model_config = ConfigDict(frozen=True)

    owner: Owner | Literal[""] = ""
    kind: Kind | Literal[""] = ""
    whose: Whose = "anybody"
    snoozed: bool = False
    overdue: bool = False
    node: Annotated[str, Field(max_length=32, pattern=r"^[^\x00]*$")] = ""
    after: Annotated[str | None, Field(max_length=CURSOR_LENGTH_MAX)] = None

    @classmethod
    def read(cls, query: str) -> "Place":
        """What `query` wrote; the beginning of the queue, of what nobody here wrote."""
        try:
            return cls.model_validate(dict(parse_qsl(query)))
        except (ValidationError, ValueError):
            return cls()

    def query(self) -> str:
        """As an address has it, without what is as at the beginning."""
        changed = self.model_dump(exclude_defaults=True)
        return urlencode(
            {name: str(value).lower() if value is True else value for name, value in changed.items()}
        )

    def at(self, after: str | None) -> "Place":
        """The same list, from another place on."""
        return self.model_copy(update={"after": after})

    def wanted(self, session: Session) -> QueueFilter:
        """As the queue is asked, by this person."""
        assignee = {"anybody": None, "mine": session.actor, "nobody": NOBODY}[self.whose]
        return QueueFilter(
            self.owner or None,
            self.kind or None,
            assignee,
            self.snoozed,
            self.node or None,
            self.overdue,
            session.may("platform"),
        )
