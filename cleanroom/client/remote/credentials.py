"""How a client proves who it is: by a key of its own (private_key_jwt), or by a secret over HTTP Basic."""

import base64
import json
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import quote_plus

from cleanroom.client.remote.problems import ConfigurationError

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION_SECONDS = 60
_P256_BYTES = 32


class Credential(Protocol):
    """Proves who a client is."""

    @property
    def client_id(self) -> str:
        """`cl_...`."""
        ...

    def prove(self, audience: str) -> tuple[dict[str, str], dict[str, str]]:
        """Return form fields and headers of a request for a token.

        Args:
            audience: the room's address; nobody else accepts the proof.
        """
        ...


@dataclass(frozen=True)
class ClientSecret:
    """A secret, sent over TLS.

    Attributes:
        client_id: `cl_...`.
        secret: never shown.

    Source: RFC 6749, section 2.3.1.
    """

    client_id: str
    secret: str = field(repr=False)

    def prove(self, audience: str) -> tuple[dict[str, str], dict[str, str]]:  # noqa: ARG002 - the protocol's
        """Return the header."""
        pair = f"{quote_plus(self.client_id)}:{quote_plus(self.secret)}"
        return {}, {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}


@dataclass(frozen=True)
class ClientKey:
    """A private key; only assertions made with it ever leave the machine.

    Attributes:
        client_id: `cl_...`.
        jwk: a private JWK: P-256 or Ed25519; never shown.
        now: tells the time, in seconds.

    Source: RFC 7523; RFC 7518, section 3.4; RFC 8037.
    """

    client_id: str
    jwk: Mapping[str, Any] = field(repr=False)
    now: Callable[[], float] = field(default=time.time, repr=False)

    def prove(self, audience: str) -> tuple[dict[str, str], dict[str, str]]:
        """Return the fields with a new assertion; each is used once."""
        now = int(self.now())
        claims = {
            "iss": self.client_id,
            "sub": self.client_id,
            "aud": audience,
            "iat": now,
            "exp": now + ASSERTION_SECONDS,
            "jti": secrets.token_urlsafe(16),
        }
        return {"client_assertion_type": ASSERTION_TYPE, "client_assertion": _signed(self.jwk, claims)}, {}


def read_jwk(text: str | bytes) -> Mapping[str, Any]:
    """Read a private JWK and try it.

    Raises:
        ConfigurationError: it is no private key of a kind that signs assertions.
    """
    try:
        jwk = json.loads(text)
        _signed(jwk, {})
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ConfigurationError(
            "The client's key is no private JWK of P-256 or Ed25519.",
            remedy="Use the file that `cleanroom client add --generate-key` wrote.",
        ) from None
    return dict(jwk)


def _signed(jwk: Mapping[str, Any], claims: Mapping[str, Any]) -> str:
    algorithm, sign = _signer(jwk)
    header = {"alg": algorithm, "typ": "JWT"} | ({"kid": jwk["kid"]} if "kid" in jwk else {})
    text = b".".join(_coded(json.dumps(part, separators=(",", ":")).encode()) for part in (header, claims))
    return (text + b"." + _coded(sign(text))).decode()


def _signer(jwk: Mapping[str, Any]) -> tuple[str, Callable[[bytes], bytes]]:
    # Here, because a client with a secret never needs it.
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, utils  # noqa: PLC0415
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415

    private = _number(jwk["d"])
    if (jwk["kty"], jwk["crv"]) == ("OKP", "Ed25519"):
        return "EdDSA", ed25519.Ed25519PrivateKey.from_private_bytes(private).sign
    if (jwk["kty"], jwk["crv"]) != ("EC", "P-256"):
        raise ValueError
    key = ec.derive_private_key(int.from_bytes(private), ec.SECP256R1())

    def sign(text: bytes) -> bytes:
        parts = utils.decode_dss_signature(key.sign(text, ec.ECDSA(SHA256())))
        return b"".join(part.to_bytes(_P256_BYTES) for part in parts)

    return "ES256", sign


def _coded(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def _number(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
