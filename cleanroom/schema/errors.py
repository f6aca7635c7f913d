"""What can be wrong with a schema or with a prepared payload."""

from cleanroom.errors import CleanroomError


class SchemaError(CleanroomError):
    """A schema says something that is not allowed; the message names the place and the allowed values."""

    code = "schema.invalid"


class SpecialCategoryError(SchemaError):
    """An attribute is about health, ethnicity, religion, politics, sexual life, biometrics or the like."""

    code = "schema.special_category"


class IdentifierAsAttributeError(SchemaError):
    """An attribute holds what identifies a person directly; such columns may only be match keys."""

    code = "schema.identifier_as_attribute"


class HashProfileNotAllowedError(SchemaError):
    """A match key names a hash profile that does not exist or may not be used like this."""

    code = "schema.unknown_hash_profile"


class UnknownAttributeError(SchemaError):
    """The schema declares no attribute of that name."""

    code = "schema.unknown_attribute"


class BatchFormatError(CleanroomError):
    """A prepared payload is truncated, damaged, or breaks a limit of its format."""

    code = "schema.batch_format"
