"""Errors of the rights slice."""

from cleanroom.errors import CleanroomError


class ErasureFormError(CleanroomError):
    """A request to erase somebody is not written as this room takes it."""

    code = "rights.erasure_form"


class NotAppliedError(CleanroomError):
    """The dataset has none of the keys by which somebody is named."""

    code = "rights.not_applied"


class UnknownErasureError(CleanroomError):
    """The dataset has no request with this id."""

    code = "rights.unknown_erasure"


class NotErasedYetError(CleanroomError):
    """A certificate is asked for before the files were rewritten."""

    code = "rights.not_erased_yet"


class RetentionFormError(CleanroomError):
    """A period is not one that this room can keep."""

    code = "rights.retention_form"


class UnknownActError(CleanroomError):
    """The organisation has no act with this id."""

    code = "rights.unknown_act"


class CompactionBusyError(CleanroomError):
    """Files cannot be rewritten now, as a load or a rotation of keys needs them as they are."""

    code = "rights.busy"
