"""Errors of questions that cannot even be decided."""

from cleanroom.errors import CleanroomError


class NotYourGrantError(CleanroomError):
    """The asker has no such grant; a foreign one is answered the same."""

    code = "analyses.unknown_grant"


class NotYourBaseError(CleanroomError):
    """The asker has no such base; a foreign one is answered the same."""

    code = "analyses.unknown_base"


class NoSharedKeyError(CleanroomError):
    """Base and dataset have no match key in a common hash profile."""

    code = "analyses.no_shared_key"


class NoStoredAnswerError(CleanroomError):
    """No answer of that date is stored."""

    code = "analyses.no_stored_answer"


class NamedSizeError(CleanroomError):
    """A size that was named for an estimate is out of range, or no figure has it."""

    code = "analyses.named_size"


class UnknownAnalysisError(CleanroomError):
    """The organisation has asked no such question; a foreign one is answered the same."""

    code = "analyses.unknown"


class EndedError(CleanroomError):
    """The question has ended: nothing can be cancelled or completed any more."""

    code = "analyses.ended"


class NotReadyError(CleanroomError):
    """The answer is not shown yet."""

    code = "analyses.not_ready"

    def __init__(self, message: str = "", *, remedy: str = "", retry_after: int = 1) -> None:
        """Say in how many seconds to look again."""
        super().__init__(message, remedy=remedy)
        self.retry_after = retry_after


class NoResultError(CleanroomError):
    """The question ended without an answer: it was cancelled, or lost."""

    code = "analyses.no_result"


class TicketError(CleanroomError):
    """What was stored of a question does not fit together any more; it is not counted."""

    code = "analyses.ticket"
