"""To an identity provider and back: signing in, accepting an invitation, connecting an account."""

from fastapi import APIRouter, Response

from cleanroom.errors import CleanroomError
from cleanroom.signin.attempts import Wanted
from cleanroom.signin.types import Entered, SecondStep, Way
from provider_portal.cabinet.account import account_page
from provider_portal.cabinet.entrance import MAX_KEPT, ask_for_code, let_in, sign_in_page
from provider_portal.error_words import error_words
from provider_portal.security import AWAY
from provider_portal.ui import go, page
from provider_portal.visits import SignedIn, Visit, Visiting, local_path

router = APIRouter()
_AWAY_DAYS = 1
_ANSWER = ("state", "code", "iss", "error")
_MAX_ANSWER = 4_000


@router.post("/sign-in/with/{provider}", name="public")
def depart(visit: Visiting, provider: str) -> Response:
    """Lead to an identity provider, to sign in or to accept an invitation."""
    invitation = visit.typed("invitation")
    wanted = Wanted(
        way=Way.INVITATION if invitation else Way.SIGN_IN,
        next_path=local_path(visit.typed("next")),
        kept=visit.typed("kept", longest=MAX_KEPT),
        invitation=invitation,
    )
    try:
        return _departed(visit, provider, wanted)
    except CleanroomError as error:
        if error.code in ("signin.unknown_provider", "access.invitation"):
            raise
        return sign_in_page(
            visit, status=503, next_path=wanted.next_path, kept=wanted.kept, error=error_words(error)
        )


@router.post("/account/connect/{provider}")
def connect(visit: SignedIn, provider: str) -> Response:
    """Lead to an identity provider, to connect an account of it; it takes the password once more."""
    try:
        visit.room.signin.confirm_password(visit.who, visit.typed("password"))
        wanted = Wanted(way=Way.CONNECT, next_path="/account?done=connected", user_id=visit.who.user_id)
        return _departed(visit, provider, wanted)
    except CleanroomError as error:
        if error.code == "signin.unknown_provider":
            raise
        return account_page(visit, error=error_words(error), status=400)


@router.post("/account/disconnect/{provider}")
def disconnect(visit: SignedIn, provider: str) -> Response:
    """End a connection."""
    try:
        with visit.room.db.transaction() as tx:
            visit.room.signin.sso.disconnect(tx, visit.who, provider)
    except CleanroomError as error:
        return account_page(visit, error=error_words(error), status=409)
    return go(visit, "/account?done=disconnected")


@router.get("/sign-in/with/{provider}/back", name="public")
def arrive(visit: Visiting, provider: str) -> Response:
    """Make of the identity provider's answer what the person wanted."""
    query, wanted = visit.request.query_params, Wanted()
    answer = {name: query[name][:_MAX_ANSWER] for name in _ANSWER if name in query}
    sso = visit.room.signin.sso
    try:
        attempt = sso.returning(
            provider, state=answer.get("state", ""), browser=visit.cookies.get(visit.request, AWAY)
        )
        wanted = attempt.wanted
        arrival = sso.arrive(attempt, answer, member=visit.member, agent=visit.agent, device=visit.device)
    except CleanroomError as error:
        if error.code == "signin.unknown_provider":
            raise
        response = _refused(visit, error, wanted)
    else:
        if isinstance(arrival.entered, Entered):
            response = let_in(visit, arrival.entered, arrival.next_path, arrival.kept)
        elif isinstance(arrival.entered, SecondStep):
            response = ask_for_code(visit, arrival.entered, arrival.next_path, arrival.kept, stay="/sign-in")
        else:
            response = go(visit, arrival.next_path)
    visit.cookies.drop(response, AWAY)
    return response


def _departed(visit: Visit, provider: str, wanted: Wanted) -> Response:
    departure = visit.room.signin.sso.depart(provider, wanted)
    # A form may lead to the room's own pages alone, so the page that it leads to leads on.
    response = page(
        visit,
        "entrance/leaving.html",
        address=departure.address,
        title=dict(visit.room.signin.sso.choices())[provider],
    )
    visit.cookies.set(response, AWAY, departure.browser, days=_AWAY_DAYS)
    return response


def _refused(visit: Visit, error: CleanroomError, wanted: Wanted) -> Response:
    """Say what went wrong where the person can go on; the answer's address is nowhere to come back to."""
    words = error_words(error)
    if visit.member is not None:
        return account_page(visit, error=words, status=400, stay="/account")
    return sign_in_page(
        visit, status=401, next_path=wanted.next_path, kept=wanted.kept, error=words, stay="/sign-in"
    )
