"""Errors of the alarms slice."""

from cleanroom.errors import CleanroomError


class UnknownAlarmError(CleanroomError):
    """The organisation has no alarm with this id; one of another organisation is answered the same."""

    code = "alarms.unknown"


class AlarmNoteError(CleanroomError):
    """An acknowledgement says nothing, or too much."""

    code = "alarms.bad_note"


class AcknowledgedError(CleanroomError):
    """Somebody has acknowledged the alarm before."""

    code = "alarms.ended"
