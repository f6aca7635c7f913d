"""Crash and cancel: break a question off where it has been answered and not yet been paid for, and ask again."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from cleanroom.analyses.types import Outcome
from cleanroom.grants.types import Grant
from cleanroom.matching.local import LocalEngine
from cleanroom.redteam.lab import Lab
from cleanroom.redteam.measures import measure, nothing_to_ask, result_of
from cleanroom.redteam.rooms import Party
from cleanroom.redteam.scenes import Crowd, Evidence, Scene, can_ask, pooled
from cleanroom.redteam.spending import SPELLINGS, Purchase, price_of
from cleanroom.redteam.types import AttackResult, Metric
from cleanroom.release.receipts import Receipts
from cleanroom.release.service import ReleaseService

COPIES = 6
_FREE = 20
"""So many answers are enough to show what free ones are worth: five times what the cap pays for."""
_PROBE = 10


class _Cancelled(BaseException):
    """The process was killed; nothing may catch this."""


@dataclass(frozen=True)
class _Point:
    """Where a question can be broken off: around a call of the process that the attacker can time.

    Attributes:
        owner: class of the call.
        name: of the call.
        after: once it is done, or before it begins.
    """

    owner: type
    name: str
    after: bool


_POINTS = (
    _Point(LocalEngine, "count", after=True),
    _Point(ReleaseService, "release", after=True),
    _Point(Receipts, "write", after=False),
    _Point(Receipts, "write", after=True),
)


@dataclass(frozen=True)
class CrashQuery:
    """A cheap question shows at which point crashing is free, if at any; otherwise the budget is spent as ever."""

    name: ClassVar[str] = "crash_query"
    title: ClassVar[str] = (
        "Crash the room while it answers, and ask again: is a figure learned that nobody paid for?"
    )
    metric: ClassVar[Metric] = Metric.ADVANTAGE
    plants: ClassVar[tuple[str, ...]] = ("settle_at_release", "noise_off")

    def run(self, lab: Lab) -> AttackResult:
        """Let buyers probe, then spend."""
        if not can_ask(lab):
            return nothing_to_ask(self.name, lab.buyer_limit)
        crowd = Crowd.for_buyers(lab, copies=COPIES, seed=self.name)
        with Scene.opened(lab, crowd) as scene:
            guesses = [_spoils(scene, buyer, grant).scores > 0.5 for buyer, grant in scene.buyers()]
        secrets = np.tile(crowd.present, len(guesses))
        return result_of(
            self.name, [measure("crashing", secrets, np.concatenate(guesses), limit=lab.buyer_limit)]
        )


def _spoils(scene: Scene, buyer: Party, grant: Grant) -> Evidence:
    """Probe every point with a rough question, then take all that is free, and then all that is paid for."""
    sharpest = scene.plan(grant.rho_micro)[-1].half_width
    free = None
    for number, point in enumerate(_POINTS):
        before = scene.room.left(grant)
        learned = _crash(scene, buyer, grant, _purchase(scene, _PROBE * sharpest - number, 0), point)
        if learned.weight and scene.room.left(grant) == before:
            free = point
    found = []
    if free is not None:
        for width in range(sharpest + _FREE // SPELLINGS, sharpest, -1):
            for way in range(SPELLINGS):
                found.append(_crash(scene, buyer, grant, _purchase(scene, width, way), free))
    return pooled([*found, scene.spend(grant, buyer)])


def _purchase(scene: Scene, half_width: int, way: int) -> Purchase:
    price = price_of(scene.crowd.l0, half_width, scene.lab.limits)
    return Purchase(half_width, price, labels=bool(way & 1), per_key=bool(way & 2))


def _crash(scene: Scene, buyer: Party, grant: Grant, purchase: Purchase, point: _Point) -> Evidence:
    """Ask and crash; then ask again, if that costs nothing, and return what was learned."""
    with _crashing(point):
        try:
            scene.ask(grant, buyer, purchase)
        except _Cancelled:
            scene.room.reopen()
    learned = Evidence(np.zeros(scene.crowd.present.size))
    # A question that was answered is not paid for twice; one that was not, costs the attacker its price again.
    answer = scene.ask(grant, buyer, purchase)
    if answer.outcome is not Outcome.REFUSED:
        learned.add(scene.crowd.read(answer.figures), weight=purchase.rho_micro)
    return learned


@contextmanager
def _crashing(point: _Point) -> Iterator[None]:
    sound = getattr(point.owner, point.name)

    def killed(*args: Any, **how: Any) -> None:
        if point.after:
            sound(*args, **how)
        raise _Cancelled

    setattr(point.owner, point.name, killed)
    try:
        yield
    finally:
        setattr(point.owner, point.name, sound)
