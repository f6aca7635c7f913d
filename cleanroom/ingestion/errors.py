"""Errors of the ingestion slice; messages name limits and remedies, never what a row holds."""

from cleanroom.errors import CleanroomError


class ManifestMismatchError(CleanroomError):
    """The manifest is not for this dataset, schema, key or moment."""

    code = "ingestion.manifest_mismatch"


class PackageUsedError(CleanroomError):
    """The package became a version already."""

    code = "ingestion.package_used"


class PayloadError(CleanroomError):
    """The payload is not what its manifest and the schema say."""

    code = "ingestion.payload"


class SkewError(CleanroomError):
    """Too many rows share one value to be handled in the memory allowed."""

    code = "ingestion.skew"


class JunkError(CleanroomError):
    """The junk list cannot be resolved as asked."""

    code = "ingestion.junk"


class StaleVersionError(CleanroomError):
    """Another version was published in the meantime."""

    code = "ingestion.stale_version"


class RotationError(CleanroomError):
    """A key cannot be rotated now."""

    code = "ingestion.rotation"
