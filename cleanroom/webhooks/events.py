"""What the log's events announce, and to whom: ids and the kind of what has happened, never a figure."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any

from sqlalchemy import select

from cleanroom.accounts.types import AgencyAction
from cleanroom.analyses.deciding import ANSWERED_AGAIN
from cleanroom.analyses.models import AnalysisRow
from cleanroom.analyses.parties import agency_of
from cleanroom.analyses.ticks import shown_at
from cleanroom.analyses.types import Outcome
from cleanroom.client.receipts import REFUSED, RELEASED
from cleanroom.consent.epochs import EPOCH_BEGUN
from cleanroom.db.database import Transaction
from cleanroom.marketplace.models import EntitlementRequestRow, EntitlementRow
from cleanroom.marketplace.statements_ready import READY
from cleanroom.marketplace.types import EntitlementState
from cleanroom.uploads.models import UploadRow
from cleanroom.webhooks.types import EventType

DISABLED = "webhooks.disabled"
_ANALYSES = {
    Outcome.RELEASED: EventType.ANALYSIS_ANSWERED,
    Outcome.STORED: EventType.ANALYSIS_ANSWERED,
    Outcome.REFUSED: EventType.ANALYSIS_REFUSED,
    Outcome.LOST: EventType.ANALYSIS_FAILED,
    Outcome.CANCELLED: EventType.ANALYSIS_CANCELLED,
}
_UPLOADS = {"uploads.loaded": EventType.UPLOAD_LOADED, "uploads.failed": EventType.UPLOAD_REJECTED}
_REQUESTS = {
    "marketplace.request_requested": EventType.REQUEST_CREATED,
    "marketplace.request_approved": EventType.REQUEST_APPROVED,
    "marketplace.request_rejected": EventType.REQUEST_REJECTED,
    "marketplace.request_withdrawn": EventType.REQUEST_WITHDRAWN,
}
_ENTITLEMENTS = {
    "marketplace.entitlement_revoked": EventType.ENTITLEMENT_REVOKED,
    "marketplace.entitlement_expired": EventType.ENTITLEMENT_EXPIRED,
}


@dataclass(frozen=True)
class Announcement:
    """One event, as those whom it concerns are told.

    Attributes:
        type: what has happened.
        at: when, or when it is shown.
        send_at: not before this instant, and nobody is told before it that there is something to send.
        parties: organisations that it concerns as such.
        advertiser_id: for whom it is; agencies may listen for one client.
        mandate: what an agency must be allowed to do for the advertiser to be told too; None when only an agency that
            is among the parties is.
        data: ids.
        through: agencies and the clients that they are told of it for, in pairs, where there are several clients.
    """

    type: EventType
    at: datetime
    send_at: datetime
    parties: frozenset[str]
    advertiser_id: str | None
    mandate: AgencyAction | None
    data: Mapping[str, str | None]
    through: frozenset[tuple[str, str]] = frozenset()


_Read = Callable[[Transaction, Mapping[str, Any], datetime], Announcement | None]


def announcement_of(tx: Transaction, record: bytes) -> Announcement | None:
    """Return what an event of the log announces; None when its subject is gone, or nobody is told.

    Args:
        tx: any transaction.
        record: canonical JSON, of one of `KINDS`.
    """
    event = json.loads(record)
    return _READERS[event["kind"]](tx, event, datetime.fromisoformat(event["at"]))


def _analysis(tx: Transaction, event: Mapping[str, Any], _at: datetime) -> Announcement | None:
    row = tx.session.get(AnalysisRow, event["subject"])
    # The row says what has become of it: a cancelled question has events of a release no more than of an end.
    if row is None or row.finished_at is None:
        return None
    shown = shown_at(row.asked_at, row.finished_at, row.tick_ms)
    return Announcement(
        type=_ANALYSES[Outcome(row.status)],
        at=shown,
        # One that was cancelled or lost has ended before its tick, and looks like the others until then.
        send_at=shown,
        parties=_parties(row.advertiser_id, agency_of(tx, row)),
        advertiser_id=row.advertiser_id,
        mandate=None,
        data={"analysis_id": row.id, "advertiser_id": row.advertiser_id, "agency_id": row.agency_id},
    )


def _upload(tx: Transaction, event: Mapping[str, Any], at: datetime) -> Announcement | None:
    row = tx.session.get(UploadRow, event["subject"])
    return None if row is None else _upload_of(row, _UPLOADS[event["kind"]], at)


def _version(tx: Transaction, event: Mapping[str, Any], at: datetime) -> Announcement | None:
    """Of a version that was published; one that was loaded on the room's own machine has no upload."""
    row = tx.session.scalar(select(UploadRow).where(UploadRow.version_id == event["subject"]))
    return None if row is None else _upload_of(row, EventType.UPLOAD_PUBLISHED, at)


