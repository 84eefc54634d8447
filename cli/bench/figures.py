"""What the bench says: figures over several rounds, each beside its aim. Pure: numbers in, words out."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Aim:
    """What a figure is to reach: at least `bound`, or at most. `least` is what has to do in any case."""

    bound: float
    at_most: bool = False
    least: float | None = None

    def verdict(self, value: float) -> str:
        """`reached`, `the least reached` or `missed`."""
        if self._holds(value, self.bound):
            return "reached"
        if self.least is not None and self._holds(value, self.least):
            return "the least reached"
        return "missed"

    def words(self, unit: str) -> str:
        """`≥ 3,000 /s (least 1,500 /s)`."""
        sign = "≤" if self.at_most else "≥"
        least = "" if self.least is None else f" (least {shown(self.least, unit)})"
        return f"{sign} {shown(self.bound, unit)}{least}"

    def _holds(self, value: float, bound: float) -> bool:
        return value <= bound if self.at_most else value >= bound


@dataclass(frozen=True, slots=True)
class Reading:
    """One value of one round. An empty unit is a ratio."""

    part: str
    label: str
    value: float
    unit: str = ""
    aim: Aim | None = None


@dataclass(frozen=True, slots=True)
class Figure:
    """The readings of one thing, in the order of the rounds."""

    part: str
    label: str
    unit: str
    aim: Aim | None
    values: tuple[float, ...]

    def __post_init__(self) -> None:
        assert self.values, f"{self.label} was never read"

    @property
    def median(self) -> float:
        return median(self.values)

    @property
    def verdict(self) -> str:
        """Of the median; empty where nothing is aimed at."""
        return self.aim.verdict(self.median) if self.aim else ""

    @property
    def spread(self) -> str:
        """`980–1,020`, lowest to highest; empty for a single round."""
        if len(self.values) < 2:
            return ""
        return f"{number(min(self.values), self.unit)}–{number(max(self.values), self.unit)}"


def figures(readings: Iterable[Reading]) -> list[Figure]:
    """Readings of all rounds, those of one part and label together, in the order in which they first came."""
    grouped: dict[tuple[str, str], list[Reading]] = {}
    for reading in readings:
        grouped.setdefault((reading.part, reading.label), []).append(reading)
    found = []
    for (part, label), same in grouped.items():
        first = same[0]
        assert all((one.unit, one.aim) == (first.unit, first.aim) for one in same), (
            f"{label} changes its unit"
        )
        found.append(Figure(part, label, first.unit, first.aim, tuple(one.value for one in same)))
    return found


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` of all lie at or below (nearest rank).

    Source: Hyndman and Fan, Sample Quantiles in Statistical Packages (1996), definition 1.
    """
    assert values, "a percentile of nothing"
    assert 0 < share <= 1
    rank = -int(-share * len(values) // 1)
    return sorted(values)[rank - 1]


def number(value: float, unit: str) -> str:
    """With as many digits as it deserves; a ratio always has two after its point."""
    if unit and (value == int(value) or abs(value) >= 100):
        return f"{value:,.0f}"
    return f"{value:,.1f}" if unit and abs(value) >= 10 else f"{value:,.2f}"


def shown(value: float, unit: str) -> str:
    """The number and its unit."""
    return f"{number(value, unit)} {unit}".rstrip()


def as_object(figure: Figure) -> dict[str, object]:
    """A figure for programs."""
    found: dict[str, object] = {
        "part": figure.part,
        "figure": figure.label,
        "unit": figure.unit or "ratio",
        "median": round(figure.median, 4),
        "lowest": round(min(figure.values), 4),
        "highest": round(max(figure.values), 4),
        "rounds": [round(value, 4) for value in figure.values],
    }
    if figure.aim:
        found |= {"aim": figure.aim.words(figure.unit), "verdict": figure.verdict}
    return found
