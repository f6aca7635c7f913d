"""The way in: sign-in, second step, invitation, new password, first run; and the way out."""

import json
from typing import Any

from fastapi import APIRouter, Response

from cleanroom.accounts.types import OrganisationKind
from cleanroom.errors import CleanroomError
from cleanroom.signin.types import EndReason, Entered, LinkKind, Refused, SecondStep
from provider_portal.agents import agent_words
from provider_portal.i18n import N_
from provider_portal.security import FORM, PENDING, SESSION, new_form_secret
from provider_portal.ui import go, page
from provider_portal.visits import SignedIn, Visit, Visiting, local_path
from provider_portal.wording import error_words

router = APIRouter()
_MAX_KEPT = 20_000
_WRONG = N_("This e-mail address and password do not fit together.")
_WRONG_CODE = N_("This code does not fit, or was used already.")
_UNLIKE = N_("The two passwords are not the same.")


@router.get("/sign-in", name="public")
def show_sign_in(visit: Visiting) -> Response:
    """Ask who is there."""
    if visit.member is not None:
        return go(visit, local_path(visit.asked("next")))
    notice = N_("The new password is set. Sign in with it.") if visit.asked("done") == "reset" else None
    return _sign_in_page(visit, next_path=local_path(visit.asked("next")), notice=notice)


@router.post("/sign-in", name="public")
def sign_in(visit: Visiting) -> Response:
    """Look at the password."""
    email, next_path, kept = _carried(visit)
    outcome = visit.room.signin.sign_in(
        email, visit.typed("password"), address=visit.address, agent=_agent(visit)
    )
    if isinstance(outcome, Refused):
        return _sign_in_page(
            visit,
            status=401,
            email=email,
            next_path=next_path,
            kept=kept,
            error=None if outcome.wait_seconds else _WRONG,
            wait=outcome.wait_seconds or None,
        )
    if isinstance(outcome, SecondStep):
        response: Response = page(visit, "entrance/code.html", next_path=next_path, kept=kept, wait=None)
        visit.cookies.set(response, PENDING, outcome.token)
        return response
    return _let_in(visit, outcome, next_path, kept)


@router.post("/sign-in/code", name="public")
def second_step(visit: Visiting) -> Response:
    """Look at the code."""
    _, next_path, kept = _carried(visit)
    outcome = visit.room.signin.second_step(
        visit.cookies.get(visit.request, PENDING), visit.typed("code"), address=visit.address
    )
    if outcome is None:
        again = N_("This took too long. Give your password once more.")
        return _sign_in_page(visit, status=401, next_path=next_path, kept=kept, error=again)
    if isinstance(outcome, Refused):
        return page(
            visit,
            "entrance/code.html",
            status=401,
            next_path=next_path,
            kept=kept,
            error=None if outcome.wait_seconds else _WRONG_CODE,
            wait=outcome.wait_seconds or None,
        )
    return _let_in(visit, outcome, next_path, kept)


@router.post("/sign-out")
def sign_out(visit: SignedIn) -> Response:
    """End the session in this browser."""
    visit.room.signin.sign_out(visit.who)
    response = go(visit, "/sign-in")
    visit.cookies.drop(response, SESSION)
    # Forms that stay open in another tab belong to whoever was here.
    visit.cookies.set(response, FORM, new_form_secret())
    return response


@router.get("/forgotten", name="public")
def show_forgotten(visit: Visiting) -> Response:
    """Say how a new password is had."""
    return page(visit, "entrance/forgotten.html")


@router.get("/invitation/{token}", name="public")
def show_invitation(visit: Visiting, token: str) -> Response:
    """Ask an invited person for a password."""
    return _new_password(visit, token, "invitation")


@router.post("/invitation/{token}", name="public")
def accept_invitation(visit: Visiting, token: str) -> Response:
    """Let an invited person in."""
    try:
        _require_alike(visit)
        entered = visit.room.signin.accept(token, visit.typed("password"), agent=_agent(visit))
    except CleanroomError as error:
        return _new_password(visit, token, "invitation", error=error)
    return _let_in(visit, entered, "/", "")


@router.get("/reset/{token}", name="public")
def show_reset(visit: Visiting, token: str) -> Response:
    """Ask for a new password."""
    return _new_password(visit, token, "reset")


