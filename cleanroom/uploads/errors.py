"""Errors of the uploads slice; messages name limits, offsets and remedies, never a file."""

from cleanroom.errors import CleanroomError


class UploadNotFoundError(CleanroomError):
    """The organisation has no upload with this id."""

    code = "uploads.not_found"


class UploadGoneError(CleanroomError):
    """The upload was ended or has expired; its bytes are gone."""

    code = "uploads.gone"


class UploadStatusError(CleanroomError):
    """The upload's status does not allow the step."""

    code = "uploads.status"


class UploadLengthError(CleanroomError):
    """The length announced is not the one that was signed."""

    code = "uploads.length"


class UploadTooLargeError(CleanroomError):
    """More bytes than the room takes, or than the upload has."""

    code = "uploads.too_large"


class TooManyUploadsError(CleanroomError):
    """The organisation has as many uploads under way as it may have."""

    code = "uploads.too_many"


class PackageUploadingError(CleanroomError):
    """Another upload of the same package is under way."""

    code = "uploads.package_uploading"


class OffsetError(CleanroomError):
    """The bytes do not begin where the upload stands."""

    code = "uploads.offset"


class UploadBusyError(CleanroomError):
    """Another request or process is at this upload."""

    code = "uploads.busy"


class ChecksumError(CleanroomError):
    """The bytes are not those that the checksum was made of."""

    code = "uploads.checksum"


class NoSpaceError(CleanroomError):
    """The disk has no room for the upload."""

    code = "uploads.no_space"


class TusVersionError(CleanroomError):
    """The client speaks another version of the protocol, or names none."""

    code = "uploads.tus_version"


class TusHeaderError(CleanroomError):
    """A header of the protocol is missing or malformed."""

    code = "uploads.tus_header"


class ContentTypeError(CleanroomError):
    """Bytes came under another content type than the protocol's."""

    code = "uploads.content_type"


class ScopeError(CleanroomError):
    """The token may not upload to this kind of table."""

    code = "uploads.scope"


class StalledError(CleanroomError):
    """The client stopped sending in the middle of a request."""

    code = "uploads.stalled"
