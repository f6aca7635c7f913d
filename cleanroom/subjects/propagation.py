"""How a consent epoch took effect: from which answer on it counted, what held it meanwhile, and who was told.

Read from the log: an event's place there is its place in time, whatever clocks say. A release commits while it holds
its dataset, and so does a new epoch; so each release stands wholly before the epoch's event or wholly after it.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, or_, select

from cleanroom.analyses.models import AnalysisRow
from cleanroom.analyses.types import Outcome
from cleanroom.audit.log import AuditLog
from cleanroom.audit.models import AuditEvent
from cleanroom.client.receipts import RELEASED
from cleanroom.consent.epochs import EPOCH_BEGUN
from cleanroom.consent.models import ConsentEpochRow
from cleanroom.consent.optout_records import owned_opt_out
from cleanroom.datasets.models import DatasetVersionRow
from cleanroom.datasets.service import Datasets
from cleanroom.datasets.types import DatasetKind
from cleanroom.db.database import Transaction
from cleanroom.release.models import StoredAnswer
from cleanroom.subjects.errors import UnknownEpochError
from cleanroom.subjects.propagation_types import Answered, Begun, InFlight, Propagation, Reapplied, Told
from cleanroom.webhooks.models import WebhookDeliveryRow, WebhookEndpointRow
from crypto.checkpoint import open_note

MOST_LISTED = 100
BINDING = "binding"


@dataclass(frozen=True)
class Propagations:
    """Makes reports, for the owner of a dataset."""

    log: AuditLog
    datasets: Datasets

    def epochs(
        self, tx: Transaction, dataset_id: str, *, organisation_id: str, before: int, limit: int
    ) -> tuple[Begun, ...]:
        """List the epochs of a dataset, the newest first.

        Args:
            tx: any transaction.
            dataset_id: of which dataset.
            organisation_id: who asks.
            before: the epoch that the first one comes after.
            limit: how many at most.

        Raises:
            DatasetNotFoundError: the organisation has no such dataset.
        """
        self.datasets.owned(tx, dataset_id, organisation_id=organisation_id, kind=DatasetKind.DATASET)
        rows = select(ConsentEpochRow).where(
            ConsentEpochRow.dataset_id == dataset_id, ConsentEpochRow.epoch < before
        )
        found = tx.session.scalars(rows.order_by(ConsentEpochRow.epoch.desc()).limit(limit))
        return tuple(Begun(row.epoch, row.kind, row.at, row.submitted) for row in found)

    def of_opt_out(
        self, tx: Transaction, opt_out_id: str, *, organisation_id: str
    ) -> tuple[Propagation, ...]:
        """Report how a batch of opt-outs took effect, dataset by dataset, without those deleted since.

        Raises:
            OptOutNotFoundError: the organisation has no such batch.
        """
        outcome = owned_opt_out(tx, opt_out_id, organisation_id=organisation_id)
        epochs = {one: each.epoch for one, each in outcome.datasets.items() if each.epoch is not None}
        living = (one for one in epochs if self.datasets.dataset(tx, one).deleted_at is None)
        return tuple(self.of_epoch(tx, one, epochs[one], organisation_id=organisation_id) for one in living)

    def of_epoch(self, tx: Transaction, dataset_id: str, epoch: int, *, organisation_id: str) -> Propagation:
        """Report how an epoch took effect.

        Args:
            tx: any transaction.
            dataset_id: of which dataset.
            epoch: which.
            organisation_id: who asks.

        Raises:
            DatasetNotFoundError: the organisation has no such dataset.
            UnknownEpochError: the dataset has no such epoch.
        """
        self.datasets.owned(tx, dataset_id, organisation_id=organisation_id, kind=DatasetKind.DATASET)
        row = tx.session.scalar(
            select(ConsentEpochRow).where(
                ConsentEpochRow.dataset_id == dataset_id, ConsentEpochRow.epoch == epoch
            )
        )
        if row is None:
            raise UnknownEpochError("The dataset has no such consent epoch.", remedy="List its epochs.")
        index = self.log.find(tx, subject_id=row.id, kinds=(EPOCH_BEGUN,))
        note = self.log.head(tx)
        size = open_note(note, self.log.verifier_key).size
        first, since, against = None, 0, []
        for one in _released_since(tx, dataset_id, index, size):
            since += 1
            if one.epoch >= epoch:
                first = first or one
            else:
                against.append(one)
        return Propagation(
            dataset_id=dataset_id,
            epoch=epoch,
            kind=row.kind,
            accepted_at=row.at,
            index=index,
            submitted=row.submitted,
            first_under_it=first,
            released_since=since,
            released_against_it=tuple(against[:MOST_LISTED]),
            in_flight=_in_flight(tx, dataset_id, row.at),
            stale_answers=_stale(tx, dataset_id, epoch),
            versions=_reapplied(tx, dataset_id, row),
            told=_told(tx, index),
            activations=0,
            log_size=size,
            checkpoint=note,
        )


def _released_since(tx: Transaction, dataset_id: str, index: int, size: int) -> Iterator[Answered]:
    """Give the releases that stand behind an event in the log, in its order."""
    events = (
        select(AuditEvent.index, AuditEvent.record)
        .join(AnalysisRow, AnalysisRow.id == AuditEvent.subject_id)
        .where(
            AnalysisRow.dataset_id == dataset_id,
            AuditEvent.kind == RELEASED,
            AuditEvent.index > index,
            AuditEvent.index < size,
        )
        .order_by(AuditEvent.index)
        .execution_options(yield_per=500)
    )
    for place, record in tx.session.execute(events):
        event = json.loads(record)
        body = event["body"]
        at = datetime.fromisoformat(body["released_at"])
        yield Answered(event["subject"], place, at, body["consent_epoch"])


def _in_flight(tx: Transaction, dataset_id: str, at: datetime) -> tuple[InFlight, ...]:
    rows = (
        select(AnalysisRow)
        .where(
            AnalysisRow.dataset_id == dataset_id,
            AnalysisRow.asked_at <= at,
            or_(AnalysisRow.finished_at > at, AnalysisRow.status == Outcome.RESERVED.value),
        )
        .order_by(AnalysisRow.asked_at.desc())
        .limit(MOST_LISTED)
    )
    return tuple(
        InFlight(row.id, row.status, row.asked_at, row.finished_at) for row in tx.session.scalars(rows)
    )


def _stale(tx: Transaction, dataset_id: str, epoch: int) -> int:
    answers = (
        select(func.count())
        .select_from(StoredAnswer)
        .join(AnalysisRow, AnalysisRow.id == StoredAnswer.analysis_id)
        .where(AnalysisRow.dataset_id == dataset_id, StoredAnswer.consent_epoch < epoch)
    )
    return int(tx.session.scalar(answers) or 0)


def _reapplied(tx: Transaction, dataset_id: str, row: ConsentEpochRow) -> tuple[Reapplied, ...]:
    bindings = select(ConsentEpochRow.epoch, ConsentEpochRow.at).where(
        ConsentEpochRow.dataset_id == dataset_id,
        ConsentEpochRow.kind == BINDING,
        ConsentEpochRow.epoch > row.epoch,
    )
    bound = tx.session.execute(bindings.order_by(ConsentEpochRow.epoch)).all()
    later = select(DatasetVersionRow).where(
        DatasetVersionRow.dataset_id == dataset_id, DatasetVersionRow.published_at > row.at
    )
    return tuple(
        Reapplied(
            version_id=version.id,
            number=version.number,
            published_at=version.published_at,
            epoch=max((epoch for epoch, at in bound if at <= version.published_at), default=None),
        )
        for version in tx.session.scalars(later.order_by(DatasetVersionRow.number))
        if version.published_at is not None
    )


def _told(tx: Transaction, index: int) -> tuple[Told, ...]:
    deliveries = (
        select(WebhookDeliveryRow, WebhookEndpointRow.organisation_id)
        .join(WebhookEndpointRow, WebhookEndpointRow.id == WebhookDeliveryRow.endpoint_id)
        .where(WebhookDeliveryRow.event_index == index)
        .order_by(WebhookDeliveryRow.id)
    )
    return tuple(
        Told(
            organisation_id=organisation_id,
            state=delivery.state,
            attempts=delivery.attempts,
            told_at=delivery.finished_at if delivery.state == "delivered" else None,
        )
        for delivery, organisation_id in tx.session.execute(deliveries)
    )
