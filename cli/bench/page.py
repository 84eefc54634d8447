"""The measured part of docs/performance.md: between two markers, and written by nobody but the bench."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cli.bench.figures import Figure, shown
from libs.runtime.complaint import Complaint

BEGIN = "<!-- bench:begin -->"
END = "<!-- bench:end -->"


@dataclass(frozen=True, slots=True)
class Report:
    """One run of the bench. `about` says of each part what was measured; `notes`, what a reader must know."""

    command: str
    commit: str
    date: str
    machine: str
    about: dict[str, str]
    figures: Sequence[Figure]
    notes: Sequence[str] = ()


def tables(report: Report) -> str:
    """The report as Markdown: a table a part, then what missed its aim."""
    lines = [
        f"`{report.command}`, commit {report.commit}, {report.date}.",
        f"{report.machine}.",
        *(f"\n{note}" for note in report.notes),
    ]
    for part in dict.fromkeys(figure.part for figure in report.figures):
        mine = [figure for figure in report.figures if figure.part == part]
        lines += ["", f"### {part[0].upper()}{part[1:]}", ""]
        lines += [report.about[part], ""] if part in report.about else []
        lines += ["| figure | median | lowest–highest | aim | |", "| --- | ---: | ---: | --- | --- |"]
        lines += [_row(figure) for figure in mine]
    missed = [figure for figure in report.figures if figure.verdict and figure.verdict != "reached"]
    lines += ["", "### Aims that were missed", ""]
    lines += [f"- {_told(figure)}" for figure in missed] or ["None of those that were measured."]
    return "\n".join(lines)


def _row(figure: Figure) -> str:
    aim = figure.aim.words(figure.unit) if figure.aim else ""
    verdict = f"**{figure.verdict}**" if figure.verdict not in ("", "reached") else figure.verdict
    cells = (figure.label, shown(figure.median, figure.unit), figure.spread, aim, verdict)
    return "| " + " | ".join(cells) + " |"


def _told(figure: Figure) -> str:
    assert figure.aim is not None
    least = " (the least is reached)" if figure.verdict == "the least reached" else ""
    reached, aim = shown(figure.median, figure.unit), figure.aim.words(figure.unit)
    return f"{figure.part}, {figure.label}: {reached}, where {aim} is aimed at{least}."


def put(text: str, measured: str) -> str:
    """The page with what was measured between its markers; nothing else of it changes.

    Complaint: it has not exactly one of each marker, in their order.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end or BEGIN in rest or END in before + after:
        raise Complaint(
            "The page of the measurements has lost its markers.",
            f"It needs one line `{BEGIN}` and below it one line `{END}`; what is between them is replaced.",
        )
    return f"{before}{BEGIN}\n\n{measured.strip()}\n\n{END}{after}"


def check(page: Path) -> None:
    """Before anything is measured: Complaint, if the page could not be written afterwards."""
    put(_text(page), "")


def write(page: Path, report: Report) -> None:
    """Put the report into the page. Complaint: there is none, or it has lost its markers."""
    text = put(_text(page), tables(report))
    new = page.with_suffix(".new")
    new.write_text(text)
    new.replace(page)


def _text(page: Path) -> str:
    try:
        return page.read_text()
    except OSError as refused:
        raise Complaint(
            f"{page} cannot be read: {refused.strerror}.",
            "Run it in a clone, or with --no-page.",
        ) from refused
