"""What people wrote on an order, opened for who may see personal data; each look is on record before."""

from collections.abc import Iterable

from libs.events.changes import NoteAdded
from libs.runtime.log import Unavailable
from services.console.history import Place
from services.console.queries import Row
from services.console.web.sessions import Session
from services.console.web.site import AboutOrders

HIDDEN = "Your role does not see what it says."
GONE = "It was erased with its customer."
SILENT = "It cannot be read now: Kafka does not answer."


async def notes(
    about: AboutOrders, session: Session, order_id: str, entries: Iterable[Row]
) -> dict[str, str]:
    """The text of each note of the timeline, by event id; or why it is not to be read. Raises Unavailable
    where the look cannot be put on record."""
    written = [entry for entry in entries if entry["type"] == NoteAdded.TYPE]
    if not written:
        return {}
    if not session.may("personal"):
        return {str(entry["event_id"]): HIDDEN for entry in written}
    places = [Place(entry["stage"], entry["lane"], entry["sequence"]) for entry in written]
    try:
        events = await about.history.envelopes(places)
    except Unavailable:
        return {str(entry["event_id"]): SILENT for entry in written}
    await about.looks.note(session, order_id, "read the notes on its page")
    sealed = [(order_id, event.body.note) for event in events if isinstance(event.body, NoteAdded)]
    opened = await about.contacts.open_sealed(session.tenant, sealed)
    texts = [str(one["note"]) if one and one.get("note") else GONE for one in opened]
    return {str(event.id): text for event, text in zip(events, texts, strict=True)}
