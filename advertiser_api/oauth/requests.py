"""Requests to the authorization server: read strictly, before Authlib sees them."""

from collections import Counter
from typing import Any
from urllib.parse import parse_qsl

from authlib.oauth2.base import OAuth2Error
from authlib.oauth2.rfc6749 import InvalidRequestError, OAuth2Request
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload
from starlette.requests import Request

MAX_BODY_BYTES = 64 << 10
MAX_FIELDS = 20
FORM = "application/x-www-form-urlencoded"
# The one parameter that may be repeated (RFC 8707).
_REPEATABLE = "resource"


class FormRequest(OAuth2Request):  # type: ignore[misc]
    """A request with its form; nothing is ever taken from the query string.

    Attributes:
        address: where it came from.
        resources: the targets that it names.
    """

    def __init__(self, *, uri: str, headers: Any, fields: list[tuple[str, str]], address: str) -> None:
        super().__init__("POST", uri, headers=headers)
        # An empty parameter counts as one that was left out (RFC 6749, section 3.2).
        self._form = {name: value for name, value in fields if name != _REPEATABLE and value}
        self.payload = BasicOAuth2Payload(self._form)
        self.address = address
        self.resources = tuple(value for name, value in fields if name == _REPEATABLE)

    @property
    def args(self) -> dict[str, str]:
        """The query, which is not read."""
        return {}

    @property
    def form(self) -> dict[str, str]:
        """The parameters of the body, each once."""
        return self._form


async def read_form(request: Request, *, uri: str) -> FormRequest:
    """Read a request to the authorization server.

    Args:
        request: as it came.
        uri: the public address of the endpoint; behind a proxy the request does not know it.

    Raises:
        OAuth2Error: it has a query, is not a form, is too large, or repeats a parameter.
    """
    if request.url.query:
        # Addresses end up in logs and histories.
        raise InvalidRequestError("Parameters belong in the body, never in the address.")
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        raise InvalidRequestError(f"The body must be {FORM}.")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise OAuth2Error(
                f"The body passes {MAX_BODY_BYTES} bytes.", error="invalid_request", status_code=413
            )
    try:
        fields = parse_qsl(
            body.decode(),
            keep_blank_values=True,
            strict_parsing=bool(body),
            max_num_fields=MAX_FIELDS,
            errors="strict",
        )
    except ValueError:
        raise InvalidRequestError(f"The body is not a form of at most {MAX_FIELDS} parameters.") from None
    counted = Counter(name for name, _ in fields if name != _REPEATABLE)
    if any(count > 1 for count in counted.values()):
        raise InvalidRequestError("A parameter is repeated.")
    address = request.client.host if request.client else ""
    return FormRequest(uri=uri, headers=request.headers, fields=fields, address=address)
