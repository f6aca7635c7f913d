"""The laboratory: the policy under attack, its promises, and rooms made for the purpose."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from random import Random

from cleanroom.bootstrap import init_room, open_room
from cleanroom.redteam.cells import Cells, gather
from cleanroom.redteam.errors import UnusablePolicyError
from cleanroom.redteam.rooms import LabClock, LabRoom, settings_of
from policies.accounting import MICRO, advantage
from policies.combine import combine, limits_of, missing_rules
from policies.decision import Limits
from policies.model import PolicyDocument
from policies.rules import (
    Analyses,
    Attributes,
    BaseFloor,
    BreakdownDepth,
    Budget,
    MinimumAudience,
    Purposes,
    Rounding,
    Rule,
)

GAMES = 5_000
"""Independent games that make every 95% interval narrower than 0.06."""
MOST_ATTRIBUTES = 10

# What bounds an attack. Everything else a policy may say (buyers, dates, sectors, approvals, pace, literals) slows an
# attacker down, and a red team that it stops would only show that the friction holds, not the guarantee.
_GUARANTEES: tuple[type[Rule], ...] = (
    Purposes,
    Analyses,
    Attributes,
    BreakdownDepth,
    BaseFloor,
    MinimumAudience,
    Rounding,
    Budget,
)
Progress = Callable[[str, float], None]


def _silent(_attack: str, _share: float) -> None:
    """Show nothing."""


@dataclass
class Lab:
    """Where attacks run.

    Attributes:
        policy: the policy under attack, as its owner wrote it.
        seed: of the invented people and secrets; the noise comes from the operating system, as always.
        home: rooms are made below it, and burnt.
        progress: called with an attack's name and the share of it that is done.
        games: independent games per attack; fewer make wider intervals.
    """

    policy: PolicyDocument
    seed: int
    home: Path
    progress: Progress = _silent
    games: int = GAMES
    _made: int = field(default=0, init=False)

    @cached_property
    def document(self) -> PolicyDocument:
        """The policy without friction, over the lab's own attributes: `lab.attributes`."""
        if missing := missing_rules(self.policy):
            raise UnusablePolicyError(
                f"The policy has no rule: {', '.join(missing)}.", remedy="Start from a preset."
            )
        rules = {kind: rule for kind, rule in combine([self.policy]).items() if issubclass(kind, _GUARANTEES)}
        names = frozenset(self.attributes)
        rules[Attributes] = Attributes(filter=names, breakdown=names)
        return replace(self.policy, rules=tuple(rules.values()))

    @cached_property
    def attributes(self) -> tuple[str, ...]:
        """Names of the lab's attributes: as many as the policy lets break down by, ten at most."""
        rule = combine([self.policy])[Attributes]
        assert isinstance(rule, Attributes)
        count = MOST_ATTRIBUTES
        if rule.breakdown is not None:
            count = min(count, len(rule.breakdown - rule.blocked))
        return tuple(f"area{number}" for number in range(count))

    @cached_property
    def limits(self) -> Limits:
        """The policy's numbers."""
        return limits_of(combine([self.document]))

    @cached_property
    def purpose(self) -> str:
        """A purpose that the policy allows."""
        rule = combine([self.policy])[Purposes]
        assert isinstance(rule, Purposes)
        if not rule.allowed:
            raise UnusablePolicyError(
                "The policy allows no purpose, so nothing can be asked.", remedy="Name at least one purpose."
            )
        return min(rule.allowed)

    @property
    def kinds(self) -> frozenset[str]:
        """Kinds of analysis that the policy allows."""
        rule = combine([self.document])[Analyses]
        assert isinstance(rule, Analyses)
        return rule.allowed

    @property
    def buyer_limit(self) -> float:
        """The most that one buyer may gain against one person with its whole cap spent."""
        return advantage(self.limits.cap_rho_micro / MICRO)

    @property
    def agency_limit(self) -> float:
        """The same through an agency."""
        return advantage(self.limits.agency_rho_micro / MICRO)

    @property
    def total_limit(self) -> float:
        """The same for everyone together."""
        return advantage(self.limits.total_rho_micro / MICRO)

    def random(self, attack: str) -> Random:
        """Return the source of an attack's invented people; the same for the same seed and attack."""
        return Random(f"{self.seed}:{attack}")  # noqa: S311 - invented people are no secret

    @contextmanager
    def room(
        self, *, document: PolicyDocument | None = None, template: LabRoom | None = None
    ) -> Iterator[LabRoom]:
        """Open a room of its own, empty or copied from one that is closed; burnt afterwards.

        Args:
            document: put in force instead of the attacked policy.
            template: a closed room whose home and parties are copied.
        """
        source = template or self._empty
        home = self._new_home()
        shutil.copytree(source.home, home)
        clock = LabClock(source.clock.instant)
        made = LabRoom(
            home,
            open_room(settings_of(home), clock=clock),
            clock,
            document or self.document,
            self.purpose,
            dict(source.parties),
        )
        try:
            yield made
        finally:
            made.close()

    def build(self, *, document: PolicyDocument | None = None) -> LabRoom:
        """Make an empty room that stays until the lab is burnt; for templates: fill it, then `room.room.close()`."""
        home, clock = self._new_home(), LabClock()
        return LabRoom(
            home, init_room(settings_of(home), clock=clock), clock, document or self.document, self.purpose
        )

    @cached_property
    def cells(self) -> Cells:
        """A room full of targets, built when it is first needed; raises AttackRefusedError."""
        return gather(self)

    @cached_property
    def _empty(self) -> LabRoom:
        made = self.build()
        made.room.close()
        return made

    def _new_home(self) -> Path:
        self._made += 1
        home = self.home / f"room{self._made}" / "home"
        home.parent.mkdir(parents=True)
        return home


@contextmanager
def lab_home() -> Iterator[Path]:
    """Make a directory for a lab's rooms, and remove it afterwards.

    It lies where TMPDIR says, or else in memory where the system has such a place.
    """
    memory = Path("/dev/shm")  # noqa: S108 - made private by TemporaryDirectory
    with tempfile.TemporaryDirectory(
        prefix="cleanroom-redteam-",
        dir=memory if memory.is_dir() and "TMPDIR" not in os.environ else None,
        ignore_cleanup_errors=True,
    ) as directory:
        yield Path(directory)
