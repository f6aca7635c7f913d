"""Errors of the rules slice."""

from cleanroom.errors import CleanroomError


class UnknownPolicyError(CleanroomError):
    """No policy version has this id."""

    code = "rules.unknown_policy"


class UndeclaredAttributeError(CleanroomError):
    """A policy names an attribute that its dataset does not declare."""

    code = "rules.undeclared_attribute"
