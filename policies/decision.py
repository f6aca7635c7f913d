"""What a policy says to a question: permit, deny with reasons, or a gap; values, never exceptions."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from policies.canonical_question import CanonicalQuestion

Fact: TypeAlias = int | str | tuple[str, ...]


@dataclass(frozen=True)
class Limits:
    """The numbers of a policy, after all documents are combined.

    Attributes:
        minimum_audience: smallest audience that is shown, in people.
        base_floor: smallest base that may ask, in persons.
        round_to: grid of the shown values, in people.
        cap_rho_micro: an advertiser's cap, and the cap of affiliates together.
        agency_rho_micro: an agency's cap over all its clients.
        total_rho_micro: the population's cap over everyone.
        cap_delta_pico: an advertiser's cap of delta, in 10^-12; 0 when no unknown keys may be asked for.
        agency_delta_pico: an agency's.
        total_delta_pico: the population's.
        window_days: after how many days what was spent stops counting; None when never.
        public_percent: the share of every cap that is kept for public releases.
        question_max_rho_micro: the most that one question may cost.
        size_percent: share of the advertiser's cap that each grant size gets.
        output_minimums: larger minima of single outputs, by output; see `minimum_audience_of`.
        alarm_days: how far back the difference alarm looks; None without one.
    """

    minimum_audience: int
    base_floor: int
    round_to: int
    cap_rho_micro: int
    agency_rho_micro: int
    total_rho_micro: int
    cap_delta_pico: int
    agency_delta_pico: int
    total_delta_pico: int
    window_days: int | None
    public_percent: int
    question_max_rho_micro: int
    size_percent: Mapping[str, int]
    output_minimums: Mapping[str, int] = field(default_factory=dict)
    alarm_days: int | None = None

    def minimum_audience_of(self, output: str) -> int:
        """Return the smallest audience that is shown in one output: overlap, key, label, segment, breakdown, sum."""
        return max(self.minimum_audience, self.output_minimums.get(output, 0))

    @property
    def public_rho_micro(self) -> int:
        """What public releases may cost in all; they count in every account, so the smallest bounds them."""
        return (
            min(self.cap_rho_micro, self.agency_rho_micro, self.total_rho_micro) * self.public_percent // 100
        )

    def allocatable(self, cap: int) -> int:
        """Return the part of a cap, of rho or of delta, that grants may take: the rest is for public releases."""
        return cap * (100 - self.public_percent) // 100

    def grant_rho_micro(self, size: str) -> int:
        """Return the budget of a grant of one size, rounded up but never past what can be allocated."""
        return self._share(self.cap_rho_micro, size)

    def grant_delta_pico(self, size: str) -> int:
        """Return the delta of a grant of one size, likewise."""
        return self._share(self.cap_delta_pico, size)

    def _share(self, cap: int, size: str) -> int:
        return min(-(-cap * self.size_percent[size] // 100), self.allocatable(cap))


@dataclass(frozen=True)
class Reason:
    """One rule that a question breaks.

    Attributes:
        rule: the rule's tag.
        message: what the rule says, for a person to read.
        limit: what would be permitted.
        asked: what was asked.
        nearest: the nearest permitted question, as plain data, with `base_persons` or `not_before` beside
            it if these must change too; None when no question of this asker is permitted.
    """

    rule: str
    message: str
    limit: Fact
    asked: Fact
    nearest: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Permit:
    """The question may be answered.

    Attributes:
        limits: of the combined policy.
        question: in canonical form.
        l0: cells that one person can touch.
        rho_micro: what the question costs.
        delta_pico: what it costs besides, in 10^-12; only unknown keys cost any.
    """

    limits: Limits
    question: CanonicalQuestion
    l0: int
    rho_micro: int
    delta_pico: int = 0


@dataclass(frozen=True)
class Deny:
    """The question may not be answered, and why; nothing of it depends on the provider's rows."""

    reasons: tuple[Reason, ...]


@dataclass(frozen=True)
class Gap:
    """It cannot be decided, so it is refused.

    Attributes:
        missing: what would have to exist.
    """

    missing: tuple[str, ...]


Decision: TypeAlias = Permit | Deny | Gap


def reason_to_dict(reason: Reason) -> dict[str, Any]:
    """Write a reason as plain data for receipts and answers."""
    return {
        "rule": reason.rule,
        "message": reason.message,
        "limit": _plain(reason.limit),
        "asked": _plain(reason.asked),
        "nearest": None if reason.nearest is None else dict(reason.nearest),
    }


def reason_from_dict(value: Mapping[str, Any]) -> Reason:
    """Read back a reason; the inverse of `reason_to_dict`."""
    limit, asked = (
        tuple(fact) if isinstance(fact, list) else fact for fact in (value["limit"], value["asked"])
    )
    return Reason(value["rule"], value["message"], limit, asked, value["nearest"])


def _plain(fact: Fact) -> int | str | list[str]:
    return list(fact) if isinstance(fact, tuple) else fact
