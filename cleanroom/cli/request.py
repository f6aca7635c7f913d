"""`cleanroom request`: ask for an entitlement."""

from typing import Annotated

import typer

from cleanroom.cli.remote import AsJson, DryRun, OptionError, Profile, calling, echo

app = typer.Typer(add_completion=False)


@app.command()
def request(
    listing: Annotated[str, typer.Argument(help="Its title or id.")],
    plan: Annotated[str | None, typer.Option(help="One of its tariffs.")] = None,
    purpose: Annotated[list[str] | None, typer.Option(help="Of the processing; repeat it.")] = None,
    kind: Annotated[
        list[str] | None, typer.Option(help="Of analysis; repeat it. All of the listing's.")
    ] = None,
    size: Annotated[str | None, typer.Option(help="Of the budget: S, M or L.")] = None,
    days: Annotated[int | None, typer.Option(min=1, help="The term.")] = None,
    note: Annotated[str, typer.Option(help="To the provider.")] = "",
    profile: Profile = None,
    as_json: AsJson = False,
    dry_run: DryRun = False,
) -> None:
    """Ask a provider for the right to use a listing."""
    from cleanroom.client.remote.options import RequestOptions

    options = RequestOptions(purposes=purpose or [], kinds=kind or [], note=note)
    if plan is not None:
        options["plan"] = plan
    if size in ("S", "M", "L"):
        options["size"] = size  # type: ignore[typeddict-item]
    elif size is not None:
        raise OptionError("The size is not known.", remedy="Use S, M or L.")
    if days is not None:
        options["days"] = days
    with calling(profile) as room:
        if dry_run:
            found = room.listing(listing)
            echo(
                found,
                as_json=as_json,
                lines=[f"WOULD ASK FOR {found['id']} {found['content']['title']['en']}"],
            )
            return
        made = room.request(listing, **options)
    lines = [f"{made['state'].upper()} {made['id']}"]
    if made["state"] == "pending":
        lines.append("Its provider decides; follow it with: cleanroom requests list --all")
    if made.get("entitlement"):
        lines.append(f"ENTITLEMENT {made['entitlement']['id']}")
    echo(made, as_json=as_json, lines=lines)
