"""Errors of the accounts slice."""

from cleanroom.errors import CleanroomError


class UnknownOrganisationError(CleanroomError):
    """No organisation has this id."""

    code = "accounts.unknown_organisation"


class OrganisationKindError(CleanroomError):
    """The organisation is of another kind than the action needs."""

    code = "accounts.wrong_kind"


class OrganisationNameError(CleanroomError):
    """An organisation's name is empty or too long."""

    code = "accounts.bad_name"


class UnknownSectorError(CleanroomError):
    """A sector is not one of the list."""

    code = "accounts.unknown_sector"


class MandateError(CleanroomError):
    """A mandate does not exist, or its dates exclude each other."""

    code = "accounts.bad_mandate"


class EnrolmentError(CleanroomError):
    """A signing key cannot be enrolled or found."""

    code = "accounts.bad_key"


class OrganisationOffboardedError(CleanroomError):
    """The organisation has left the room."""

    code = "accounts.offboarded"


class VerificationError(CleanroomError):
    """An organisation cannot be marked as verified like this."""

    code = "accounts.bad_verification"


class UnknownSigningKeyError(CleanroomError):
    """The organisation has no signing key with this id; one of another organisation is answered the same."""

    code = "accounts.unknown_key"


class UnknownMandateError(MandateError):
    """The advertiser granted no mandate with this id; one of another advertiser is answered the same."""

    code = "accounts.unknown_mandate"
