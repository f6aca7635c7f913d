"""The way in: sign-in, second step, invitation, new password, first run; and the way out."""

from typing import Any

from fastapi import APIRouter, Response

from cleanroom.accounts.types import OrganisationKind
from cleanroom.errors import CleanroomError
from cleanroom.signin.types import EndReason, Entered, LinkKind, Refused, SecondStep
from provider_portal.error_words import error_words
from provider_portal.i18n import N_
from provider_portal.security import DEVICE, FORM, PENDING, SESSION, new_form_secret
from provider_portal.ui import go, page
from provider_portal.visits import Enrolling, Visit, Visiting, local_path, read_json

router = APIRouter()
MAX_KEPT = 20_000
_DEVICE_DAYS = 400
_WRONG = N_("This e-mail address and password do not fit together.")
_WRONG_CODE = N_("This code does not fit, or was used already.")
_UNLIKE = N_("The two passwords are not the same.")


@router.get("/sign-in", name="public")
def show_sign_in(visit: Visiting) -> Response:
    """Ask who is there."""
    if visit.member is not None:
        return go(visit, local_path(visit.asked("next")))
    notice = N_("The new password is set. Sign in with it.") if visit.asked("done") == "reset" else None
    return sign_in_page(visit, next_path=local_path(visit.asked("next")), notice=notice)


@router.post("/sign-in", name="public")
def sign_in(visit: Visiting) -> Response:
    """Look at the password."""
    email, next_path, kept = _carried(visit)
    outcome = visit.room.signin.sign_in(
        email, visit.typed("password"), address=visit.address, agent=visit.agent, device=visit.device
    )
    if isinstance(outcome, Refused):
        return sign_in_page(
            visit,
            status=401,
            email=email,
            next_path=next_path,
            kept=kept,
            error=None if outcome.wait_seconds else _WRONG,
            wait=outcome.wait_seconds or None,
        )
    if isinstance(outcome, SecondStep):
        return ask_for_code(visit, outcome, next_path, kept)
    return let_in(visit, outcome, next_path, kept)


@router.post("/sign-in/code", name="public")
def second_step(visit: Visiting) -> Response:
    """Look at the code."""
    _, next_path, kept = _carried(visit)
    outcome = visit.room.signin.second_step(
        visit.cookies.get(visit.request, PENDING),
        visit.typed("code"),
        address=visit.address,
        device=visit.device,
    )
    if outcome is None:
        again = N_("This took too long. Give your password once more.")
        return sign_in_page(visit, status=401, next_path=next_path, kept=kept, error=again)
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
    return let_in(visit, outcome, next_path, kept)


@router.post("/sign-out")
def sign_out(visit: Enrolling) -> Response:
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
    return page(visit, "entrance/forgotten.html", by_mail=visit.room.mail.set_up, asked=False)


@router.post("/forgotten", name="public")
def forgotten(visit: Visiting) -> Response:
    """Have a link sent, if the address is somebody's; the answer is the same for every address."""
    visit.room.mail.forgotten(visit.typed("email"), address=visit.address)
    return page(visit, "entrance/forgotten.html", by_mail=visit.room.mail.set_up, asked=True)


@router.get("/invitation/{token}", name="public")
def show_invitation(visit: Visiting, token: str) -> Response:
    """Ask an invited person for a password."""
    return _new_password(visit, token, "invitation")


@router.post("/invitation/{token}", name="public")
def accept_invitation(visit: Visiting, token: str) -> Response:
    """Let an invited person in."""
    try:
        _require_alike(visit)
        entered = visit.room.signin.accept(
            token, visit.typed("password"), agent=visit.agent, device=visit.device
        )
    except CleanroomError as error:
        return _new_password(visit, token, "invitation", error=error)
    return let_in(visit, entered, "/", "")


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
            agent=visit.agent,
            device=visit.device,
        )
    except CleanroomError as error:
        return _first_run_page(visit, token, error=error)
    return let_in(visit, entered, "/account/second-factor", "")


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
        token=token,
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


def sign_in_page(visit: Visit, *, status: int = 200, **values: Any) -> Response:
    """Ask who is there."""
    usual = {"email": "", "kept": "", "expired": False, "wait": None}
    return page(visit, "entrance/sign_in.html", status=status, **{**usual, **values})


def _carried(visit: Visit) -> tuple[str, str, str]:
    """Return what the way in carries along: the address, where to go on, and a form that came too late."""
    kept = visit.typed("kept", longest=MAX_KEPT)
    return visit.typed("email"), local_path(visit.typed("next")), kept


def ask_for_code(visit: Visit, step: SecondStep, next_path: str, kept: str, **values: Any) -> Response:
    """Ask for the second step."""
    response = page(visit, "entrance/code.html", next_path=next_path, kept=kept, wait=None, **values)
    visit.cookies.set(response, PENDING, step.token)
    return response


def let_in(visit: Visit, entered: Entered, next_path: str, kept: str) -> Response:
    """Give the browser a session, and lead on; a form that came too late is shown once more."""
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
    if not visit.device:
        visit.cookies.set(response, DEVICE, entered.device, days=_DEVICE_DAYS)
    visit.cookies.drop(response, PENDING)
    return response


def _fields(kept: str) -> dict[str, str]:
    try:
        found = read_json(kept) if kept else {}
    except ValueError:
        return {}
    if not isinstance(found, dict):
        return {}
    return {str(name): str(value) for name, value in found.items()}
