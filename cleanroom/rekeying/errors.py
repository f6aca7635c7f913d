"""Errors of the rekeying slice."""

from cleanroom.errors import CleanroomError


class RotationUnderWayError(CleanroomError):
    """A rotation of the workspace's keys is asked for while another one has not ended."""

    code = "rekeying.under_way"


class UnknownRotationError(CleanroomError):
    """The organisation has no rotation with this id."""

    code = "rekeying.unknown"


class RotationStateError(CleanroomError):
    """A rotation that has begun, or ended, cannot be taken back."""

    code = "rekeying.state"
