"""What is to be reached, and what a run reached: each target with its figure out of the results."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

Results: TypeAlias = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Target:
    """One line of the table.

    Attributes:
        what: is measured.
        unit: of the figures.
        must: the limit.
        goal: what would be better still, if anything is set.
        better: whether less or more is better.
        path: where in the results the figure is, times in seconds.
        note: how the figure differs from what the target speaks of, if it does.
    """

    what: str
    unit: Literal["ratio", "seconds", "times", "rows/s", "milliseconds"]
    must: float
    goal: float | None
    better: Literal["less", "more"]
    path: str
    note: str = ""

    def figure(self, results: Results) -> float | None:
        """Take the figure out of the results; None when it is not among them, as older ones lack some."""
        found: Any = results
        for name in self.path.split("."):
            if not isinstance(found, Mapping) or name not in found:
                return None
            found = found[name]
        return float(found) * (1e3 if self.unit == "milliseconds" else 1)

    def holds(self, figure: float | None, limit: float) -> bool:
        """Tell whether a figure is there and within a limit."""
        if figure is None:
            return False
        return figure <= limit if self.better == "less" else figure >= limit

    def verdict(self, figure: float | None) -> str:
        """Say `met`, or by how much it is missed."""
        if figure is None:
            return "not measured"
        if self.holds(figure, self.must):
            if self.goal is None:
                return "met"
            return "met, and the goal" if self.holds(figure, self.goal) else "met"
        times = figure / self.must if self.better == "less" else self.must / figure
        return f"missed by {(times - 1) * 100:.0f}%" if times < 2 else f"missed by {times:.1f} times"

    def shown(self, figure: float | None) -> str:
        """Write a figure."""
        if figure is None:
            return ""
        match self.unit:
            case "seconds":
                return f"{figure:.3f} s"
            case "milliseconds":
                return f"{figure:.1f} ms"
            case "rows/s":
                return f"{figure:,.0f} rows/s"
            case "times":
                return f"{figure:,.0f} x"
        return f"{figure:.2f}"

    def limit(self, value: float | None) -> str:
        """Write a limit."""
        if value is None:
            return ""
        sign = "≤" if self.better == "less" else "≥"
        match self.unit:
            case "seconds":
                return f"{sign} {value:g} s"
            case "milliseconds":
                return f"{sign} {value:g} ms"
            case "rows/s":
                return f"{sign} {value:,.0f} rows/s"
            case "times":
                return f"{sign} {value:g} x"
        return f"{sign} {value:g}"


_ABOVE = "what it takes above the program itself"
TARGETS = (
    Target("question, warm, 10M x 1M, to DuckDB", "ratio", 0.7, 0.5, "less", "match.ratio"),
    Target("question, warm, 50M x 10M, to DuckDB", "ratio", 0.45, 0.33, "less", "large.ratio"),
    Target("question, warm, two keys, 10M x 1M, to DuckDB", "ratio", 0.5, 0.4, "less", "keys.ratio"),
    Target("question, cold, 10M x 1M, to DuckDB in memory", "ratio", 1.0, 0.8, "less", "match.cold.ratio"),
    Target("question, cold, 50M x 10M, to DuckDB in memory", "ratio", 0.6, 0.5, "less", "large.cold.ratio"),
    Target("1,000 segments after one match", "seconds", 0.15, 0.1, "less", "segments.ours_s"),
    Target("the same, faster than 1,000 DuckDB joins", "times", 100, None, "more", "segments.times_faster"),
    Target("taking in 10M people, to a bare read of their CSV", "ratio", 2.5, 1.7, "less", "ingest.ratio"),
    Target("preparing e-mail and telephone, clean", "rows/s", 2e6, 4e6, "more", "prepare.rows_per_s"),
    Target("preparing telephone numbers, dirty", "rows/s", 150e3, None, "more", "prepare.dirty.rows_per_s"),
    Target(
        "memory, to the columns touched, 10M x 1M", "ratio", 1.5, None, "less", "match.memory.ratio", _ABOVE
    ),
    Target(
        "memory, to the columns touched, 50M x 10M", "ratio", 1.5, None, "less", "large.memory.ratio", _ABOVE
    ),
    Target(
        "stored answer over HTTP, 99 of 100, at 200 a second",
        "milliseconds",
        50,
        None,
        "less",
        "serve.over_http.p99_s",
    ),
    Target(
        "slowest first page of the cabinet, 1,000 datasets and 100,000 requests",
        "milliseconds",
        300,
        None,
        "less",
        "pages.slowest_s",
    ),
    Target(
        "growth with the rows, to linear, at its steepest",
        "ratio",
        1.1,
        None,
        "less",
        "scale.steepest",
        "ten times the rows in at most eleven times the time",
    ),
)
