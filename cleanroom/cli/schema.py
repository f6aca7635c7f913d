"""`cleanroom schema`: what a file's schema could be."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Propose and check schema files.")


@app.callback()
def schema() -> None:
    """Propose and check schema files."""


@app.command()
def suggest(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="CSV or Parquet.")],
) -> None:
    """Propose a schema for a file as commented YAML; the file does not leave this machine."""
    from cleanroom.client.suggesting import suggest_schema

    typer.echo(suggest_schema(file), nl=False)


@app.command()
def check(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A schema file.")],
) -> None:
    """Tell whether a schema file is accepted."""
    from cleanroom.schema.codec import schema_from_yaml

    found = schema_from_yaml(file)
    typer.echo(f"GOOD {found.kind} sha256 {found.sha256()}")
