"""Withdrawals, epochs, and who may be counted."""

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
from sqlalchemy import bindparam, func, select

from cleanroom.clock import Clock, rfc3339
from cleanroom.consent.binding import bound
from cleanroom.consent.errors import WithdrawalError
from cleanroom.consent.models import ConsentEpochRow
from cleanroom.consent.types import ALL_PURPOSES, Withdrawal, WithdrawalOutcome
from cleanroom.consent.view import ConsentView
from cleanroom.consent.withdrawals import EVERY_PURPOSE, WITHDRAWAL_DTYPE, WithdrawalRows, microseconds
from cleanroom.datasets.files import Place, PlaceReader, PlaceWriter, files_root
from cleanroom.datasets.service import Datasets
from cleanroom.datasets.tokens import token_halves, token_key
from cleanroom.datasets.types import Dataset, Role, SealedFile
from cleanroom.db.base import Base
from cleanroom.db.database import Database, Transaction
from cleanroom.ids import new_id
from cleanroom.schema.model import Schema
from cleanroom.storage import ObjectStore
from cleanroom.workspaces.service import Workspaces
from crypto.keys import WrapKey
from crypto.limits import DIGEST_BYTES

MAX_BATCH = 1_000_000
_EPOCHS = Base.metadata.tables[ConsentEpochRow.__tablename__].c
# Made once: every question runs it twice, and to put a statement together takes longer than to run it.
_NEWEST_EPOCH = select(func.max(_EPOCHS.epoch)).where(_EPOCHS.dataset_id == bindparam("dataset_id"))


