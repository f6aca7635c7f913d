"""Authlib's authorization server over the room's services, with its lax defaults closed."""

import binascii
from base64 import b64decode
from typing import Any, ClassVar
from urllib.parse import unquote_plus

import structlog
from authlib.oauth2.base import OAuth2Error
from authlib.oauth2.rfc6749 import (
    AuthorizationServer,
    ClientMixin,
    InvalidClientError,
    InvalidGrantError,
    InvalidRequestError,
    InvalidScopeError,
)
from authlib.oauth2.rfc6749.grants import ClientCredentialsGrant
from authlib.oauth2.rfc7009 import RevocationEndpoint
from starlette.responses import JSONResponse, Response

from advertiser_api.oauth.attempts import FailedAttempts
from advertiser_api.oauth.requests import FormRequest
from cleanroom.access.assertions import claimed_subject
from cleanroom.access.errors import InsufficientScopeError, InvalidTokenError
from cleanroom.access.errors import InvalidClientError as ClientRefused
from cleanroom.access.scopes import SCOPES
from cleanroom.access.types import Client, ClientMethod
from cleanroom.counts import Counts
from cleanroom.room import Room

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
GRANT_TYPE = "client_credentials"
_log = structlog.get_logger("oauth")


class OAuthClient(ClientMixin):  # type: ignore[misc]
    """A client as Authlib wants to ask it."""

    def __init__(self, client: Client) -> None:
        self.client = client

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:  # noqa: ARG002 - the base's signature
        """Tell whether the client proves who it is in this way."""
        return method == self.client.method.value

    def check_grant_type(self, grant_type: str) -> bool:
        """Tell whether the client may ask for tokens in this way."""
        return grant_type == GRANT_TYPE


class ClientCredentials(ClientCredentialsGrant):  # type: ignore[misc]
    """The only grant: a client acts for its own organisation."""

    TOKEN_ENDPOINT_AUTH_METHODS: ClassVar[list[str]] = [method.value for method in ClientMethod]

    def create_token_response(self) -> tuple[int, dict[str, Any], list[tuple[str, str]]]:
        """Answer with a token; Authlib's own version writes the token to the debug log."""
        token = self.generate_token(scope=self.request.payload.scope, include_refresh_token=False)
        return 200, token, self.TOKEN_RESPONSE_HEADER


class Revocation(RevocationEndpoint):  # type: ignore[misc]
    """Ends an access token of the client that asks."""

    CLIENT_AUTH_METHODS: ClassVar[list[str]] = ClientCredentials.TOKEN_ENDPOINT_AUTH_METHODS

    def authenticate_token(self, request: FormRequest, client: OAuthClient) -> str:  # noqa: ARG002 - the base's signature
        """Return the token that the request names; a hint about its type is ignored (RFC 7009, section 2.1)."""
        token = request.form.get("token")
        if not token:
            raise InvalidRequestError("The parameter token is missing.")
        return token

    def revoke_token(self, token: str, request: FormRequest) -> None:
        """End it; a token that is not good any more is no error."""
        room: Room = self.server.room
        try:
            with room.db.transaction() as tx:
                room.access.revoke_token(tx, token, client_id=request.client.client.id)
        except InvalidTokenError:
            raise InvalidGrantError("The token was given to another client.") from None


