"""Bars and versions: what a dataset is given of its workspace's lists before a version of it is published."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import numpy as np

from cleanroom.consent.bar_segments import BarSegments, read_bars
from cleanroom.consent.bars import bound, in_force, no_bars
from cleanroom.consent.list_files import ListFiles, applies, translated
from cleanroom.consent.optout_records import enter_outcome
from cleanroom.consent.optout_types import DatasetOutcome
from cleanroom.consent.padding import usual_bound
from cleanroom.datasets.service import Datasets
from cleanroom.datasets.types import Dataset, DatasetVersion
from cleanroom.db.database import Transaction
from cleanroom.workspaces.service import Workspaces


class BeginEpoch(Protocol):
    """Begins a consent epoch of a dataset."""

    def __call__(self, tx: Transaction, dataset: Dataset, kind: str, at: datetime, *, submitted: int) -> int:
        """Return the epoch."""
        ...


@dataclass(frozen=True)
class BarBinding:
    """Brings what is on a list to people of a version, found or not."""

    workspaces: Workspaces
    datasets: Datasets
    segments: BarSegments
    files: ListFiles

    def bind(
        self,
        tx: Transaction,
        dataset: Dataset,
        version: DatasetVersion,
        *,
        epoch: int,
        begin: BeginEpoch,
        at: datetime,
    ) -> None:
        """Give a dataset what its workspace's lists hold and it has not been given, and bind all of it to a version.

        It begins an epoch whenever the dataset has bars: whether anybody was found must not show.

        Args:
            tx: holds the dataset's lock.
            dataset: whose version it is.
            version: about to be published.
            epoch: of the dataset.
            begin: begins the next one.
            at: the instant.
        """
        # Whoever adds to a list holds the workspace alone: it comes before, and is seen, or finds this version.
        self.workspaces.lock(tx, dataset.workspace_id, shared=True)
        earlier = [read_bars(segment) for segment in self.segments.readers(tx, dataset, epoch=epoch)]
        pending = self.files.batches(tx, dataset.workspace_id, dataset_id=dataset.id, pending=True)
        if not earlier and not pending:
            return
        keys = self.workspaces.secrets(tx, dataset.workspace_id)
        given = [translated(one.entries(), one.keys, one.action, dataset, keys) for one in pending]
        force = in_force([*earlier, *given])
        fresh = bound(self.datasets.reader(tx, version.id), force, persons=version.persons)
        names = [applies(dataset.schema, one.keys) for one in pending]
        made = np.concatenate([no_bars(), *given, fresh])
        reached: int | None = None
        if earlier or any(applied for applied, _ in names):
            reached = begin(tx, dataset, "binding", at, submitted=0)
            keys_held = len(dataset.schema.key_names)
            roots = self.segments.write(
                tx,
                dataset,
                made,
                # As many as are given, and what binds the entries in force, found or not.
                usual=made.size - fresh.size + usual_bound(np.unique(force["number"]).size, keys=keys_held),
                epoch=reached,
                token_version=version.token_key_version,
            )
            (segment_id,) = roots
            tx.audit(
                "consent.bars_bound",
                subject_id=segment_id,
                organisation_id=self.workspaces.workspace(tx, dataset.workspace_id).organisation_id,
                body={
                    "dataset_id": dataset.id,
                    "epoch": reached,
                    "opt_outs": [one.opt_out_id for one in pending],
                    "files_root": roots[segment_id],
                },
            )
        for one, (applied, lacking) in zip(pending, names, strict=True):
            outcome = DatasetOutcome(reached if applied else None, applied, lacking)
            enter_outcome(tx, one.opt_out_id, dataset.id, outcome)
