"""Errors of the foureyes slice."""

from cleanroom.errors import CleanroomError


class UnknownAskError(CleanroomError):
    """The organisation has nothing with this id that waits for a second person, or waited."""

    code = "foureyes.unknown"


class AskFormError(CleanroomError):
    """What is asked for, or why, cannot be taken as it is."""

    code = "foureyes.bad_ask"


class AskWaitsError(CleanroomError):
    """The same is asked for already, or too much is."""

    code = "foureyes.waits_already"


class AskEndedError(CleanroomError):
    """It was confirmed, rejected or taken back before, or has lapsed."""

    code = "foureyes.ended"


class SamePersonError(CleanroomError):
    """Whoever asked is no second person, whatever role they have by now."""

    code = "foureyes.same_person"


class NotEntitledError(CleanroomError):
    """The person may not ask for this, or may not decide it."""

    code = "foureyes.not_entitled"


class TooNewError(CleanroomError):
    """The account, or its password, is younger than what it is to confirm."""

    code = "foureyes.too_new"
