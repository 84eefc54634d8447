"""The `orderlog` command. Each module beside this one registers its own commands."""

import typer

from cli import contracts, stack
from cli.output import fail, fail_unforeseen
from libs.runtime.complaint import Complaint

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Orderlog: an order management system whose source of truth is the event log.",
)
for module in (stack, contracts):
    module.register(app)


def main() -> None:
    """Run the command line. Whatever goes wrong reaches a person as a sentence and a next step."""
    try:
        app()
    except Complaint as complaint:
        fail(complaint)
    except ModuleNotFoundError as missing:
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
