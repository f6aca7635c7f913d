"""`cleanroom records`: acts of destruction, and the record of processing."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from cleanroom.cli.remote import AsJson, Profile, calling, columns, echo

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Get what an inspector asks for.")
Output = Annotated[Path, typer.Option("--output", "-o", help="The file to write.")]


@app.callback()
def records() -> None:
    """Get what an inspector asks for."""


@app.command()
def acts(profile: Profile = None, as_json: AsJson = False) -> None:
    """List acts of destruction."""
    with calling(profile) as room:
        found = room.rights.acts()
    names = ("number", "id", "kind", "subject_id", "destroyed_at")
    echo(found, as_json=as_json, lines=columns(found, names) or ["There is none."])


@app.command()
def act(
    act_id: Annotated[str, typer.Argument(help="ac_...")],
    output: Output,
    lang: Annotated[Literal["ru", "en"], typer.Option(help="Of its words.")] = "en",
    profile: Profile = None,
) -> None:
    """Write an act as PDF, with the extract of the log that belongs to it."""
    with calling(profile) as room:
        content = room.rights.act(act_id, lang=lang)
    output.write_bytes(content)
    typer.echo(f"WRITTEN {output}", err=True)


@app.command()
def processing(
    output: Output,
    form: Annotated[Literal["csv", "xlsx"], typer.Option("--format", help="Of the file.")] = "xlsx",
    profile: Profile = None,
) -> None:
    """Write the record of processing: which personal data are where, on which basis, since when, for whom."""
    with calling(profile) as room:
        content = room.rights.processing_file(form)
    output.write_bytes(content)
    typer.echo(f"WRITTEN {output}", err=True)
