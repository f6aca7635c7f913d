"""What the demo shows on a terminal of 80 columns or more; it explains as it goes."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.panel import Panel
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from cleanroom import client
from cleanroom.analyses.estimate_types import Estimate
from cleanroom.analyses.types import Outcome
from cleanroom.demo.population import Files
from cleanroom.demo.results import Asked, Loaded, Prepared, Proven, Respelled, Terms, Withdrawn
from cleanroom.demo.tables import cells_table, figures_table, sums_table

_SHOWN_REJECTS = 3
_STEPS = 8


class Report:
    """Writes the demo's story to a console; with a quiet console it stays silent."""

    def __init__(self, console: Console) -> None:
        self._console = console

    @contextmanager
    def working(self, what: str) -> Iterator[client.Progress]:
        """Show a progress bar while the block runs, and take it away afterwards.

        Yields:
            What is to be told how far the work is.
        """
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TaskProgressColumn(),
            TimeElapsedColumn(),
        )
        unseen = self._console.quiet or not self._console.is_terminal
        with Progress(*columns, console=self._console, transient=True, disable=unseen) as progress:
            task = progress.add_task(what, total=None)
            yield lambda done, total: progress.update(task, completed=done, total=total)

    def opening(self, home: Path) -> None:
        """Say what is going to happen."""
        text = Text.assemble(
            ("Cleanroom", "bold"), ": a provider and an advertiser, one room, eight steps.\n",
            "Everything is real but the people: keys, sealed files, noise, budget, log.\n",
            ("The room lies in ", "dim"), (str(home), "dim bold"),
        )  # fmt: skip
        self._console.print(Panel(text, border_style="blue", box=box.ROUNDED))

    def step(self, number: int, title: str, why: str) -> None:
        """Begin a step."""
        self._console.print()
        self._console.print(
            Rule(Text.assemble((f"{number}/{_STEPS}  ", "dim"), (title, "bold")), align="left", style="blue")
        )
        self._console.print(Padding(Text(why, style="dim"), (0, 0, 1, 0)))

    def files(self, files: Files) -> None:
        """Show the two files that were made up."""
        table = _plain_table("", "file", "rows", "contains")
        table.add_row(
            "provider", files.provider.name, f"{files.provider_rows:,}", "people, attributes, consent"
        )
        table.add_row(
            "advertiser", files.base.name, f"{files.base_rows:,}", "contacts labelled vip, active, lapsed"
        )
        self._console.print(table)

    def own_files(self, provider: Path, base: Path) -> None:
        """Show the two files that were given."""
        table = _plain_table("", "file")
        table.add_row("provider", provider.name)
        table.add_row("advertiser", base.name)
        self._console.print(table)

    def prepared(self, sides: Sequence[Prepared]) -> None:
        """Show what preparing left out, and where."""
        table = _plain_table("", "rows", "rejected", "package", "time", right=(1, 2, 3, 4))
        for side in sides:
            rejected = sum(side.rejected.values())
            table.add_row(
                side.party,
                f"{side.rows:,}",
                f"{rejected:,}",
                _size(side.package_bytes),
                f"{side.seconds:.1f} s",
            )
        self._console.print(table)
        reasons = _plain_table("rejected", "reason", "rows", "first row numbers", right=(2,))
        for side in sides:
            for reason, count in sorted(side.rejected.items(), key=lambda item: -item[1]):
                first = [f"{row:,}" for row, why in side.rejects if why == reason][:_SHOWN_REJECTS]
                reasons.add_row(
                    side.party, reason, f"{count:,}", "  ".join(first) + (" …" if count > 3 else "")
                )
        if reasons.row_count:
            self._console.print()
            self._console.print(reasons)

    def loaded(self, sides: Sequence[Loaded]) -> None:
        """Show the quality reports and the junk that was resolved."""
        table = _plain_table(
            "quality report", *(side.party for side in sides), right=range(1, len(sides) + 1)
        )
        reports = [side.report for side in sides]
        table.add_row("rows read", *(f"{report.rows:,}" for report in reports))
        table.add_row("rows accepted", *(f"{report.rows_accepted:,}" for report in reports))
        table.add_row("persons", *(f"{report.persons:,}" for report in reports))
        for key in dict.fromkeys(key for report in reports for key in report.distinct):
            table.add_row(f"distinct {key}", *(_number(report.distinct.get(key)) for report in reports))
        for key in dict.fromkeys(key for report in reports for key in report.invalid):
            table.add_row(
                f"invalid {key}, left out", *(_number(report.invalid.get(key, 0)) for report in reports)
            )
        table.add_row("keys held by too many", *(f"{report.over_shared_total:,}" for report in reports))
        self._console.print(table)
        self._console.print()
        for side in sides:
            self._fill(side)
            for shared in side.report.over_shared[:3]:
                self._console.print(
                    Text.assemble(
                        ("junk  ", "yellow"),
                        f"one {shared.key} value is held by {shared.holders:,} persons; ",
                        "its owner put it on the junk list",
                    )
                )

    def _fill(self, side: Loaded) -> None:
        report = side.report
        for purpose, states in report.consent.items():
            total = max(1, sum(states.values()))
            shares = [f"{state} {count / total:.1%}" for state, count in states.items() if count]
            self._console.print(Text.assemble((f"consent to {purpose}  ", "green"), "  ".join(shares)))
        if report.fill:
            lowest = sorted(report.fill.items(), key=lambda item: item[1])[:4]
            shares = [f"{name} {count / max(1, report.persons):.1%}" for name, count in lowest]
            self._console.print(Text.assemble(("least filled  ", "green"), "  ".join(shares)))

    def terms(self, terms: Terms) -> None:
        """Show the rule and the grant."""
        cap = f"{terms.cap_rho_micro:,}"
        blocked = f", {', '.join(terms.blocked)} blocked" if terms.blocked else ""
        lines = (
            ("rule   ", "green"),
            f"{terms.preset}{blocked}\n",
            ("grant  ", "green"),
            f"size {terms.size}: {terms.rho_micro:,} of the advertiser's cap of {cap} micro-rho\n",
            ("worst  ", "green"),
            f"with the whole cap spent, an attack on one person gains at most {terms.advantage:.2f}\n",
            "       (0 is blind guessing, 1 is certainty)\n",
        )
        self._console.print(Text.assemble(*lines))

    def asked(self, asked: Asked) -> None:
        """Show an answer, or why there is none."""
        if asked.refusals:
            self._refused(asked)
            return
        answer = asked.answer
        price = f"   {answer.charged_micro:,} micro-rho, {answer.left_micro:,} left   {asked.seconds:.2f} s"
        self._console.print(Text.assemble((asked.title, "bold"), (price, "dim")))
        for line in _estimated(asked.estimate):
            self._console.print(Text(line, style="dim"))
        self._console.print(figures_table(asked, wide=self._console.width >= 110))
        sums = sums_table(asked)
        for table in (*cells_table(asked), *([sums] if sums else [])):
            self._console.print()
            self._console.print(table)
        self._console.print(Padding(Text("; ".join(_notes(asked)), style="dim"), (0, 0, 1, 0)))

    def chart(self, path: Path) -> None:
        """Say where the picture is."""
        self._console.print(Text.assemble(("chart  ", "green"), str(path)))

    def _refused(self, asked: Asked) -> None:
        lines = []
        for refused in asked.refusals:
            said = Text.assemble(("refused    ", "bold red"), (refused.rule, "bold"), f": {refused.message}")
            if refused.nearest is not None:
                said.append_text(Text.assemble("\n", ("permitted  ", "green"), refused.change))
            lines.append(said)
        if all(refused.nearest is None for refused in asked.refusals):
            lines.append(Text("nothing near it is permitted now", style="dim"))
        panel = Panel(
            Text("\n").join(lines), title=asked.title, title_align="left", border_style="red", box=box.ROUNDED
        )
        self._console.print(panel)

    def respelled(self, respelled: Respelled) -> None:
        """Show that the same question in other words costs nothing."""
        table = _plain_table("", "")
        table.add_row("answer", "the stored one" if respelled.stored else "a new one")
        table.add_row("figures", "identical" if respelled.same_figures else "different")
        table.add_row(
            "budget", f"{respelled.left_before_micro:,} before, {respelled.left_after_micro:,} after"
        )
        self._console.print(table)

    def withdrawn(self, withdrawn: Withdrawn) -> None:
        """Show what a batch of withdrawals changes."""
        table = _plain_table("", "people", "95% interval", "true count", right=(1, 2, 3))
        for name, figure, truth in (
            (
                f"stored answer, as of {withdrawn.stored_at:%Y-%m-%d %H:%M} UTC",
                withdrawn.stored,
                withdrawn.true_before,
            ),
            (f"fresh answer, consent epoch {withdrawn.epoch}", withdrawn.fresh, withdrawn.true_after),
        ):
            interval = (
                "" if figure.interval95 is None else f"{figure.interval95[0]:,}–{figure.interval95[1]:,}"
            )
            table.add_row(name, _number(figure.value), interval, _number(truth))
        self._console.print(table)

    def proven(self, proven: Proven, *, home: Path, kept: bool) -> None:
        """Show what the log proves, and how somebody else can check it."""
        mark = Text("intact", style="bold green") if proven.verified else Text("DAMAGED", style="bold red")
        lines = (
            ("log      ", "green"),
            f"{proven.events:,} records, ",
            mark,
            f"; {proven.receipts_verified} receipts verified with the key alone\n",
            ("copy     ", "green"),
            proven.tampering,
            "\n",
            ("verdict  ", "green"),
            ("; ".join(proven.found) or "nothing found", "bold"),
        )
        self._console.print(Text.assemble(*lines))
        self._console.print(Padding(Text("checkpoint (C2SP signed note)", style="dim"), (1, 0, 0, 0)))
        # Unwrapped, so that it can be copied as it is.
        self._console.print(proven.checkpoint.rstrip(), highlight=False, markup=False, soft_wrap=True)
        self._console.print(Padding(Text("verifier key", style="dim"), (1, 0, 0, 0)))
        self._console.print(proven.verifier_key, highlight=False, markup=False, soft_wrap=True)
        how = "in Go: note.Open(checkpoint, verifier) and tlog.CheckRecord; see docs/how-to/verify-a-log.md"
        if kept:
            how = f"cleanroom audit verify --home {home}\n{how}"
        self._console.print(Padding(Text.assemble(("check it yourself\n", "dim"), how), (1, 0, 0, 0)))

    def closing(self, *, seconds: float, place: Path, kept: bool) -> None:
        """Say how long it took and what is left."""
        if kept:
            rest = f"The room, its receipts and the chart stay in {place}."
        else:
            rest = f"The room was temporary; receipts, checkpoint, key and chart are in {place}/."
        self._console.print()
        text = f"Done in {seconds:.0f} s. {rest}"
        self._console.print(Panel(text, border_style="blue", box=box.ROUNDED))