class Consents:
    """The service of the consent slice; `withdraw` opens its own transactions."""

    def __init__(
        self, *, db: Database, workspaces: Workspaces, datasets: Datasets, store: ObjectStore, clock: Clock
    ) -> None:
        self._db = db
        self._workspaces = workspaces
        self._datasets = datasets
        self._store = store
        self._clock = clock

    def epoch(self, tx: Transaction, dataset_id: str) -> int:
        """Return the dataset's consent epoch; 0 before the first change."""
        epoch: int | None = tx.session.connection().scalar(_NEWEST_EPOCH, {"dataset_id": dataset_id})
        return epoch or 0

    def advance(self, tx: Transaction, dataset_id: str) -> int:
        """Begin a new epoch if consents can have expired since the last one, and return the current epoch.

        Decided by the calendar alone, once a day and only when the schema knows last days of validity:
        whether anybody did expire must not show.
        """
        if not self._due(tx, dataset_id):
            return self.epoch(tx, dataset_id)
        self._datasets.lock(tx, dataset_id)
        if not self._due(tx, dataset_id):
            # Another transaction was faster.
            return self.epoch(tx, dataset_id)
        dataset, now = self._datasets.dataset(tx, dataset_id), self._clock.now()
        return self._enter(tx, dataset, "expiry", now, submitted=0, token_key_version=0, file=None)

    def locked_epoch(self, tx: Transaction, dataset: Dataset) -> int:
        """Hold a dataset, shared, and return its epoch, which stays the last one until the transaction ends.

        It is a new one if consents can have expired since. Whoever withdraws or stops the dataset either came before,
        and is seen, or waits.
        """
        if any(consent.expires_at for consent in dataset.schema.consents):
            self.advance(tx, dataset.id)
        self._datasets.lock(tx, dataset.id, shared=True)
        return self.epoch(tx, dataset.id)

    def view(self, tx: Transaction, version_id: str, *, purpose: str, epoch: int) -> ConsentView:
        """Collect what decides who may be counted, as of an epoch; evaluate it after the transaction."""
        version = self._datasets.version(tx, version_id)
        dataset = self._datasets.dataset(tx, version.dataset_id)
        purposes = [consent.purpose for consent in dataset.schema.consents]
        column = purposes.index(purpose) if purpose in purposes else len(purposes)
        return ConsentView(
            reader=self._datasets.reader(tx, version_id),
            persons=version.persons,
            consent=dataset.schema.consents[column] if column < len(purposes) else None,
            column=column,
            withdrawals=self._withdrawals(tx, dataset, epoch),
        )

    def bind(self, tx: Transaction, version_id: str) -> None:
        """Bind earlier withdrawals to the people of a version that is about to be published.

        Somebody who was not known when they withdrew, or came back under another person_id, stays withdrawn
        when their identifiers change once more. It begins an epoch whenever the dataset has withdrawals: whether
        anybody was found must not show.

        Args:
            tx: holds the dataset's lock.
            version_id: the version.
        """
        version = self._datasets.version(tx, version_id)
        dataset = self._datasets.dataset(tx, version.dataset_id)
        earlier = self._withdrawals(tx, dataset, self.epoch(tx, dataset.id))
        if not earlier:
            return
        recorded = np.concatenate([batch.read(Role.WITHDRAWALS, 0, WITHDRAWAL_DTYPE) for batch in earlier])
        found = bound(self._datasets.reader(tx, version_id), recorded, persons=version.persons)
        self._store_withdrawals(
            tx,
            dataset,
            found,
            self._clock.now(),
            submitted=0,
            token_version=version.token_key_version,
            kind="binding",
        )

    def forget(self, tx: Transaction, dataset_id: str) -> dict[str, str]:
        """Strike the sealed withdrawals of a dataset that is being deleted; its epochs stay.

        Returns:
            The ids of epochs that had a file, with the object keys, to be removed from the store.
        """
        rows = select(ConsentEpochRow).where(
            ConsentEpochRow.dataset_id == dataset_id, ConsentEpochRow.object_key.is_not(None)
        )
        gone: dict[str, str] = {}
        for row in tx.session.scalars(rows).all():
            gone[row.id] = row.object_key or ""
            row.object_key = row.file_id = row.ciphertext_sha256 = None
        tx.session.flush()
        return gone

    def _withdrawals(self, tx: Transaction, dataset: Dataset, epoch: int) -> tuple[PlaceReader, ...]:
        rows = select(ConsentEpochRow).where(
            ConsentEpochRow.dataset_id == dataset.id,
            ConsentEpochRow.epoch <= epoch,
            ConsentEpochRow.object_key.is_not(None),
        )
        kek = self._workspaces.kek(tx, dataset.workspace_id)
        return tuple(
            withdrawals_reader(self._store, Place(dataset.workspace_id, dataset.id, row.id), row, kek=kek)
            for row in tx.session.scalars(rows.order_by(ConsentEpochRow.epoch))
        )

    def withdraw(
        self, dataset_id: str, requests: Sequence[Withdrawal], *, at: datetime | None = None
    ) -> WithdrawalOutcome:
        """Take a batch of withdrawals; it counts from the next analysis on.

        It names all holders of a submitted identifier and binds to them: to their person_id, and to the values
        that each alone holds now, so that it holds in later versions and restores too. People who are not
        found are remembered by the identifier they gave.

        Args:
            dataset_id: of which dataset.
            requests: at most 1,000,000 identifiers in all.
            at: when they withdrew; now, when not given, and never later than now.

        Returns:
            What could be applied; never who was found.

        Raises:
            WithdrawalError: an unknown purpose, a digest of the wrong length, or a batch that is too large.
        """
        instant = min(at or self._clock.now(), self._clock.now())
        while (outcome := self._try_withdraw(dataset_id, requests, instant)) is None:
            pass
        return outcome

    def _try_withdraw(
        self, dataset_id: str, requests: Sequence[Withdrawal], instant: datetime
    ) -> WithdrawalOutcome | None:
        """Take a batch; None, when another version was published while people were looked for in the last one."""
        with self._db.reading() as tx:
            dataset = self._datasets.living(tx, dataset_id)
            _check(dataset.schema, requests)
            keys = self._workspaces.secrets(tx, dataset.workspace_id)
            current = dataset.current_version_id
            reader = self._datasets.reader(tx, current) if current else None
            persons = self._datasets.version(tx, current).persons if current else 0
        names = dataset.schema.key_names
        token_keys = {
            name: token_key(
                keys.token_secret, workspace_id=dataset.workspace_id, version=keys.token_version, key=name
            )
            for name in names
        }
        applied = [request for request in requests if request.key in token_keys]
        submitted = sum(len(request.digests) // DIGEST_BYTES for request in applied)
        withdrawals = _submitted(dataset.schema, applied, names, token_keys, microseconds(instant))
        if reader is not None:
            withdrawals = np.concatenate([withdrawals, bound(reader, withdrawals, persons=persons)])
        with self._db.transaction() as tx:
            self._datasets.lock(tx, dataset_id)
            if self._workspaces.secrets(tx, dataset.workspace_id).token_version != keys.token_version:
                raise WithdrawalError("The token key was rotated meanwhile.", remedy="Send the batch again.")
            if self._datasets.living(tx, dataset_id).current_version_id != current:
                return None
            epoch = self.epoch(tx, dataset_id)
            if submitted:
                epoch = self._store_withdrawals(
                    tx, dataset, withdrawals, instant, submitted=submitted, token_version=keys.token_version
                )
        not_applied = dict.fromkeys(request.key for request in requests if request.key not in token_keys)
        return WithdrawalOutcome(
            tuple(dict.fromkeys(r.key for r in applied)), tuple(not_applied), submitted, epoch
        )

    def _store_withdrawals(
        self,
        tx: Transaction,
        dataset: Dataset,
        withdrawals: WithdrawalRows,
        at: datetime,
        *,
        submitted: int,
        token_version: int,
        kind: str = "withdrawal",
    ) -> int:
        batch_id = new_id("ce", self._clock.now())
        place = Place(dataset.workspace_id, dataset.id, batch_id)
        kek = self._workspaces.kek(tx, dataset.workspace_id)
        with PlaceWriter(self._store, place, kek=kek, clock=self._clock) as writer:
            writer.write(Role.WITHDRAWALS, 0, withdrawals)
        return self._enter(
            tx,
            dataset,
            kind,
            at,
            submitted=submitted,
            token_key_version=token_version,
            file=writer.files[0],
            batch_id=batch_id,
        )

    def _enter(
        self,
        tx: Transaction,
        dataset: Dataset,
        kind: str,
        at: datetime,
        *,
        submitted: int,
        token_key_version: int,
        file: SealedFile | None,
        batch_id: str | None = None,
    ) -> int:
        epoch = self.epoch(tx, dataset.id) + 1
        row = ConsentEpochRow(
            id=batch_id or new_id("ce", self._clock.now()),
            dataset_id=dataset.id,
            epoch=epoch,
            kind=kind,
            at=self._clock.now(),
            submitted=submitted,
            token_key_version=token_key_version,
            file_id=file.file_id if file else None,
            ciphertext_sha256=file.ciphertext_sha256 if file else None,
            object_key=file.object_key if file else None,
        )
        tx.session.add(row)
        tx.session.flush()
        sealed = {"files_root": files_root([withdrawals_file(row)])} if file else {}
        tx.audit(
            "consent.epoch_begun",
            subject_id=row.id,
            organisation_id=self._workspaces.workspace(tx, dataset.workspace_id).organisation_id,
            body={
                "dataset_id": dataset.id,
                "epoch": epoch,
                "kind": kind,
                "at": rfc3339(at),
                "submitted": submitted,
                "ciphertext_sha256": row.ciphertext_sha256,
                **sealed,
            },
        )
        return epoch

    def _due(self, tx: Transaction, dataset_id: str) -> bool:
        dataset = self._datasets.dataset(tx, dataset_id)
        expiring = any(consent.expires_at for consent in dataset.schema.consents)
        if not expiring or dataset.current_version_id is None:
            return False
        last, now = self._last(tx, dataset_id), self._clock.now()
        published = self._datasets.version(tx, dataset.current_version_id).published_at or now
        since = max(last.at, published) if last else published
        return since.astimezone(UTC).date() < now.astimezone(UTC).date()

    def _last(self, tx: Transaction, dataset_id: str) -> ConsentEpochRow | None:
        rows = select(ConsentEpochRow).where(ConsentEpochRow.dataset_id == dataset_id)
        return tx.session.scalars(rows.order_by(ConsentEpochRow.epoch.desc()).limit(1)).first()


def withdrawals_reader(
    store: ObjectStore, place: Place, row: ConsentEpochRow, *, kek: WrapKey
) -> PlaceReader:
    """Return a reader of the sealed withdrawals of one epoch, which must have one."""
    return PlaceReader(store, place, [withdrawals_file(row)], kek=kek)


def withdrawals_file(row: ConsentEpochRow) -> SealedFile:
    """Return the sealed withdrawals of one epoch, which must have one, as SQL names it; its size is not kept."""
    assert row.file_id is not None
    assert row.object_key is not None
    return SealedFile(
        id=row.object_key.rpartition("/")[2],
        role=Role.WITHDRAWALS,
        column=0,
        file_id=row.file_id,
        bytes=0,
        ciphertext_sha256=row.ciphertext_sha256 or "",
        object_key=row.object_key,
    )


def _check(schema: Schema, requests: Sequence[Withdrawal]) -> None:
    purposes = [consent.purpose for consent in schema.consents]
    for request in requests:
        if request.purpose != ALL_PURPOSES and request.purpose not in purposes:
            raise WithdrawalError(
                "The dataset has no consent for this purpose.",
                remedy=f"Use one of: {', '.join([ALL_PURPOSES, *purposes])}.",
            )
        if len(request.digests) % DIGEST_BYTES:
            raise WithdrawalError(
                f"A digest has {DIGEST_BYTES} bytes.", remedy="Send SHA-256 digests, as raw bytes."
            )
    if sum(len(request.digests) // DIGEST_BYTES for request in requests) > MAX_BATCH:
        raise WithdrawalError(f"A batch has at most {MAX_BATCH} identifiers.", remedy="Send several batches.")


def _submitted(
    schema: Schema, requests: Sequence[Withdrawal], names: Sequence[str], keys: dict[str, bytes], at: int
) -> WithdrawalRows:
    purposes = [consent.purpose for consent in schema.consents]
    parts = [np.empty(0, WITHDRAWAL_DTYPE)]
    for request in requests:
        halves = token_halves(request.digests, key=keys[request.key])
        part = np.empty(len(halves), WITHDRAWAL_DTYPE)
        part["key"], part["at"] = names.index(request.key), at
        part["purpose"] = (
            EVERY_PURPOSE if request.purpose == ALL_PURPOSES else purposes.index(request.purpose)
        )
        part["hi"], part["lo"] = halves[:, 0], halves[:, 1]
        parts.append(part)
    return np.concatenate(parts)
