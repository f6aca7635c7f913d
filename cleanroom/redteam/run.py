"""Running the attacks, and what they found together."""

import hashlib
import json
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime
from multiprocessing import get_context
from pathlib import Path
from shutil import rmtree
from typing import Any

from cleanroom.clock import Clock, SystemClock, rfc3339
from cleanroom.redteam.attacks.account_doubling import AccountDoubling
from cleanroom.redteam.attacks.averaging import Averaging
from cleanroom.redteam.attacks.bisection import Bisection
from cleanroom.redteam.attacks.collusion import Collusion
from cleanroom.redteam.attacks.crash_query import CrashQuery
from cleanroom.redteam.attacks.differencing import Differencing
from cleanroom.redteam.attacks.key_fanout import KeyFanout
from cleanroom.redteam.attacks.optout_oracle import OptoutOracle
from cleanroom.redteam.attacks.padding import Padding
from cleanroom.redteam.attacks.provider_flood import ProviderFlood
from cleanroom.redteam.attacks.reconstruction import Reconstruction
from cleanroom.redteam.attacks.refusal_oracle import RefusalOracle
from cleanroom.redteam.attacks.rounding_edge import RoundingEdge
from cleanroom.redteam.attacks.snapshots import Snapshots
from cleanroom.redteam.errors import UnknownPlantError
from cleanroom.redteam.lab import GAMES, Lab, Progress
from cleanroom.redteam.plants import plant_names, planted
from cleanroom.redteam.types import WIDEST, Attack, AttackResult, Verdict
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
    Snapshots(),
    Averaging(),
    AccountDoubling(),
    Collusion(),
    KeyFanout(),
    OptoutOracle(),
    RefusalOracle(),
    ProviderFlood(),
    CrashQuery(),
)
"""Every attack of the threat model, in its order."""


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
    jobs: int = 1,
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
        jobs: processes that attack at the same time; with one, it is this process.
        progress: called with an attack's name and the share of it that is done.
        clock: tells when the report was finished.

    Raises:
        UnknownPlantError: there is no such fault.
        UnusablePolicyError: nothing can be asked under the policy.
    """
    chosen, show = attacks_for(plant), progress or _silent
    limits = Lab(policy, seed, home).limits
    tasks = [_Task(policy, home / attack.name, seed, games, plant, attack) for attack in chosen]
    results: dict[str, AttackResult] = {}
    if jobs == 1:
        for task in tasks:
            show(task.attack.name, 0.0)
            results[task.attack.name] = task.run(show)
            show(task.attack.name, 1.0)
    else:
        # A fresh interpreter each: a fault that is planted in one must not be found in another.
        with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
            for done in as_completed([pool.submit(task.run) for task in tasks]):
                result = done.result()
                results[result.name] = result
                show(result.name, 1.0)
    return Report(
        policy=policy,
        limits=limits,
        results=tuple(results[attack.name] for attack in chosen),
        titles={attack.name: attack.title for attack in chosen},
        seed=seed,
        games=games,
        plant=plant,
        at=(clock or SystemClock()).now(),
    )


@dataclass(frozen=True)
class _Task:
    """One attack, in a laboratory of its own."""

    policy: PolicyDocument
    home: Path
    seed: int
    games: int
    plant: str | None
    attack: Attack

    def run(self, progress: Progress | None = None) -> AttackResult:
        lab = Lab(self.policy, self.seed, self.home, progress or _silent, self.games)
        with planted(self.plant) if self.plant is not None else nullcontext():
            result = self.attack.run(lab)
        rmtree(self.home, ignore_errors=True)
        return result


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
