"""Account doubling: buy once more under another purpose, date, file, agency or name, and pool the answers."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar

import numpy as np

from cleanroom.grants.types import Grant
from cleanroom.redteam.lab import Lab
from cleanroom.redteam.measures import measure, nothing_to_ask, result_of
from cleanroom.redteam.rooms import Party
from cleanroom.redteam.scenes import Crowd, Evidence, Scene, buyers_for, can_ask, pooled
from cleanroom.redteam.types import AttackResult, Metric
from policies.rules import Purposes

COPIES = 6
# Shorter than any window after which a policy may forget what was spent.
_TERM = timedelta(days=1)


@dataclass(frozen=True)
class AccountDoubling:
    """One buyer takes every way that might lead to a second budget, and then averages all that it was told."""

    name: ClassVar[str] = "account_doubling"
    title: ClassVar[str] = (
        "Buy again for a second purpose, after the term, for the same file registered again, through a second agency "
        "and as an affiliate."
    )
    metric: ClassVar[Metric] = Metric.ADVANTAGE
    plants: ClassVar[tuple[str, ...]] = (
        "budget_per_entitlement",
        "budget_per_purpose",
        "budget_per_dataset",
        "budget_per_agency",
        "affiliates_apart",
        "renewal_refunds_all",
    )

    def run(self, lab: Lab) -> AttackResult:
        """Let buyers attack one after another until the total is used up."""
        if not can_ask(lab):
            return nothing_to_ask(self.name, lab.buyer_limit)
        purposes = _purposes(lab)
        crowd = Crowd.for_buyers(lab, copies=COPIES, seed=self.name)
        with Scene.opened(lab, crowd, purposes=purposes) as scene:
            again = scene.room.dataset(scene.provider, crowd.schema(*purposes), crowd.people())
            found = []
            for number in range(buyers_for(lab)):
                spoils = list(_Buyer(scene, number, again).spoils(purposes))
                if not spoils:
                    break
                found.append(pooled(spoils).scores > 0.5)
        secrets = np.tile(crowd.present, len(found))
        return result_of(
            self.name,
            [measure("every way at once", secrets, np.concatenate(found), limit=lab.buyer_limit)],
        )


@dataclass(frozen=True)
class _Buyer:
    """A buyer with an affiliate, and two agencies at its service.

    Attributes:
        scene: where it buys.
        number: which buyer.
        again: the same file, registered a second time.
    """

    scene: Scene
    number: int
    again: str

    def spoils(self, purposes: tuple[str, ...]) -> Iterator[Evidence]:
        """Take one way after another; each yields what it brought."""
        room, dataset_id = self.scene.room, self.scene.dataset_id
        group = f"group {self.number}"
        one, other = (room.party(f"{group}, {name}", affiliate_group=group) for name in ("one", "other"))
        for purpose in purposes:
            yield from self._buy(dataset_id, one, purpose)
        yield from self._buy(self.again, one, purposes[0])
        for agency in ("first", "second"):
            yield from self._through(f"{group}, {agency} agency", one, purposes[0])
        yield from self._buy(dataset_id, other, purposes[0])
        room.clock.move(days=2 * _TERM.days)
        with room.room.db.transaction() as tx:
            room.room.grants.expire(tx)
        yield from self._buy(dataset_id, one, purposes[0])

    def _through(self, name: str, buyer: Party, purpose: str) -> Iterator[Evidence]:
        agency = self.scene.room.party(name, "agency")
        with self.scene.room.room.db.transaction() as tx:
            self.scene.room.room.accounts.grant_mandate(
                tx, agency_id=agency.organisation_id, advertiser_id=buyer.organisation_id
            )
        yield from self._buy(self.scene.dataset_id, buyer, purpose, agency=agency)

    def _buy(
        self, dataset_id: str, buyer: Party, purpose: str, *, agency: Party | None = None
    ) -> Iterator[Evidence]:
        room = self.scene.room
        asked: dict[str, Any] = {"purposes": [purpose], "expires_at": room.clock.now() + _TERM}
        if agency is not None:
            asked["agency_id"] = agency.organisation_id
        # Not until nothing is sold: where every purchase brings a budget, that moment never comes.
        for size in ("L", "M"):
            grant = room.try_grant(dataset_id, buyer, size, **asked)
            if isinstance(grant, Grant):
                yield self.scene.spend(grant, buyer, asker=agency, purpose=purpose)


def _purposes(lab: Lab) -> tuple[str, ...]:
    """Return two purposes that the policy allows, or the only one."""
    rule = next(rule for rule in lab.document.rules if isinstance(rule, Purposes))
    return tuple(sorted(rule.allowed))[:2]
