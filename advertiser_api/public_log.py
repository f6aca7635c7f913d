"""The log as strangers see it: published heads with the lines of witnesses, and proofs that the log only grew."""

import base64
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel, Field

from advertiser_api.pages import AskedPage, Listed, number_after
from advertiser_api.room import OpenRoom
from cleanroom.audit.errors import UnknownEventError
from cleanroom.audit.publishing import newest_published, published_at_size, published_page
from cleanroom.audit.witnessing import standings, vouched_for
from cleanroom.clock import rfc3339

MAX_SIZE = 2**53 - 1
_NOTHING: dict[int | str, dict[str, Any]] = {404: {"description": "Nothing of this size is published"}}
_FOR_GOOD = "public, max-age=31536000, immutable"
router = APIRouter(prefix="/log", tags=["log"])
Size = Annotated[int, Path(ge=1, le=MAX_SIZE)]


class PublishedOut(BaseModel):
    """A head that was published."""

    size: int
    published_at: str
    witnesses: Annotated[list[str], Field(description="names of the witnesses that vouched for it")]


class WitnessOut(BaseModel):
    """How it stands with a witness."""

    name: str
    key: Annotated[str, Field(description="its verifier key; compare it with the one you know")]
    state: Annotated[str, Field(description="`new`, `vouches`, `unreachable` or `refuses`")]
    size: Annotated[int, Field(description="events of the largest log that it vouched for")]


class WitnessesOut(BaseModel):
    """The witnesses of the log."""

    quorum: int
    vouched_for: Annotated[int, Field(description="events of the largest log that a quorum vouched for")]
    witnesses: list[WitnessOut]


@router.get(
    "/checkpoint",
    summary="Get the newest published checkpoint",
    response_class=PlainTextResponse,
    responses=_NOTHING,
)
def newest_checkpoint(room: OpenRoom) -> Response:
    """Give the newest published head as a C2SP signed note, with the lines of the witnesses that vouched for it."""
    with room.db.reading() as tx:
        found = newest_published(tx)
    if found is None:
        raise _nothing()
    return _note(found.note, f"public, max-age={min(60, room.settings.publishing.every_seconds)}")


@router.get("/checkpoints", summary="List published checkpoints")
def list_checkpoints(room: OpenRoom, page: AskedPage) -> Listed[PublishedOut]:
    """List the published heads, the newest first."""
    before = number_after(page, first=MAX_SIZE)
    with room.db.reading() as tx:
        rows = published_page(tx, before=before, limit=page.fetch)
    return page.of(
        rows,
        lambda one: PublishedOut(
            size=one.size, published_at=rfc3339(one.published_at), witnesses=list(one.witnesses)
        ),
        position=lambda one: str(one.size),
    )


@router.get(
    "/checkpoints/{size}",
    summary="Get a published checkpoint",
    response_class=PlainTextResponse,
    responses=_NOTHING,
)
def checkpoint_of_size(room: OpenRoom, size: Size) -> Response:
    """Give the head that was published when the log had so many events."""
    with room.db.reading() as tx:
        found = published_at_size(tx, size)
    if found is None:
        raise _nothing()
    return _note(found.note, "public, max-age=60")


@router.get(
    "/consistency",
    summary="Prove that the log only grew",
    response_class=PlainTextResponse,
    responses=_NOTHING,
)
def consistency(
    room: OpenRoom,
    old: Annotated[int, Query(ge=1, le=MAX_SIZE)],
    new: Annotated[int, Query(ge=1, le=MAX_SIZE)],
) -> Response:
    """Prove that the log at one size is the beginning of the log at a published size (RFC 6962, section 2.1.2).

    One hash in base64 on each line, as a witness takes them; none when the sizes are equal.
    """
    with room.db.reading() as tx:
        # Sizes that nobody has published say when something happened, to whoever tries them out.
        if published_at_size(tx, new) is None:
            raise _nothing()
        proof = room.audit.consistency(tx, old, new)
    return _note("".join(base64.b64encode(node).decode() + "\n" for node in proof), _FOR_GOOD)


@router.get("/witnesses", summary="List the log's witnesses")
def list_witnesses(room: OpenRoom) -> WitnessesOut:
    """Say who vouches for the log, and how far."""
    settings = room.settings.publishing
    with room.db.reading() as tx:
        found, size = standings(tx, settings), vouched_for(tx, settings)
    keys = {one.key.name: one.key.text for one in settings.witnesses}
    return WitnessesOut(
        quorum=settings.quorum,
        vouched_for=size,
        witnesses=[
            WitnessOut(name=one.name, key=keys[one.name], state=one.state.value, size=one.size)
            for one in found
        ],
    )


def _note(text: str, cache: str) -> Response:
    return PlainTextResponse(text, headers={"Cache-Control": cache})


def _nothing() -> UnknownEventError:
    return UnknownEventError(
        "No checkpoint of this size was published.", remedy="List them: GET /log/checkpoints."
    )
