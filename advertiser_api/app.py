"""The application: the routes of version 1 over an open room, and what surrounds every request."""

from typing import TextIO

from fastapi import FastAPI
from fastapi.routing import APIRoute

from advertiser_api import health, problems, public_log
from advertiser_api.limiting import RateLimiter
from advertiser_api.middleware import BodyLimit, StrangerLimit, Surroundings
from advertiser_api.oauth.router import oauth_router
from advertiser_api.openapi import document
from advertiser_api.telemetry import DeliveryCounts, Telemetry
from advertiser_api.v1 import ROUTERS
from advertiser_api.v1.uploading import uploader
from advertiser_api.v1.uploads import uploads_router
from cleanroom.counts import Counts
from cleanroom.room import Room

API_VERSION = "1.0.0"


def create_app(room: Room, *, log: TextIO | None = None, counts: Counts | None = None) -> FastAPI:
    """Make the API of an open room; whoever opened the room closes it.

    Args:
        room: which answers.
        log: where log lines go; the process's standard error when not given.
        counts: what limits on the pace of callers go by; this process counts alone when they are not given.
    """
    counts = counts or Counts()
    app = FastAPI(
        title="Cleanroom",
        version=API_VERSION,
        # Its pages load scripts from elsewhere; the document itself suffices for every tool.
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=_operation_id,
    )
    app.state.room = room
    app.state.telemetry = Telemetry(log=log)
    app.state.telemetry.registry.register(DeliveryCounts(lambda: _deliveries(room)))
    app.state.limiter = RateLimiter(room.settings.rate_per_minute, counts)
    app.state.readiness = health.Readiness(room)
    problems.install(app)
    app.include_router(health.router)
    app.include_router(public_log.router)
    app.include_router(oauth_router(room, counts))
    for router in ROUTERS:
        app.include_router(router)
    app.include_router(uploads_router(room, caller=uploader, problem=problems.problem), prefix="/v1")
    app.openapi = lambda: document(app)  # type: ignore[method-assign]
    # The last one added is the outermost.
    app.add_middleware(BodyLimit)
    app.add_middleware(StrangerLimit, limiter=app.state.limiter)
    app.add_middleware(
        Surroundings,
        telemetry=app.state.telemetry,
        clock=room.clock,
        https=room.settings.public_url.startswith("https://"),
    )
    return app


def _deliveries(room: Room) -> dict[str, int]:
    with room.db.reading() as tx:
        return {state.value: number for state, number in room.webhooks.outbox.counts(tx).items()}


def _operation_id(route: APIRoute) -> str:
    return route.name
