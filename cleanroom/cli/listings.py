"""`cleanroom listings`: what is offered."""

from typing import Annotated, Any

import typer

from cleanroom.cli.remote import AsJson, Profile, calling, echo

app = typer.Typer(add_completion=False)


@app.command()
def listings(
    query: Annotated[str | None, typer.Argument(help="Words of titles and texts.")] = None,
    attribute: Annotated[str | None, typer.Option(help="Offered, by name.")] = None,
    purpose: Annotated[str | None, typer.Option(help="Offered for.")] = None,
    profile: Profile = None,
    as_json: AsJson = False,
) -> None:
    """Search the catalogue."""
    with calling(profile) as room:
        found = room.listings(query, attribute=attribute, purpose=purpose)
    echo(found, as_json=as_json, lines=[_line(one) for one in found] or ["Nothing is offered."])


def _line(listing: dict[str, Any]) -> str:
    content = listing["content"]
    plans = ",".join(plan["key"] for plan in content["plans"])
    return f"{listing['id']}\t{content['title']['en']}\t{listing['provider']['name']}\tplans: {plans}"
