"""The consented size of a version, which everyone may see: noised once per purpose and charged to every account."""

from dataclasses import dataclass

from cleanroom.analyses.completing import COUNTS_PER_QUESTION
from cleanroom.clock import Clock
from cleanroom.consent.checks import unconfirmed
from cleanroom.consent.service import Consents
from cleanroom.consent.view import ConsentView
from cleanroom.datasets.files import FILES_MOVED
from cleanroom.datasets.service import Datasets
from cleanroom.db.database import Database, Transaction
from cleanroom.grants.service import Grants
from cleanroom.release.public import enter_public, find_public, is_charged, make_public
from cleanroom.release.types import ReleasedFigure
from cleanroom.rules.population import policies_of_population
from cleanroom.rules.service import Rules
from cleanroom.workspaces.service import Workspaces
from policies.decision import Limits
from policies.engine import public_limits

_RELEASES_PER_SHARE = 10


@dataclass(frozen=True)
class PublicSizes:
    """Releases the size of a dataset's published version, in two transactions like any question."""

    db: Database
    clock: Clock
    workspaces: Workspaces
    datasets: Datasets
    consents: Consents
    rules: Rules
    grants: Grants

    def release(self, dataset_id: str, *, purpose: str) -> ReleasedFigure | None:
        """Release the number of people of the published version who may be counted for a purpose.

        The figure is made once; after that, and after a crash, it is the same release and costs nothing more.

        Args:
            dataset_id: with a published version.
            purpose: whose consents count.

        Returns:
            The figure; None when the policy does not let it out, the kill switch is on, the dataset maps no consents
            for the purpose, consents or keys kept changing while it was counted, or the share kept for public
            releases is used up.

        Raises:
            VersionNotFoundError: the dataset has no published version.
        """
        with self.db.transaction() as tx:
            epoch = self._locked_epoch(tx, dataset_id)
            version = self.datasets.current(tx, dataset_id)
            known = find_public(tx, version.id, purpose)
            if known is not None:
                return known
            limits = self._limits(tx, dataset_id, purpose)
            if limits is None or not self._charge(tx, dataset_id, version.id, purpose, limits):
                return None
            view = self.consents.view(tx, version.id, purpose=purpose, epoch=epoch)
        for _ in range(COUNTS_PER_QUESTION):
            persons = self._count(view)
            with self.db.transaction() as tx:
                now = self._locked_epoch(tx, dataset_id)
                limits = self._limits(tx, dataset_id, purpose)
                if limits is None:
                    return None
                if now == epoch and persons is not None:
                    return make_public(
                        tx,
                        version_id=version.id,
                        purpose=purpose,
                        persons=persons,
                        limits=limits,
                        at=self.clock.now(),
                    )
                epoch, view = now, self.consents.view(tx, version.id, purpose=purpose, epoch=now)
        return None

    def _count(self, view: ConsentView) -> int | None:
        """Return how many people stand consented, or None when a rotation of keys took the files away meanwhile."""
        try:
            return int(view.mask(self.clock.now()).sum())
        except FILES_MOVED:
            return None

    def _locked_epoch(self, tx: Transaction, dataset_id: str) -> int:
        return self.consents.locked_epoch(tx, self.datasets.dataset(tx, dataset_id))

    def _limits(self, tx: Transaction, dataset_id: str, purpose: str) -> Limits | None:
        """Return the rule's limits, if it lets a size for this purpose out now."""
        consents = self.datasets.dataset(tx, dataset_id).schema.consents
        if all(consent.purpose != purpose for consent in consents):
            # Nobody may be counted for it; a figure about nobody would use up the share all the same.
            return None
        policy = self.rules.current(tx, dataset_id)
        if policy is None or self.rules.stopped(tx, dataset_id) or self.grants.restored(tx) is not None:
            return None
        if unconfirmed(tx, dataset_id) is not None:
            return None
        limits = public_limits(
            [policy.document],
            purpose=purpose,
            at=self.clock.now(),
            beside=policies_of_population(tx, self.grants.population(tx, dataset_id)),
        )
        return limits if isinstance(limits, Limits) else None

    def _charge(
        self, tx: Transaction, dataset_id: str, version_id: str, purpose: str, limits: Limits
    ) -> bool:
        if is_charged(tx, version_id, purpose):
            return True
        workspace = self.workspaces.workspace(tx, self.datasets.dataset(tx, dataset_id).workspace_id)
        rho_micro = max(1, limits.public_rho_micro // _RELEASES_PER_SHARE)
        charged = self.grants.charge_public(
            tx,
            workspace.population_id,
            rho_micro=rho_micro,
            release_id=f"{version_id}/{purpose}",
            limits=limits,
        )
        if charged:
            enter_public(tx, version_id=version_id, purpose=purpose, rho_micro=rho_micro, at=self.clock.now())
        return charged
