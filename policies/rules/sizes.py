"""How small a base, an audience and a step between figures may be."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

from policies.decision import Reason
from policies.errors import PolicyFormatError
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


OUTPUTS = ("overlap", "key", "label", "segment", "breakdown", "sum")
"""The outputs that may have a minimum of their own; cells of the dataset's side count as what they are."""


@REGISTRY.register
@dataclass(frozen=True)
class MinimumAudience(Rule):
    """How many persons a shown cell should have; the gate withholds smaller ones by their noisy count.

    Attributes:
        min: for every output.
        outputs: larger minima of single outputs, by output; a smaller one has no effect.
    """

    min: int
    outputs: Mapping[str, int] = field(default_factory=dict)
    tag: ClassVar[str] = "minimum_audience"

    def meet(self, other: Self) -> Self:
        """Keep the larger minimum, of every output."""
        smallest = max(self.min, other.min)
        larger = {
            name: max(self.outputs.get(name, 0), other.outputs.get(name, 0))
            for name in OUTPUTS
            if name in self.outputs or name in other.outputs
        }
        return type(self)(smallest, {name: size for name, size in larger.items() if size > smallest})

    def to_data(self) -> dict[str, Any]:
        """Return the minimum, and those of single outputs if there are any."""
        return {"min": self.min} | ({"outputs": dict(self.outputs)} if self.outputs else {})

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        """Read `min` and `outputs`, none of which may be below `min`."""
        only_keys(data, cls.tag, ("min", "outputs"))
        smallest = whole_number(data, cls.tag, "min", low=0, high=_MANY)
        outputs = data.get("outputs", {})
        if not isinstance(outputs, Mapping):
            raise PolicyFormatError(
                f"`outputs` of the rule {cls.tag!r} maps outputs to people.",
                remedy="Write outputs: {segment: 200}.",
            )
        only_keys(outputs, cls.tag, OUTPUTS)
        sizes = {
            name: whole_number(outputs, cls.tag, name, low=smallest, high=_MANY)
            for name in OUTPUTS
            if name in outputs
        }
        return cls(smallest, {name: size for name, size in sizes.items() if size > smallest})


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
