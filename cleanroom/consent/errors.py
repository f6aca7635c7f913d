"""Errors of the consent slice."""

from cleanroom.errors import CleanroomError


class ChangeError(CleanroomError):
    """A change of consents is not written as this room takes it."""

    code = "consent.change"


class SignalError(ChangeError):
    """A TCF or GPP string cannot be read, or does not carry what is recorded."""

    code = "consent.signal"


class TermsError(ChangeError):
    """A record's terms do not hold: its notice, its purpose, or what the law asks of either."""

    code = "consent.terms"


class RegisterError(CleanroomError):
    """A purpose or a notice is not written as this room takes it, or is there already."""

    code = "consent.register"


class UnknownPurposeError(CleanroomError):
    """The organisation has registered no such purpose."""

    code = "consent.unknown_purpose"


class UnknownNoticeError(CleanroomError):
    """The organisation has published no such notice, or not in this version."""

    code = "consent.unknown_notice"


class UnknownRequestError(CleanroomError):
    """There is no request for consent with this token."""

    code = "consent.unknown_request"


class RequestEndedError(CleanroomError):
    """The request was confirmed before, or has expired."""

    code = "consent.request_ended"


class StaleChangeError(ChangeError):
    """What a batch was prepared for is there no more: a version was published or a key rotated meanwhile."""

    code = "consent.stale"


class OptOutError(CleanroomError):
    """An opt-out is not written as this room takes it."""

    code = "consent.opt_out"


class OptOutNotFoundError(CleanroomError):
    """There is no such batch of opt-outs, or it is not the caller's."""

    code = "consent.opt_out_not_found"


class MirrorError(CleanroomError):
    """A directory is no mirror of this room's withdrawals, or what lies in it is damaged."""

    code = "consent.mirror"


class NothingToConfirmError(CleanroomError):
    """The consents of a dataset are not in doubt."""

    code = "consent.nothing_to_confirm"
