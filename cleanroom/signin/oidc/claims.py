"""ID tokens: whether one was made by this provider, for this room, for this attempt, and lately."""

import hmac
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import import_key

from cleanroom.signin.errors import ProviderAnswerError

ALGORITHMS = (
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "EdDSA",
    "Ed25519",
)
"""Signatures by a key that the provider keeps for itself: neither `none` nor a secret that the room has too."""
MAX_TOKEN = 32_768
MAX_SUBJECT = 255
LEEWAY = timedelta(seconds=60)
_REGISTRY = jws.JWSRegistry(algorithms=list(ALGORITHMS))


@dataclass(frozen=True)
class Said:
    """What a provider says of somebody.

    Attributes:
        issuer: who says so.
        subject: the provider's name for the person, which never passes to another one.
        email: the person's address; empty when the provider does not say that it has verified it.
        methods: how the person proved who it is there (`amr`).
        context: the class of that (`acr`); empty for none.
    """

    issuer: str
    subject: str = field(repr=False)
    email: str = field(repr=False)
    methods: frozenset[str]
    context: str


def key_id(token: str) -> str | None:
    """Return which key a token names in its header, before anything is proven; None for none.

    Raises:
        ProviderAnswerError: it is no signed token, or signed by a method that proves nothing.
    """
    if len(token) > MAX_TOKEN or not token.isascii():
        raise refused("token_form")
    try:
        header = jws.extract_compact(token.encode()).headers()
    except (JoseError, ValueError, RecursionError):
        raise refused("token_form") from None
    if header.get("alg") not in ALGORITHMS:
        raise refused("token_algorithm")
    kid = header.get("kid")
    return kid if isinstance(kid, str) else None


def verified(
    token: str, key: Mapping[str, Any], *, issuer: str, client_id: str, nonce: str, now: datetime
) -> dict[str, Any]:
    """Return the claims of an ID token.

    Args:
        token: as the provider gave it.
        key: of the provider, as a JWK.
        issuer: who must have made it.
        client_id: whom it must be for, and nobody else.
        nonce: of the attempt.
        now: the instant.

    Raises:
        ProviderAnswerError: anything about it is not as it must be; the reason names what.

    Source: OpenID Connect Core 1.0, section 3.1.3.7.
    """
    try:
        claims = jwt.decode(token, import_key(dict(key)), registry=_REGISTRY).claims
    except (JoseError, ValueError, TypeError, KeyError, RecursionError):
        raise refused("token_signature") from None
    if claims.get("iss") != issuer:
        raise refused("token_issuer")
    audience = claims.get("aud")
    # With a second audience, the other could show it here.
    if audience not in (client_id, [client_id]) or claims.get("azp") not in (None, client_id):
        raise refused("token_audience")
    if _seconds(claims, "exp") <= (now - LEEWAY).timestamp():
        raise refused("token_expired")
    not_before = _seconds(claims, "nbf") if "nbf" in claims else 0.0
    if max(_seconds(claims, "iat"), not_before) > (now + LEEWAY).timestamp():
        raise refused("token_not_yet_valid")
    if not hmac.compare_digest(str(claims.get("nonce", "")).encode(), nonce.encode()):
        raise refused("token_nonce")
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= MAX_SUBJECT:
        raise refused("token_subject")
    return dict(claims)


def said(claims: Mapping[str, Any]) -> Said:
    """Read what verified claims say of a person."""
    email, methods = claims.get("email"), claims.get("amr")
    # Some providers write the truth as a text.
    sure = claims.get("email_verified") in (True, "true") and isinstance(email, str)
    return Said(
        issuer=str(claims["iss"]),
        subject=str(claims["sub"]),
        email=str(email).strip().lower() if sure else "",
        methods=frozenset(str(one) for one in methods) if isinstance(methods, list) else frozenset(),
        context=claims["acr"] if isinstance(claims.get("acr"), str) else "",
    )


def refused(reason: str) -> ProviderAnswerError:
    """Return the error for an answer that cannot be relied on; the reason is for the log."""
    return ProviderAnswerError(
        "The identity provider's answer cannot be relied on.", remedy="Begin anew.", reason=reason
    )


def _seconds(claims: Mapping[str, Any], name: str) -> float:
    value = claims.get(name)
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        raise refused("token_form")
    return float(value)
