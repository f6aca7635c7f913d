"""The application for people: the cabinet's pages over an open room."""

import json
from zoneinfo import ZoneInfo

from fastapi import FastAPI, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from cleanroom.counts import Counts
from cleanroom.errors import KNOWN_ERRORS
from cleanroom.room import Room
from provider_portal.cabinet import (
    account,
    approvals,
    budgets,
    clients,
    datasets,
    describing,
    earnings,
    entrance,
    four_eyes,
    keys,
    listing_editing,
    listing_viewing,
    listings,
    loading,
    notices,
    overview,
    policy,
    policy_editing,
    preferences,
    requests,
    reviews,
    single_sign_on,
    team,
    usage,
    versions,
    webhooks,
)
from provider_portal.compliance import (
    acts,
    alarms,
    consents,
    erasures,
    evidence,
    incident_files,
    incident_scope,
    incidents,
    lookup,
    policies,
    processing,
    releases,
    retention,
    timeline,
    two_people,
)
from provider_portal.compliance import budgets as compliance_budgets
from provider_portal.compliance import overview as compliance_overview
from provider_portal.error_words import error_words
from provider_portal.i18n import N_
from provider_portal.security import SESSION, Cookies, ForeignFormError
from provider_portal.surroundings import Surroundings, Telemetry
from provider_portal.ui import go, page, static_files
from provider_portal.uploading import MakeUploads, uploader
from provider_portal.visits import EnrolmentNeededError, SignInNeededError, visit_of

ROUTERS = (
    entrance.router,
    single_sign_on.router,
    preferences.router,
    overview.router,
    # Before the datasets: its address looks like one of theirs.
    describing.router,
    datasets.router,
    loading.router,
    versions.router,
    # Before the next ones, whose placeholder would take `new` too.
    listing_editing.router,
    listing_viewing.router,
    listings.router,
    policy.router,
    policy_editing.router,
    # Before requests: there an id stands where here `questions` does.
    approvals.router,
    requests.router,
    usage.router,
    budgets.router,
    earnings.router,
    reviews.router,
    notices.router,
    team.router,
    clients.router,
    webhooks.router,
    keys.router,
    four_eyes.router,
    account.router,
    compliance_overview.router,
    timeline.router,
    alarms.router,
    releases.router,
    policies.router,
    compliance_budgets.router,
    two_people.router,
    lookup.router,
    consents.router,
    incidents.router,
    incident_scope.router,
    incident_files.router,
    evidence.router,
    processing.router,
    erasures.router,
    acts.router,
    retention.router,
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
_DETAILS = {
    403: N_("The owner of your organisation can give you another role."),
    404: N_("The page does not exist, or it is not yours to see."),
}
_NOT_KEPT = frozenset({"code", "digest"})
"""What a page never writes again, whoever comes back: a code, and who was looked for."""
_NOT_FOUND = ("unknown", "not_found", "malformed", "not_owner")


def create_portal(room: Room, *, telemetry: Telemetry, counts: Counts, uploads: MakeUploads) -> ASGIApp:
    """Make the portal of an open room; whoever opened the room closes it.

    Args:
        room: which answers.
        telemetry: where log lines and numbers of requests go.
        counts: what the limit on the pace of visitors goes by.
        uploads: makes the routes that take packages from a browser.
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
    app.include_router(uploads(caller=uploader))
    app.add_exception_handler(SignInNeededError, _sign_in)
    app.add_exception_handler(EnrolmentNeededError, _enrol)
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
        counts=counts,
    )


async def _sign_in(request: Request, _error: Exception) -> Response:
    """Show where to sign in, and keep what a form brought that came too late."""
    visit = visit_of(request)
    post = request.method == "POST"
    kept = {
        name: value for name, value in visit.form.items() if "password" not in name and name not in _NOT_KEPT
    }
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


async def _enrol(request: Request, _error: Exception) -> Response:
    """Lead to where a second factor is set up."""
    return go(visit_of(request), "/account/second-factor")


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
        detail=error_words(error) if error is not None else _DETAILS.get(status, ""),
        request_id=request.scope["state"].get("request_id", ""),
    )
