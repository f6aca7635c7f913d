"""Key fan-out: a target with many shared keys, in the hope that it counts many times or fuses others."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import polars as pl

from cleanroom.redteam.lab import Lab
from cleanroom.redteam.measures import measure, nothing_to_ask, result_of
from cleanroom.redteam.rooms import Columns
from cleanroom.redteam.scenes import Bits, Crowd, Numbers, Scene, can_ask
from cleanroom.redteam.types import AttackResult, Metric

COPIES, PHONES = 6, 8
_DECOYS = 0.1
_SURE_SIGMAS = 3.0


@dataclass(frozen=True)
class Families(Crowd):
    """A crowd in which every target has several rows with a phone each, and every phone belongs to a known one too."""

    keys: ClassVar[tuple[str, ...]] = ("email", "phone")
    # With two keys their shares are figures, and cost.
    spellings: ClassVar[int] = 2

    def schema(self, *purposes: str) -> dict[str, Any]:
        """Return the provider's schema: rows name their person, and have two keys."""
        return {
            **super().schema(*purposes),
            "person_id": {"column": "id"},
            "match_keys": {
                "email": {"column": "email"},
                "phone": {"column": "phone", "default_region": "RU"},
            },
        }

    def people(self, present: Bits | None = None) -> Columns:
        """Return the provider's rows; everybody known has an e-mail of its own."""
        there = np.flatnonzero(self.present if present is None else present)
        known = np.arange(self.padding * self.present.size)
        who = np.concatenate([known // self.padding, np.repeat(there, PHONES)])
        ids = pl.concat([_named("k", known), _named("t", np.repeat(there, PHONES))])
        phones = pl.concat([self._known_phones(known), _phones(_fan(there))])
        return {
            "id": ids,
            "email": ids + "@people.example",
            "phone": phones,
            **{name: pl.Series(place[who]).cast(pl.String) for name, place in self.places.items()},
            "ads": pl.Series(["yes"]).new_from_index(0, who.size),
        }

    def base(self) -> Columns:
        """Return the attacker's rows: everybody known, and all targets by every key that they have."""
        known, targets = np.arange(self.padding * self.present.size), np.arange(self.present.size)
        emails = pl.concat([_named("k", known), _named("t", targets)]) + "@people.example"
        blank = pl.Series([""])
        return {
            "email": pl.concat([emails, blank.new_from_index(0, targets.size * PHONES)]),
            "phone": pl.concat([blank.new_from_index(0, emails.len()), _phones(_fan(targets))]),
        }

    def _known_phones(self, known: np.ndarray) -> pl.Series:
        number = known % self.padding
        phones = _phones(known // self.padding * PHONES + np.minimum(number, PHONES - 1))
        return pl.select(pl.when(pl.Series(number < PHONES)).then(phones).otherwise(pl.lit(""))).to_series()


@dataclass(frozen=True)
class KeyFanout:
    """The attacker knows of a tenth of the targets whether they are there, and learns from them what to look for."""

    name: ClassVar[str] = "key_fanout"
    title: ClassVar[str] = (
        "Give the target many rows and shared keys, in the hope that it counts many times or fuses others."
    )
    metric: ClassVar[Metric] = Metric.ADVANTAGE
    plants: ClassVar[tuple[str, ...]] = ("rows_counted_as_persons", "rows_fused_by_keys", "noise_off")

    def run(self, lab: Lab) -> AttackResult:
        """Let buyers spend their caps."""
        if not can_ask(lab):
            return nothing_to_ask(self.name, lab.buyer_limit)
        crowd = Families.for_buyers(lab, copies=COPIES, seed=self.name, spare=1 / (1 - _DECOYS))
        decoys = round(crowd.present.size * _DECOYS)
        guesses = []
        with Scene.opened(lab, crowd) as scene:
            for buyer, grant in scene.buyers():
                scores = scene.spend(grant, buyer).scores
                guesses.append(_guess(scores[decoys:], scores[:decoys], crowd.present[:decoys]))
        secrets = np.tile(crowd.present[decoys:], len(guesses))
        found = measure("eight keys each", secrets, np.concatenate(guesses), limit=lab.buyer_limit)
        return result_of(self.name, [found])


def _guess(scores: Numbers, known: Numbers, present: Bits) -> Bits:
    """Guess in the middle between what decoys show who are there and who are not; by default between 0 and 1."""
    inside, outside = known[present], known[~present]
    moved = inside.mean() - outside.mean()
    error = np.sqrt(inside.var() / inside.size + outside.var() / outside.size)
    if abs(moved - 1) <= _SURE_SIGMAS * error:
        return np.asarray(scores > 0.5)
    middle = (inside.mean() + outside.mean()) / 2
    return np.asarray(scores > middle if moved > 0 else scores < middle)


def _fan(targets: np.ndarray) -> np.ndarray:
    """Return the numbers of all phones of targets."""
    return np.asarray((targets[:, None] * PHONES + np.arange(PHONES)).ravel())


def _named(letter: str, numbers: np.ndarray) -> pl.Series:
    return pl.select(pl.format(letter + "{}", pl.Series(numbers))).to_series()


def _phones(numbers: np.ndarray) -> pl.Series:
    return "+7916" + pl.Series(numbers).cast(pl.String).str.zfill(7)
