"""`cleanroom retention`: how long the data of a dataset or a base are kept."""

from typing import Annotated, Any

import typer

from cleanroom.cli.remote import AsJson, DryRun, Profile, calling, echo
from cleanroom.client.remote.rights import Tables

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Say how long data are kept.")
Table = Annotated[str, typer.Argument(help="ds_... of a dataset or a base.")]
Base = Annotated[bool, typer.Option("--base", help="It is a base.")]


@app.callback()
def retention() -> None:
    """Say how long data are kept."""


@app.command()
def show(table: Table, base: Base = False, profile: Profile = None, as_json: AsJson = False) -> None:
    """Show the period in force, and which version goes when."""
    with calling(profile) as room:
        found = room.rights.retention(table, tables="bases" if base else "datasets")
    echo(found, as_json=as_json, lines=_lines(found))


@app.command("set")
def set_(
    table: Table,
    version_days: Annotated[
        int | None, typer.Option(help="Days after which a version goes, since it was published.")
    ] = None,
    until: Annotated[
        str | None, typer.Option(help="The last day of any version, such as 2027-12-31.")
    ] = None,
    collected_days: Annotated[
        int | None, typer.Option(help="Days after which a person goes, since its newest consent.")
    ] = None,
    warn_days: Annotated[int, typer.Option(help="How many days before a version goes you are told.")] = 14,
    base: Base = False,
    profile: Profile = None,
    as_json: AsJson = False,
    dry_run: DryRun = False,
) -> None:
    """Put a period in force instead of the one before; the room keeps it by itself."""
    rule = {
        "version_days": version_days,
        "retain_until": until,
        "collected_days": collected_days,
        "warn_days": warn_days,
    }
    tables: Tables = "bases" if base else "datasets"
    with calling(profile) as room:
        if dry_run:
            now = room.rights.retention(table, tables=tables)
            lines = [f"NOW {table}", *_lines(now), "WOULD BE", *_lines(rule | {"ends": {}})]
            echo({"now": now, "would_be": rule}, as_json=as_json, lines=lines)
            return
        made = room.rights.keep(table, tables=tables, **rule)
    echo(made, as_json=as_json, lines=_lines(made))


def _lines(found: dict[str, Any]) -> list[str]:
    names = ("version_days", "retain_until", "collected_days", "warn_days")
    lines = [f"{name.replace('_', ' ')}\t{'-' if found[name] is None else found[name]}" for name in names]
    return lines + [f"{version_id} goes on\t{day}" for version_id, day in sorted(found["ends"].items())]
