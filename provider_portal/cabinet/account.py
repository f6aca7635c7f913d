"""A person's own account: password, second factor, sessions, language."""

import io

import segno
from fastapi import APIRouter, Response
from markupsafe import Markup

from cleanroom.errors import CleanroomError
from cleanroom.signin.errors import SecondFactorError
from cleanroom.signin.types import EndReason
from provider_portal.error_words import error_words
from provider_portal.i18n import N_
from provider_portal.ui import go, page
from provider_portal.visits import Enrolling, SignedIn, Visit

router = APIRouter(prefix="/account")
_NOTICES = {
    "password": N_("The password is changed. Everywhere else you were signed out."),
    "session": N_("The session is ended."),
    "sessions": N_("You were signed out everywhere else."),
    "removed": N_("The second factor is removed."),
    "connected": N_("Connected: from now on you can sign in with it."),
    "disconnected": N_("Disconnected: it lets you in no more."),
}


@router.get("")
def show_account(visit: SignedIn) -> Response:
    """Show how a person signs in, and where."""
    return account_page(visit, notice=_NOTICES.get(visit.asked("done")))


@router.post("/password")
def change_password(visit: SignedIn) -> Response:
    """Set another password."""
    new = visit.typed("new_password")
    if new != visit.typed("new_password_again"):
        return account_page(visit, error=N_("The two passwords are not the same."), status=400)
    try:
        visit.room.signin.change_password(visit.who, visit.typed("password"), new)
    except CleanroomError as error:
        return account_page(visit, error=error_words(error), status=400)
    return go(visit, "/account?done=password")


@router.post("/sessions/{session_id}/end")
def end_session(visit: SignedIn, session_id: str) -> Response:
    """End one session of the person's own."""
    who = visit.who
    with visit.room.db.transaction() as tx:
        visit.room.signin.sessions.end(tx, session_id, user_id=who.user_id, reason=EndReason.REVOKED)
    return go(visit, "/account?done=session")


@router.post("/sessions/end-others")
def end_others(visit: SignedIn) -> Response:
    """End every session of the person's own but this one."""
    who = visit.who
    with visit.room.db.transaction() as tx:
        visit.room.signin.sessions.end_all(
            tx, who.user_id, reason=EndReason.REVOKED, except_id=who.session_id
        )
    return go(visit, "/account?done=sessions")


@router.get("/second-factor")
def show_second_factor(visit: Enrolling) -> Response:
    """Show how to set up a second factor, or that there is one."""
    return _second_factor_page(visit)


@router.post("/second-factor/begin")
def begin_second_factor(visit: Enrolling) -> Response:
    """Make a new secret, after the password was given once more."""
    try:
        visit.room.signin.confirm_password(visit.who, visit.typed("password"))
        with visit.room.db.transaction() as tx:
            visit.room.signin.second_factors.begin(tx, visit.who.user_id)
    except CleanroomError as error:
        return _second_factor_page(visit, error=error_words(error), status=400)
    return go(visit, "/account/second-factor")


@router.post("/second-factor/confirm")
def confirm_second_factor(visit: Enrolling) -> Response:
    """Let it count, and show the recovery codes, this once."""
    try:
        with visit.room.db.transaction() as tx:
            codes = visit.room.signin.second_factors.confirm(tx, visit.who.user_id, visit.typed("code"))
    except SecondFactorError as error:
        return _second_factor_page(visit, error=error_words(error), status=400)
    return page(visit, "cabinet/recovery_codes.html", codes=codes)


@router.post("/second-factor/codes")
def renew_codes(visit: SignedIn) -> Response:
    """Replace the recovery codes, after the password was given once more."""
    try:
        visit.room.signin.confirm_password(visit.who, visit.typed("password"))
    except CleanroomError as error:
        return _second_factor_page(visit, error=error_words(error), status=400)
    if not visit.who.second_factor:
        return go(visit, "/account/second-factor")
    with visit.room.db.transaction() as tx:
        codes = visit.room.signin.second_factors.renew_codes(tx, visit.who.user_id)
    return page(visit, "cabinet/recovery_codes.html", codes=codes)


@router.post("/second-factor/remove")
def remove_second_factor(visit: SignedIn) -> Response:
    """Remove it, after the password was given once more."""
    try:
        visit.room.signin.confirm_password(visit.who, visit.typed("password"))
        with visit.room.db.transaction() as tx:
            visit.room.signin.second_factors.give_up(tx, visit.who.user_id)
    except CleanroomError as error:
        return _second_factor_page(visit, error=error_words(error), status=400)
    return go(visit, "/account?done=removed")


def account_page(
    visit: Visit,
    *,
    notice: str | None = None,
    error: str | None = None,
    status: int = 200,
    **values: str,
) -> Response:
    """Show how a person signs in, and where."""
    with visit.room.db.reading() as tx:
        sessions = visit.room.signin.sessions.of(tx, visit.who.user_id)
        ways = visit.room.signin.sso.of(tx, visit.who.user_id)
    return page(
        visit,
        "cabinet/account.html",
        status=status,
        sessions=sessions,
        ways=ways,
        notice=notice,
        error=error,
        **values,
    )


def _second_factor_page(visit: Visit, *, error: str | None = None, status: int = 200) -> Response:
    factors, who = visit.room.signin.second_factors, visit.who
    with visit.room.db.reading() as tx:
        begun = factors.begun(tx, who.user_id)
        codes_left = factors.codes_left(tx, who.user_id) if who.second_factor else 0
        required = factors.requirement.stands(tx, who.organisation_id)
    return page(
        visit,
        "cabinet/second_factor.html",
        status=status,
        begun=begun,
        picture=_picture(begun.uri) if begun else None,
        codes_left=codes_left,
        required=required,
        error=error,
    )


def _picture(uri: str) -> Markup:
    """Draw a code to scan; black on white in every theme, or cameras would not read it."""
    drawn = io.BytesIO()
    segno.make(uri, error="m").save(
        drawn,
        kind="svg",
        scale=5,
        border=4,
        dark="#000",
        light="#fff",
        xmldecl=False,
        omitsize=True,
        svgclass="qr",
        lineclass=None,
    )
    return Markup(drawn.getvalue().decode())  # noqa: S704 - drawn here, of numbers alone
