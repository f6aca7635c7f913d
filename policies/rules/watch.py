"""What is watched and told, without changing any answer: the difference alarm, and an override named unsafe."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from policies.rules.base import REGISTRY, Rule, only_keys, text, whole_number

_LONGEST_REASON = 500


@REGISTRY.register
@dataclass(frozen=True)
class DifferenceAlarm(Rule):
    """Tell the compliance officer when a question hardly differs from an earlier one of the same party.

    Attributes:
        days: how far back earlier questions are looked at.
    """

    days: int
    tag: ClassVar[str] = "difference_alarm"
    decides: ClassVar[bool] = False

    def meet(self, other: Self) -> Self:
        """Look back further."""
        return max(self, other, key=lambda rule: rule.days)

    def to_data(self) -> dict[str, Any]:
        """Return the days."""
        return {"days": self.days}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        """Read `days`."""
        only_keys(data, cls.tag, ("days",))
        return cls(whole_number(data, cls.tag, "days", low=1, high=3_650))


@REGISTRY.register
@dataclass(frozen=True)
class Unsafe(Rule):
    """An owner publishes the policy although the red team has not found that it resists; shown wherever it is.

    Attributes:
        reason: why, in the owner's words.
    """

    reason: str
    tag: ClassVar[str] = "unsafe"
    decides: ClassVar[bool] = False

    def meet(self, other: Self) -> Self:
        """Keep both reasons."""
        reasons = sorted({self.reason, other.reason})
        return self if len(reasons) == 1 else type(self)("; ".join(reasons))

    def to_data(self) -> dict[str, Any]:
        """Return the reason."""
        return {"reason": self.reason}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        """Read `reason`."""
        only_keys(data, cls.tag, ("reason",))
        return cls(text(data, cls.tag, "reason", most=_LONGEST_REASON))
