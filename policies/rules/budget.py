"""How much may be learned: caps of every account, sizes of grants, the most one question may cost, and for how long."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self

from policies.errors import PolicyFormatError
from policies.rules.base import REGISTRY, Rule, only_keys, whole_number

_MOST = 1_000_000_000_000
# A delta is the chance that the promise fails: one in a hundred for one advertiser is beyond anything sensible.
_MOST_DELTA = 10_000_000_000
_AGENCY_DELTA, _TOTAL_DELTA = 3, 10
_DAYS = (30, 3_650)


@REGISTRY.register
@dataclass(frozen=True)
class Budget(Rule):
    """The budget rule, in micro-rho, in delta (10^-12) and in percent of the advertiser's cap.

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
        cap_delta_pico: an advertiser's cap of delta, and that of declared affiliates together; only questions
            about unknown keys spend it, and 0 forbids them.
        agency_delta_pico: an agency's cap; three times the advertiser's when a document does not say.
        total_delta_pico: the population's; ten times the advertiser's when a document does not say.
        window_days: what was spent longer ago stops counting in every account; None when nothing ever does.
    """

    cap_rho_micro: int
    agency_rho_micro: int
    total_rho_micro: int
    public_percent: int = 5
    question_max_percent: int = 25
    small_percent: int = 2
    medium_percent: int = 20
    large_percent: int = 95
    cap_delta_pico: int = 1_000_000
    agency_delta_pico: int = 1_000_000 * _AGENCY_DELTA
    total_delta_pico: int = 1_000_000 * _TOTAL_DELTA
    window_days: int | None = None
    tag: ClassVar[str] = "budget"

    @property
    def size_percent(self) -> dict[str, int]:
        """The share of the cap that each size of grant gets."""
        return {"S": self.small_percent, "M": self.medium_percent, "L": self.large_percent}

    def meet(self, other: Self) -> Self:
        """Keep the smaller of every number; but keep more back for public releases, and forget later or never."""
        smaller = {name: min(getattr(self, name), getattr(other, name)) for name in _NUMBERS}
        windows = (self.window_days, other.window_days)
        return type(self)(
            **smaller | {"public_percent": max(self.public_percent, other.public_percent)},
            window_days=None if None in windows else max(window for window in windows if window),
        )

    def to_data(self) -> dict[str, Any]:
        """Return every number."""
        return {name: getattr(self, name) for name in _NAMES}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        """Read the caps, and the percentages that differ from the usual ones."""
        only_keys(data, cls.tag, _NAMES)
        read: dict[str, int] = {
            name: whole_number(
                data, cls.tag, name, low=0 if name.endswith("_pico") else 1, high=_highest(name)
            )
            for name in _NUMBERS
            if name in data or name.endswith("_micro")
        }
        if "cap_delta_pico" in read:
            read.setdefault("agency_delta_pico", read["cap_delta_pico"] * _AGENCY_DELTA)
            read.setdefault("total_delta_pico", read["cap_delta_pico"] * _TOTAL_DELTA)
        window = data.get("window_days")
        if window is not None:
            window = whole_number(data, cls.tag, "window_days", low=_DAYS[0], high=_DAYS[1])
        rule = cls(**read, window_days=window)
        if not (
            rule.cap_rho_micro <= rule.agency_rho_micro <= rule.total_rho_micro
            and rule.cap_delta_pico <= rule.agency_delta_pico <= rule.total_delta_pico
        ):
            raise PolicyFormatError(
                "An advertiser's cap is at most an agency's, and an agency's at most the total.",
                remedy="The presets use 1, 3 and 10 times the cap.",
            )
        return rule


_NAMES = tuple(field.name for field in fields(Budget))
_NUMBERS = tuple(name for name in _NAMES if name != "window_days")


def _highest(name: str) -> int:
    if name.endswith("_micro"):
        return _MOST
    if name.endswith("_pico"):
        return _MOST_DELTA * (1 if name == "cap_delta_pico" else _TOTAL_DELTA)
    return 25 if name == "question_max_percent" else 100
