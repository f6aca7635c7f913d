"""Errors of the red team."""

from cleanroom.errors import CleanroomError


class UnknownPlantError(CleanroomError):
    """There is no such fault to plant, or no attack that it would help."""

    code = "redteam.unknown_plant"


class UnusablePolicyError(CleanroomError):
    """A policy under which no room can be built at all."""

    code = "redteam.unusable_policy"
