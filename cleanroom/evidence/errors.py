"""Errors of the evidence slice."""

from cleanroom.errors import CleanroomError


class BundleFormError(CleanroomError):
    """Such a bundle cannot be made."""

    code = "evidence.bad_bundle"


class UnknownBundleError(CleanroomError):
    """The organisation has no bundle with this id, or its file is gone."""

    code = "evidence.unknown_bundle"


class BundlesWaitError(CleanroomError):
    """As many bundles wait to be made as may."""

    code = "evidence.too_many"


class SecondPersonError(CleanroomError):
    """The bundle takes a second person, and nobody has confirmed it."""

    code = "evidence.unconfirmed"
