"""What commands that call a room share: whom they call as, what they print, and how their errors end."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cleanroom.errors import CleanroomError

if TYPE_CHECKING:
    from cleanroom.client.remote.answers import EstimateValue
    from cleanroom.client.remote.sync import Client
    from cleanroom.client.remote.values import Figure

Profile = Annotated[str | None, typer.Option(help="The saved profile; CLEANROOM_PROFILE when not given.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be done, and do nothing.")]


class OptionError(CleanroomError):
    """Options of a command exclude each other, or one is not understood."""

    code = "cli.option"


@contextmanager
def calling(profile: str | None, *, as_json: bool = False) -> Iterator["Client"]:
    """Give a client of the profile or the environment."""
    import stamina.instrumentation

    from cleanroom.client.remote.options import Options
    from cleanroom.client.remote.sync import Client

    # Retries are told by nobody here: what this process prints is the command's own.
    stamina.instrumentation.set_on_retry_hooks([])
    options = Options()
    if profile is not None:
        options["profile"] = profile
    if as_json:
        options["progress"] = False
    with Client(**options) as room:
        yield room


def echo(value: Any, *, as_json: bool, lines: Sequence[str]) -> None:
    """Print a value as JSON, or lines for people."""
    if as_json:
        typer.echo(json.dumps(value, ensure_ascii=False, indent=2))
        return
    for line in lines:
        typer.echo(line)


def columns(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> list[str]:
    """Write rows with tabs between the columns named."""
    return ["\t".join("-" if row.get(name) is None else str(row[name]) for name in names) for row in rows]


def read_plain(path: Path, what: str) -> Any:
    """Read a YAML or JSON file of plain data; raises OptionError."""
    from cleanroom.schema.yaml_text import load_yaml

    try:
        return load_yaml(path)
    except CleanroomError as error:
        raise OptionError(
            f"The {what} {path.name} cannot be read: {error.message}", remedy=error.remedy
        ) from None


def estimate_lines(estimate: "EstimateValue") -> list[str]:
    """Write an estimate for people."""
    return [f"{name}\t{text}" for name, text in estimate.facts()]


def figure_lines(figures: Sequence["Figure"]) -> list[str]:
    """Write figures for people."""
    return [f"{one.name}\t{one}" for one in figures]


def figure_rows(figures: Sequence["Figure"]) -> list[dict[str, Any]]:
    """Write figures for programs."""
    return [
        {"name": one.name, "value": one.value, "low": one.low, "high": one.high, "suppressed": one.suppressed}
        for one in figures
    ]
