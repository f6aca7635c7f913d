"""Errors of the incidents slice."""

from cleanroom.errors import CleanroomError


class UnknownIncidentError(CleanroomError):
    """The organisation's register has no such incident, and none was shared with it."""

    code = "incidents.unknown"


class IncidentFormError(CleanroomError):
    """What is to be entered cannot be taken as it is."""

    code = "incidents.bad_entry"


class IncidentScopeError(CleanroomError):
    """A scope names nothing, or something that the organisation has not."""

    code = "incidents.bad_scope"


class IncidentClosedError(CleanroomError):
    """The incident is closed; notes can still be added."""

    code = "incidents.closed"


class DutyEndedError(CleanroomError):
    """It was entered before that an authority was told, or need not be."""

    code = "incidents.duty_ended"


class DutiesOpenError(CleanroomError):
    """An incident cannot be closed while it is not entered what became of every duty to notify."""

    code = "incidents.duties_open"


class NotSharableError(CleanroomError):
    """Only the room's operator shares incidents, and only with those whom they affect."""

    code = "incidents.not_sharable"
