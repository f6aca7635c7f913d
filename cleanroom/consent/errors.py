"""Errors of the consent slice."""

from cleanroom.errors import CleanroomError


class WithdrawalError(CleanroomError):
    """A withdrawal is not written as this room takes it."""

    code = "consent.withdrawal"
