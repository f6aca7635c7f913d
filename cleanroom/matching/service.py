"""Matching two versions: what is needed is collected in a transaction, the counting happens after it."""

from dataclasses import dataclass, replace
from datetime import datetime

from cleanroom.consent.service import Consents
from cleanroom.consent.view import ConsentView
from cleanroom.datasets.cache import ColumnCache
from cleanroom.datasets.files import PlaceReader
from cleanroom.datasets.kept import KeptReader
from cleanroom.datasets.service import Datasets
from cleanroom.datasets.types import Dataset, DatasetVersion
from cleanroom.db.database import Transaction
from cleanroom.matching.local import LocalEngine
from cleanroom.matching.types import ExactCounts, MatchEngine, Plan
from cleanroom.matching.views import TokenKeys, base_view, dataset_view, junk_of, shared_keys
from cleanroom.workspaces.errors import WorkspaceDestroyedError
from cleanroom.workspaces.service import Workspaces


@dataclass(frozen=True)
class Side:
    """One version, ready to be opened.

    Attributes:
        dataset: whose version it is.
        version: the version.
        reader: of its files.
        tokens: the token keys its files stand under.
    """

    dataset: Dataset
    version: DatasetVersion
    reader: PlaceReader
    tokens: TokenKeys


@dataclass(frozen=True)
class Match:
    """Two versions, ready to be matched without SQL.

    Attributes:
        dataset: the provider's side.
        base: the advertiser's side.
        consents: of the dataset, as of an epoch.
        keys: on which both can meet, in the dataset's declared order.
        engine: does the counting.
        cache: of decrypted columns.
    """

    dataset: Side
    base: Side
    consents: ConsentView
    keys: tuple[str, ...]
    engine: MatchEngine
    cache: ColumnCache

    def count(self, plan: Plan, *, at: datetime) -> ExactCounts:
        """Count exactly; the result goes into the release gate and nowhere else.

        Args:
            plan: what to count; its purpose is the one that the match was opened for.
            at: the instant whose consents count.

        Returns:
            Exact counts of distinct persons.
        """
        keys = tuple(name for name in self.keys if name in plan.keys)
        with self.cache.scope() as scope:
            dataset, base = KeptReader(self.dataset.reader, scope), KeptReader(self.base.reader, scope)
            consents = replace(self.consents, reader=dataset)
            return self.engine.count(
                dataset_view(
                    dataset,
                    self.dataset.dataset.schema,
                    persons=self.dataset.version.persons,
                    keys=keys,
                    consented=consents.mask(at),
                ),
                base_view(
                    base,
                    self.base.dataset.schema,
                    keys=keys,
                    own=self.base.tokens,
                    other=self.dataset.tokens,
                    junk=junk_of(dataset, self.dataset.dataset.schema, keys),
                ),
                plan,
            )


class Matching:
    """The service of the matching slice."""

    def __init__(
        self,
        *,
        workspaces: Workspaces,
        datasets: Datasets,
        consents: Consents,
        engine: MatchEngine | None = None,
        cache: ColumnCache | None = None,
    ) -> None:
        """Prepare.

        Args:
            workspaces: keep the token keys.
            datasets: keep the columns.
            consents: tell who may be counted.
            engine: counts; the local one, when not given.
            cache: of decrypted columns; nothing is kept from one question to the next, when not given.
        """
        self._workspaces = workspaces
        self._datasets = datasets
        self._consents = consents
        self._engine = engine or LocalEngine()
        self.cache = cache or ColumnCache(0)

    def close(self) -> None:
        """Overwrite and forget all decrypted columns."""
        self.cache.close()

    def open(
        self, tx: Transaction, *, dataset_version_id: str, base_version_id: str, purpose: str, epoch: int
    ) -> Match:
        """Collect what a match needs; `Match.count` runs after the transaction has ended.

        Args:
            tx: may be a reading one.
            dataset_version_id: the provider's version.
            base_version_id: the advertiser's version.
            purpose: whose consents count.
            epoch: the consent epoch as of which they count.
        """
        self._datasets.hold_versions(tx, dataset_version_id, base_version_id)
        dataset = self._side(tx, dataset_version_id)
        base = self._side(tx, base_version_id)
        return Match(
            dataset=dataset,
            base=base,
            consents=self._consents.view(tx, dataset_version_id, purpose=purpose, epoch=epoch),
            keys=shared_keys(dataset.dataset.schema, base.dataset.schema),
            engine=self._engine,
            cache=self.cache,
        )

    def _side(self, tx: Transaction, version_id: str) -> Side:
        version = self._datasets.version(tx, version_id)
        dataset = self._datasets.dataset(tx, version.dataset_id)
        try:
            secret = self._workspaces.token_secret(tx, dataset.workspace_id, version.token_key_version)
        except WorkspaceDestroyedError:
            # Its files will not be opened again, which is when what is kept of a lost key is overwritten.
            for file in self._datasets.files(tx, version_id):
                self.cache.drop(file.file_id)
            raise
        tokens = TokenKeys(secret, workspace_id=dataset.workspace_id, version=version.token_key_version)
        return Side(dataset, version, self._datasets.reader(tx, version_id), tokens)
