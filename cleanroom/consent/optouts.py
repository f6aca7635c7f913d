"""Opt-outs across datasets: suppression lists and restrictions, of one dataset or of all that an organisation has."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
from sqlalchemy import select

from cleanroom.clock import Clock
from cleanroom.consent.bar_segments import BarSegments, read_bars
from cleanroom.consent.bars import Bars, bound, in_force
from cleanroom.consent.errors import StaleChangeError
from cleanroom.consent.list_files import (
    BATCH_SHIFT,
    Entries,
    ListFiles,
    applies,
    entered,
    still_listed,
    translated,
)
from cleanroom.consent.mirrored import opt_out_sheet
from cleanroom.consent.optout_keys import check_named
from cleanroom.consent.optout_records import accepted, enter_outcome, enter_row
from cleanroom.consent.optout_types import DatasetOutcome, OptOut, OptOutAction, OptOutKind, OptOutOutcome
from cleanroom.consent.padding import usual_records
from cleanroom.consent.service import Consents
from cleanroom.consent.withdrawing import PreparedWithdrawal, Withdrawals
from cleanroom.datasets.files import PlaceReader
from cleanroom.datasets.models import DatasetRow
from cleanroom.datasets.service import Datasets
from cleanroom.datasets.types import Dataset, DatasetKind
from cleanroom.db.database import Database, Transaction
from cleanroom.ids import new_id
from cleanroom.workspaces.service import Workspaces
from cleanroom.workspaces.types import WorkspaceKeys


@dataclass(frozen=True)
class _Target:
    """A dataset that a batch concerns, as it was found."""

    dataset: Dataset
    reader: PlaceReader | None
    persons: int
    segments: tuple[PlaceReader, ...]


@dataclass(frozen=True)
class _Workspace:
    """A workspace that a batch concerns, as it was found."""

    id: str
    keys: WorkspaceKeys
    number: int
    targets: tuple[_Target, ...]

    @property
    def state(self) -> tuple[object, ...]:
        """What must still be so when the batch is entered."""
        published = tuple((target.dataset.id, target.dataset.current_version_id) for target in self.targets)
        return self.id, self.keys.token_version, self.number, published


@dataclass(frozen=True)
class Prepared:
    """A batch with all that it names.

    Attributes:
        asked: as it came in.
        organisation_id: whose datasets.
        found: workspaces and datasets as they were.
        made: bars, by workspace and dataset.
        listed: entries, by workspace.
        withdrawals: of a batch that takes consents back.
    """

    asked: OptOut
    organisation_id: str
    found: tuple[_Workspace, ...] = ()
    made: Mapping[str, Mapping[str, Bars]] = field(default_factory=dict)
    listed: Mapping[str, Entries] = field(default_factory=dict)
    withdrawals: tuple[PreparedWithdrawal, ...] = ()


class OptOuts:
    """The service of opt-outs; `accept` opens its own transactions."""

    def __init__(
        self,
        *,
        db: Database,
        workspaces: Workspaces,
        datasets: Datasets,
        consents: Consents,
        clock: Clock,
    ) -> None:
        self._db = db
        self._workspaces = workspaces
        self._datasets = datasets
        self._consents = consents
        self._files: ListFiles = consents.bars.files
        self._segments: BarSegments = consents.bars.segments
        self._withdrawals = Withdrawals(consents)
        self._clock = clock

    def accept(self, asked: OptOut, *, organisation_id: str, opt_out_id: str | None = None) -> OptOutOutcome:
        """Take a batch; it counts from the next analysis on. See `prepare` and `enter`.

        Args:
            asked: the batch.
            organisation_id: whose datasets.
            opt_out_id: of a batch that is taken again from the mirror; a new one when not given.

        Returns:
            What could be applied where; never who was found.
        """
        while True:
            prepared = self.prepare(asked, organisation_id=organisation_id)
            with suppress(StaleChangeError), self._db.transaction() as tx:
                return self.enter(tx, prepared, opt_out_id=opt_out_id)

    def prepare(self, asked: OptOut, *, organisation_id: str) -> Prepared:
        """Find whom a batch names in every dataset that it concerns, without holding any of them.

        Args:
            asked: people go on a list or off it, or take their consents back in every dataset there is now.
            organisation_id: whose datasets.

        Raises:
            OptOutError: it is not written as this room takes it.
            DatasetNotFoundError: the organisation has no such dataset.
        """
        check_named(asked.named)
        with self._db.reading() as tx:
            found = self._found(tx, asked, organisation_id)
            listed = {} if asked.kind is OptOutKind.WITHDRAWAL else self._listed(tx, asked, found)
        if asked.kind is OptOutKind.WITHDRAWAL:
            datasets = [target.dataset for one in found for target in one.targets]
            datasets.sort(key=lambda dataset: dataset.id)
            return Prepared(asked, organisation_id, withdrawals=self._withdrawals.prepare(datasets, asked))
        made = {one.id: self._made(one, asked, listed[one.id]) for one in found}
        return Prepared(asked, organisation_id, found, made, listed)

    def enter(self, tx: Transaction, prepared: Prepared, *, opt_out_id: str | None = None) -> OptOutOutcome:
        """Enter a batch that was prepared.

        It begins an epoch in every dataset that can find people by what was submitted, found or not. Entries of lists
        are kept for datasets that come later; a list holds over later loads, whatever consent they bring.

        Args:
            tx: the caller's transaction.
            prepared: the batch.
            opt_out_id: `oo_...`; a new one when not given.

        Raises:
            StaleChangeError: something was published, registered or rotated since; roll back and prepare it anew.
        """
        asked, organisation_id = prepared.asked, prepared.organisation_id
        roots: dict[str, str] = {}
        opt_out_id = opt_out_id or new_id("oo", self._clock.now())
        if asked.kind is OptOutKind.WITHDRAWAL:
            outcomes = self._withdrawals.enter(tx, prepared.withdrawals)
            at = self._clock.now()
            row = enter_row(tx, opt_out_id, asked, organisation_id=organisation_id, at=at)
        else:
            self._hold(tx, prepared)
            self._keep(tx, prepared, opt_out_id)
            at = self._clock.now()
            row = enter_row(tx, opt_out_id, asked, organisation_id=organisation_id, at=at)
            outcomes, roots = self._give_all(tx, opt_out_id, prepared, at)
        for dataset_id, outcome in outcomes.items():
            enter_outcome(tx, opt_out_id, dataset_id, outcome)
        return accepted(tx, row, roots)

    def _found(self, tx: Transaction, asked: OptOut, organisation_id: str) -> tuple[_Workspace, ...]:
        if asked.dataset_id is not None:
            only = self._datasets.owned(
                tx, asked.dataset_id, organisation_id=organisation_id, kind=DatasetKind.DATASET
            )
            return (self._workspace(tx, only.workspace_id, [only]),)
        found = []
        for workspace in self._workspaces.living_of(tx, organisation_id):
            rows = select(DatasetRow.id).where(
                DatasetRow.workspace_id == workspace.id,
                DatasetRow.kind == DatasetKind.DATASET.value,
                DatasetRow.deleted_at.is_(None),
            )
            ids = tx.session.scalars(rows.order_by(DatasetRow.id)).all()
            found.append(self._workspace(tx, workspace.id, [self._datasets.dataset(tx, one) for one in ids]))
        return tuple(found)

    def _workspace(self, tx: Transaction, workspace_id: str, datasets: Sequence[Dataset]) -> _Workspace:
        targets = []
        for dataset in datasets:
            current = dataset.current_version_id
            targets.append(
                _Target(
                    dataset,
                    self._datasets.reader(tx, current) if current else None,
                    self._datasets.version(tx, current).persons if current else 0,
                    self._segments.readers(tx, dataset, epoch=self._consents.epoch(tx, dataset.id)),
                )
            )
        return _Workspace(
            id=workspace_id,
            keys=self._workspaces.secrets(tx, workspace_id),
            number=self._files.next_number(tx, workspace_id),
            targets=tuple(targets),
        )

    def _listed(self, tx: Transaction, asked: OptOut, found: Sequence[_Workspace]) -> Mapping[str, Entries]:
        """Return the entries of each workspace: new ones, or those that are to be lifted."""
        names = [one.name for one in asked.named]
        listed = {}
        for one in found:
            entries = entered(asked.named, workspace_id=one.id, keys=one.keys, number=one.number)
            if asked.action is OptOutAction.LIFT:
                batches = [
                    batch
                    for batch in self._files.batches(tx, one.id)
                    if (batch.kind, batch.dataset_id) == (asked.kind, asked.dataset_id)
                ]
                entries = still_listed(entries, names, batches)
            listed[one.id] = entries
        return listed

    def _made(self, one: _Workspace, asked: OptOut, entries: Entries) -> Mapping[str, Bars]:
        """Return the bars that each dataset is to be given."""
        names, made = [named.name for named in asked.named], {}
        for target in one.targets:
            bars = translated(entries, names, asked.action, target.dataset, one.keys)
            if target.reader is not None:
                earlier = [read_bars(segment) for segment in target.segments]
                force = in_force([*earlier, bars])
                # Of this batch alone: the others were bound when they came.
                own = force[force["number"] >> BATCH_SHIFT == one.number]
                added = bound(target.reader, own, persons=target.persons)
                bars = np.concatenate([bars, added])
            made[target.dataset.id] = bars
        return made

    def _hold(self, tx: Transaction, prepared: Prepared) -> None:
        """Hold datasets, then workspaces, and see that all is as it was found."""
        asked, found = prepared.asked, prepared.found
        for dataset_id in sorted(target.dataset.id for one in found for target in one.targets):
            self._datasets.lock(tx, dataset_id)
        for one in found:
            self._workspaces.lock(tx, one.id)
        now_found = self._found(tx, asked, prepared.organisation_id)
        if [one.state for one in now_found] != [one.state for one in found]:
            raise StaleChangeError("Datasets changed meanwhile.", remedy="Send the batch again.")

    def _keep(self, tx: Transaction, prepared: Prepared, opt_out_id: str) -> None:
        """Write down in the mirror who goes on a list, before it is committed.

        Who leaves one is not written down: after a crash in between, that would be taken for more than was said.
        """
        asked = prepared.asked
        if asked.action is OptOutAction.ADD and prepared.found:
            self._consents.mirror.keep(
                asked.dataset_id or prepared.organisation_id,
                opt_out_id,
                opt_out_sheet(asked),
                recipients=[self._workspaces.recipient(tx, one.id) for one in prepared.found],
            )

    def _give_all(
        self, tx: Transaction, opt_out_id: str, prepared: Prepared, at: datetime
    ) -> tuple[dict[str, DatasetOutcome], dict[str, str]]:
        """Seal the entries of every workspace, and give each dataset its own."""
        asked, roots, outcomes = prepared.asked, dict[str, str](), dict[str, DatasetOutcome]()
        for one in prepared.found:
            roots |= self._files.write(
                tx,
                opt_out_id,
                one.id,
                prepared.listed[one.id],
                keys=[named.name for named in asked.named],
                number=one.number,
                token_version=one.keys.token_version,
            )
            for target in one.targets:
                bars, dataset = prepared.made[one.id][target.dataset.id], target.dataset
                outcomes[dataset.id], more = self._give(tx, asked, dataset, bars, at, one)
                roots |= more
        return outcomes, roots

    def _give(
        self,
        tx: Transaction,
        asked: OptOut,
        dataset: Dataset,
        bars: Bars,
        at: datetime,
        one: _Workspace,
    ) -> tuple[DatasetOutcome, Mapping[str, str]]:
        """Begin an epoch in a dataset that has one of the keys, and seal its bars."""
        applied, lacking = applies(dataset.schema, [named.name for named in asked.named])
        if not applied:
            return DatasetOutcome(None, applied, lacking), {}
        submitted = sum(named.count for named in asked.named if named.name in applied)
        epoch = self._consents.begin_epoch(tx, dataset, asked.kind.value, at, submitted=submitted)
        roots = self._segments.write(
            tx,
            dataset,
            bars,
            usual=usual_records(submitted, keys=len(dataset.schema.key_names)),
            epoch=epoch,
            token_version=one.keys.token_version,
        )
        return DatasetOutcome(epoch, applied, lacking), roots
