"""How often one buyer may ask. Friction, and no guarantee: the budget is what bounds the learning."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from typing import Any, ClassVar, Self

from policies.decision import Reason
from policies.errors import PolicyFormatError
from policies.request import Request, wait_until
from policies.rules.base import REGISTRY, Rule, only_keys, whole_number

_MOST = 10_000
_WINDOWS = {
    "per_minute": timedelta(minutes=1),
    "per_hour": timedelta(hours=1),
    "per_day": timedelta(days=1),
}


@REGISTRY.register
@dataclass(frozen=True)
class Rate(Rule):
    """How many questions one advertiser, through one agency if any, may ask of the dataset; refusals count too.

    Attributes:
        per_minute: in any 60 seconds; None for any number.
        per_hour: in any hour.
        per_day: in any 24 hours.
    """

    per_minute: int | None = None
    per_hour: int | None = None
    per_day: int | None = None
    tag: ClassVar[str] = "rate"

    @property
    def looks_back(self) -> int:
        """How many earlier questions the rule has to know."""
        return max((limit for limit, _ in self._limits()), default=0)

    def check(self, request: Request) -> Reason | None:
        """Forbid one question too many within a window."""
        broken = [
            (limit, name)
            for limit, name in self._limits()
            if (free := self._free_at(request, limit, name)) is not None and request.at < free
        ]
        if not broken:
            return None
        limit, name = broken[-1]
        span = name.removeprefix("per_")
        asked = sum(request.at < instant + _WINDOWS[name] for instant in request.recent)
        return Reason(self.tag, f"The owner answers {limit} questions per {span}.", limit, asked + 1)

    def repair(self, request: Request) -> Request | None:
        """Wait until the windows are free again; the refusal of this very request counts in them too."""
        counted = replace(request, recent=(request.at, *request.recent))
        frees = [free for limit, name in self._limits() if (free := self._free_at(counted, limit, name))]
        return wait_until(request, max([request.at, *frees]))

    def meet(self, other: Self) -> Self:
        """Keep the smaller number per window."""
        pairs = {name: (getattr(self, name), getattr(other, name)) for name in _WINDOWS}
        return type(self)(
            **{
                name: min((limit for limit in pair if limit is not None), default=None)
                for name, pair in pairs.items()
            }
        )

    def to_data(self) -> dict[str, Any]:
        """Return the numbers that are limited."""
        return {name: limit for limit, name in self._limits()}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        """Read at least one of `per_minute`, `per_hour` and `per_day`."""
        only_keys(data, cls.tag, _NAMES)
        if not data:
            raise PolicyFormatError(
                f"The rule {cls.tag!r} limits nothing.", remedy=f"Give one of: {', '.join(_NAMES)}."
            )
        return cls(**{name: whole_number(data, cls.tag, name, low=1, high=_MOST) for name in data})

    def _limits(self) -> list[tuple[int, str]]:
        named = ((getattr(self, name), name) for name in _WINDOWS)
        return [(limit, name) for limit, name in named if limit is not None]

    def _free_at(self, request: Request, limit: int, name: str) -> datetime | None:
        if len(request.recent) < limit:
            return None
        return request.recent[limit - 1] + _WINDOWS[name]


_NAMES = tuple(field.name for field in fields(Rate))
