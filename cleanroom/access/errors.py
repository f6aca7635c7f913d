"""Errors of the access slice."""

from cleanroom.errors import CleanroomError


class InvalidTokenError(CleanroomError):
    """An access token does not let its bearer in.

    Attributes:
        reason: a short code such as `expired`; never a part of the token.
    """

    code = "access.invalid_token"

    def __init__(self, reason: str) -> None:
        super().__init__(f"The access token is not accepted: {reason}.", remedy="Get a new one.")
        self.reason = reason


class InvalidClientError(CleanroomError):
    """A client did not prove who it is.

    Attributes:
        reason: a short code such as `assertion_expired`; never a part of a secret or an assertion.
    """

    code = "access.invalid_client"

    def __init__(self, reason: str) -> None:
        super().__init__(f"The client is not accepted: {reason}.")
        self.reason = reason


class InsufficientScopeError(CleanroomError):
    """A call needs a scope that its token does not carry."""

    code = "access.insufficient_scope"


class UnknownScopeError(CleanroomError):
    """A scope or a role does not exist for this kind of organisation."""

    code = "access.unknown_scope"


class AdvertiserMissingError(CleanroomError):
    """An agency did not name the advertiser that it acts for."""

    code = "access.advertiser_missing"


class UnknownAdvertiserError(CleanroomError):
    """The advertiser named does not exist, or the caller may not act for it: one answer for both."""

    code = "access.unknown_advertiser"


class MandateLimitError(CleanroomError):
    """The advertiser's mandate for the agency does not cover this action."""

    code = "access.mandate_limited"


class IdempotencyKeyMissingError(CleanroomError):
    """A call that makes something came without an idempotency key."""

    code = "access.idempotency_key_missing"


class IdempotencyKeyError(CleanroomError):
    """An idempotency key is not 1 to 255 printable characters."""

    code = "access.bad_idempotency_key"


class IdempotencyMismatchError(CleanroomError):
    """An idempotency key was used before with another request."""

    code = "access.idempotency_mismatch"


class IdempotencyBusyError(CleanroomError):
    """The first request with this idempotency key is still running."""

    code = "access.idempotency_busy"


class UnknownClientError(CleanroomError):
    """No client has this id."""

    code = "access.unknown_client"


class ClientRegistrationError(CleanroomError):
    """A client cannot be registered or changed as asked."""

    code = "access.bad_client"


class ClientKeyError(CleanroomError):
    """A public key cannot be taken for a client."""

    code = "access.bad_client_key"


class UnknownUserError(CleanroomError):
    """No user has this id."""

    code = "access.unknown_user"


class UserError(CleanroomError):
    """A user's record cannot be made as asked."""

    code = "access.bad_user"


class InvitationError(CleanroomError):
    """An invitation was accepted, has expired, was replaced, or never was: one answer for all."""

    code = "access.invitation"


class LastOwnerError(CleanroomError):
    """An organisation would lose the last person who administers its users."""

    code = "access.last_owner"


class TokenKeysError(CleanroomError):
    """The file of keys that sign access tokens is missing or damaged."""

    code = "access.token_keys"
