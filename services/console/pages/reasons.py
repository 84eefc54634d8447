"""Why somebody does something: asked for where it is kept, and told with the command."""

from libs.runtime.problems import Problem

OF_ORDER = "Whoever looks at this order later wants to know why; nothing was changed."


def needed(why: str, what_for: str) -> str:
    """The reason, without blanks around it. Raises Problem 422 where there is none; `what_for` says who wants
    to know it, and that nothing was done."""
    if not why.strip():
        raise missing(what_for)
    return why.strip()


def missing(what_for: str) -> Problem:
    """There is no reason, or none that can be kept."""
    return Problem(
        422, "no_reason", "A reason is missing", what_for, "Go back, and say why in up to 500 characters."
    )


def as_header(why: str) -> str:
    """The reason as a command's envelope carries it; one that a header cannot carry stands in the command."""
    reason = why.strip()[:200]
    return reason if reason.isprintable() else ""
