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
    from cleanroom.client.remote.problems import Refused
    from cleanroom.client.remote.sync import Client
    from cleanroom.client.remote.values import Figure

Profile = Annotated[str | None, typer.Option(help="The saved profile; CLEANROOM_PROFILE when not given.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be done, and do nothing.")]


# Arguments and options of a command say these.
_SAID_ELSEWHERE = ("kind", "dataset_id", "base_id")


class OptionError(CleanroomError):
    """Options of a command exclude each other, or one is not understood."""

    code = "cli.option"


@contextmanager
def calling(profile: str | None, *, as_json: bool = False) -> Iterator["Client"]:
    """Give a client of the profile or the environment."""
    from cleanroom.client.remote.options import Options
    from cleanroom.client.remote.problems import Refused
    from cleanroom.client.remote.sync import Client

    tell_no_retries()
    options = Options()
    if profile is not None:
        options["profile"] = profile
    if as_json:
        options["progress"] = False
    with Client(**options) as room:
        try:
            yield room
        except Refused as refused:
            tell_refusal(refused, as_json=as_json)
            raise


def tell_no_retries() -> None:
    """Keep the library that tries again from saying so: what this process prints is the command's own."""
    import stamina.instrumentation

    stamina.instrumentation.set_on_retry_hooks([])


def echo(value: Any, *, as_json: bool, lines: Sequence[str]) -> None:
    """Print a value as JSON, or lines for people."""
    if as_json:
        typer.echo(json.dumps(value, ensure_ascii=False, indent=2))
        return
    for line in lines:
        typer.echo(line)


def tell_refusal(refused: "Refused", *, as_json: bool) -> None:
    """Say beside the message what would be permitted: as JSON, or so that it can be asked next."""
    if as_json:
        told = {
            "code": refused.code,
            "message": refused.message,
            "reasons": list(refused.reasons),
            "missing": list(refused.missing),
            "nearest": refused.nearest,
            "analysis_id": refused.analysis_id,
        }
        typer.echo(json.dumps(told, ensure_ascii=False, indent=2))
        return
    if refused.analysis_id is not None:
        typer.echo(f"ANALYSIS {refused.analysis_id}", err=True)
    if refused.nearest is not None:
        for line in _nearest_lines(refused.nearest):
            typer.echo(line, err=True)


def _nearest_lines(nearest: Mapping[str, Any]) -> list[str]:
    import yaml

    question = {name: value for name, value in nearest["question"].items() if name not in _SAID_ELSEWHERE}
    lines = [f"{name.replace('_', ' ')}\t{value}" for name, value in nearest.items() if name != "question"]
    lines += [f"kind\t{nearest['question']['kind']}", "NEAREST permitted, as --question takes it:"]
    return [*lines, yaml.safe_dump(question, allow_unicode=True, sort_keys=False)]


def columns(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> list[str]:
    """Write rows with tabs between the columns named."""
    return ["\t".join("-" if row.get(name) is None else str(row[name]) for name in names) for row in rows]


def read_plain(path: Path, what: str, *, begins: str) -> dict[str, Any]:
    """Read a YAML or JSON file of plain data, all text; raises OptionError."""
    from cleanroom.schema.yaml_text import load_yaml

    try:
        return load_yaml(path, what=what, begins=begins)
    except CleanroomError as error:
        raise OptionError(f"{path.name} cannot be read. {error.message}", remedy=error.remedy) from None


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
