"""What the erasure of people in datasets and in bases has in common: requests, certificates, periods, passes."""

from datetime import date
from typing import Annotated

from fastapi import Response
from pydantic import Field

from advertiser_api.idempotency import Once
from advertiser_api.pages import Listed, Page
from advertiser_api.schemas import Given, Id, Instant, Shown
from cleanroom.access.types import Principal
from cleanroom.datasets.types import DatasetKind
from cleanroom.rights.types import (
    MAX_IDENTIFIERS,
    Compaction,
    Erasure,
    ErasureReason,
    ErasureRequest,
    ErasureState,
    Identifier,
    PassState,
    Retention,
    RetentionRule,
    Why,
)
from cleanroom.room import Room

_HEX = r"^[0-9a-f]{64}$"
_EXAMPLE = "b4c9a289323b21a01c3e940f150eb9b8c542587f1abfd8f0e1cc1ffc5e475514"


class IdentifierIn(Given):
    """One identifier of the person."""

    key: Annotated[
        str,
        Field(
            description="match key and hash profile, or `person_id/sha256`",
            max_length=200,
            examples=["email/room"],
        ),
    ]
    sha256: Annotated[
        str, Field(description="of the normalised value, in hex", pattern=_HEX, examples=[_EXAMPLE])
    ]


class NewErasure(Given):
    """One person's request to be erased."""

    identifiers: Annotated[list[IdentifierIn], Field(min_length=1, max_length=MAX_IDENTIFIERS)]
    reason: ErasureReason
    reference: Annotated[
        str,
        Field(
            description="your own number of the case; never a name",
            pattern=r"^[A-Za-z0-9._/-]*$",
            max_length=80,
            examples=["2026-117"],
        ),
    ] = ""
    salt: Annotated[
        str,
        Field(
            description="32 random bytes in hex, which you keep: with them you show which request was whose, and the"
            " room does not keep them. The same request with the same salt is taken once.",
            pattern=_HEX,
            examples=["00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"],
        ),
    ]


class ErasureOut(Shown):
    """A request that was taken."""

    id: Id
    dataset_id: Id
    state: Annotated[
        ErasureState,
        Field(description="excluded: nobody whom it names is counted; erased: their rows are gone"),
    ]
    asked_at: Instant
    reason: ErasureReason
    reference: str
    commitment: Annotated[str, Field(description="to whom it refers, for whoever keeps the salt")]
    epoch: Annotated[int, Field(description="the consent epoch that began with it")]
    erase_by: Annotated[Instant | None, Field(description="when the files begin to be written anew")]
    erased_at: Instant | None
    compaction_id: Id | None


class NewErasureOut(ErasureOut):
    """The answer to a request; it never tells who was found."""

    applied: Annotated[list[str], Field(description="keys in which the dataset can find people")]
    not_applied: Annotated[list[str], Field(description="keys that the dataset lacks")]


class CompactionOut(Shown):
    """One pass over the files of a table."""

    id: Id
    why: Why
    state: PassState
    asked_at: Instant
    due_at: Instant
    started_at: Instant | None
    ended_at: Instant | None
    percent: int
    failure: Annotated[str | None, Field(description="what it met last, as a code")]


class NewRetention(Given):
    """How long data are kept; what is null does not end them."""

    version_days: Annotated[
        int | None,
        Field(description="days after which a version goes, since it was published", examples=[365]),
    ] = None
    retain_until: Annotated[
        date | None, Field(description="the last day on which any version is kept", examples=["2027-12-31"])
    ] = None
    collected_days: Annotated[
        int | None,
        Field(
            description="days after which a person's rows go, since the newest of its consents was collected"
        ),
    ] = None
    warn_days: Annotated[int, Field(description="how many days before a version goes you are told")] = 14


class RetentionOut(NewRetention):
    """How long data are kept."""

    dataset_id: Id
    set_at: Instant | None
    ends: Annotated[dict[str, date], Field(description="by version, the day on which it goes")]


def ask(
    room: Room,
    caller: Principal,
    once: Once,
    body: NewErasure,
    dataset_id: str,
    *,
    organisation_id: str,
    kind: DatasetKind,
) -> Response:
    """Take a request, once."""

    def work() -> NewErasureOut:
        request = ErasureRequest(
            identifiers=tuple(Identifier(one.key, bytes.fromhex(one.sha256)) for one in body.identifiers),
            reason=body.reason,
            reference=body.reference,
            salt=bytes.fromhex(body.salt),
        )
        outcome = room.rights.erasures.ask(
            dataset_id, request, organisation_id=organisation_id, kind=kind, by=caller.client_id
        )
        return NewErasureOut(
            **dict(erasure_out(outcome.erasure)),
            applied=list(outcome.applied),
            not_applied=list(outcome.not_applied),
        )

    return once.outside(caller, work)


