"""Requests to erase: taken once, excluded at once, and certified when their files are gone."""

import re
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta

from sqlalchemy import select

from cleanroom.audit.log import AuditLog
from cleanroom.client.certificates import assemble_certificate, commitment_of
from cleanroom.clock import Clock
from cleanroom.consent.mirrored import MirroredChanges
from cleanroom.consent.service import Consents
from cleanroom.consent.submitting import key_names
from cleanroom.datasets.service import Datasets
from cleanroom.datasets.types import DatasetKind
from cleanroom.db.database import Database, Transaction
from cleanroom.ids import new_id
from cleanroom.rights.asking import KIND, Asking
from cleanroom.rights.errors import (
    ErasureFormError,
    NotAppliedError,
    NotErasedYetError,
    UnknownErasureError,
)
from cleanroom.rights.models import ErasureRow
from cleanroom.rights.rows import erasure_of
from cleanroom.rights.schedule import next_passes, schedule
from cleanroom.rights.types import (
    MAX_IDENTIFIERS,
    SALT_BYTES,
    Erasure,
    ErasureOutcome,
    ErasureRequest,
    ErasureState,
    Why,
)
from crypto.checkpoint import open_note
from crypto.limits import DIGEST_BYTES

_REFERENCE = re.compile(r"[A-Za-z0-9._/-]{0,80}")
_CERTIFICATE = ("rights.erased",)


class _Twice(Exception):  # noqa: N818 - not an error: the request was taken meanwhile
    """Ends the transaction of a request that another one has entered."""


