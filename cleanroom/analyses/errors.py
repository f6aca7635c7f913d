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
