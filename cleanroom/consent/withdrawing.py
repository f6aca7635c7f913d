"""Withdrawals over several datasets at once: all of them or none, and each answers for itself."""

from collections.abc import Sequence
from dataclasses import dataclass

from cleanroom.consent.changes import ChangeState
from cleanroom.consent.errors import OptOutError
from cleanroom.consent.list_files import applies
from cleanroom.consent.optout_keys import columns_of
from cleanroom.consent.optout_types import DatasetOutcome, OptOut, OptOutAction
from cleanroom.consent.service import Consents
from cleanroom.consent.taking import Prepared as PreparedChanges
from cleanroom.consent.types import ALL_PURPOSES, Change
from cleanroom.datasets.types import Dataset
from cleanroom.db.database import Transaction
from cleanroom.schema.model import Schema


@dataclass(frozen=True)
class PreparedWithdrawal:
    """A batch as one dataset will take it.

    Attributes:
        changes: as it names people there; None when the dataset can find nobody by it.
        dataset_id: which.
        outcome: without the epoch.
    """

    dataset_id: str
    changes: PreparedChanges | None
    outcome: DatasetOutcome


@dataclass(frozen=True)
class Withdrawals:
    """Takes them."""

    consents: Consents

    def prepare(self, datasets: Sequence[Dataset], asked: OptOut) -> tuple[PreparedWithdrawal, ...]:
        """Find whom a batch names in each dataset.

        Args:
            datasets: by id, ascending.
            asked: the batch.

        Raises:
            OptOutError: consents that were taken back are not given again by this, or no dataset knows the purpose.
        """
        if asked.action is OptOutAction.LIFT:
            raise OptOutError(
                "A withdrawal cannot be lifted.", remedy="Record the consent that was given after it."
            )
        schemas = {dataset.id: dataset.schema for dataset in datasets}
        if asked.purpose != ALL_PURPOSES and not any(_asks(each, asked.purpose) for each in schemas.values()):
            raise OptOutError(
                "No dataset has a consent for this purpose.",
                remedy=f"Use {ALL_PURPOSES}, or a purpose of a schema.",
            )
        return tuple(self._prepared(one, schema, asked) for one, schema in schemas.items())

    def enter(self, tx: Transaction, prepared: Sequence[PreparedWithdrawal]) -> dict[str, DatasetOutcome]:
        """Enter a batch in all datasets.

        Args:
            tx: the caller's transaction.
            prepared: by dataset, ascending.

        Raises:
            StaleChangeError: a version was published since, or a key rotated; roll back and prepare it anew.
        """
        outcomes = {}
        for one in prepared:
            epoch = None
            if one.changes is not None:
                epoch = self.consents.taking.take(tx, one.changes, kind="withdrawal").epoch
            outcomes[one.dataset_id] = DatasetOutcome(epoch, one.outcome.applied, one.outcome.not_applied)
        return outcomes

    def _prepared(self, dataset_id: str, schema: Schema, asked: OptOut) -> PreparedWithdrawal:
        names = [named.name for named in asked.named]
        if not _asks(schema, asked.purpose):
            # It has no such consent that could be taken back.
            return PreparedWithdrawal(dataset_id, None, DatasetOutcome(None, (), tuple(dict.fromkeys(names))))
        applied, lacking = applies(schema, names)
        changes = [
            Change(schema.key_names[column], named.digests, ChangeState.WITHDRAWN, asked.purpose)
            for named in asked.named
            for column in columns_of(schema, named.name)
        ]
        prepared = self.consents.taking.prepare(dataset_id, changes) if changes else None
        return PreparedWithdrawal(dataset_id, prepared, DatasetOutcome(None, applied, lacking))


def _asks(schema: Schema, purpose: str) -> bool:
    return bool(schema.consents) and purpose in (ALL_PURPOSES, *(each.purpose for each in schema.consents))
