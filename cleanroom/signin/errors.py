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
