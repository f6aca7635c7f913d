"""`cleanroom requests`: what buyers ask for, and the provider's answer; a buyer's own requests."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from cleanroom.cli.remote import AsJson, DryRun, Profile, calling, echo

if TYPE_CHECKING:
    from cleanroom.client.remote.sync import Client

app = typer.Typer(no_args_is_help=True, add_completion=False, help="List and decide requests.")
Request = Annotated[str, typer.Argument(help="erq_...")]


@app.callback()
def requests() -> None:
    """List and decide requests."""


@app.command("list")
def list_(
    every: Annotated[bool, typer.Option("--all", help="Those that are decided too.")] = False,
    profile: Profile = None,
    as_json: AsJson = False,
) -> None:
    """List requests that nobody has decided: a provider's to decide, a buyer's own."""
    with calling(profile) as room:
        found = [one for one in room.requests() if every or one["state"] == "pending"]
    echo(found, as_json=as_json, lines=[_line(one) for one in found] or ["There is none."])


@app.command()
def approve(
    request: Request, profile: Profile = None, as_json: AsJson = False, dry_run: DryRun = False
) -> None:
    """Give the entitlement that is asked for, with its privacy budget."""
    with calling(profile) as room:
        if dry_run:
            _would(room, "APPROVE", request, as_json=as_json)
            return
        made = room.decide(request, "approve")
    echo(made, as_json=as_json, lines=[f"ENTITLEMENT {made['id']}", f"until\t{made['expires_at']}"])


@app.command()
def reject(
    request: Request,
    reason: Annotated[str, typer.Option(help="For the buyer to read.")],
    profile: Profile = None,
    as_json: AsJson = False,
    dry_run: DryRun = False,
) -> None:
    """Reject a request, with a reason."""
    with calling(profile) as room:
        if dry_run:
            _would(room, "REJECT", request, as_json=as_json)
            return
        done = room.decide(request, "reject", reason=reason)
    echo(done, as_json=as_json, lines=[f"{done['state'].upper()} {done['id']}"])


@app.command()
def withdraw(
    request: Request, profile: Profile = None, as_json: AsJson = False, dry_run: DryRun = False
) -> None:
    """Take back a request of one's own."""
    with calling(profile) as room:
        if dry_run:
            _would(room, "WITHDRAW", request, as_json=as_json)
            return
        done = room.decide(request, "withdraw")
    echo(done, as_json=as_json, lines=[f"{done['state'].upper()} {done['id']}"])


def _would(room: "Client", what: str, request: str, *, as_json: bool) -> None:
    from cleanroom.client.remote.problems import NotFound

    found = next((one for one in room.requests() if one["id"] == request), None)
    if found is None:
        raise NotFound(
            "There is no request with this id.",
            remedy="List them: cleanroom requests list --all",
            code="marketplace.unknown_request",
            status=404,
        )
    echo(found, as_json=as_json, lines=[f"WOULD {what} {request}"])


def _line(one: dict[str, Any]) -> str:
    return f"{one['id']}\t{one['state']}\t{one['advertiser']['name']}\t{','.join(one['purposes'])}\t{one['size']}"