@dataclass(frozen=True)
class Erasures:
    """The service of requests; `ask` opens its own transactions.

    Attributes:
        wait: how long requests over a dataset are gathered before its files are written anew.
    """

    db: Database
    clock: Clock
    datasets: Datasets
    consents: Consents
    log: AuditLog
    wait: timedelta

    def ask(
        self, dataset_id: str, request: ErasureRequest, *, organisation_id: str, kind: DatasetKind, by: str
    ) -> ErasureOutcome:
        """Take a request; from the next analysis on nobody whom it names is counted.

        It names all who hold one of the identifiers, as a withdrawal does, and binds to them. The same request, with
        the same salt, is taken once, however often it is sent. A base has no consents: its pass begins at once.

        Args:
            dataset_id: a dataset or a base.
            request: one person's.
            organisation_id: its owner.
            kind: dataset or base.
            by: the user or client who asks.

        Returns:
            What was taken; never who was found.

        Raises:
            ErasureFormError: no identifier or too many, a digest, salt or reference of the wrong form.
            NotAppliedError: the dataset has none of the keys.
            DatasetNotFoundError: it is not the organisation's, or of the other kind.
        """
        _check(request)
        now = self.clock.now()
        asking = Asking(
            new_id("er", now),
            now,
            by,
            organisation_id,
            kind,
            request.identifiers,
            request.reason,
            request.reference,
            commitment_of(
                dataset_id, [(one.key, one.digest) for one in request.identifiers], salt=request.salt
            ),
        )
        return self._take(dataset_id, asking)

    def ask_again(self, dataset_id: str, batch: MirroredChanges, *, batch_id: str) -> ErasureOutcome:
        """Take a request again that a restored backup has forgotten, under the names it had.

        Args:
            dataset_id: a dataset or a base.
            batch: as the mirror kept it.
            batch_id: of the batch of changes.

        Raises:
            MirrorError: it is of another form.
        """
        return self._take(dataset_id, Asking.read(batch), batch_id=batch_id)

    def _take(self, dataset_id: str, asking: Asking, *, batch_id: str | None = None) -> ErasureOutcome:
        commitment, identifiers = asking.commitment, asking.identifiers
        with self.db.reading() as tx:
            dataset = self.datasets.owned(
                tx, dataset_id, organisation_id=asking.organisation_id, kind=asking.kind
            )
            known = key_names(dataset.schema)
        applied = tuple(dict.fromkeys(one.key for one in identifiers if one.key in known))
        lacking = tuple(dict.fromkeys(one.key for one in identifiers if one.key not in known))
        if not applied:
            raise NotAppliedError(
                "The dataset has none of these keys.",
                remedy=f"Name the person by one of: {', '.join(known)}.",
            )

        def finish(tx: Transaction, epoch: int) -> None:
            if _found(tx, dataset_id, commitment) is not None:
                raise _Twice
            self._enter(tx, dataset_id, asking, commitment, epoch)

        with self.db.reading() as tx:
            taken = _found(tx, dataset_id, commitment)
        if taken is None:
            with suppress(_Twice):
                self.consents.change(
                    dataset_id,
                    asking.changes,
                    kind=KIND,
                    finish=finish,
                    beside=asking.beside(),
                    batch_id=batch_id,
                )
        with self.db.reading() as tx:
            row = _found(tx, dataset_id, commitment)
            assert row is not None
            return ErasureOutcome(self._shown(tx, row), applied, lacking)

    def listed(self, tx: Transaction, dataset_id: str, *, after: str = "", limit: int) -> tuple[Erasure, ...]:
        """List the requests over a dataset, the oldest first.

        Args:
            tx: any transaction.
            dataset_id: which dataset.
            after: the id that the first one comes after.
            limit: how many at most.
        """
        rows = select(ErasureRow).where(ErasureRow.dataset_id == dataset_id, ErasureRow.id > after)
        found = tx.session.scalars(rows.order_by(ErasureRow.id).limit(limit)).all()
        return tuple(self._shown(tx, row) for row in found)

    def erasure(self, tx: Transaction, dataset_id: str, erasure_id: str) -> Erasure:
        """Return a request; raises UnknownErasureError, also for one over another dataset."""
        return self._shown(tx, _row(tx, dataset_id, erasure_id))

    def certificate(self, tx: Transaction, dataset_id: str, erasure_id: str) -> bytes:
        """Return the certificate of a request: its record in the log, the proof of its place, and the signed head.

        Raises:
            UnknownErasureError: there is no such request over the dataset.
            NotErasedYetError: its files were not written anew yet.
        """
        row = _row(tx, dataset_id, erasure_id)
        if row.state != ErasureState.ERASED:
            raise NotErasedYetError(
                "The files were not written anew yet.", remedy="Wait for the next pass over them."
            )
        index = self.log.find(tx, subject_id=erasure_id, kinds=_CERTIFICATE)
        note = self.log.head(tx)
        size = open_note(note, self.log.verifier_key).size
        return assemble_certificate(
            record=self.log.record(tx, index),
            index=index,
            proof=self.log.inclusion(tx, index, size),
            checkpoint=note,
        )

    def _enter(self, tx: Transaction, dataset_id: str, asking: Asking, commitment: str, epoch: int) -> None:
        organisation_id = asking.organisation_id
        row = ErasureRow(
            id=asking.erasure_id,
            dataset_id=dataset_id,
            organisation_id=organisation_id,
            asked_by=asking.by,
            asked_at=asking.at,
            reason=asking.reason.value,
            reference=asking.reference,
            commitment=commitment,
            epoch=epoch,
            state=ErasureState.EXCLUDED.value,
            compaction_id=None,
            erased_at=None,
        )
        tx.session.add(row)
        tx.session.flush()
        due_at = asking.at + self.wait if asking.kind is DatasetKind.DATASET else asking.at
        tx.audit(
            "rights.erasure_asked",
            subject_id=row.id,
            organisation_id=organisation_id,
            body={
                "dataset_id": dataset_id,
                "commitment": commitment,
                "reason": row.reason,
                "reference": row.reference,
                "epoch": epoch,
                "by": asking.by,
            },
        )
        schedule(tx, self.clock, dataset_id, organisation_id=organisation_id, why=Why.ERASURE, due_at=due_at)

    def _shown(self, tx: Transaction, row: ErasureRow) -> Erasure:
        erasure = erasure_of(row)
        if erasure.state is ErasureState.ERASED:
            return erasure
        coming = next_passes(tx, [row.dataset_id]).get(row.dataset_id)
        return replace(erasure, erase_by=coming.due_at if coming else None)


def _found(tx: Transaction, dataset_id: str, commitment: str) -> ErasureRow | None:
    rows = select(ErasureRow).where(ErasureRow.dataset_id == dataset_id, ErasureRow.commitment == commitment)
    return tx.session.scalars(rows).one_or_none()


def _row(tx: Transaction, dataset_id: str, erasure_id: str) -> ErasureRow:
    row = tx.session.get(ErasureRow, erasure_id)
    if row is None or row.dataset_id != dataset_id:
        raise UnknownErasureError("There is no request with this id.", remedy="List the dataset's requests.")
    return row


def _check(request: ErasureRequest) -> None:
    if not 1 <= len(request.identifiers) <= MAX_IDENTIFIERS:
        raise ErasureFormError(
            f"A person is named by 1 to {MAX_IDENTIFIERS} identifiers.", remedy="Send one request per person."
        )
    if any(len(one.digest) != DIGEST_BYTES for one in request.identifiers):
        raise ErasureFormError(f"A digest has {DIGEST_BYTES} bytes.", remedy="Send SHA-256 digests.")
    if len(request.salt) != SALT_BYTES:
        raise ErasureFormError(f"A salt has {SALT_BYTES} bytes.", remedy="Draw it anew for each request.")
    if not _REFERENCE.fullmatch(request.reference):
        raise ErasureFormError(
            "A reference has at most 80 letters, digits and `._/-`.",
            remedy="Give the number of the case only.",
        )