@router.post("/reset/{token}", name="public")
def reset(visit: Visiting, token: str) -> Response:
    """Set a new password."""
    try:
        _require_alike(visit)
        visit.room.signin.reset(token, visit.typed("password"))
    except CleanroomError as error:
        return _new_password(visit, token, "reset", error=error)
    response = go(visit, "/sign-in?done=reset")
    visit.cookies.drop(response, SESSION)
    return response


@router.get("/welcome/{token}", name="public")
def show_first_run(visit: Visiting, token: str) -> Response:
    """Ask for the first organisation and who leads it."""
    return _first_run_page(visit, token)


@router.post("/welcome/{token}", name="public")
def first_run(visit: Visiting, token: str) -> Response:
    """Make the first organisation and let its owner in."""
    try:
        _require_alike(visit)
        kind = visit.typed("kind")
        entered = visit.room.signin.first_run(
            token,
            organisation=visit.typed("organisation"),
            kind=OrganisationKind.OPERATOR if kind == "operator" else OrganisationKind.PROVIDER,
            email=visit.typed("email"),
            password=visit.typed("password"),
            agent=_agent(visit),
        )
    except CleanroomError as error:
        return _first_run_page(visit, token, error=error)
    return _let_in(visit, entered, "/account/second-factor", "")


class UnlikeError(CleanroomError):
    """A password was typed twice, and not the same."""

    code = "portal.unlike_passwords"


def _require_alike(visit: Visit) -> None:
    if visit.typed("password") != visit.typed("password_again"):
        raise UnlikeError(_UNLIKE)


def _new_password(visit: Visit, token: str, what: str, *, error: CleanroomError | None = None) -> Response:
    with visit.room.db.reading() as tx:
        signin = visit.room.signin
        whom = signin.invited(tx, token) if what == "invitation" else signin.links.whose(tx, token)
    return page(
        visit,
        "entrance/new_password.html",
        status=200 if error is None else 400,
        whom=whom,
        what=what,
        error=error_words(error) if error is not None else None,
    )


def _first_run_page(visit: Visit, token: str, *, error: CleanroomError | None = None) -> Response:
    with visit.room.db.reading() as tx:
        visit.room.signin.links.find(tx, LinkKind.FIRST_RUN, token)
        names = [
            one.name
            for one in visit.room.accounts.organisations(tx)
            if one.kind in (OrganisationKind.PROVIDER, OrganisationKind.OPERATOR)
            and one.offboarded_at is None
        ]
    return page(
        visit,
        "entrance/first_run.html",
        status=200 if error is None else 400,
        names=names,
        error=error_words(error) if error is not None else None,
    )


def _sign_in_page(visit: Visit, *, status: int = 200, **values: Any) -> Response:
    usual = {"email": "", "kept": "", "expired": False, "wait": None}
    return page(visit, "entrance/sign_in.html", status=status, **{**usual, **values})


def _carried(visit: Visit) -> tuple[str, str, str]:
    """Return what the way in carries along: the address, where to go on, and a form that came too late."""
    kept = visit.typed("kept", longest=_MAX_KEPT)
    return visit.typed("email"), local_path(visit.typed("next")), kept


def _let_in(visit: Visit, entered: Entered, next_path: str, kept: str) -> Response:
    fields = _fields(kept)
    # Nothing is sent by itself: the person looks at it once more.
    response: Response = (
        page(visit, "entrance/resume.html", action=next_path, fields=fields)
        if fields
        else go(visit, next_path)
    )
    if visit.member is not None:
        # The browser forgets the session that it had; nobody else may find it.
        visit.room.signin.sign_out(visit.member, reason=EndReason.ROTATED)
    visit.cookies.set(response, SESSION, entered.token)
    visit.cookies.drop(response, PENDING)
    return response


def _fields(kept: str) -> dict[str, str]:
    try:
        found = json.loads(kept) if kept else {}
    except ValueError:
        return {}
    if not isinstance(found, dict):
        return {}
    return {str(name): str(value) for name, value in found.items()}


def _agent(visit: Visit) -> str:
    return agent_words(visit.request.headers.get("user-agent", ""))
