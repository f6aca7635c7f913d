"""What the room answers when it does not do what was asked: typed, with the room's code, message and remedy."""

from collections.abc import Mapping
from typing import Any

from cleanroom.client.remote.effects import Reply
from cleanroom.errors import CleanroomError


class Unreachable(CleanroomError):
    """No answer came: the address, the network or TLS."""

    code = "client.unreachable"


class ConfigurationError(CleanroomError):
    """The client lacks an address or a credential, or one that it has cannot be used."""

    code = "client.configuration"


class UnexpectedAnswer(CleanroomError):
    """Something answered, but not a room of this version."""

    code = "client.unexpected_answer"


class StillRunning(CleanroomError):
    """The result is not there yet, and the caller did not want to wait any longer; nothing is lost."""

    code = "client.still_running"


class ApiError(CleanroomError):
    """The room's answer is a problem (RFC 9457).

    Attributes:
        code: the room's, stable.
        status: of HTTP.
        request_id: the operator's log knows it.
        faults: parts of the request that do not fit: where, pointer, message.
        retry_after: seconds that the room asks to wait; None when it does not say.
    """

    code = "client.room_problem"

    def __init__(
        self,
        message: str,
        *,
        remedy: str = "",
        code: str = code,
        status: int = 0,
        request_id: str = "",
        faults: tuple[Mapping[str, str], ...] = (),
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, remedy=remedy)
        self.code = code
        self.status = status
        self.request_id = request_id
        self.faults = faults
        self.retry_after = retry_after


class InvalidRequest(ApiError):
    """The request cannot be done as it stands."""


class NotAuthenticated(ApiError):
    """The room does not recognise the client, or its token has ended."""


class NotAllowed(ApiError):
    """The client's role, or the mandate, does not cover it."""


class NotFound(ApiError):
    """It is not there, or it is another party's: the room does not say which."""


class Conflict(ApiError):
    """It does not fit what is there now: wait, or look again."""


class RateLimited(ApiError):
    """Too many requests; `retry_after` says how long to wait."""


class RoomUnavailable(ApiError):
    """The room cannot do it now, for reasons of its own."""


class Refused(CleanroomError):
    """The owner's rules do not permit the question, or cannot be decided.

    Attributes:
        reasons: every broken rule: `rule`, `message`, `limit`, `asked`, `nearest`.
        missing: what would have to exist before it can be decided.
        nearest: the nearest permitted question as plain data; None when there is none.
        analysis_id: of a question that was asked; its receipt proves the refusal. None for an estimate.
    """

    code = "client.refused"

    def __init__(
        self,
        message: str,
        *,
        remedy: str = "",
        reasons: tuple[Mapping[str, Any], ...] = (),
        missing: tuple[str, ...] = (),
        analysis_id: str | None = None,
    ) -> None:
        super().__init__(message, remedy=remedy)
        self.reasons = reasons
        self.missing = missing
        self.analysis_id = analysis_id
        self.nearest = next((dict(one["nearest"]) for one in reasons if one.get("nearest")), None)


class PrivacyBudgetExceeded(Refused):
    """The question costs more of the privacy budget than is left, or than one question may."""

    code = "client.privacy_budget_exceeded"


class AudienceTooSmall(Refused):
    """The base is smaller than the rule lets ask."""

    code = "client.audience_too_small"


class ApprovalPending(Refused):
    """The owner has to approve the question first."""

    code = "client.approval_pending"


class QuestionsExhausted(Refused):
    """The entitlement's questions are all asked; stored answers still come."""

    code = "client.questions_exhausted"


class PurposeNotAllowed(Refused):
    """The owner, or the entitlement, does not permit questions for this purpose."""

    code = "client.purpose_not_allowed"


class NotNow(Refused):
    """Too many questions at this pace, or outside the time that the owner answers in; `nearest` may say when."""

    code = "client.not_now"


class RightEnded(Refused):
    """The entitlement, or the agency's mandate, is over."""

    code = "client.right_ended"


class UnprovenEvent(CleanroomError):
    """The log's signed head does not contain an event that the room told."""

    code = "client.event_unproven"


class AnalysisFailed(CleanroomError):
    """The question was accepted, and did not come to an end."""

    code = "client.analysis_failed"


_BY_STATUS: Mapping[int, type[ApiError]] = {
    401: NotAuthenticated,
    403: NotAllowed,
    404: NotFound,
    410: NotFound,
    409: Conflict,
    423: Conflict,
    429: RateLimited,
}
_BY_RULE: Mapping[str, type[Refused]] = {
    "budget_left": PrivacyBudgetExceeded,
    "delta_left": PrivacyBudgetExceeded,
    "budget_question": PrivacyBudgetExceeded,
    "base_floor": AudienceTooSmall,
    "approval": ApprovalPending,
    "quota": QuestionsExhausted,
    "purposes": PurposeNotAllowed,
    "grant_purpose": PurposeNotAllowed,
    "rate": NotNow,
    "validity": NotNow,
    "grant_term": RightEnded,
    "mandate": RightEnded,
}


def error_of(reply: Reply) -> ApiError:
    """Read a reply that is no success."""
    kind = _BY_STATUS.get(reply.status, RoomUnavailable if reply.status >= 500 else InvalidRequest)
    plain = reply.json()
    plain = plain if isinstance(plain, dict) else {}
    faults = tuple(one for one in plain.get("errors") or () if isinstance(one, dict))
    message = str(plain.get("detail") or plain.get("error_description") or "")
    if faults:
        listed = "; ".join(f"{one.get('pointer', '')}: {one.get('message', '')}" for one in faults)
        message = f"{message} {listed}".strip()
    return kind(
        message or f"The room answered {reply.status}.",
        remedy=str(plain.get("remedy") or ""),
        code=str(plain.get("code") or ApiError.code),
        status=reply.status,
        request_id=str(plain.get("instance") or reply.headers.get("request-id", "")),
        faults=faults,
        retry_after=retry_after(reply),
    )


def retry_after(reply: Reply) -> float | None:
    """Return the seconds that `Retry-After` names; None when there is none, or a date."""
    value = reply.headers.get("retry-after", "").strip()
    return float(value) if value.isascii() and value.isdigit() else None


def refusal_of(answer: Mapping[str, Any], *, analysis_id: str | None = None) -> Refused:
    """Make an error of an answer whose outcome is `refused`."""
    reasons = tuple(answer.get("reasons") or ())
    missing = tuple(answer.get("missing") or ())
    # With several rules broken, no single one of these says what to do.
    found = [kind for kind in map(_kind_of, reasons) if kind is not None]
    kind = found[0] if found and len(set(found)) == 1 and len(found) == len(reasons) else Refused
    told = [str(one["message"]) for one in reasons] + [f"Missing: {one}." for one in missing]
    nearest = any(one.get("nearest") for one in reasons)
    return kind(
        " ".join(told) or "The room refused the question.",
        remedy="`nearest` of this error is the nearest permitted question." if nearest else "",
        reasons=reasons,
        missing=missing,
        analysis_id=analysis_id,
    )


def _kind_of(reason: Mapping[str, Any]) -> type[Refused] | None:
    # What the owner has rejected waits for nobody.
    if reason.get("rule") == "approval" and reason.get("asked") != "pending":
        return None
    return _BY_RULE.get(str(reason.get("rule")))
