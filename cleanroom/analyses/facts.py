"""What a question meets: the published versions, the rule in force, the consents' state; all of it from SQL."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from sqlalchemy import func, select

from cleanroom.accounts.service import Accounts
from cleanroom.analyses.errors import NoSharedKeyError, NotYourBaseError, NotYourGrantError
from cleanroom.analyses.models import AnalysisRow
from cleanroom.consent.service import Consents
from cleanroom.datasets.errors import DatasetNotFoundError
from cleanroom.datasets.service import Datasets
from cleanroom.datasets.types import Dataset, DatasetKind, DatasetVersion
from cleanroom.db.database import Transaction
from cleanroom.grants.errors import UnknownGrantError
from cleanroom.grants.service import Grants
from cleanroom.grants.types import Grant
from cleanroom.matching.views import info_of, shared_keys
from cleanroom.release.public import find_public
from cleanroom.release.types import ReleasedFigure
from cleanroom.remembered import Remembered
from cleanroom.rules.approvals import Approvals
from cleanroom.rules.service import Rules
from cleanroom.rules.types import PolicyVersion
from cleanroom.schema.model import Schema
from cleanroom.workspaces.service import Workspaces
from policies.attributes import AttributeInfo, Declared
from policies.combine import combine
from policies.licence import under_licence
from policies.model import PolicyDocument
from policies.question import Question
from policies.request import Request, Ruling
from policies.rules import Approval, Quota, Rate, Rule

_DECLARED = Remembered[tuple[str, str], Declared](64)


@dataclass(frozen=True)
class Facts:
    """Everything a decision depends on, read in one transaction.

    Attributes:
        question: as asked.
        grant: what pays.
        dataset: the provider's.
        version: its published version; None when there is none yet.
        owner_id: the provider.
        base: the asker's.
        base_version: its published version.
        policy: the rule in force; None when the owner has set none.
        stopped: the kill switch is on.
        epoch: the dataset's consent epoch.
        public_size: how many of its people may be counted for the purpose, if that was released to everyone.
        keys: match keys of both sides, in the dataset's order.
        attributes: the dataset's declared attributes, by name.
        at: the instant of asking.
        sector: the advertiser's.
        recent: when the same parties asked before, the newest first; as many instants as the policy looks at.
        rulings: of the owner, for this grant, if the policy asks for approval.
        asked: fresh questions of this grant so far, if a quota limits them.
        quota: how many there may be in all; None without a quota.
        unconfirmed: whether a restore may have lost withdrawals, and the owner has not confirmed the consents yet.
        erasing: whether people of the base are to be erased. A base has no consents that would leave them out, so it
            waits for the pass that takes them out of its files.
    """

    question: Question
    grant: Grant
    dataset: Dataset
    version: DatasetVersion | None
    owner_id: str
    base: Dataset
    base_version: DatasetVersion
    policy: PolicyVersion | None
    stopped: bool
    epoch: int
    public_size: ReleasedFigure | None
    keys: tuple[str, ...]
    attributes: Mapping[str, AttributeInfo]
    at: datetime
    sector: str | None = None
    recent: tuple[datetime, ...] = ()
    rulings: Mapping[str, Ruling] = field(default_factory=dict)
    asked: int = 0
    quota: int | None = None
    unconfirmed: bool = False
    erasing: bool = False

    @property
    def document(self) -> PolicyDocument | None:
        """The owner's rule together with the grant's licence; None when the owner has set none."""
        return None if self.policy is None else under_licence(self.policy.document, self.grant.licence)

    @property
    def within_quota(self) -> bool:
        """Whether the quota leaves a fresh question."""
        return self.quota is None or self.asked < self.quota

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that the base declares."""
        return labels_of(self.base)

    @property
    def missing(self) -> tuple[str, ...]:
        """What the dataset lacks before anything can be counted in it for the question's purpose.

        Without a mapping of consents nobody may be counted; that is refused, as a figure about nobody would cost
        budget and look like an answer.
        """
        mapped = any(consent.purpose == self.question.purpose for consent in self.dataset.schema.consents)
        return (*(() if self.version else ("published_version",)), *(() if mapped else ("consent",)))

    def request(self, *, left_micro: int | None = None) -> Request:
        """Lay the facts out for the policy engine, as if the grant had `left_micro` left when that is given.

        Then its quota counts as unused too: an answer that is stored takes neither.
        """
        grant = self.grant.facts()
        return Request(
            question=self.question,
            attributes=self.attributes,
            advertiser_id=self.grant.advertiser_id,
            agency_id=self.grant.agency_id,
            at=self.at,
            base_persons=self.base_version.persons,
            grant=grant
            if left_micro is None
            else replace(grant, left_micro=left_micro, left_delta_pico=self.grant.delta_pico),
            labels=len(self.labels),
            match_keys=len(self.keys),
            stopped=self.stopped,
            sector=self.sector,
            recent=self.recent,
            rulings=self.rulings,
            asked=self.asked if left_micro is None else 0,
        )


