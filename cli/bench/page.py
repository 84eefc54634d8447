"""The measured part of docs/performance.md: between two markers, and written by nobody but the bench."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cli.bench.figures import Figure, shown
from libs.runtime.complaint import Complaint

BEGIN = "<!-- bench:begin -->"
END = "<!-- bench:end -->"
_HEADING = "### "
_MISSED = "Aims that were missed"
_NONE = "None of those that were measured."


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
    for part in _parts(report):
        lines += ["", _HEADING + _titled(part), "", *_table(report, part)]
    lines += ["", _HEADING + _MISSED, "", *(_missed(report) or [_NONE])]
    return "\n".join(lines)


def renewed(measured: str, report: Report) -> str:
    """What was measured before, with the tables of the report's parts in place of theirs. Each says in which
    run it was measured; what the others missed stays in the list of what was missed."""
    first, *sections = measured.strip().split(f"\n{_HEADING}")
    by_title = dict(section.split("\n", 1) for section in sections)
    missed = [line for line in by_title.pop(_MISSED, "").strip().split("\n") if line.startswith("- ")]
    anew = f"Measured anew by `{report.command}`, commit {report.commit}, {report.date}: {report.machine}."
    run = "\n\n".join([anew, *report.notes])
    for part in _parts(report):
        by_title[_titled(part)] = "\n".join(["", run, "", *_table(report, part), ""])
        missed = [line for line in missed if not line.startswith(f"- {part}, ")]
    by_title[_MISSED] = "\n" + "\n".join([*missed, *_missed(report)] or [_NONE])
    return "\n".join([first, *(f"{_HEADING}{title}\n{text}" for title, text in by_title.items())])


def _parts(report: Report) -> list[str]:
    return list(dict.fromkeys(figure.part for figure in report.figures))


def _titled(part: str) -> str:
    return part[0].upper() + part[1:]


def _table(report: Report, part: str) -> list[str]:
    about = [report.about[part], ""] if part in report.about else []
    head = ["| figure | median | lowest–highest | aim | |", "| --- | ---: | ---: | --- | --- |"]
    return about + head + [_row(figure) for figure in report.figures if figure.part == part]


def _missed(report: Report) -> list[str]:
    missed = [figure for figure in report.figures if figure.verdict and figure.verdict != "reached"]
    return [f"- {_told(figure)}" for figure in missed]


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
    before, _, after = _split(text)
    return f"{before}{BEGIN}\n\n{measured.strip()}\n\n{END}{after}"


def _split(text: str) -> tuple[str, str, str]:
    """What is before, between and after the markers. Complaint: see `put`."""
    before, begin, rest = text.partition(BEGIN)
    between, end, after = rest.partition(END)
    if not begin or not end or BEGIN in rest or END in before + after:
        raise Complaint(
            "The page of the measurements has lost its markers.",
            f"It needs one line `{BEGIN}` and below it one line `{END}`; what is between them is replaced.",
        )
    return before, between, after


def check(page: Path) -> None:
    """Before anything is measured: Complaint, if the page could not be written afterwards."""
    put(_text(page), "")


def write(page: Path, report: Report, *, whole: bool = True) -> None:
    """Put the report into the page: all of it, or the tables of its parts alone. Complaint: there is no page,
    or it has lost its markers."""
    text = _text(page)
    measured = tables(report) if whole else renewed(_split(text)[1], report)
    new = page.with_suffix(".new")
    new.write_text(put(text, measured))
    new.replace(page)


def _text(page: Path) -> str:
    try:
        return page.read_text()
    except OSError as refused:
        raise Complaint(
            f"{page} cannot be read: {refused.strerror}.",
            "Run it in a clone, or with --no-page.",
        ) from refused
