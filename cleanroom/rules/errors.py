"""Errors of the rules slice."""

from cleanroom.errors import CleanroomError


class UnknownPolicyError(CleanroomError):
    """No policy version has this id."""

    code = "rules.unknown_policy"
