"""`cleanroom login`: save whom to call as."""

from pathlib import Path
from typing import Annotated

import typer

from cleanroom.cli.remote import AsJson, DryRun, OptionError, Profile, echo, tell_no_retries

app = typer.Typer(add_completion=False)


@app.command()
def login(
    url: Annotated[str, typer.Argument(help="The room's public address.")],
    client_id: Annotated[str | None, typer.Option(envvar="CLEANROOM_CLIENT_ID", help="cl_...")] = None,
    key: Annotated[
        Path | None,
        typer.Option(
            envvar="CLEANROOM_CLIENT_KEY", help="The client's private JWK, a file that only you read."
        ),
    ] = None,
    secret: Annotated[
        bool, typer.Option("--secret", help="Ask for a secret instead; CLEANROOM_CLIENT_SECRET is taken too.")
    ] = False,
    advertiser: Annotated[
        str | None, typer.Option(envvar="CLEANROOM_ADVERTISER", help="Whom an agency acts for, org_...")
    ] = None,
    verifier_key: Annotated[
        str | None,
        typer.Option(
            envvar="CLEANROOM_VERIFIER_KEY", help="The room's, if its operator told you; it is compared."
        ),
    ] = None,
    profile: Profile = None,
    as_json: AsJson = False,
    dry_run: DryRun = False,
) -> None:
    """Try the client's credentials, enrol a signing key, and save a profile that only you can read."""
    import os

    from cleanroom.client.remote.drivers import SyncDriver
    from cleanroom.client.remote.login import log_in
    from cleanroom.client.remote.profiles import Profile as Saved
    from cleanroom.client.remote.session import Session

    if secret and key is not None:
        raise OptionError("A key and a secret are named.", remedy="Use one of them.")
    client = client_id or typer.prompt("Client id", err=True)
    given = os.environ.get("CLEANROOM_CLIENT_SECRET", "") if key is None else ""
    if key is None and not given and not secret:
        answer = typer.prompt("Path of its private key (empty to type a secret)", default="", err=True)
        key = Path(answer) if answer else None
    if key is None and not given:
        given = typer.prompt("Client secret", hide_input=True, err=True)
    saved = Saved(
        url=url,
        client_id=client,
        client_secret=given,
        client_key="" if key is None else str(key.expanduser().absolute()),
        advertiser=advertiser or "",
        verifier_key=verifier_key or "",
    )
    tell_no_retries()
    session = Session(saved)
    with SyncDriver(session.connection.url) as driver:
        if dry_run:
            me = driver.run(session.me())
            echo(me, as_json=as_json, lines=[f"ACCEPTED {me['organisation']['name']} ({me['client_id']})"])
            return
        done = driver.run(log_in(session, name=profile))
    organisation = done.me["organisation"]
    value = {
        "profile": profile or "default",
        "file": done.file,
        "organisation": organisation,
        "signing_key": done.key_id,
        "verifier_key": done.profile.verifier_key,
    }
    lines = [
        f"LOGGED IN {organisation['name']} ({organisation['kind']})",
        f"profile\t{profile or 'default'} in {done.file}",
        f"signing key\t{done.key_id or 'none: this role uploads nothing'}",
        f"verifier key\t{done.profile.verifier_key}",
        "Compare the verifier key with the one that the room's operator tells you: it proves your receipts.",
    ]
    echo(value, as_json=as_json, lines=lines)
