"""Assertions: short JWTs that a client signs with its own key to prove who it is."""

import hashlib
import json
import math
from datetime import UTC, datetime, timedelta
from typing import Any

from joserfc import jws, jwt
from joserfc.errors import JoseError

from cleanroom.access.client_keys import ALGORITHMS, REGISTRY, fits, import_public
from cleanroom.access.clients import Clients
from cleanroom.access.errors import InvalidClientError
from cleanroom.access.models import UsedAssertionRow
from cleanroom.access.rows import insert_new
from cleanroom.access.types import Client, ClientMethod
from cleanroom.clock import Clock
from cleanroom.db.database import Database

MAX_ASSERTION_BYTES = 8192
MAX_LIFETIME = timedelta(minutes=5)
MAX_JTI_LENGTH = 255
LEEWAY = timedelta(seconds=30)


class Assertions:
    """Checks assertions, and lets each be used once.

    Source: RFC 7523, sections 2.2 and 3.
    """

    def __init__(self, *, db: Database, clients: Clients, clock: Clock, audiences: tuple[str, ...]) -> None:
        """Take what assertions are checked against.

        Args:
            db: remembers those used up, in transactions of its own: one is used up whatever comes of the request.
            clients: know the public keys.
            clock: tells the time.
            audiences: the names of this room that an assertion may be for.
        """
        self._db = db
        self._clients = clients
        self._clock = clock
        self._audiences = audiences

    def authenticate(self, assertion: str, *, client_id: str | None = None) -> Client:
        """Tell which client signed an assertion, and use it up.

        Args:
            assertion: the JWT.
            client_id: whom the request names beside it, if it does.

        Raises:
            InvalidClientError: it is not good, or was used before.
        """
        header, claims = _opened(assertion)
        subject = claims.get("sub")
        if not isinstance(subject, str) or claims.get("iss") != subject or client_id not in (None, subject):
            raise InvalidClientError("assertion_names_differ")
        with self._db.reading() as tx:
            client = self._clients.in_force(tx, subject)
            keys = self._clients.public_keys(tx, subject) if client else {}
        # One answer for an unknown client, a revoked one, another's key and a bad signature.
        if client is None or client.method is not ClientMethod.PRIVATE_KEY_JWT:
            raise InvalidClientError("not_recognised")
        jwk = _chosen(keys, header.get("kid"))
        if jwk is None or not fits(jwk, header["alg"]):
            raise InvalidClientError("not_recognised")
        try:
            jwt.decode(assertion, import_public(jwk), registry=REGISTRY)
        except (JoseError, ValueError):
            raise InvalidClientError("not_recognised") from None
        self._use(client, claims)
        return client

    def _use(self, client: Client, claims: dict[str, Any]) -> None:
        now = self._clock.now()
        audience = claims.get("aud")
        if isinstance(audience, list) and len(audience) == 1:
            audience = audience[0]
        # With two audiences, the other could show it here.
        if audience not in self._audiences:
            raise InvalidClientError("assertion_audience")
        expires_at = _instant(claims.get("exp"))
        if now >= expires_at + LEEWAY:
            raise InvalidClientError("assertion_expired")
        if expires_at > now + MAX_LIFETIME + LEEWAY:
            raise InvalidClientError("assertion_lives_too_long")
        if any(name in claims and _instant(claims[name]) > now + LEEWAY for name in ("nbf", "iat")):
            raise InvalidClientError("assertion_not_yet_valid")
        jti = claims.get("jti")
        if not isinstance(jti, str) or not 1 <= len(jti) <= MAX_JTI_LENGTH:
            raise InvalidClientError("assertion_without_jti")
        row = {
            "client_id": client.id,
            "jti_digest": hashlib.sha256(jti.encode(errors="surrogatepass")).hexdigest(),
            "expires_at": expires_at + LEEWAY,
        }
        with self._db.transaction() as tx:
            new = insert_new(tx, UsedAssertionRow, row)
            if new and self._clients.use_is_news(client):
                self._clients.note_use(tx, client.id)
        if not new:
            raise InvalidClientError("assertion_used_before")


def claimed_subject(assertion: str) -> str:
    """Return whom an assertion claims to come from, before anything is proven; empty when it does not say."""
    try:
        subject = _opened(assertion)[1].get("sub")
    except InvalidClientError:
        return ""
    return subject if isinstance(subject, str) else ""


def _opened(assertion: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read header and claims, before anything about them is proven."""
    if len(assertion) > MAX_ASSERTION_BYTES or not assertion.isascii():
        raise InvalidClientError("assertion_malformed")
    try:
        # Without a key nothing can be verified, but the form of a JWS can.
        opened = jws.extract_compact(assertion.encode())
        claims = _json_object(opened.payload)
    except (JoseError, ValueError, RecursionError):
        raise InvalidClientError("assertion_malformed") from None
    header = opened.headers()
    if header.get("alg") not in ALGORITHMS:
        raise InvalidClientError("assertion_algorithm")
    return header, claims


def _json_object(payload: bytes | None) -> dict[str, Any]:
    value = json.loads(payload or b"")
    if not isinstance(value, dict):
        raise ValueError
    return value


def _chosen(keys: dict[str, dict[str, Any]], kid: object) -> dict[str, Any] | None:
    """Return the key that a header names; without a name, the only one there is."""
    if kid is None and len(keys) == 1:
        return next(iter(keys.values()))
    return keys.get(kid) if isinstance(kid, str) else None


def _instant(value: object) -> datetime:
    """Read a NumericDate."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        raise InvalidClientError("assertion_malformed")
    try:
        return datetime.fromtimestamp(value, UTC)
    except (OverflowError, ValueError, OSError):
        raise InvalidClientError("assertion_malformed") from None
