"""`cleanroom demo`: both sides of a real room in one run, on made-up people or on the user's own files."""

import json
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from cleanroom.bootstrap import init_room, open_room
from cleanroom.demo import play
from cleanroom.demo.as_json import as_json
from cleanroom.demo.proof import keep_evidence
from cleanroom.demo.report import Report
from cleanroom.room import Room
from cleanroom.settings import load_settings
from policies.codec import PRESETS

app = typer.Typer(add_completion=False)

OUT_DIR = Path("demo-out")
CHART = "overlap.svg"


def _file(text: str) -> Any:
    return typer.Option(exists=True, dir_okay=False, readable=True, help=text)


@app.command()
def demo(
    provider: Annotated[Path | None, _file("The provider's file: CSV, .gz or Parquet.")] = None,
    provider_schema: Annotated[Path | None, _file("Its schema, YAML.")] = None,
    base: Annotated[Path | None, _file("The advertiser's file.")] = None,
    base_schema: Annotated[Path | None, _file("Its schema, YAML.")] = None,
    segments: Annotated[Path | None, _file("What to ask, YAML; the overlap alone when not given.")] = None,
    preset: Annotated[str, typer.Option(help=f"The analysis rule: {', '.join(PRESETS)}.")] = "standard",
    home: Annotated[Path | None, typer.Option(help="Keep the room here; temporary when not given.")] = None,
    people: Annotated[int, typer.Option(min=100, help="Made-up people of the provider.")] = 200_000,
    base_size: Annotated[int, typer.Option(min=10, help="Rows of the made-up base.")] = 50_000,
    json_output: Annotated[bool, typer.Option("--json", help="Print one JSON object, nothing else.")] = False,
) -> None:
    """Prepare, take in, match, release, refuse, withdraw and prove, in eight steps.

    Without files it makes up people, and shows the true counts beside the noisy ones.
    """
    started = time.monotonic()
    given = (provider, provider_schema, base, base_schema)
    if any(given) and not all(given):
        raise typer.BadParameter("own files need all of --provider, --provider-schema, --base, --base-schema")
    if segments is not None and not all(given):
        raise typer.BadParameter("--segments asks about own files: name them too")
    if preset not in PRESETS:
        raise typer.BadParameter(f"--preset is one of {', '.join(PRESETS)}")
    report = Report(Console(quiet=json_output))
    with tempfile.TemporaryDirectory(prefix="cleanroom-demo-") as temporary:
        work_dir = Path(temporary) / "parties"
        work_dir.mkdir()
        room_home = home if home is not None else Path(temporary) / "room"
        report.opening(room_home)
        if (
            provider is not None
            and provider_schema is not None
            and base is not None
            and base_schema is not None
        ):
            inputs = play.take_given(
                report,
                provider=provider,
                provider_schema=provider_schema,
                base=base,
                base_schema=base_schema,
                segments=segments,
            )
        else:
            inputs = play.make_up(work_dir, report, people=people, base_size=base_size)
        out_dir = home if home is not None else OUT_DIR
        with closing(_room(room_home)) as room:
            played = play.play(room, report, inputs, preset=preset, work_dir=work_dir, chart=out_dir / CHART)
        receipts = played.receipts
        if home is None:
            receipts = keep_evidence(played.proven, receipts, OUT_DIR)
    kept = home is not None
    report.proven(played.proven, home=room_home, kept=kept)
    report.closing(seconds=time.monotonic() - started, place=out_dir, kept=kept)
    if json_output:
        typer.echo(json.dumps(as_json(played, receipts=receipts, chart=out_dir / CHART), ensure_ascii=False))


def _room(home: Path) -> Room:
    # The environment is left aside: the demo must never write into a database that serves real people.
    settings = load_settings({}, home=home)
    return open_room(settings) if (settings.keys_dir / "room").exists() else init_room(settings)
