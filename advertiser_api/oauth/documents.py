"""What OpenAPI says of the authorization server: its forms and answers are no pydantic models."""

from typing import Any

from advertiser_api.oauth.requests import FORM
from advertiser_api.oauth.server import ASSERTION_TYPE, GRANT_TYPE

_ERROR_SCHEMA = {
    "type": "object",
    "required": ["error"],
    "properties": {"error": {"type": "string"}, "error_description": {"type": "string"}},
}
_CLIENT = {
    "client_assertion_type": {"type": "string", "const": ASSERTION_TYPE},
    "client_assertion": {
        "type": "string",
        "description": "A JWT of at most five minutes, signed by the client.",
    },
    "client_id": {"type": "string", "description": "May be left out: the assertion or HTTP Basic names it."},
}


def _json(description: str, schema: dict[str, Any], example: Any) -> dict[str, Any]:
    return {
        "description": description,
        "content": {"application/json": {"schema": schema, "example": example}},
    }


def _error(description: str, error: str, text: str) -> dict[str, Any]:
    return _json(description, _ERROR_SCHEMA, {"error": error, "error_description": text})


_ERRORS: dict[int | str, dict[str, Any]] = {
    400: _error(
        "The request is refused (RFC 6749).", "invalid_scope", "The client does not have all the scopes."
    ),
    401: _error("HTTP Basic did not prove who the client is.", "invalid_client", "not_recognised"),
    413: _error("The body is too large.", "invalid_request", "The body passes 65536 bytes."),
    429: _error("Wait as Retry-After says.", "temporarily_unavailable", "Too many failed attempts."),
}


def _form(properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    schema = {"type": "object", "required": required, "properties": {**properties, **_CLIENT}}
    return {"requestBody": {"required": True, "content": {FORM: {"schema": schema}}}, "security": []}


TOKEN: dict[str, Any] = {
    "openapi_extra": _form(
        {
            "grant_type": {"type": "string", "const": GRANT_TYPE},
            "scope": {
                "type": "string",
                "description": "Fewer scopes than the client has, with spaces between.",
            },
            "resource": {"type": "string", "format": "uri", "description": "The API's address, if at all."},
        },
        ["grant_type"],
    ),
    "responses": {
        200: _json(
            "A token",
            {
                "type": "object",
                "required": ["access_token", "token_type", "expires_in", "scope"],
                "properties": {
                    "access_token": {"type": "string"},
                    "token_type": {"const": "Bearer"},
                    "expires_in": {"type": "integer", "minimum": 1},
                    "scope": {"type": "string"},
                },
            },
            {
                "access_token": "eyJ0eXAiOiJhdCtqd3QiLCJhbGciOiJFUzI1NiJ9...",
                "token_type": "Bearer",
                "expires_in": 600,
                "scope": "analyses:run bases:write catalogue:read",
            },
        ),
        **_ERRORS,
    },
}
REVOCATION: dict[str, Any] = {
    "openapi_extra": _form(
        {"token": {"type": "string"}, "token_type_hint": {"type": "string"}},
        ["token"],
    ),
    "responses": {200: _json("The token is good no more.", {"type": "object"}, {}), **_ERRORS},
}
KEY_SET_EXAMPLE: dict[int | str, dict[str, Any]] = {
    200: _json(
        "A JWKS (RFC 7517)",
        {"type": "object", "required": ["keys"], "properties": {"keys": {"type": "array"}}},
        {"keys": [{"kty": "EC", "crv": "P-256", "kid": "ZppdgC...", "use": "sig", "alg": "ES256"}]},
    )
}
METADATA_EXAMPLE: dict[int | str, dict[str, Any]] = {
    200: _json(
        "Metadata (RFC 8414)",
        {"type": "object", "required": ["issuer", "token_endpoint", "jwks_uri"]},
        {"issuer": "https://room.example.org", "token_endpoint": "https://room.example.org/oauth/token"},
    )
}
