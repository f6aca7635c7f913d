"""Who may ask, and when."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any, ClassVar, Self

from policies.decision import Reason
from policies.errors import PolicyFormatError
from policies.request import Request, wait_until
from policies.rules.base import REGISTRY, Rule, both, listed, names, names_or_all, only_keys
from policies.sectors import SECTORS


@REGISTRY.register
@dataclass(frozen=True)
class Buyers(Rule):
    """Which organisations may ask; None allows all that are not blocked."""

    allowed: frozenset[str] | None
    blocked: frozenset[str] = frozenset()
    tag: ClassVar[str] = "buyers"

    def check(self, request: Request) -> Reason | None:
        """Forbid an advertiser who is not allowed, and either party when blocked."""
        return self.refuse(request.advertiser_id, request.agency_id)

    def refuse(self, advertiser_id: str, agency_id: str | None) -> Reason | None:
        """Return the reason for which these parties may not ask, or None."""
        if advertiser_id not in self.blocked and (self.allowed is None or advertiser_id in self.allowed):
            refused = agency_id if agency_id in self.blocked else None
        else:
            refused = advertiser_id
        if refused is None:
            return None
        return Reason(
            self.tag, "The owner does not offer this dataset to this party.", "other parties", refused
        )

    def repair(self, request: Request) -> Request | None:  # noqa: ARG002 - nothing that the asker can change
        """Return None: no question of this asker is permitted."""
        return None

    def meet(self, other: Self) -> Self:
        """Keep the parties that both allow, and block whom either blocks."""
        return replace(self, allowed=both(self.allowed, other.allowed), blocked=self.blocked | other.blocked)

    def to_data(self) -> dict[str, Any]:
        """Return both lists."""
        return {"allowed": listed(self.allowed), "blocked": sorted(self.blocked)}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        """Read `allowed` (a list or "*") and `blocked`."""
        only_keys(data, cls.tag, ("allowed", "blocked"))
        return cls(names_or_all(data, cls.tag, "allowed"), names(data, cls.tag, "blocked"))


@REGISTRY.register
@dataclass(frozen=True)
class Sectors(Rule):
    """Buyers of which sectors may ask; None allows all that are not blocked.

    An advertiser that has not declared its sector is refused as soon as the rule limits anything: it might
    be of a blocked one.
    """

    allowed: frozenset[str] | None
    blocked: frozenset[str] = frozenset()
    tag: ClassVar[str] = "sectors"

    def check(self, request: Request) -> Reason | None:
        """Forbid an advertiser of another sector."""
        return self.refuse(request.sector)

    def refuse(self, sector: str | None) -> Reason | None:
        """Return the reason for which a buyer of this sector may not ask, or None."""
        if self.allowed is None and not self.blocked:
            return None
        if (
            sector is not None
            and sector not in self.blocked
            and (self.allowed is None or sector in self.allowed)
        ):
            return None
        offered = SECTORS if self.allowed is None else self.allowed
        limit = tuple(sorted(set(offered) - self.blocked))
        asked = "not declared" if sector is None else sector
        return Reason(
            self.tag, f"The owner does not offer this dataset to this sector: {asked}.", limit, asked
        )

    def repair(self, request: Request) -> Request | None:  # noqa: ARG002 - nothing that the asker can change
        """Return None: no question of this asker is permitted."""
        return None

    def meet(self, other: Self) -> Self:
        """Keep the sectors that both allow, and block what either blocks."""
        return replace(self, allowed=both(self.allowed, other.allowed), blocked=self.blocked | other.blocked)

    def to_data(self) -> dict[str, Any]:
        """Return both lists."""
        return {"allowed": listed(self.allowed), "blocked": sorted(self.blocked)}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        """Read `allowed` (a list or "*") and `blocked`; a sector that is not known would block nobody."""
        only_keys(data, cls.tag, ("allowed", "blocked"))
        rule = cls(names_or_all(data, cls.tag, "allowed"), names(data, cls.tag, "blocked"))
        unknown = sorted(((rule.allowed or frozenset()) | rule.blocked) - set(SECTORS))
        if unknown:
            raise PolicyFormatError(
                f"Unknown sector {unknown[0][:80]!r} in the rule {cls.tag!r}.",
                remedy=f"Use: {', '.join(SECTORS)}.",
            )
        return rule


@REGISTRY.register
@dataclass(frozen=True)
class Validity(Rule):
    """From when until when (exclusive) questions are answered; None is open-ended."""

    start: datetime | None
    end: datetime | None
    tag: ClassVar[str] = "validity"

    def check(self, request: Request) -> Reason | None:
        """Forbid an instant outside the dates."""
        return self.refuse(request.at)

    def refuse(self, at: datetime) -> Reason | None:
        """Return the reason for which nothing is answered at an instant, or None."""
        if (self.start is None or at >= self.start) and (self.end is None or at < self.end):
            return None
        limit = f"{_text(self.start) or 'open'} .. {_text(self.end) or 'open'}"
        return Reason(self.tag, f"The owner's policy is valid {limit}.", limit, str(_text(at)))

    def repair(self, request: Request) -> Request | None:
        """Wait for the first instant, if it is still to come."""
        if (
            self.start is None
            or request.at >= self.start
            or (self.end is not None and self.end <= self.start)
        ):
            return None
        return wait_until(request, self.start)

    def meet(self, other: Self) -> Self:
        """Keep the dates within both."""
        starts = [start for start in (self.start, other.start) if start is not None]
        ends = [end for end in (self.end, other.end) if end is not None]
        return replace(self, start=max(starts, default=None), end=min(ends, default=None))

    def to_data(self) -> dict[str, Any]:
        """Return both dates as RFC 3339."""
        return {"from": _text(self.start), "until": _text(self.end)}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        """Read `from` and `until`: dates or instants, in UTC when no zone is given."""
        only_keys(data, cls.tag, ("from", "until"))
        return cls(_instant(data.get("from")), _instant(data.get("until")))


def _instant(value: object) -> datetime | None:
    if value is None:
        return None
    text = value.isoformat() if isinstance(value, date) else value
    try:
        instant = datetime.fromisoformat(str(text))
    except ValueError:
        raise PolicyFormatError(
            "The dates of the rule 'validity' are written as 2026-01-31 or 2026-01-31T09:00:00Z."
        ) from None
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)


def _text(instant: datetime | None) -> str | None:
    return None if instant is None else instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