class RoomAuthorizationServer(AuthorizationServer):  # type: ignore[misc]
    """Gives tokens to the room's clients. It works synchronously and belongs in a thread pool."""

    def __init__(self, room: Room, counts: Counts) -> None:
        super().__init__(scopes_supported=sorted(SCOPES))
        self.room = room
        self._attempts = FailedAttempts(counts)
        self.register_client_auth_method(ClientMethod.PRIVATE_KEY_JWT.value, self._by_assertion)
        self.register_client_auth_method(ClientMethod.CLIENT_SECRET_BASIC.value, self._by_secret)
        self.register_token_generator("default", self._make_token)
        self.register_grant(ClientCredentials)
        self.register_endpoint(Revocation)

    def token(self, request: FormRequest) -> Response:
        """Answer a request for a token."""
        if not request.form.get("grant_type"):
            return self.refused(InvalidRequestError("The parameter grant_type is missing."))
        targets = {*request.resources, *filter(None, [request.form.get("audience")])}
        if not targets <= {f"{self.room.settings.public_url}/v1"}:
            return self.refused(OAuth2Error("Tokens are for this room's API only.", error="invalid_target"))
        response: Response = self._slowed_down(request) or self.create_token_response(request)
        return response

    def revoke(self, request: FormRequest) -> Response:
        """Answer a request to end a token."""
        name = Revocation.ENDPOINT_NAME
        response: Response = self._slowed_down(request) or self.create_endpoint_response(name, request)
        return response

    def query_client(self, client_id: str) -> OAuthClient | None:
        """Return a client that may call now."""
        with self.room.db.reading() as tx:
            client = self.room.access.clients.in_force(tx, client_id)
        return None if client is None else OAuthClient(client)

    def authenticate_client(
        self, request: FormRequest, methods: list[str], endpoint: str = "token"
    ) -> OAuthClient:
        """Let a client prove who it is, by one method, and not too often in vain."""
        header = request.headers.get("authorization")
        asserted = "client_assertion" in request.form or "client_assertion_type" in request.form
        if header is not None and asserted:
            raise InvalidRequestError("A client proves who it is by one method at a time.")
        if "client_secret" in request.form:
            raise InvalidRequestError("A secret belongs in the Authorization header.")
        try:
            client: OAuthClient = super().authenticate_client(request, methods, endpoint)
        except ClientRefused as refused:
            self._attempts.failed(request.address, _claimed(request))
            _log.info("oauth.client_refused", reason=refused.reason, endpoint=endpoint)
            raise InvalidClientError(refused.reason, status_code=401 if header is not None else 400) from None
        return client

    def validate_requested_scope(self, scope: str | None) -> None:
        """Leave it to the making of the token, which knows the client."""

    def save_token(self, token: dict[str, Any], request: FormRequest) -> None:
        """Keep nothing: a token is proven by its signature, until it ends."""

    def send_signal(self, name: str, *args: Any, **kwargs: Any) -> None:
        """Tell nobody."""

    def create_oauth2_request(self, request: FormRequest) -> FormRequest:
        """Take the request as it was read."""
        return request

    def handle_response(self, status: int, body: Any, headers: list[tuple[str, str]]) -> Response:
        """Make an answer that nobody may keep."""
        return JSONResponse(body, status_code=status, headers={**dict(headers), "Cache-Control": "no-store"})

    def refused(self, error: OAuth2Error) -> Response:
        """Answer with an error (RFC 6749, section 5.2)."""
        response: Response = self.handle_error_response(None, error)
        return response

    def _slowed_down(self, request: FormRequest) -> Response | None:
        wait = self._attempts.wait_seconds(request.address, _claimed(request))
        if not wait:
            return None
        _log.warning("oauth.slowed_down")
        body = {"error": "temporarily_unavailable", "error_description": "Too many failed attempts."}
        return self.handle_response(429, body, [("Retry-After", str(wait))])

    def _by_assertion(self, query_client: Any, request: FormRequest) -> OAuthClient | None:  # noqa: ARG002 - Authlib's signature
        kind, assertion = request.form.get("client_assertion_type"), request.form.get("client_assertion")
        if kind is None and assertion is None:
            return None
        if kind != ASSERTION_TYPE or assertion is None:
            raise ClientRefused("assertion_type")
        named = request.form.get("client_id")
        return OAuthClient(self.room.access.client_by_assertion(assertion, client_id=named))

    def _by_secret(self, query_client: Any, request: FormRequest) -> OAuthClient:  # noqa: ARG002 - Authlib's signature
        header = request.headers.get("authorization")
        if header is None:
            raise ClientRefused("nothing_shown")
        return OAuthClient(self.room.access.client_by_secret(*_basic(header)))

    def _make_token(self, *, client: OAuthClient, scope: str | None, **_: Any) -> dict[str, Any]:
        try:
            issued = self.room.access.issue_token(client.client, scope.split() if scope else None)
        except InsufficientScopeError:
            raise InvalidScopeError("The client does not have all the scopes that it asks for.") from None
        return {
            "access_token": issued.value,
            "token_type": "Bearer",
            "expires_in": issued.expires_in,
            "scope": " ".join(sorted(issued.scopes)),
        }


def _claimed(request: FormRequest) -> str:
    """Return whom a request claims to come from, before anything is proven; empty when it does not say."""
    header = request.headers.get("authorization")
    if header is not None:
        return _basic(header)[0]
    return request.form.get("client_id") or claimed_subject(request.form.get("client_assertion", ""))


def _basic(header: str) -> tuple[str, str]:
    """Read HTTP Basic; both halves are form-encoded (RFC 6749, section 2.3.1). Empty when it is something else."""
    kind, _, encoded = header.partition(" ")
    if kind.lower() != "basic":
        return "", ""
    try:
        client_id, _, secret = b64decode(encoded.strip(), validate=True).decode().partition(":")
        return unquote_plus(client_id, errors="strict"), unquote_plus(secret, errors="strict")
    except (binascii.Error, ValueError):
        return "", ""
