"""How much may be learned: caps of every account, sizes of grants, the most one question may cost."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self

from policies.errors import PolicyFormatError
from policies.rules.base import REGISTRY, Rule, only_keys, whole_number

_MOST = 1_000_000_000_000


@REGISTRY.register
@dataclass(frozen=True)
class Budget(Rule):
    """The budget rule, in micro-rho and percent of the advertiser's cap.

    Attributes:
        cap_rho_micro: an advertiser's cap, and that of declared affiliates together.
        agency_rho_micro: an agency's cap over all its clients.
        total_rho_micro: the population's cap over everyone.
        public_percent: the share of every cap kept for public releases.
        question_max_percent: the most of the cap that one question may cost; a quarter at most, because a
            single draw of little noise leaks more than its rho says.
        small_percent: a grant of size S.
        medium_percent: a grant of size M.
        large_percent: a grant of size L.
    """

    cap_rho_micro: int
    agency_rho_micro: int
    total_rho_micro: int
    public_percent: int = 5
    question_max_percent: int = 25
    small_percent: int = 2
    medium_percent: int = 20
    large_percent: int = 95
    tag: ClassVar[str] = "budget"

    @property
    def size_percent(self) -> dict[str, int]:
        """The share of the cap that each size of grant gets."""
        return {"S": self.small_percent, "M": self.medium_percent, "L": self.large_percent}

    def meet(self, other: Self) -> Self:
        """Keep the smaller of every number, except that more is kept back for public releases."""
        smaller = {name: min(getattr(self, name), getattr(other, name)) for name in _NAMES}
        return type(self)(**smaller | {"public_percent": max(self.public_percent, other.public_percent)})

    def to_data(self) -> dict[str, Any]:
        """Return every number."""
        return {name: getattr(self, name) for name in _NAMES}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        """Read the caps, and the percentages that differ from the usual ones."""
        only_keys(data, cls.tag, _NAMES)
        read = {
            name: whole_number(
                data, cls.tag, name, low=1, high=_MOST if name.endswith("micro") else _HIGHEST_PERCENT[name]
            )
            for name in _NAMES
            if name in data or name.endswith("micro")
        }
        rule = cls(**read)
        if not rule.cap_rho_micro <= rule.agency_rho_micro <= rule.total_rho_micro:
            raise PolicyFormatError(
                "An advertiser's cap is at most an agency's, and an agency's at most the total.",
                remedy="The presets use 1, 3 and 10 times the cap.",
            )
        return rule


_NAMES = tuple(field.name for field in fields(Budget))
_HIGHEST_PERCENT = {name: 25 if name == "question_max_percent" else 100 for name in _NAMES}
