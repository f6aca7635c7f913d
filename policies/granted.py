"""What the grant and the room add to the owner's rules: kill switch, term, purposes, budget left."""

from dataclasses import dataclass, field, replace

from policies.accounting import questions_left
from policies.decision import Limits, Reason
from policies.l0 import l0
from policies.mechanisms import narrowest_half_width, rho_for
from policies.question import LEVELS, Precision, Question
from policies.reasons import budget_left, grant_term, kill_switch
from policies.request import Request, wait_until


class KillSwitch:
    """The owner's kill switch stops every question."""

    def check(self, request: Request) -> Reason | None:
        """Forbid everything while the switch is on."""
        if not request.stopped:
            return None
        return kill_switch()

    def repair(self, request: Request) -> Request | None:  # noqa: ARG002 - nothing that the asker can change
        """Return None: only the owner can release the switch."""
        return None


class GrantTerm:
    """A grant pays within its term, while it is active."""

    def check(self, request: Request) -> Reason | None:
        """Forbid a question outside the term of its grant."""
        grant = request.grant
        if grant.active and grant.valid_from <= request.at < grant.expires_at:
            return None
        return grant_term(
            active=grant.active, valid_from=grant.valid_from, expires_at=grant.expires_at, at=request.at
        )

    def repair(self, request: Request) -> Request | None:
        """Wait for the first instant, if it is still to come."""
        grant = request.grant
        if not grant.active or request.at >= grant.valid_from:
            return None
        return wait_until(request, grant.valid_from)


class GrantPurpose:
    """A grant pays for the purposes it was given for."""

    def check(self, request: Request) -> Reason | None:
        """Forbid a purpose outside the grant."""
        purposes = request.grant.purposes
        if request.question.purpose in purposes:
            return None
        message = f"The grant was given for: {', '.join(purposes)}."
        return Reason("grant_purpose", message, purposes, request.question.purpose)

    def repair(self, request: Request) -> Request | None:
        """Take the first purpose of the grant."""
        if not request.grant.purposes:
            return None
        return replace(request, question=replace(request.question, purpose=request.grant.purposes[0]))


@dataclass(frozen=True)
class Cost:
    """A question costs no more than one question may, and no more than its grant has left."""

    limits: Limits
    _cells: dict[Question, int] = field(default_factory=dict, compare=False, repr=False)

    def price(self, request: Request) -> tuple[int, int]:
        """Return the question's L0, computed once whatever its precision, and its cost in micro-rho."""
        unpriced = replace(request.question, precision=Precision())
        if unpriced not in self._cells:
            self._cells[unpriced] = l0(
                request.canonical,
                request.attributes,
                labels=request.labels,
                match_keys=request.match_keys,
            )
        rho_micro = rho_for(
            self._cells[unpriced],
            request.question.precision,
            cap_rho_micro=self.limits.cap_rho_micro,
            kind=request.question.kind,
        )
        return self._cells[unpriced], rho_micro

    def check(self, request: Request) -> Reason | None:
        """Forbid a question that costs more than may or can be paid."""
        _, rho_micro = self.price(request)
        left, most = request.grant.left_micro, self.limits.question_max_rho_micro
        if rho_micro > most:
            message = (
                f"One question may cost at most {most} micro-rho; at this precision it costs {rho_micro}."
            )
            return Reason("budget_question", message, most, rho_micro)
        if questions_left(left, rho_micro) < 1:
            return budget_left(left_micro=left, cost_micro=rho_micro)
        return None

    def repair(self, request: Request) -> Request | None:
        """Ask less precisely: the best level that can be paid, or else the narrowest half-width."""
        cells, _ = self.price(request)
        payable = min(request.grant.left_micro, self.limits.question_max_rho_micro)
        if payable < 1:
            return None
        asked = request.question.precision.level
        coarser = () if asked is None else tuple(reversed(LEVELS[: LEVELS.index(asked)]))
        narrowest = narrowest_half_width(cells, payable)
        # The half-width always fits, so the search always ends with a question that can be paid.
        offers = (*(Precision(level) for level in coarser), Precision(None, narrowest))
        requests = (replace(request, question=replace(request.question, precision=offer)) for offer in offers)
        return next(nearer for nearer in requests if self.check(nearer) is None)
