"""What a buyer is told when the budget refuses a request: nothing of what other buyers hold."""

from dataclasses import replace

from cleanroom.grants.types import AccountKind
from policies.decision import Deny, Gap

_SHARED = frozenset(f"budget_{kind}" for kind in (AccountKind.TOTAL, AccountKind.AFFILIATES))


def for_the_asker(refused: Deny | Gap) -> Deny | Gap:
    """Leave out of a refusal what is left in the accounts that others draw on too; its provider sees all of it."""
    if not isinstance(refused, Deny):
        return refused
    reasons = (
        replace(
            reason,
            message="An account of privacy budget that others draw on too has not enough left.",
            limit="less than that",
            nearest=None,
        )
        if reason.rule in _SHARED
        else reason
        for reason in refused.reasons
    )
    return Deny(tuple(reasons))