@dataclass(frozen=True)
class FactFinder:
    """Reads the facts around a question."""

    workspaces: Workspaces
    datasets: Datasets
    consents: Consents
    rules: Rules
    grants: Grants
    accounts: Accounts
    approvals: Approvals
    waiting: Callable[[Transaction, str, str], tuple[bool, bool]]

    def find(
        self, tx: Transaction, question: Question, *, grant_id: str, asker_id: str, at: datetime
    ) -> Facts:
        """Read everything about a question.

        Args:
            tx: a writing transaction: consents that expired by the calendar begin a new epoch.
            question: as asked.
            grant_id: what pays; its advertiser, or the agency it names, must be the asker.
            asker_id: the organisation that asks.
            at: the instant of asking.

        Raises:
            NotYourGrantError: no such grant of this asker, or it is for another dataset.
            NotYourBaseError: no such base of the grant's advertiser.
            VersionNotFoundError: the base has no published version.
            NoSharedKeyError: nothing to match on.
        """
        self.datasets.hold(tx, question.dataset_id, question.base_id)
        return self._find(tx, question, grant_id=grant_id, asker_id=asker_id, at=at)

    def find_settled(
        self, tx: Transaction, question: Question, *, grant_id: str, asker_id: str, at: datetime
    ) -> Facts | None:
        """Read as `find` does in a transaction that only reads; None when a new epoch of consents is due."""
        self.datasets.hold(tx, question.dataset_id, question.base_id)
        if self.consents.due(tx, question.dataset_id):
            return None
        return self._find(tx, question, grant_id=grant_id, asker_id=asker_id, at=at)

    def _find(
        self, tx: Transaction, question: Question, *, grant_id: str, asker_id: str, at: datetime
    ) -> Facts:
        grant = self._grant(tx, grant_id, asker_id, question.dataset_id)
        epoch = self.consents.locked_epoch(tx, self.datasets.dataset(tx, question.dataset_id))
        dataset = self.datasets.dataset(tx, question.dataset_id)
        base = self._base(tx, question.base_id, grant.advertiser_id)
        keys = _keys(dataset.schema, base.schema)
        version = self.datasets.current(tx, dataset.id) if dataset.current_version_id else None
        policy = self.rules.current(tx, dataset.id)
        rules = combine([under_licence(policy.document, grant.licence)]) if policy else {}
        quota = rules.get(Quota)
        unconfirmed, erasing = self.waiting(tx, dataset.id, base.id)
        return Facts(
            question=question,
            grant=grant,
            dataset=dataset,
            version=version,
            owner_id=self.workspaces.workspace(tx, dataset.workspace_id).organisation_id,
            base=base,
            base_version=self.datasets.current(tx, base.id),
            policy=policy,
            stopped=self.rules.stopped(tx, dataset.id),
            unconfirmed=unconfirmed,
            erasing=erasing,
            epoch=epoch,
            public_size=find_public(tx, version.id, question.purpose) if version else None,
            keys=keys,
            attributes=declared(dataset),
            at=at,
            sector=self.accounts.sector(tx, grant.advertiser_id),
            recent=self._recent(tx, grant, rules.get(Rate), at),
            rulings=self.approvals.rulings(tx, grant.id) if Approval in rules else {},
            asked=self._asked(tx, grant) if isinstance(quota, Quota) else 0,
            quota=quota.max if isinstance(quota, Quota) else None,
        )

    def _asked(self, tx: Transaction, grant: Grant) -> int:
        """Count the questions of a grant that have cost budget; whoever asks under it meanwhile waits."""
        self.accounts.lock(tx, grant.advertiser_id)
        fresh = select(func.count()).where(AnalysisRow.grant_id == grant.id, AnalysisRow.rho_micro > 0)
        return tx.session.scalar(fresh) or 0

    def _recent(self, tx: Transaction, grant: Grant, rule: Rule | None, at: datetime) -> tuple[datetime, ...]:
        """Return when these parties asked last; whoever asks for the same advertiser meanwhile waits."""
        if not isinstance(rule, Rate):
            return ()
        self.accounts.lock(tx, grant.advertiser_id)
        asked = (
            select(AnalysisRow.asked_at)
            .where(
                AnalysisRow.dataset_id == grant.dataset_id,
                AnalysisRow.advertiser_id == grant.advertiser_id,
                AnalysisRow.agency_id.is_(None)
                if grant.agency_id is None
                else AnalysisRow.agency_id == grant.agency_id,
                AnalysisRow.asked_at > at - timedelta(days=1),
            )
            .order_by(AnalysisRow.asked_at.desc())
            .limit(rule.looks_back)
        )
        return tuple(tx.session.scalars(asked))

    def _grant(self, tx: Transaction, grant_id: str, asker_id: str, dataset_id: str) -> Grant:
        try:
            grant = self.grants.status(tx, grant_id)
        except UnknownGrantError:
            grant = None
        if (
            grant is None
            or asker_id not in (grant.advertiser_id, grant.agency_id)
            or grant.dataset_id != dataset_id
            or grant.population_id != self._population(tx, dataset_id)
        ):
            raise NotYourGrantError(
                "You have no grant with this id for this dataset.", remedy="List your entitlements."
            )
        return grant

    def _population(self, tx: Transaction, dataset_id: str) -> str:
        # A grant on another population would leave the accounts of this dataset's people uncharged.
        workspace_id = self.datasets.dataset(tx, dataset_id).workspace_id
        return self.workspaces.workspace(tx, workspace_id).population_id

    def _base(self, tx: Transaction, base_id: str, advertiser_id: str) -> Dataset:
        try:
            base = self.datasets.living(tx, base_id)
        except DatasetNotFoundError:
            base = None
        if (
            base is None
            or base.kind is not DatasetKind.BASE
            or self.workspaces.workspace(tx, base.workspace_id).organisation_id != advertiser_id
        ):
            raise NotYourBaseError("The advertiser has no base with this id.", remedy="List its bases.")
        return base


def labels_of(base: Dataset) -> tuple[str, ...]:
    """Return the labels that a base declares."""
    return base.schema.label.values if base.schema.label else ()


def declared(dataset: Dataset) -> Declared:
    """Return what questions need to know of a dataset's attributes: made once, as its schema does not change."""
    key = dataset.id, dataset.schema_sha256
    known = _DECLARED.get(key)
    if known is not None:
        return known
    infos = {attribute.name: info_of(attribute) for attribute in dataset.schema.attributes}
    return _DECLARED.put(key, Declared(infos))


def _keys(dataset: Schema, base: Schema) -> tuple[str, ...]:
    shared = shared_keys(dataset, base)
    if not shared:
        raise NoSharedKeyError(
            "Base and dataset have no match key in a common hash profile.",
            remedy=f"Prepare the base with one of: {', '.join(dataset.key_names)}.",
        )
    return shared
