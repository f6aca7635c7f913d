"""Errors of the witness slice."""

from cleanroom.errors import CleanroomError


class WitnessHomeError(CleanroomError):
    """The home holds no witness, or one already, or its files are damaged."""

    code = "witness.home"
