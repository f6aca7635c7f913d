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


class PolicyChangedError(CleanroomError):
    """Somebody put another version in force after the one that a change started from."""

    code = "rules.policy_changed"


class UnknownTrialError(CleanroomError):
    """There is no trial with this id."""

    code = "rules.unknown_trial"


class TooManyTrialsError(CleanroomError):
    """An organisation lets too many documents wait for the red team."""

    code = "rules.too_many_trials"


class UntriableError(CleanroomError):
    """The red team cannot attack the document: under it nothing can be asked at all."""

    code = "rules.untriable"


class TrialReportError(CleanroomError):
    """What a trial left is no report on its document."""

    code = "rules.trial_report"


class UnconfirmedOverrideError(CleanroomError):
    """A policy with an override named unsafe is to be put in force by one person alone."""

    code = "rules.unconfirmed_override"
