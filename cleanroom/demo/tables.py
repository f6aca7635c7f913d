"""Released figures as tables for the terminal."""

from collections.abc import Iterator

from rich import box
from rich.table import Table
from rich.text import Text

from cleanroom.demo.results import Asked
from cleanroom.release.types import ReleasedFigure

_BAR = 22
_SUPPRESSED = "suppressed"
_DATASET = "dataset"


def figures_table(asked: Asked, *, wide: bool) -> Table:
    """List the figures of an answer but the cells of its tables and its sums.

    Args:
        asked: a question with its answer.
        wide: whether there is room for bars.
    """
    figures = [
        figure
        for figure in asked.answer.figures
        if not figure.name.startswith(("breakdown:", "dataset:", "sum:"))
    ]
    affinity = {
        ratio.name.removeprefix("affinity:"): ratio.value
        for ratio in asked.answer.ratios
        if "affinity:" in ratio.name
    }
    share = {
        ratio.name.removeprefix("share:"): ratio.value
        for ratio in asked.answer.ratios
        if "share:" in ratio.name
    }
    rates = {ratio.name: ratio.value for ratio in asked.answer.ratios}
    share["overlap"] = rates.get("match_rate:base")
    known = any(figure.name in asked.truth for figure in figures)
    table = Table(
        box=box.SIMPLE_HEAD, show_edge=False, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0)
    )
    table.add_column("figure", max_width=30, overflow="fold")
    for column in ("people", "95% interval", "affinity" if affinity else "share"):
        table.add_column(column, justify="right", no_wrap=True)
    if known:
        table.add_column("true", justify="right", no_wrap=True)
    if wide:
        table.add_column("")
    parts = [figure for figure in figures if figure.name != _DATASET]
    most = max((figure.value or 0 for figure in parts), default=0)
    for figure in figures:
        row = [
            Text(_title(figure.name), style="bold" if figure.name == "overlap" else ""),
            *_released(figure),
        ]
        if not affinity:
            row.append(_percent(share.get(figure.name)))
        else:
            index = affinity.get(figure.name)
            row.append(
                Text("" if index is None else f"{index:.0f}", style="cyan" if index and index >= 120 else "")
            )
        if known:
            row.append(_true(figure, asked.truth.get(figure.name)))
        if wide:
            length = 0 if figure.name == _DATASET else round((figure.value or 0) / max(1, most) * _BAR)
            row.append(Text("█" * length, style="blue"))
        table.add_row(*row)
    return table


def sums_table(asked: Asked) -> Table | None:
    """List the sums of an answer with their means, in the attributes' own units; None when it has none.

    Cells that are suppressed are left out: the table of people shows which. Intervals stand below their
    figures, as the two of a large sum would leave no room for its name.
    """
    means = {ratio.name.removeprefix("mean:"): ratio for ratio in asked.answer.ratios}
    table = Table(
        box=box.SIMPLE_HEAD, show_edge=False, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0)
    )
    table.add_column("sum", overflow="fold")
    for column in ("total, 95% interval", "mean, 95% interval"):
        table.add_column(column, justify="right", no_wrap=True)
    for figure in asked.answer.figures:
        if figure.scale is None or (figure.suppressed and ":breakdown:" in figure.name):
            continue
        name = figure.name.removeprefix("sum:")
        mean = means[name]
        table.add_row(
            name.replace(":segment:", " ").replace(":breakdown:", " "),
            _scaled(figure.value, figure.interval95, figure.scale),
            _scaled(mean.value, mean.interval95, figure.scale),
        )
    return table if table.row_count else None


def _scaled(value: float | None, interval: tuple[float, float | None] | None, scale: int) -> Text:
    if value is None or interval is None:
        return Text(_SUPPRESSED, style="dim italic")
    shown, *ends = ("" if each is None else f"{each / 10**scale:,.{scale}f}" for each in (value, *interval))
    return Text.assemble(shown, "\n", (" – ".join(ends), "dim"))


def cells_table(asked: Asked) -> Iterator[Table]:
    """Lay breakdowns by two attributes out as a grid, others as a list; the true count stands small below."""
    groups: dict[tuple[str, ...], dict[tuple[str, ...], ReleasedFigure]] = {}
    for figure in asked.answer.figures:
        if figure.name.startswith("breakdown:"):
            pairs = [pair.partition("=") for pair in figure.name.removeprefix("breakdown:").split(",")]
            by = tuple(pair[0] for pair in pairs)
            groups.setdefault(by, {})[tuple(pair[2] for pair in pairs)] = figure
    for by, cells in groups.items():
        yield _grid(by, cells, asked) if len(by) == 2 else _list(by, cells, asked)


def _grid(by: tuple[str, ...], cells: dict[tuple[str, ...], ReleasedFigure], asked: Asked) -> Table:
    table = Table(
        box=box.SIMPLE_HEAD, show_edge=False, header_style="dim", pad_edge=False, padding=(0, 1, 0, 0)
    )
    table.add_column(f"{by[0]} × {by[1]}", no_wrap=True)
    columns = list(dict.fromkeys(cell[1] for cell in cells))
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True, min_width=6)
    for row in dict.fromkeys(cell[0] for cell in cells):
        figures = [cells[row, column] for column in columns]
        if all(figure.suppressed for figure in figures) and row in {"other", "unknown"}:
            continue
        table.add_row(row, *(_cell(figure, asked) for figure in figures))
    return table


def _list(by: tuple[str, ...], cells: dict[tuple[str, ...], ReleasedFigure], asked: Asked) -> Table:
    table = Table(
        box=box.SIMPLE_HEAD, show_edge=False, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0)
    )
    for name in by:
        table.add_column(name)
    table.add_column("people", justify="right")
    for cell, figure in cells.items():
        if not figure.suppressed:
            table.add_row(*cell, _cell(figure, asked))
    return table


def _cell(figure: ReleasedFigure, asked: Asked) -> Text:
    shown = Text("·", style="dim") if figure.value is None else Text(f"{figure.value:,}")
    truth = asked.truth.get(figure.name)
    if truth is not None and figure.value is not None:
        shown.append_text(Text("\n")).append_text(_true(figure, truth))
    return shown


def _released(figure: ReleasedFigure) -> tuple[Text, Text]:
    if figure.value is None or figure.interval95 is None:
        return Text(_SUPPRESSED, style="dim italic"), Text("")
    return Text(f"{figure.value:,}"), Text(f"{figure.interval95[0]:,}–{figure.interval95[1]:,}", style="dim")


def _true(figure: ReleasedFigure, truth: int | None) -> Text:
    if truth is None:
        return Text("")
    if figure.interval95 is None:
        return Text(f"{truth:,}  ", style="dim")
    inside = figure.interval95[0] <= truth <= figure.interval95[1]
    return Text(f"{truth:,} {'✓' if inside else '✗'}", style="green" if inside else "yellow")


def _percent(value: float | None) -> Text:
    return Text("" if value is None else f"{value:.1%}", style="dim")


def _title(name: str) -> str:
    if name == _DATASET:
        return "everybody who agreed"
    kind, separator, rest = name.partition(":")
    return rest if separator and kind == "segment" else name.replace(":", " ")
