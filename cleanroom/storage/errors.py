"""Errors of the object store and of leases; keys hold ids only, so they may be named."""

from cleanroom.errors import CleanroomError


class ObjectKeyError(CleanroomError):
    """A key is not made of ids joined by slashes."""

    code = "storage.bad_key"


class ObjectMissingError(CleanroomError, FileNotFoundError):
    """No object has this key."""

    code = "storage.missing"


class ObjectExistsError(CleanroomError):
    """An object has this key already; objects never change."""

    code = "storage.exists"


class LeaseTakenError(CleanroomError):
    """Somebody else is at this work."""

    code = "storage.lease_taken"
