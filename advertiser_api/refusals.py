"""What rules or the privacy budget refuse, as a problem: refusals are values of the domain, and kept in its log."""

from fastapi import Request

from advertiser_api.problems import PROBLEM_TYPES, Problem, ReasonOut
from advertiser_api.statuses import status_of
from cleanroom.errors import CleanroomError
from policies.decision import Deny, Gap, reason_to_dict


class RefusedError(CleanroomError):
    """The analysis rule or the privacy budget refuses it."""

    code = "api.refused"


def refusal(request: Request, refused: Deny | Gap) -> tuple[Problem, int]:
    """Return a refusal as a problem with its reasons, each with the nearest that would fit, and its status."""
    status = status_of(RefusedError.code)
    found = reasons_of(refused)
    return (
        Problem(
            type=PROBLEM_TYPES + RefusedError.code,
            title=str(RefusedError.__doc__),
            status=status,
            detail="; ".join([reason.message for reason in found] or ["It cannot be decided."]),
            remedy="See `reasons` for what would fit, and `missing` for what would have to exist.",
            code=RefusedError.code,
            instance=request.state.request_id,
            reasons=found or None,
            missing=missing_of(refused) or None,
        ),
        status,
    )


def reasons_of(refused: Deny | Gap) -> list[ReasonOut]:
    """Return the rules and accounts that refuse; none when something is missing."""
    return (
        [ReasonOut(**reason_to_dict(reason)) for reason in refused.reasons]
        if isinstance(refused, Deny)
        else []
    )


def missing_of(refused: Deny | Gap) -> list[str]:
    """Return what would have to exist before it can be decided."""
    return list(refused.missing) if isinstance(refused, Gap) else []
