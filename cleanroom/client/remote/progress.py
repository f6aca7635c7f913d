"""What a person at a terminal sees while something takes long."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Report = Callable[[str, int, int], None]
"""Called with the name of a stage, what is done of it, and all of it."""


def silent(stage: str, done: int, total: int) -> None:
    """Show nothing."""


@contextmanager
def shown(wanted: bool | None) -> Iterator[Report]:
    """Show bars on standard error while the block runs.

    Args:
        wanted: None to show them on a terminal only.
    """
    if not (sys.stderr.isatty() if wanted is None else wanted):
        yield silent
        return
    # Heavy, and most programs have no terminal.
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        tasks: dict[str, object] = {}

        def report(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = progress.add_task(stage, total=total)
            progress.update(tasks[stage], completed=done, total=total)  # type: ignore[arg-type]

        yield report
