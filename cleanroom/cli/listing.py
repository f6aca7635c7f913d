"""`cleanroom listing`: a provider's own listings, from draft to retired, and the operator's review."""

from typing import TYPE_CHECKING, Annotated

import typer

from cleanroom.cli.remote import AsJson, DryRun, Profile, calling, echo

if TYPE_CHECKING:
    from cleanroom.client.remote.market import ListingState

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Take one's own listings through their states."
)
Listing = Annotated[str, typer.Argument(help="lst_...")]


@app.callback()
def listing() -> None:
    """Take one's own listings through their states."""


@app.command("list")
def list_(
    waiting: Annotated[
        bool, typer.Option("--review", help="As the operator: what waits for review, of every provider.")
    ] = False,
    profile: Profile = None,
    as_json: AsJson = False,
) -> None:
    """List one's own listings in every state."""
    with calling(profile) as room:
        found = room.reviews() if waiting else room.listings(mine=True)
    lines = [f"{one['id']}\t{one['state']}\t{one['content']['title']['en']}" for one in found]
    echo(found, as_json=as_json, lines=lines or ["There is none."])


@app.command()
def submit(
    listing: Listing, profile: Profile = None, as_json: AsJson = False, dry_run: DryRun = False
) -> None:
    """Send a draft to review: a second person of one's organisation, or the operator, lets it go live."""
    _move(listing, "review", profile, as_json=as_json, dry_run=dry_run)


@app.command()
def draft(
    listing: Listing, profile: Profile = None, as_json: AsJson = False, dry_run: DryRun = False
) -> None:
    """Take a wording back from review."""
    _move(listing, "draft", profile, as_json=as_json, dry_run=dry_run)


@app.command()
def live(listing: Listing, profile: Profile = None, as_json: AsJson = False, dry_run: DryRun = False) -> None:
    """Let a listing in review, or a paused one, be seen by buyers."""
    _move(listing, "live", profile, as_json=as_json, dry_run=dry_run)


@app.command()
def pause(
    listing: Listing, profile: Profile = None, as_json: AsJson = False, dry_run: DryRun = False
) -> None:
    """Hide a listing from the catalogue until it is live again."""
    _move(listing, "paused", profile, as_json=as_json, dry_run=dry_run)


@app.command()
def retire(
    listing: Listing, profile: Profile = None, as_json: AsJson = False, dry_run: DryRun = False
) -> None:
    """Withdraw a listing for good."""
    _move(listing, "retired", profile, as_json=as_json, dry_run=dry_run)


def _move(listing: str, to: "ListingState", profile: str | None, *, as_json: bool, dry_run: bool) -> None:
    with calling(profile) as room:
        # The operator decides on what is another's.
        operator = room.me()["organisation"]["kind"] == "operator"
        if dry_run:
            found = {"id": listing, "to": to}
            echo(found, as_json=as_json, lines=[f"WOULD MOVE {listing} to {to}"])
            return
        moved = room.review(listing, to) if operator and to in ("live", "draft") else room.move(listing, to)
    echo(moved, as_json=as_json, lines=[f"{moved['state'].upper()} {moved['id']}"])
