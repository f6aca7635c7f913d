"""Errors of the audit slice."""

from cleanroom.errors import CleanroomError


class UnknownEventError(CleanroomError):
    """The log has no event of this index, or no tree of this size."""

    code = "audit.unknown_event"


class LogUnreadableError(CleanroomError):
    """The log's database cannot be opened for verification."""

    code = "audit.unreadable"


class CheckRangeError(CleanroomError):
    """The log holds no such range to check, or too many checks wait."""

    code = "audit.check_range"


class UnknownCheckError(CleanroomError):
    """The organisation asked for no check of this id."""

    code = "audit.unknown_check"
