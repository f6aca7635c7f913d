"""Errors of the dataset slice."""

from cleanroom.errors import CleanroomError


class DatasetNotFoundError(CleanroomError):
    """No dataset has this identifier."""

    code = "datasets.not_found"


class VersionNotFoundError(CleanroomError):
    """No version has this identifier, or the dataset has none published."""

    code = "datasets.version_not_found"


class VersionStatusError(CleanroomError):
    """The version's status does not allow the step."""

    code = "datasets.version_status"


class DatasetSchemaError(CleanroomError):
    """The schema does not fit the kind of dataset."""

    code = "datasets.schema"


class DatasetNameError(DatasetSchemaError):
    """The name is missing or too long."""

    code = "datasets.name"


class SealedColumnError(CleanroomError):
    """A sealed file of a version is missing, or is not the one that was written."""

    code = "datasets.sealed_file"
