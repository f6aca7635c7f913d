"""`cleanroom mandate`: who may act for whom, on the server's own machine."""

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from cleanroom.accounts.types import AgencyAction, Mandate, MandateLimits
from cleanroom.cli.server import AsJson, Home, opened, show, show_all, when

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Let agencies act for advertisers.")


@app.command()
def grant(
    agency: Annotated[str, typer.Option(help="The agency's id.")],
    advertiser: Annotated[str, typer.Option(help="The advertiser's id.")],
    until: Annotated[datetime | None, typer.Option(help="When it ends, in UTC.")] = None,
    purpose: Annotated[list[str] | None, typer.Option(help="Only for this purpose; repeat it.")] = None,
    deny: Annotated[list[AgencyAction] | None, typer.Option(help="What the agency may not do.")] = None,
    cap_minor: Annotated[int | None, typer.Option(help="The most to spend a month, in minor units.")] = None,
    cap_currency: Annotated[str | None, typer.Option(help="Of the cap, such as RUB.")] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Let an agency act for an advertiser, from now on."""
    limits = MandateLimits(
        purposes=tuple(purpose) if purpose else None,
        actions=frozenset(AgencyAction) - frozenset(deny or ()),
        cap_minor=cap_minor,
        cap_currency=cap_currency,
    )
    with opened(home) as room, room.db.transaction() as tx:
        given = room.accounts.grant_mandate(
            tx,
            agency_id=agency,
            advertiser_id=advertiser,
            valid_until=until.replace(tzinfo=UTC) if until else None,
            limits=limits,
        )
    show(_as_dict(given), as_json=as_json, line=given.id)


@app.command()
def revoke(
    mandate: Annotated[str, typer.Argument(help="The mandate's id, man_...")],
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """End a mandate now."""
    with opened(home) as room, room.db.transaction() as tx:
        ended = room.accounts.revoke_mandate(tx, mandate)
    show(_as_dict(ended), as_json=as_json, line=f"REVOKED {ended.id}")


@app.command("list")
def list_(
    org: Annotated[str | None, typer.Option(help="Given or held by this organisation only.")] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """List mandates, ended ones too."""
    with opened(home) as room, room.db.reading() as tx:
        found = room.accounts.mandates(tx, org)
    columns = ("id", "agency_id", "advertiser_id", "valid_until", "revoked_at")
    show_all([_as_dict(mandate) for mandate in found], as_json=as_json, columns=columns)


def _as_dict(mandate: Mandate) -> dict[str, Any]:
    limits = mandate.limits
    return {
        "id": mandate.id,
        "agency_id": mandate.agency_id,
        "advertiser_id": mandate.advertiser_id,
        "valid_from": when(mandate.valid_from),
        "valid_until": when(mandate.valid_until),
        "revoked_at": when(mandate.revoked_at),
        "purposes": None if limits.purposes is None else list(limits.purposes),
        "actions": sorted(limits.actions),
        "cap": None
        if limits.cap_minor is None
        else {"minor": limits.cap_minor, "currency": limits.cap_currency},
    }
