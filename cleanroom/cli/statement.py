"""`cleanroom statement`: a month's statement of one organisation as a file, on the server's own machine."""

from pathlib import Path
from typing import Annotated

import typer

from cleanroom.cli.server import Home, opened
from cleanroom.marketplace.months import Month
from cleanroom.marketplace.statement_files.types import Format
from cleanroom.papers.text import Language

app = typer.Typer(add_completion=False)


@app.command()
def statement(
    organisation: Annotated[str, typer.Option(help="Whose: org_...")],
    month: Annotated[str, typer.Option(help="Which, in the billing zone, such as 2026-11.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write; - for standard output.")],
    form: Annotated[Format, typer.Option("--format", help="Of the file.")] = Format.PDF,
    lang: Annotated[Language, typer.Option(help="Of words, amounts and dates.")] = Language.EN,
    home: Home = None,
) -> None:
    """Write a month's statement of one organisation; of a complete month it is the same bytes every time."""
    wanted = Month.parse(month)
    with opened(home) as room:
        market = room.marketplace
        market.usage.catch_up(room.db)
        with room.db.reading() as tx:
            document = market.statement_files.document(tx, organisation, wanted)
        made = market.statement_files.write(document, form, lang)
    if str(output) == "-":
        typer.echo(made.content, nl=False)
        return
    output.write_bytes(made.content)
    state = "FINAL" if document.statement.complete else "PRELIMINARY"
    typer.echo(f"{state} {output}: {len(document.statement.lines)} lines", err=True)
