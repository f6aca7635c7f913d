"""`cleanroom result`: wait for an answer, print it or write it to a file."""

from pathlib import Path
from typing import Annotated

import typer

from cleanroom.cli.remote import AsJson, OptionError, Profile, calling, echo, figure_lines, figure_rows

app = typer.Typer(add_completion=False)


@app.command()
def result(
    analysis: Annotated[str, typer.Argument(help="an_...")],
    out: Annotated[Path | None, typer.Option(help="Write the figures here: .xlsx, .csv or .parquet.")] = None,
    timeout: Annotated[float, typer.Option(min=0, help="Seconds to wait at most.")] = 600,
    profile: Profile = None,
    as_json: AsJson = False,
) -> None:
    """Wait for an answer; its receipt is verified and kept."""
    if out is not None and out.suffix not in (".xlsx", ".csv", ".parquet"):
        raise OptionError("The file's kind is not known.", remedy="Name it .xlsx, .csv or .parquet.")
    with calling(profile, as_json=as_json) as room:
        found = room.result(analysis).wait(timeout)
    if out is not None and out.suffix == ".xlsx":
        found.to_xlsx(out)
    elif out is not None:
        frame = found.to_polars()
        frame.write_csv(out) if out.suffix == ".csv" else frame.write_parquet(out)
    value = {
        "analysis_id": found.analysis_id,
        "figures": figure_rows(found.figures),
        "receipt": str(found.receipt.path),
    }
    echo(value, as_json=as_json, lines=[*figure_lines(found.figures), f"receipt\t{found.receipt.path}"])
