"""The application for people: the cabinet's pages over an open room."""

import json
from zoneinfo import ZoneInfo

from fastapi import FastAPI, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from cleanroom.bootstrap import Room
from cleanroom.errors import KNOWN_ERRORS
from provider_portal.cabinet import account, datasets, entrance, overview, preferences, requests, team
from provider_portal.i18n import N_
from provider_portal.security import SESSION, Cookies, ForeignFormError
from provider_portal.surroundings import Surroundings, Telemetry
from provider_portal.ui import page, static_files
from provider_portal.visits import SignInNeededError, visit_of
from provider_portal.wording import error_words

ROUTERS = (
    entrance.router,
    preferences.router,
    overview.router,
    datasets.router,
    requests.router,
    team.router,
    account.router,
)
_TITLES = {
    400: N_("This request cannot be read"),
    403: N_("Your role does not open this page"),
    404: N_("There is nothing here"),
    405: N_("There is nothing here"),
    409: N_("This is not possible now"),
    410: N_("This link does not count any more"),
    413: N_("This is too much"),
    415: N_("This request cannot be read"),
    500: N_("Something failed inside the room"),
}
_NOT_FOUND = ("unknown", "not_found", "malformed", "not_owner")


def create_portal(room: Room, *, telemetry: Telemetry) -> ASGIApp:
    """Make the portal of an open room; whoever opened the room closes it.

    Args:
        room: which answers.
        telemetry: where log lines and counts go.
    """
    https = room.settings.public_url.startswith("https://")
    app = FastAPI(title="Cleanroom", openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    app.state.room = room
    app.state.cookies = Cookies(https=https)
    app.state.zone = ZoneInfo(room.settings.billing_zone)
    app.state.public_url = room.settings.public_url
    app.state.telemetry = telemetry
    app.include_router(static_files().router())
    for router in ROUTERS:
        app.include_router(router)
    app.add_exception_handler(SignInNeededError, _sign_in)
    app.add_exception_handler(HTTPException, _http)
    # Its page is sent, and the error goes on to where it is noted.
    app.add_exception_handler(Exception, _http)
    for known in KNOWN_ERRORS:
        app.add_exception_handler(known, _known)
    return Surroundings(
        app,
        telemetry=telemetry,
        clock=room.clock,
        https=https,
        per_minute=room.settings.rate_per_minute,
    )


async def _sign_in(request: Request, _error: Exception) -> Response:
    """Show where to sign in, and keep what a form brought that came too late."""
    visit = visit_of(request)
    post = request.method == "POST"
    kept = {name: value for name, value in visit.form.items() if "password" not in name and name != "code"}
    expired = bool(visit.cookies.get(request, SESSION))
    return await run_in_threadpool(
        page,
        visit,
        "entrance/sign_in.html",
        status=401,
        next_path=request.url.path + (f"?{request.url.query}" if request.url.query and not post else ""),
        kept=json.dumps(kept, ensure_ascii=False) if post else "",
        expired=expired or post,
        email="",
        wait=None,
    )


async def _http(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    return await run_in_threadpool(_failure, request, status, None)


async def _known(request: Request, error: Exception) -> Response:
    code = str(getattr(error, "code", ""))
    if isinstance(error, ForeignFormError):
        status = 403
    elif any(mark in code for mark in _NOT_FOUND):
        status = 404
    elif code in ("access.invitation", "signin.link"):
        status = 410
    elif code in ("signin.secret",) or code.startswith(("crypto.", "db.", "storage.")):
        request.app.state.telemetry.failed(request.scope, error)
        status = 500
    else:
        status = 409
    return await run_in_threadpool(_failure, request, status, error if status not in (404, 500) else None)


def _failure(request: Request, status: int, error: Exception | None) -> Response:
    title = _TITLES.get(status, _TITLES[400])
    if isinstance(error, ForeignFormError):
        title = N_("This form cannot be taken")
    return page(
        visit_of(request),
        "failure.html",
        status=status,
        title=title,
        detail=error_words(error) if error is not None else "",
        request_id=request.scope["state"].get("request_id", ""),
    )
