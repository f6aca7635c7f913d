"""`cleanroom policy`: what an owner does with a policy before it is published."""

import os
import secrets
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from cleanroom.cli.keys import read_text
from cleanroom.cli.main import EXIT_PROBLEM_FOUND
from cleanroom.redteam.lab import GAMES, lab_home
from cleanroom.redteam.plants import plant_names
from cleanroom.redteam.report import write_report
from cleanroom.redteam.run import Report, attacks_for, run
from cleanroom.redteam.types import Verdict
from policies.codec import PRESETS, load_preset, policy_from_yaml
from policies.model import PolicyDocument

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Test a policy before it is published.")

OUT_DIR = Path("redteam-out")
_PRESET_PURPOSE = "advertising"
_JOBS = min(4, os.cpu_count() or 1)


@app.callback()
def policy() -> None:
    """Test a policy before it is published."""


@app.command()
def redteam(
    policy: Annotated[
        str,
        typer.Argument(
            metavar="POLICY",
            help=f"A policy's YAML file, or a preset: {', '.join(PRESETS)}.",
            show_default=False,
        ),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print the JSON report, nothing else.")] = False,
    plant: Annotated[
        str | None, typer.Option(help="Plant a fault, to see the attacks that it helps succeed.")
    ] = None,
    out: Annotated[Path, typer.Option(file_okay=False, help="Where both reports are written.")] = OUT_DIR,
    seed: Annotated[
        int | None, typer.Option(help="Of the invented people; by chance when not given.")
    ] = None,
    games: Annotated[
        int, typer.Option(min=40, help="Games per attack; fewer than usual give no verdict.")
    ] = GAMES,
    jobs: Annotated[int, typer.Option(min=1, help="Attacks at the same time.")] = _JOBS,
    steps: Annotated[
        bool, typer.Option("--steps", help="Print the percent that is done to standard error, line by line.")
    ] = False,
) -> None:
    """Run every attack against a policy, in throw-away rooms; exit code 1 when one succeeds."""
    document = _document(policy)
    if plant is not None and plant not in plant_names():
        raise typer.BadParameter(f"--plant is one of {', '.join(plant_names())}")
    chosen = secrets.randbelow(2**32) if seed is None else seed
    report = _run(document, plant=plant, seed=chosen, games=games, jobs=jobs, steps=steps)
    written = write_report(report, out)
    if as_json:
        typer.echo(report.to_json(), nl=False)
    else:
        _print(report)
        typer.echo(f"Reports: {written[0]}, {written[1]}")
    if report.grade is Verdict.FALLS:
        raise typer.Exit(EXIT_PROBLEM_FOUND)


def _document(policy: str) -> PolicyDocument:
    if policy in PRESETS:
        return load_preset(policy, purposes=[_PRESET_PURPOSE])
    path = Path(policy)
    if not path.is_file():
        raise typer.BadParameter(f"no such file, and not a preset ({', '.join(PRESETS)})")
    return policy_from_yaml(read_text(path))


def _run(
    document: PolicyDocument, *, plant: str | None, seed: int, games: int, jobs: int, steps: bool
) -> Report:
    columns = TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn()
    attacks = attacks_for(plant)
    # Standard output is for the report.
    console = Console(stderr=True)
    with (
        lab_home() as home,
        Progress(*columns, console=console, disable=steps or not console.is_terminal) as bar,
    ):
        task = bar.add_task("red team", total=len(attacks))
        shares = dict[str, float]()

        def show(name: str, share: float) -> None:
            shares[name] = share
            bar.update(task, description=name, completed=sum(shares.values()))
            if steps:
                typer.echo(str(int(100 * sum(shares.values()) / len(attacks))), err=True)

        return run(document, home=home, seed=seed, games=games, plant=plant, jobs=jobs, progress=show)


def _print(report: Report) -> None:
    for result in report.results:
        low, high = result.interval95
        typer.echo(
            f"{result.verdict.value.upper():8} {result.name:18} {result.metric.value} {result.value:.3f} "
            f"[{low:.3f}, {high:.3f}] limit {result.limit:.3f}{'  ' + result.note if result.note else ''}"
        )
    typer.echo(f"GRADE {report.grade.value}{'' if report.conclusive else ', not conclusive'}")
