"""Running the attacks, and what they found together."""

import hashlib
import json
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from cleanroom.clock import Clock, SystemClock, rfc3339
from cleanroom.redteam.attacks.averaging import Averaging
from cleanroom.redteam.attacks.bisection import Bisection
from cleanroom.redteam.attacks.differencing import Differencing
from cleanroom.redteam.attacks.padding import Padding
from cleanroom.redteam.attacks.reconstruction import Reconstruction
from cleanroom.redteam.attacks.rounding_edge import RoundingEdge
from cleanroom.redteam.errors import UnknownPlantError
from cleanroom.redteam.lab import GAMES, Lab, Progress
from cleanroom.redteam.plants import plant_names, planted
from cleanroom.redteam.types import Attack, AttackResult, Verdict
from cleanroom.rules.types import RedTeamVerdict, policy_sha256
from policies.accounting import MICRO, rho_to_epsilon
from policies.codec import policy_to_data
from policies.decision import Limits
from policies.model import PolicyDocument

ATTACKS: tuple[Attack, ...] = (
    Differencing(),
    Padding(),
    RoundingEdge(),
    Bisection(),
    Reconstruction(),
    Averaging(),
)
"""Every attack of the threat model, in its order."""
WIDEST = 0.06
"""An interval wider than this leaves open whether the policy resists."""


@dataclass(frozen=True)
class Report:
    """What the red team found.

    Attributes:
        policy: the attacked document.
        limits: its numbers.
        results: one per attack.
        titles: what each attack tries, by name.
        seed: of the invented people.
        games: independent games per attack.
        plant: the fault that was planted; None in a sound room.
        at: the instant it was finished.
    """

    policy: PolicyDocument
    limits: Limits
    results: tuple[AttackResult, ...]
    titles: dict[str, str]
    seed: int
    games: int
    plant: str | None
    at: datetime

    @property
    def grade(self) -> Verdict:
        """Falls when one attack succeeds."""
        fallen = any(result.verdict is Verdict.FALLS for result in self.results)
        return Verdict.FALLS if fallen else Verdict.RESISTS

    @property
    def conclusive(self) -> bool:
        """Whether every attack was run, in a sound room, often enough."""
        return (
            self.plant is None
            and {result.name for result in self.results} == {attack.name for attack in ATTACKS}
            and all(result.interval95[1] - result.interval95[0] <= WIDEST for result in self.results)
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain data, which `to_json` writes."""
        return {
            "v": 1,
            "grade": self.grade.value,
            "conclusive": self.conclusive,
            "policy": {
                "name": self.policy.name,
                "sha256": policy_sha256(self.policy),
                "document": policy_to_data(self.policy),
            },
            "budget": {
                account: {
                    "rho_micro": micro,
                    "epsilon_at_delta_1e-6": round(rho_to_epsilon(micro / MICRO), 6),
                }
                for account, micro in (
                    ("advertiser", self.limits.cap_rho_micro),
                    ("agency", self.limits.agency_rho_micro),
                    ("total", self.limits.total_rho_micro),
                )
            },
            "attacks": [_result(result) for result in self.results],
            "seed": self.seed,
            "games": self.games,
            "plant": self.plant,
            "finished_at": rfc3339(self.at),
        }

    def to_json(self) -> str:
        """Return the report as JSON text; `verdict` names it by the SHA-256 of its UTF-8 bytes."""
        return json.dumps(self.to_dict(), ensure_ascii=False, indent=2) + "\n"

    def verdict(self) -> RedTeamVerdict:
        """Return what the rules need to publish the policy; it resists only if the report is conclusive."""
        return RedTeamVerdict(
            resists=self.conclusive and self.grade is Verdict.RESISTS,
            grade=self.grade.value,
            policy_sha256=policy_sha256(self.policy),
            report_sha256=hashlib.sha256(self.to_json().encode()).hexdigest(),
        )


def attacks_for(plant: str | None) -> tuple[Attack, ...]:
    """Return every attack, or those that a planted fault helps; raises UnknownPlantError."""
    chosen = tuple(attack for attack in ATTACKS if plant is None or plant in attack.plants)
    if not chosen:
        raise UnknownPlantError(
            f"There is no fault {str(plant)[:80]!r}.", remedy=f"Use: {', '.join(plant_names())}."
        )
    return chosen


def run(
    policy: PolicyDocument,
    *,
    home: Path,
    seed: int,
    games: int = GAMES,
    plant: str | None = None,
    attacks: Sequence[Attack] | None = None,
    progress: Progress | None = None,
    clock: Clock | None = None,
) -> Report:
    """Attack a policy in rooms of its own.

    Args:
        policy: complete, purposes and attributes included.
        home: an empty directory for the rooms, from `lab_home`.
        seed: of the invented people and their secrets.
        games: independent games per attack; fewer make a report that is not conclusive.
        plant: a fault of `cleanroom.redteam.plants`; only the attacks that it helps are run.
        attacks: only these; all when not given.
        progress: called with an attack's name and the share of it that is done.
        clock: tells when the report was finished.

    Raises:
        UnknownPlantError: there is no such fault.
        UnusablePolicyError: nothing can be asked under the policy.
    """
    chosen = attacks_for(plant) if attacks is None else tuple(attacks)
    lab = Lab(policy, seed, home, progress or _silent, games)
    results = []
    with ExitStack() as stack:
        if plant is not None:
            stack.enter_context(planted(plant))
        for attack in chosen:
            lab.progress(attack.name, 0.0)
            results.append(attack.run(lab))
            lab.progress(attack.name, 1.0)
    return Report(
        policy=policy,
        limits=lab.limits,
        results=tuple(results),
        titles={attack.name: attack.title for attack in chosen},
        seed=seed,
        games=games,
        plant=plant,
        at=(clock or SystemClock()).now(),
    )


def _silent(_attack: str, _share: float) -> None:
    """Show nothing."""


def _result(result: AttackResult) -> dict[str, Any]:
    return {
        "name": result.name,
        "metric": result.metric.value,
        "value": round(result.value, 6),
        "interval95": [round(end, 6) for end in result.interval95],
        "limit": round(result.limit, 6),
        "verdict": result.verdict.value,
        "trials": result.trials,
        "note": result.note,
    }
