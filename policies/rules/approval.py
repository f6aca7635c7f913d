"""The owner's own word on a question before it is answered."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

from policies.decision import Reason
from policies.errors import PolicyFormatError
from policies.question import KINDS
from policies.request import ApprovalState, Request, Ruling
from policies.rules.base import REGISTRY, Rule, names, only_keys
from policies.templates import QUESTION, TEMPLATE, approval_key


@REGISTRY.register
@dataclass(frozen=True)
class Approval(Rule):
    """Which questions wait for the owner's approval.

    An approved template lets every question of its form pass, and an approved question passes under either
    setting, so that asking for approval of each question is never less strict than of each template.

    Attributes:
        of: `question` or `template`.
        exempt: kinds of analysis that pass without (`except` in a document).
    """

    of: str
    exempt: frozenset[str] = frozenset()
    tag: ClassVar[str] = "approval"

    def check(self, request: Request) -> Reason | None:
        """Forbid what the owner has not approved, or has rejected."""
        if request.question.kind in self.exempt:
            return None
        ruling = self._ruling(request)
        if ruling is not None and ruling.state is ApprovalState.APPROVED:
            return None
        if ruling is None:
            message = f"The owner approves each {self.of} first; this one waits for an answer."
            return Reason(self.tag, message, ApprovalState.APPROVED.value, ApprovalState.PENDING.value)
        message = f"The owner has rejected this: {ruling.reason}"
        return Reason(self.tag, message, ApprovalState.APPROVED.value, ruling.state.value)

    def _ruling(self, request: Request) -> Ruling | None:
        """Return what the owner has decided; a word on the very question goes before one on its template."""
        for scope in (QUESTION,) if self.of == QUESTION else (QUESTION, TEMPLATE):
            ruling = request.rulings.get(self.key(request, scope))
            if ruling is not None and ruling.state is not ApprovalState.PENDING:
                return ruling
        return None

    def key(self, request: Request, scope: str) -> str:
        """Return the key under which the owner rules on a request's question or template."""
        return approval_key(request.question, request.attributes, of=scope)

    def repair(self, request: Request) -> Request | None:
        """Take the richest kind below the one asked that needs no approval."""
        position = KINDS.index(request.question.kind)
        nearer = (
            request.question.as_kind(kind) for kind in reversed(KINDS[:position]) if kind in self.exempt
        )
        question = next(filter(None, nearer), None)
        return None if question is None else replace(request, question=question)

    def meet(self, other: Self) -> Self:
        """Ask for every question if either does, and exempt the kinds that both exempt."""
        of = QUESTION if QUESTION in (self.of, other.of) else TEMPLATE
        return type(self)(of, self.exempt & other.exempt)

    def to_data(self) -> dict[str, Any]:
        """Return what is approved, and the exempt kinds."""
        return {"of": self.of, "except": sorted(self.exempt)}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        """Read `of` (question or template) and `except` (kinds of analysis)."""
        only_keys(data, cls.tag, ("of", "except"))
        of, exempt = data.get("of"), names(data, cls.tag, "except")
        if of not in (QUESTION, TEMPLATE):
            raise PolicyFormatError(
                f"`of` of the rule {cls.tag!r} is not known.", remedy=f"Use: {QUESTION} or {TEMPLATE}."
            )
        if not exempt <= set(KINDS):
            raise PolicyFormatError(
                f"`except` of the rule {cls.tag!r} names an unknown kind of analysis.",
                remedy=f"Use: {', '.join(KINDS)}.",
            )
        return cls(str(of), exempt)
