"""Errors of the signin slice; a failed sign-in is a value, because an exception would roll its record back."""

from cleanroom.errors import CleanroomError


class PasswordError(CleanroomError):
    """A new password cannot be taken."""

    code = "signin.bad_password"


class WrongPasswordError(CleanroomError):
    """Somebody who is signed in did not give the current password, which the change needs."""

    code = "signin.wrong_password"


class LinkError(CleanroomError):
    """A one-time link was used, has expired, was replaced by another, or never was: one answer for all."""

    code = "signin.link"


class SecondFactorError(CleanroomError):
    """A second factor cannot be set up or removed like this."""

    code = "signin.second_factor"


class UnknownSessionError(CleanroomError):
    """The person has no session with this id; one of somebody else is answered the same."""

    code = "signin.unknown_session"


class FirstRunError(CleanroomError):
    """The first organisation cannot be made: somebody can sign in already, or what was named does not fit."""

    code = "signin.first_run"


class SignInSecretError(CleanroomError):
    """The room's secret for sign-ins is gone, and what was sealed with it with it."""

    code = "signin.secret"


class SecondFactorRequiredError(CleanroomError):
    """The organisation or the room requires a second factor: it can be replaced, and not given up."""

    code = "signin.second_factor_required"


class StaleSignInError(CleanroomError):
    """Somebody without a password signed in too long ago for a change that outlives the session."""

    code = "signin.stale"


class UnknownProviderError(CleanroomError):
    """The room knows no identity provider of this name."""

    code = "signin.unknown_provider"


class ProviderUnavailableError(CleanroomError):
    """The identity provider does not answer, or not as it must."""

    code = "signin.provider_unavailable"


class AttemptError(CleanroomError):
    """An answer of an identity provider belongs to no attempt of this browser, or to one that is over."""

    code = "signin.attempt"


class ProviderAnswerError(CleanroomError):
    """What an identity provider answered cannot be relied on.

    Attributes:
        reason: what about it; for the log.
    """

    code = "signin.provider_answer"

    def __init__(self, message: str, *, remedy: str = "", reason: str) -> None:
        super().__init__(message, remedy=remedy)
        self.reason = reason


class NotConnectedError(CleanroomError):
    """The person at the identity provider is nobody here, or may not come in this way."""

    code = "signin.not_connected"


class ConnectedError(CleanroomError):
    """A way to sign in belongs to somebody else already, or is the only one that is left."""

    code = "signin.connected"
