"""`cleanroom estimate` and `cleanroom overlap`: what a question costs, and asking it."""

from pathlib import Path
from typing import Annotated, Any

import typer

from cleanroom.cli.base import base_options, check_here, check_lines
from cleanroom.cli.remote import (
    AsJson,
    DryRun,
    OptionError,
    Profile,
    calling,
    echo,
    estimate_lines,
    figure_lines,
    figure_rows,
    read_plain,
    tell_refusal,
)

estimate_app = typer.Typer(add_completion=False)
overlap_app = typer.Typer(add_completion=False)

Listing = Annotated[str, typer.Argument(help="Its title or id.")]
Source = Annotated[Path | None, typer.Argument(exists=True, dir_okay=False, help="The base: CSV or Parquet.")]
Base = Annotated[str | None, typer.Option(help="Instead of a file, the id of a base in the room.")]
On = Annotated[list[str] | None, typer.Option(help="A match key: `phone`, or `phone=Mobile`; repeat it.")]
Schema = Annotated[Path | None, typer.Option(exists=True, help="Instead of --on, the base's schema file.")]
Region = Annotated[str | None, typer.Option(help="Of phones written without a country, such as RU.")]
Basis = Annotated[str, typer.Option(help="Why you may process these people's data.")]
Purpose = Annotated[str | None, typer.Option(help="Of the processing.")]
QuestionFile = Annotated[
    Path | None, typer.Option(exists=True, help="Segments, breakdowns, sums and precision, as YAML.")
]
Precision = Annotated[str | None, typer.Option(help="rough, normal or fine.")]
_ASKED = (
    "segments",
    "breakdowns",
    "sums",
    "precision",
    "half_width",
    "percent",
    "expected",
    "per_key",
    "affinity",
)


@estimate_app.command()
def estimate(
    listing: Listing,
    file: Source = None,
    *,
    base: Base = None,
    on: On = None,
    schema: Schema = None,
    region: Region = None,
    basis: Basis = "consent",
    purpose: Purpose = None,
    question: QuestionFile = None,
    precision: Precision = None,
    kind: Annotated[str, typer.Option(help="overlap, profile, statistics or match_test.")] = "overlap",
    profile: Profile = None,
    as_json: AsJson = False,
) -> None:
    """Tell what a question would cost and bring; the base is uploaded if it is not there, nothing is spent."""
    options = _options(file, base, on, schema, region, basis, purpose, question, precision)
    with calling(profile, as_json=as_json) as room:
        asked = _question(room, kind, listing, file, options)
    echo(asked.answer, as_json=as_json, lines=estimate_lines(asked))
    _raise_refusal(asked, as_json=as_json)


@overlap_app.command()
def overlap(
    listing: Listing,
    file: Source = None,
    *,
    base: Base = None,
    on: On = None,
    schema: Schema = None,
    region: Region = None,
    basis: Basis = "consent",
    purpose: Purpose = None,
    question: QuestionFile = None,
    precision: Precision = None,
    yes: Annotated[bool, typer.Option("--yes", help="Ask without showing the price first.")] = False,
    profile: Profile = None,
    as_json: AsJson = False,
    dry_run: DryRun = False,
) -> None:
    """Count how many people of a base are in a listing's dataset."""
    options = _options(file, base, on, schema, region, basis, purpose, question, precision)
    if dry_run and file is not None:
        # An estimate needs the base in the room, and this is to put nothing there.
        checked = check_here(file, options)
        lines = [*check_lines(checked), "WOULD UPLOAD them as a base, estimate, and ask"]
        echo(checked, as_json=as_json, lines=lines)
        return
    with calling(profile, as_json=as_json) as room:
        asked = _question(room, "overlap", listing, file, options)
        if not dry_run:
            _ask(asked, sure=yes or as_json, as_json=as_json)
    if dry_run:
        echo(asked.answer, as_json=as_json, lines=estimate_lines(asked))
        _raise_refusal(asked, as_json=as_json)


def _ask(asked: Any, *, sure: bool, as_json: bool) -> None:
    if asked.refusal is not None:
        raise asked.refusal
    if not sure:
        for line in estimate_lines(asked):
            typer.echo(line, err=True)
        typer.confirm("Ask?", abort=True, err=True)
    result = asked.run().wait()
    value = {
        "analysis_id": result.analysis_id,
        "figures": figure_rows(result.figures),
        "receipt": str(result.receipt.path),
    }
    lines = [
        f"ANALYSIS {result.analysis_id}",
        *figure_lines(result.figures),
        f"receipt\t{value['receipt']}",
    ]
    echo(value, as_json=as_json, lines=lines)


def _raise_refusal(asked: Any, *, as_json: bool) -> None:
    if asked.refusal is None:
        return
    # The answer that was printed holds all of it.
    if not as_json:
        tell_refusal(asked.refusal, as_json=False)
    raise asked.refusal


def _options(
    file: Path | None,
    base: str | None,
    on: list[str] | None,
    schema: Path | None,
    region: str | None,
    basis: str,
    purpose: str | None,
    question: Path | None,
    precision: str | None,
) -> dict[str, Any]:
    if (file is None) == (base is None):
        raise OptionError(
            "A question is about a file or a base.", remedy="Give a file with --on, or --base ID."
        )
    options: dict[str, Any] = {"base": base} if base is not None else base_options(on, schema, region, basis)
    if question is not None:
        plain = read_plain(question, "question", begins="segments")
        unknown = sorted(set(plain) - {*_ASKED, "purpose", "labels"})
        if unknown:
            raise OptionError(
                f"The question has the unknown key {unknown[0]}.", remedy=f"Use: {', '.join(_ASKED)}."
            )
        options |= {name: value for name, value in plain.items() if name != "labels"}
        options["labels_counted"] = plain.get("labels", True)
    if precision is not None:
        options["precision"] = precision
    return options | ({} if purpose is None else {"purpose": purpose})


def _question(room: Any, kind: str, listing: str, file: Path | None, options: dict[str, Any]) -> Any:
    if kind not in ("overlap", "profile", "statistics", "match_test"):
        raise OptionError("The kind is not known.", remedy="Use overlap, profile, statistics or match_test.")
    return getattr(room, kind)(listing, file, **options)
