"""API clients: the list, registering one, its keys and secrets, and its end."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Response

from cleanroom.access.client_keys import key_set_of_text
from cleanroom.access.errors import UnknownClientError
from cleanroom.access.roster import SORTS, roster
from cleanroom.access.scopes import CLIENTS_WRITE, ROLES, WEBHOOKS_WRITE
from cleanroom.access.types import ClientMethod, NewClient
from cleanroom.errors import CleanroomError
from provider_portal.error_words import error_words
from provider_portal.i18n import N_
from provider_portal.tables import PER_PAGE, asked
from provider_portal.ui import go, page
from provider_portal.visits import Visit, needs

router = APIRouter(prefix="/clients")
Administering = Annotated[Visit, Depends(needs(CLIENTS_WRITE))]
OVERLAPS = (0, 1, 24, 168)
"""Hours for which the credentials before a rotation still count."""
_LONGEST_KEYS = 30_000
_NOTICES = {
    "added": N_("The client is registered, and its keys count from now on."),
    "rotated": N_("The new keys count from now on."),
    "revoked": N_("The client is revoked: it and all its tokens are refused from now on."),
}


@router.get("")
def list_clients(visit: Administering) -> Response:
    """Show the organisation's clients."""
    wanted = asked(visit, SORTS, default="created", descending=True)
    show = visit.asked("show", "standing")
    with visit.room.db.reading() as tx:
        found, total = roster(
            tx,
            visit.who.organisation_id,
            now=visit.room.clock.now(),
            text=wanted.text,
            revoked={"standing": False, "revoked": True}.get(show),
            sort=wanted.sort,
            descending=wanted.descending,
            offset=wanted.offset,
            limit=PER_PAGE,
        )
    return page(
        visit,
        "cabinet/clients.html",
        found=found,
        total=total,
        wanted=wanted,
        show=show,
        hooks=visit.who.may(WEBHOOKS_WRITE),
    )


@router.get("/new")
def new_client(visit: Administering) -> Response:
    """Show the form for a new client."""
    return _form(visit)


@router.post("/new")
def add_client(visit: Administering) -> Response:
    """Register a client; a secret is shown this once."""
    name, role, how = visit.typed("name"), visit.typed("role"), visit.typed("how")
    keys = visit.typed("keys", longest=_LONGEST_KEYS)
    try:
        key_set = key_set_of_text(keys) if how == "keys" else None
        with visit.room.db.transaction() as tx:
            made = visit.room.access.clients.register(
                tx, organisation_id=visit.who.organisation_id, name=name, role=role, key_set=key_set
            )
    except CleanroomError as error:
        return _form(visit, name=name, role=role, how=how, keys=keys, error=error_words(error), status=400)
    return _made(visit, made, "added")


@router.get("/{client_id}")
def show_client(visit: Administering, client_id: str) -> Response:
    """Show a client with its keys and secrets."""
    return _client_page(visit, client_id, notice=_NOTICES.get(visit.asked("done")))


@router.post("/{client_id}/rotate")
def rotate(visit: Administering, client_id: str) -> Response:
    """Give a client new keys, or a new secret that is shown this once."""
    keys, hours = visit.typed("keys", longest=_LONGEST_KEYS), visit.typed("hours")
    overlap = int(hours) if hours in {str(one) for one in OVERLAPS} else OVERLAPS[-2]
    room, organisation_id = visit.room, visit.who.organisation_id
    try:
        with room.db.transaction() as tx:
            client = room.access.clients.owned(tx, client_id, organisation_id=organisation_id)
            by_keys = client.method is ClientMethod.PRIVATE_KEY_JWT
            made = room.access.clients.rotate(
                tx,
                client_id,
                old_ends_at=room.clock.now() + timedelta(hours=overlap),
                key_set=key_set_of_text(keys) if by_keys else None,
            )
    except UnknownClientError:
        raise
    except CleanroomError as error:
        return _client_page(
            visit, client_id, keys=keys, overlap=overlap, error=error_words(error), status=409
        )
    return _made(visit, made, "rotated")


@router.post("/{client_id}/revoke")
def revoke(visit: Administering, client_id: str) -> Response:
    """End a client and all its tokens."""
    room = visit.room
    with room.db.transaction() as tx:
        room.access.clients.owned(tx, client_id, organisation_id=visit.who.organisation_id)
        room.access.clients.revoke(tx, client_id)
    return go(visit, f"/clients/{client_id}?done=revoked")


def _made(visit: Visit, made: NewClient, done: str) -> Response:
    if made.secret is None:
        return go(visit, f"/clients/{made.client.id}?done={done}")
    return page(visit, "cabinet/client_secret.html", client=made.client, secret=made.secret)


def _form(
    visit: Visit,
    *,
    name: str = "",
    role: str = "",
    how: str = "keys",
    keys: str = "",
    error: str | None = None,
    status: int = 200,
) -> Response:
    roles = tuple(ROLES[visit.who.kind])
    return page(
        visit,
        "cabinet/client_new.html",
        status=status,
        roles=roles,
        role=role if role in roles else "",
        name=name,
        how=how,
        keys=_shown_again(keys),
        may_secret=visit.room.settings.allow_client_secret,
        error=error,
    )


def _client_page(
    visit: Visit,
    client_id: str,
    *,
    notice: str | None = None,
    error: str | None = None,
    keys: str = "",
    overlap: int = 24,
    status: int = 200,
) -> Response:
    room = visit.room
    with room.db.reading() as tx:
        client = room.access.clients.owned(tx, client_id, organisation_id=visit.who.organisation_id)
        credentials = room.access.clients.credentials(tx, client_id)
    return page(
        visit,
        "cabinet/client.html",
        status=status,
        client=client,
        credentials=credentials[::-1],
        by_keys=client.method is ClientMethod.PRIVATE_KEY_JWT,
        overlaps=OVERLAPS,
        overlap=overlap,
        keys=_shown_again(keys),
        notice=notice,
        error=error,
    )


def _shown_again(keys: str) -> str:
    """Return what was pasted; but a private key, which should not have come here, is not written into a page."""
    return "" if "PRIVATE" in keys or '"d"' in keys or '"k"' in keys else keys
