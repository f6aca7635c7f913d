"""`cleanroom statements`: what months came to."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from cleanroom.cli.remote import AsJson, OptionError, Profile, calling, columns, echo

if TYPE_CHECKING:
    from cleanroom.client.remote.market import StatementFormat

app = typer.Typer(add_completion=False)


@app.command()
def statements(
    month: Annotated[str | None, typer.Argument(help="Such as 2026-11; all months when not given.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write the statement here: .csv, .xlsx or .pdf.")] = None,
    profile: Profile = None,
    as_json: AsJson = False,
) -> None:
    """List monthly statements, show one, or write it to a file."""
    if out is not None and (month is None or out.suffix not in (".csv", ".xlsx", ".pdf")):
        raise OptionError(
            "A file needs a month and a kind.", remedy="cleanroom statements 2026-11 --out S.pdf"
        )
    with calling(profile) as room:
        if month is None:
            found = room.statements()
            echo(found, as_json=as_json, lines=columns(found, ("id", "over")) or ["There is none yet."])
            return
        if out is not None:
            room.save_statement(month, out, cast("StatementFormat", out.suffix[1:]))
        shown = room.statement(month)
    lines = [
        f"{line['title']['en']}\t{line['position']}\t{line['amount']['minor']} {line['amount']['currency']} minor"
        for line in shown["lines"]
    ]
    lines += [f"TOTAL\t{one['gross']['minor']} {one['gross']['currency']} minor" for one in shown["totals"]]
    echo(shown, as_json=as_json, lines=lines + ([f"written\t{out}"] if out is not None else []))