def _upload_of(row: UploadRow, type_: EventType, at: datetime) -> Announcement:
    data = {"upload_id": row.id, "dataset_id": row.dataset_id, "version_id": row.version_id}
    return Announcement(
        type=type_,
        at=at,
        send_at=at,
        parties=_parties(row.organisation_id),
        advertiser_id=row.organisation_id,
        mandate=AgencyAction.UPLOAD,
        data=data,
    )


def _request(tx: Transaction, event: Mapping[str, Any], at: datetime) -> Announcement | None:
    row = tx.session.get(EntitlementRequestRow, event["subject"])
    if row is None:
        return None
    type_, made = _REQUESTS[event["kind"]], None
    if type_ is EventType.REQUEST_APPROVED:
        made = tx.session.scalar(select(EntitlementRow.id).where(EntitlementRow.request_id == row.id))
    return _deal(row, type_, at, request_id=row.id, entitlement_id=made)


def _entitlement(tx: Transaction, event: Mapping[str, Any], at: datetime) -> Announcement | None:
    row = tx.session.get(EntitlementRow, event["subject"])
    if row is None:
        return None
    return _deal(row, _ENTITLEMENTS[event["kind"]], at, request_id=row.request_id, entitlement_id=row.id)


def _deal(
    row: EntitlementRequestRow | EntitlementRow, type_: EventType, at: datetime, **ids: str | None
) -> Announcement:
    return Announcement(
        type=type_,
        at=at,
        send_at=at,
        parties=_parties(row.provider_id, row.advertiser_id, row.agency_id),
        advertiser_id=row.advertiser_id,
        mandate=None,
        data={
            **ids,
            "listing_id": row.listing_id,
            "advertiser_id": row.advertiser_id,
            "agency_id": row.agency_id,
        },
    )


def _statement(_tx: Transaction, event: Mapping[str, Any], at: datetime) -> Announcement:
    return Announcement(
        type=EventType.STATEMENT_READY,
        at=at,
        send_at=at,
        parties=_parties(event["organisation"]),
        advertiser_id=None,
        mandate=None,
        data={"organisation_id": event["organisation"], "month": event["body"]["month"]},
    )


def _epoch(tx: Transaction, event: Mapping[str, Any], at: datetime) -> Announcement:
    """Of a consent epoch: that it began, and never of how many changes, or of whose.

    Buyers are told whose licence is in force: their stored answers are no longer of today.
    """
    dataset_id, epoch = event["body"]["dataset_id"], event["body"]["epoch"]
    licences = select(EntitlementRow.advertiser_id, EntitlementRow.agency_id).where(
        EntitlementRow.dataset_id == dataset_id,
        EntitlementRow.state == EntitlementState.ACTIVE.value,
        EntitlementRow.valid_from <= at,
        EntitlementRow.expires_at > at,
    )
    held = [(advertiser_id, agency_id) for advertiser_id, agency_id in tx.session.execute(licences)]
    return Announcement(
        type=EventType.CONSENT_EPOCH_BEGUN,
        at=at,
        send_at=at,
        parties=_parties(event["organisation"], *(party for pair in held for party in pair)),
        advertiser_id=None,
        mandate=None,
        data={"dataset_id": dataset_id, "epoch": str(epoch)},
        through=frozenset((agency_id, advertiser_id) for advertiser_id, agency_id in held if agency_id),
    )


def _alarm(_tx: Transaction, event: Mapping[str, Any], at: datetime) -> Announcement:
    """Of an alarm: that it was raised, and never about whom; the room's own is announced to nobody."""
    return Announcement(
        type=EventType.ALARM_RAISED,
        at=at,
        send_at=at,
        parties=_parties(event["organisation"]),
        advertiser_id=None,
        mandate=None,
        data={
            "alarm_id": event["subject"],
            "kind": event["body"]["alarm"],
            "raised_at": event["body"]["at"],
        },
    )


def _disabled(_tx: Transaction, event: Mapping[str, Any], at: datetime) -> Announcement:
    return Announcement(
        type=EventType.WEBHOOK_DISABLED,
        at=at,
        send_at=at,
        parties=_parties(event["organisation"]),
        advertiser_id=None,
        mandate=None,
        data={"webhook_id": event["subject"]},
    )


def _parties(*organisation_ids: str | None) -> frozenset[str]:
    return frozenset(one for one in organisation_ids if one is not None)


_READERS: Mapping[str, _Read] = MappingProxyType(
    dict.fromkeys((RELEASED, REFUSED, ANSWERED_AGAIN, "analyses.lost", "analyses.cancelled"), _analysis)
    | dict.fromkeys(_UPLOADS, _upload)
    | {"ingestion.published": _version}
    | dict.fromkeys(_REQUESTS, _request)
    | dict.fromkeys(_ENTITLEMENTS, _entitlement)
    | {READY: _statement, DISABLED: _disabled, EPOCH_BEGUN: _epoch, "alarms.raised": _alarm}
)
KINDS = tuple(_READERS)
"""Of the log's events, those that announce something."""
