"""Errors of HTTP itself; what the domain refuses has errors of its own."""

from cleanroom.errors import CleanroomError


class RouteNotFoundError(CleanroomError):
    """There is nothing at this address."""

    code = "api.not_found"


class MethodNotAllowedError(CleanroomError):
    """This address does not take this method."""

    code = "api.method_not_allowed"


class BodyTooLargeError(CleanroomError):
    """The request's body is larger than the room takes."""

    code = "api.body_too_large"


class MediaTypeError(CleanroomError):
    """The request's body is of a media type that this address does not take."""

    code = "api.unsupported_media_type"


class MalformedRequestError(CleanroomError):
    """The request cannot be read."""

    code = "api.malformed"


class InvalidRequestError(CleanroomError):
    """The request can be read, but parts of it are not what this address takes."""

    code = "api.invalid"


class CursorError(CleanroomError):
    """A cursor is not one that this list has given."""

    code = "api.bad_cursor"


class UnauthenticatedError(CleanroomError):
    """The request carries no access token."""

    code = "api.unauthenticated"


class TokenInQueryError(CleanroomError):
    """An access token stands in the address, where logs and histories keep it."""

    code = "api.token_in_query"


class RateLimitedError(CleanroomError):
    """Too many requests in too short a time.

    Attributes:
        retry_after: seconds until the next one is answered.
    """

    code = "api.rate_limited"

    def __init__(self, message: str, *, retry_after: int) -> None:
        super().__init__(message, remedy=f"Wait {retry_after} seconds.")
        self.retry_after = retry_after


class UnavailableError(CleanroomError):
    """The room cannot answer now, and may soon."""

    code = "api.unavailable"
    retry_after = 2


class UnexpectedError(CleanroomError):
    """Something failed inside the room."""

    code = "api.unexpected"
