"""How small a base, an audience and a step between figures may be."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

from policies.decision import Reason
from policies.request import Request
from policies.rules.base import REGISTRY, Rule, only_keys, whole_number

_MANY = 1_000_000_000


@REGISTRY.register
@dataclass(frozen=True)
class BaseFloor(Rule):
    """How many persons the asker's base must have at least. Friction, and no guarantee."""

    min: int
    tag: ClassVar[str] = "base_floor"

    def check(self, request: Request) -> Reason | None:
        """Forbid a smaller base."""
        if request.base_persons >= self.min:
            return None
        return Reason(self.tag, f"A base needs at least {self.min} persons.", self.min, request.base_persons)

    def repair(self, request: Request) -> Request | None:
        """Ask with a base that is just large enough."""
        return replace(request, base_persons=self.min)

    def meet(self, other: Self) -> Self:
        """Keep the larger floor."""
        return max(self, other, key=lambda rule: rule.min)

    def to_data(self) -> dict[str, Any]:
        """Return the floor."""
        return {"min": self.min}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        """Read `min`."""
        only_keys(data, cls.tag, ("min",))
        return cls(whole_number(data, cls.tag, "min", low=0, high=_MANY))


@REGISTRY.register
@dataclass(frozen=True)
class MinimumAudience(Rule):
    """How many persons a shown cell should have; the gate withholds smaller ones by their noisy count."""

    min: int
    tag: ClassVar[str] = "minimum_audience"

    def meet(self, other: Self) -> Self:
        """Keep the larger minimum."""
        return max(self, other, key=lambda rule: rule.min)

    def to_data(self) -> dict[str, Any]:
        """Return the minimum."""
        return {"min": self.min}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        """Read `min`."""
        only_keys(data, cls.tag, ("min",))
        return cls(whole_number(data, cls.tag, "min", low=0, high=_MANY))


@REGISTRY.register
@dataclass(frozen=True)
class Rounding(Rule):
    """To which multiple figures are rounded, after the noise."""

    to: int
    tag: ClassVar[str] = "rounding"

    def meet(self, other: Self) -> Self:
        """Keep the coarser grid."""
        return max(self, other, key=lambda rule: rule.to)

    def to_data(self) -> dict[str, Any]:
        """Return the grid."""
        return {"to": self.to}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        """Read `to`."""
        only_keys(data, cls.tag, ("to",))
        return cls(whole_number(data, cls.tag, "to", low=1, high=1_000_000))
