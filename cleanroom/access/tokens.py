"""Access tokens as signed JWTs: made here, and read back here."""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from cleanroom.access.errors import InvalidTokenError
from cleanroom.access.token_keys import TokenKeys
from cleanroom.access.types import Client, IssuedToken
from cleanroom.clock import Clock
from cleanroom.ids import new_id
from cleanroom.remembered import Remembered

ALGORITHM = "ES256"
TYPE = "at+jwt"
MAX_TOKEN_BYTES = 8192
# Another process of the room may have a clock that is ahead.
_LEEWAY = timedelta(seconds=30)
_KNOWN_TOKENS = 4096


@dataclass(frozen=True)
class TokenClaims:
    """What a token says, once its signature, issuer, audience and term are checked.

    Attributes:
        token_id: its `jti`.
        client_id: to whom it was given.
        scopes: what it carries.
        expires_at: when it ends.
    """

    token_id: str
    client_id: str
    scopes: frozenset[str]
    expires_at: datetime


class Tokens:
    """Makes and reads access tokens; whether they were revoked is known to the database only.

    Source: RFC 9068.
    """

    def __init__(self, keys: TokenKeys, clock: Clock, *, issuer: str, audience: str, minutes: int) -> None:
        """Take the room's identity.

        Args:
            keys: sign and verify.
            clock: tells the time.
            issuer: the room's public URL.
            audience: the URL that the tokens are for.
            minutes: how long a token lives.
        """
        self._keys = keys
        self._clock = clock
        self._issuer = issuer
        self._audience = audience
        self._lifetime = timedelta(minutes=minutes)
        # By the token's hash: with which key it was verified, and what it says. Neither changes.
        self._known = Remembered[bytes, tuple[ECKey, dict[str, Any]]](_KNOWN_TOKENS)

    def issue(self, client: Client, scopes: frozenset[str]) -> IssuedToken:
        """Sign a token for a client that has proven who it is."""
        now = self._clock.now()
        kid, key = self._keys.signing_key()
        issued_at = int(now.timestamp())
        seconds = int(self._lifetime.total_seconds())
        token_id = new_id("tok", now)
        claims = {
            "iss": self._issuer,
            "aud": self._audience,
            "sub": client.id,
            "client_id": client.id,
            "scope": " ".join(sorted(scopes)),
            "jti": token_id,
            "iat": issued_at,
            "exp": issued_at + seconds,
        }
        header = {"typ": TYPE, "alg": ALGORITHM, "kid": kid}
        return IssuedToken(
            jwt.encode(header, claims, key, algorithms=[ALGORITHM]), token_id, scopes, expires_in=seconds
        )

    def rotate(self, overlap: timedelta) -> str:
        """Sign with a new key from now on; returns its id."""
        return self._keys.rotate(self._clock.now(), overlap=overlap)

    def read(self, token: str) -> TokenClaims:
        """Check everything about a token that it shows by itself.

        Raises:
            InvalidTokenError: with the reason's code.
        """
        claims = self._verified(token)
        now = self._clock.now()
        if claims.get("iss") != self._issuer:
            raise InvalidTokenError("wrong_issuer")
        if claims.get("aud") not in (self._audience, [self._audience]):
            raise InvalidTokenError("wrong_audience")
        expires_at, issued_at = _instant(claims.get("exp")), _instant(claims.get("iat"))
        if now >= expires_at:
            raise InvalidTokenError("expired")
        if issued_at > now + _LEEWAY:
            raise InvalidTokenError("not_yet_valid")
        texts = [claims.get(name) for name in ("jti", "sub", "client_id", "scope")]
        if not all(isinstance(text, str) for text in texts) or texts[1] != texts[2]:
            raise InvalidTokenError("malformed")
        return TokenClaims(str(texts[0]), str(texts[2]), frozenset(str(texts[3]).split()), expires_at)

    def _verified(self, token: str) -> dict[str, Any]:
        if len(token) > MAX_TOKEN_BYTES or not token.isascii():
            raise InvalidTokenError("malformed")
        digest = hashlib.sha256(token.encode()).digest()
        known = self._known.get(digest)
        # As long as its key verifies: a rotation can end it before its time.
        if known is not None and self._keys.verifies(known[0], self._clock.now()):
            return known[1]
        try:
            header = jws.extract_compact(token.encode()).headers()
        except (JoseError, ValueError):
            raise InvalidTokenError("malformed") from None
        if str(header.get("typ")).lower().removeprefix("application/") != TYPE:
            raise InvalidTokenError("wrong_type")
        if header.get("alg") != ALGORITHM:
            raise InvalidTokenError("wrong_algorithm")
        key = self._keys.verifying_key(str(header.get("kid")), self._clock.now())
        if key is None:
            raise InvalidTokenError("unknown_key")
        try:
            claims = jwt.decode(token, key, algorithms=[ALGORITHM]).claims
        except (JoseError, ValueError):
            raise InvalidTokenError("bad_signature") from None
        return self._known.put(digest, (key, claims))[1]


def _instant(value: object) -> datetime:
    if not isinstance(value, int) or isinstance(value, bool):
        raise InvalidTokenError("malformed")
    try:
        return datetime.fromtimestamp(value, UTC)
    except (OverflowError, ValueError, OSError):
        raise InvalidTokenError("malformed") from None
