"""Collusion: buyers pool what each was told; clients of one agency, and everybody together."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from cleanroom.grants.types import Grant
from cleanroom.redteam.lab import Lab
from cleanroom.redteam.measures import Measure, measure, nothing_to_ask, result_of
from cleanroom.redteam.scenes import Crowd, Evidence, Scene, can_ask, most_targets, pooled
from cleanroom.redteam.types import AttackResult, Metric

COPIES = 3
_ALLIES = 40


@dataclass(frozen=True)
class Collusion:
    """Agencies sign as many clients as the room sells to; all clients of all agencies and the rest share everything.

    Measured twice: what one agency's clients know together, and what all know together.
    """

    name: ClassVar[str] = "collusion"
    title: ClassVar[str] = "Pool the answers of all clients of an agency, and of all buyers together."
    metric: ClassVar[Metric] = Metric.ADVANTAGE
    plants: ClassVar[tuple[str, ...]] = ("no_total", "agencies_uncapped", "noise_off")

    def run(self, lab: Lab) -> AttackResult:
        """Play in as many rooms as the games need."""
        if not can_ask(lab):
            return nothing_to_ask(self.name, lab.total_limit)
        targets = min(most_targets(lab), lab.games)
        secrets, agency_secrets, all_guesses, agency_guesses = [], [], [], []
        for number in range(-(-lab.games // targets)):
            crowd = Crowd.made(lab, targets, copies=COPIES, seed=f"{self.name} {number}")
            with Scene.opened(lab, crowd) as scene:
                agencies = _spoils(scene)
            lab.progress(self.name, (number + 1) * targets / lab.games)
            secrets.append(crowd.present)
            all_guesses.append(pooled(agencies).scores > 0.5)
            agency_secrets.append(np.tile(crowd.present, len(agencies)))
            agency_guesses.append(np.concatenate([agency.scores > 0.5 for agency in agencies]))
        return result_of(
            self.name,
            [
                _measured("one agency", agency_secrets, agency_guesses, lab.agency_limit),
                _measured("everybody", secrets, all_guesses, lab.total_limit),
            ],
        )


def _measured(way: str, secrets: list[np.ndarray], guesses: list[np.ndarray], limit: float) -> Measure:
    return measure(way, np.concatenate(secrets), np.concatenate(guesses), limit=limit)


def _spoils(scene: Scene) -> list[Evidence]:
    """Let agencies buy for new clients until the room sells no more; what each agency learned."""
    found: list[Evidence] = []
    clients: list[Evidence] = []
    agency = 0
    for number in range(_ALLIES):
        client = _client(scene, agency, number)
        if client is None and clients:
            found.append(pooled(clients))
            clients, agency = [], agency + 1
            client = _client(scene, agency, number)
        if client is None:
            break
        clients.append(client)
    return [*found, pooled(clients)] if clients else found


def _client(scene: Scene, agency_number: int, number: int) -> Evidence | None:
    room = scene.room
    agency = room.party(f"agency {agency_number}", "agency")
    buyer = room.party(f"client {number}")
    with room.room.db.transaction() as tx:
        room.room.accounts.grant_mandate(
            tx, agency_id=agency.organisation_id, advertiser_id=buyer.organisation_id
        )
    grant = room.try_grant(scene.dataset_id, buyer, agency_id=agency.organisation_id)
    return scene.spend(grant, buyer, asker=agency) if isinstance(grant, Grant) else None
