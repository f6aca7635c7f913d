"""Errors of the subjects slice."""

from cleanroom.errors import CleanroomError


class BadLookupError(CleanroomError):
    """A lookup is not written as this room takes it."""

    code = "subjects.bad_lookup"


class BadReferenceError(CleanroomError):
    """The reference of a lookup is more than the number of a case."""

    code = "subjects.bad_reference"


class TooManyLookupsError(CleanroomError):
    """An organisation has looked up as many people as it may in an hour."""

    code = "subjects.too_many"


class AmbiguousSubjectError(CleanroomError):
    """An identifier is held by several people, or was, and one of them is not to be given what is known of another."""

    code = "subjects.ambiguous"


class UnknownEpochError(CleanroomError):
    """A dataset has no such consent epoch."""

    code = "subjects.epoch_not_found"
