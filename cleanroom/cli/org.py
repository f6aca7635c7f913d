"""`cleanroom org`: the legal parties of a room, on the server's own machine."""

from typing import Annotated, Any

import typer

from cleanroom.accounts.types import Organisation, OrganisationKind
from cleanroom.cli.server import AsJson, Home, opened, show, show_all, when

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Register, verify and offboard parties.")
Id = Annotated[str, typer.Argument(help="The organisation's id, org_...")]


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="As shown to other parties.")],
    kind: Annotated[OrganisationKind, typer.Option(help="What it does in the room.")],
    sector: Annotated[str | None, typer.Option(help="What it trades in.")] = None,
    affiliate_group: Annotated[str | None, typer.Option(help="Name shared by parties of one owner.")] = None,
    init: Annotated[bool, typer.Option("--init", help="Make the room when the home has none.")] = False,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Register an organisation and print its id."""
    with opened(home, make=init) as room, room.db.transaction() as tx:
        made = room.accounts.create_organisation(
            tx, name=name, kind=kind, sector=sector, affiliate_group=affiliate_group
        )
    show(_as_dict(made), as_json=as_json, line=made.id)


@app.command("list")
def list_(home: Home = None, as_json: AsJson = False) -> None:
    """List all organisations."""
    with opened(home) as room, room.db.reading() as tx:
        found = room.accounts.organisations(tx)
    columns = ("id", "kind", "name", "verified_at", "offboarded_at")
    show_all([_as_dict(one) for one in found], as_json=as_json, columns=columns)


@app.command()
def verify(
    organisation: Id,
    note: Annotated[str, typer.Option(help="What was looked at; providers read it.")],
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Record that an organisation is who it says."""
    with opened(home) as room, room.db.transaction() as tx:
        verified = room.accounts.verify_organisation(tx, organisation, note=note)
    show(_as_dict(verified), as_json=as_json, line=f"VERIFIED {verified.id}")


@app.command()
def offboard(
    organisation: Id,
    destroy_workspaces: Annotated[
        bool, typer.Option("--destroy-workspaces", help="Make its data unreadable for good.")
    ] = False,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Let an organisation go: clients, users, webhooks, mandates, keys, grants and sales end now; history stays."""
    with opened(home) as room:
        with room.db.transaction() as tx:
            left = room.offboarding.leave(tx, organisation, destroy_workspaces=destroy_workspaces)
        if left.workspaces_destroyed:
            # The keys themselves go once it is certain that the transaction stands.
            with room.db.transaction() as tx:
                room.workspaces.recover(tx)
    report = {
        "organisation_id": organisation,
        "clients": left.clients,
        "users": left.users,
        "webhooks": left.webhooks,
        "grants": left.grants,
        "entitlements": left.entitlements,
        "requests": left.requests,
        "listings": left.listings,
        "workspaces_destroyed": left.workspaces_destroyed,
        "workspaces_kept": left.workspaces_kept,
    }
    line = (
        f"OFFBOARDED {organisation}: {len(left.clients)} clients, {len(left.users)} users, {len(left.grants)} "
        f"grants, {len(left.entitlements)} entitlements, {len(left.requests)} requests and {len(left.listings)} "
        f"listings ended; {len(left.workspaces_destroyed)} workspaces destroyed"
    )
    if left.workspaces_kept:
        line += (
            f"\nLEFT TO DO {len(left.workspaces_kept)} workspaces can still be read: "
            "run it again with --destroy-workspaces"
        )
    show(report, as_json=as_json, line=line)


def _as_dict(organisation: Organisation) -> dict[str, Any]:
    return {
        "id": organisation.id,
        "name": organisation.name,
        "kind": organisation.kind.value,
        "sector": organisation.sector,
        "affiliate_group": organisation.affiliate_group,
        "created_at": when(organisation.created_at),
        "verified_at": when(organisation.verified_at),
        "verification_note": organisation.verification_note,
        "offboarded_at": when(organisation.offboarded_at),
    }