def _plain_table(*columns: str, right: Sequence[int] = ()) -> Table:
    table = Table(
        box=box.SIMPLE_HEAD if any(columns) else None,
        show_edge=False,
        show_header=any(columns),
        header_style="dim",
        pad_edge=False,
        padding=(0, 2, 0, 0),
    )
    for place, column in enumerate(columns):
        table.add_column(column, justify="right" if place in right else "left")
    return table


def _estimated(estimate: Estimate) -> Iterator[str]:
    """Say what was known before the question was asked."""
    mechanism = estimate.mechanism
    if mechanism is None or estimate.outcome is not Outcome.RELEASED:
        return
    left = estimate.questions_left or 0
    yield (
        f"estimate  {estimate.charged_micro:,} micro-rho, figures ± {mechanism.half_width:,}; "
        f"the grant pays for {left:,} such {'question' if left == 1 else 'questions'}"
    )
    times = (f"of {chance.size:,} {100 * chance.suppressed:.0f}%" for chance in estimate.figures[0].chances)
    yield f"          chance that a group is withheld: {', '.join(times)}"


def _notes(asked: Asked) -> Iterator[str]:
    mechanism = asked.answer.mechanism
    if mechanism is not None:
        yield f"each figure ± {mechanism.half_width:,} people in 95 of 100 cases"
        hidden = sum(
            figure.suppressed for figure in asked.answer.figures if not figure.name.startswith("dataset:")
        )
        if hidden:
            yield f"{hidden} suppressed: noisy value below {mechanism.threshold:,}"
    inside = [
        figure.interval95[0] <= asked.truth[figure.name] <= figure.interval95[1]
        for figure in asked.answer.figures
        if figure.interval95 is not None and figure.name in asked.truth
    ]
    if inside:
        yield f"{sum(inside)} of {len(inside)} true counts inside"
    for merge in asked.answer.suggestions[:1]:
        bands = " and ".join(f"{run[0]} to {run[-1]}" for run in merge.bands)
        yield f"wider bands would show more: {merge.attribute} {bands}"


def _number(value: int | None) -> str:
    return "–" if value is None else f"{value:,}"


def _size(count: int) -> str:
    return f"{count / 1_000_000:.1f} MB" if count >= 1_000_000 else f"{count / 1000:.0f} kB"