def list_erasures(
    room: Room, page: Page, dataset_id: str, *, organisation_id: str, kind: DatasetKind
) -> Listed[ErasureOut]:
    """List the requests over a table."""
    with room.db.reading() as tx:
        room.datasets.owned(tx, dataset_id, organisation_id=organisation_id, kind=kind)
        rows = room.rights.erasures.listed(tx, dataset_id, after=page.after, limit=page.fetch)
    return page.of(rows, erasure_out, position=lambda row: row.id)


def read_erasure(
    room: Room, dataset_id: str, erasure_id: str, *, organisation_id: str, kind: DatasetKind
) -> ErasureOut:
    """Show one request."""
    with room.db.reading() as tx:
        room.datasets.owned(tx, dataset_id, organisation_id=organisation_id, kind=kind)
        return erasure_out(room.rights.erasures.erasure(tx, dataset_id, erasure_id))


def certificate(
    room: Room, dataset_id: str, erasure_id: str, *, organisation_id: str, kind: DatasetKind
) -> Response:
    """Give the certificate of one request."""
    with room.db.reading() as tx:
        room.datasets.owned(tx, dataset_id, organisation_id=organisation_id, kind=kind)
        content = room.rights.erasures.certificate(tx, dataset_id, erasure_id)
    headers = {"Content-Disposition": f'attachment; filename="erasure-{erasure_id}.json"'}
    return Response(content, media_type="application/json", headers=headers)


def list_compactions(
    room: Room, page: Page, dataset_id: str, *, organisation_id: str, kind: DatasetKind
) -> Listed[CompactionOut]:
    """List the passes over a table's files, the newest first."""
    with room.db.reading() as tx:
        room.datasets.owned(tx, dataset_id, organisation_id=organisation_id, kind=kind)
        rows = room.rights.compactions.of(tx, dataset_id, before=page.after, limit=page.fetch)
    return page.of(rows, _compaction_out, position=lambda row: row.id)


def read_retention(room: Room, dataset_id: str, *, organisation_id: str, kind: DatasetKind) -> RetentionOut:
    """Show how long data are kept."""
    with room.db.reading() as tx:
        room.datasets.owned(tx, dataset_id, organisation_id=organisation_id, kind=kind)
        found = room.rights.periods.of(tx, dataset_id)
    return _retention_out(dataset_id, found)


def put_retention(
    room: Room,
    caller: Principal,
    body: NewRetention,
    dataset_id: str,
    *,
    organisation_id: str,
    kind: DatasetKind,
) -> RetentionOut:
    """Put a period in force."""
    rule = RetentionRule(body.version_days, body.retain_until, body.collected_days, body.warn_days)
    with room.db.transaction() as tx:
        room.datasets.owned(tx, dataset_id, organisation_id=organisation_id, kind=kind)
        made = room.rights.periods.put(
            tx, dataset_id, rule, organisation_id=organisation_id, by=caller.client_id
        )
    return _retention_out(dataset_id, made)


def erasure_out(erasure: Erasure) -> ErasureOut:
    """Write a request for its owner."""
    return ErasureOut(
        id=erasure.id,
        dataset_id=erasure.dataset_id,
        state=erasure.state,
        asked_at=erasure.asked_at,
        reason=erasure.reason,
        reference=erasure.reference,
        commitment=erasure.commitment,
        epoch=erasure.epoch,
        erase_by=erasure.erase_by,
        erased_at=erasure.erased_at,
        compaction_id=erasure.compaction_id,
    )


def _compaction_out(one: Compaction) -> CompactionOut:
    return CompactionOut(
        id=one.id,
        why=one.why,
        state=one.state,
        asked_at=one.asked_at,
        due_at=one.due_at,
        started_at=one.started_at,
        ended_at=one.ended_at,
        percent=100 if one.state is PassState.DONE else one.percent,
        failure=one.failure,
    )


def _retention_out(dataset_id: str, retention: Retention | None) -> RetentionOut:
    rule = retention.rule if retention else RetentionRule()
    return RetentionOut(
        dataset_id=dataset_id,
        version_days=rule.version_days,
        retain_until=rule.retain_until,
        collected_days=rule.collected_days,
        warn_days=rule.warn_days,
        set_at=retention.set_at if retention else None,
        ends=dict(retention.ends) if retention else {},
    )
