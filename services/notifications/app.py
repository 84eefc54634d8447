"""Wires the notifications stage: `python -m services.notifications.app`."""

from libs.runtime.service import run
from libs.runtime.stage import one_stream
from services.notifications import domain
from services.notifications.api import routes
from services.notifications.sender import MailSender

STAGE = one_stream(
    "notifications",
    hears_types=domain.HEARS,
    passes_over=domain.PASSES_OVER,
    state=domain.State,
    initial=domain.INITIAL,
    decide=domain.decide,
    evolve=domain.evolve,
    owes=domain.owes,
    settles=domain.settles,
)

if __name__ == "__main__":
    run(STAGE, routes, lambda settings, keyring: MailSender(settings, keyring.open, keyring.link_key()))
