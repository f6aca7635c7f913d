"""Errors of the grants slice."""

from cleanroom.errors import CleanroomError


class UnknownGrantError(CleanroomError):
    """No grant has this id."""

    code = "grants.unknown_grant"


class GrantFormError(CleanroomError):
    """A grant is asked for in a form that cannot be given: its size, its dates or its parties."""

    code = "grants.bad_form"


class ReservationError(CleanroomError):
    """An analysis has no reservation, or reserves a second time."""

    code = "grants.bad_reservation"
