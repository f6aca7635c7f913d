"""Errors of the notices slice."""

from cleanroom.errors import CleanroomError


class UnknownNoticeError(CleanroomError):
    """The person is told of no notice with this id; one of others is answered the same."""

    code = "notices.unknown"
