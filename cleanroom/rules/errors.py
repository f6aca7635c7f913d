"""Errors of the rules slice."""

from cleanroom.errors import CleanroomError


class UnknownPolicyError(CleanroomError):
    """No policy version has this id."""

    code = "rules.unknown_policy"


class UndeclaredAttributeError(CleanroomError):
    """A policy names an attribute that its dataset does not declare."""

    code = "rules.undeclared_attribute"


class NotYourDatasetError(CleanroomError):
    """An organisation acts as the owner of a dataset that is another's."""

    code = "rules.not_owner"


class UntestedPolicyError(CleanroomError):
    """A policy permits more than every preset, and nothing shows that it resists."""

    code = "rules.untested_policy"


class UnknownApprovalError(CleanroomError):
    """There is no request for approval with this id."""

    code = "rules.unknown_approval"


class ApprovalReasonError(CleanroomError):
    """A ruling has no reason, or one that is too long."""

    code = "rules.approval_reason"
