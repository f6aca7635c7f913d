"""Public keys of clients: read from a JWKS, and refused unless they are fit to sign assertions."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from joserfc._rfc7515.model import JWSAlgModel
from joserfc.errors import JoseError, UnsupportedAlgorithmError
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from cleanroom.access.errors import ClientKeyError

# What assertions may be signed with; everything else is refused, whatever a library supports.
# `Ed25519` is what RFC 9864 calls `EdDSA` with that curve, the only one taken.
ALGORITHMS = ("ES256", "EdDSA", "Ed25519", "PS256", "RS256")
MAX_KEYS = 10
MIN_RSA_BITS, MAX_RSA_BITS = 2048, 4096
MAX_KID_LENGTH = 200
_PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_KEPT = frozenset({"kty", "crv", "x", "y", "n", "e"})
_FITTING = {"EC": ("ES256",), "OKP": ("EdDSA", "Ed25519"), "RSA": ("PS256", "RS256")}

_PEM = re.compile(r"-----BEGIN ([A-Z ]+)-----.+?-----END \1-----", re.DOTALL)
_PEM_KINDS = ((EllipticCurvePublicKey, ECKey), (Ed25519PublicKey, OKPKey), (RSAPublicKey, RSAKey))

PublicKey = ECKey | OKPKey | RSAKey


class AssertionRegistry(JWSRegistry):
    """The algorithms that are accepted; the library's own registry warns at each use of the older name `EdDSA`."""

    def get_alg(self, name: str) -> JWSAlgModel:
        """Return a listed algorithm; raises UnsupportedAlgorithmError."""
        if name not in ALGORITHMS:
            raise UnsupportedAlgorithmError
        return self.algorithms[name]


REGISTRY = AssertionRegistry(algorithms=ALGORITHMS)


@dataclass(frozen=True)
class ReadKey:
    """A public key that is fit for a client.

    Attributes:
        kid: the id that assertions name; the thumbprint when the set gave none.
        thumbprint: RFC 7638, SHA-256.
        jwk: the public members, `kid` included.
    """

    kid: str
    thumbprint: str
    jwk: dict[str, Any]


def read_key_set(key_set: Mapping[str, Any]) -> tuple[ReadKey, ...]:
    """Read the public keys of a JWKS.

    Args:
        key_set: `{"keys": [...]}` with 1 to 10 keys: P-256, Ed25519, or RSA of 2048 to 4096 bits.

    Returns:
        The keys in their order.

    Raises:
        ClientKeyError: there is none, a key is private or of another kind, or two share an id.

    Source: RFC 7517.
    """
    listed = key_set.get("keys")
    if not isinstance(listed, list) or not 1 <= len(listed) <= MAX_KEYS:
        raise ClientKeyError(
            f"A key set has 1 to {MAX_KEYS} keys.", remedy='Give a JWKS: {"keys": [...]} of public keys.'
        )
    keys = tuple(_read(jwk) for jwk in listed)
    if len({key.kid for key in keys}) < len(keys):
        raise ClientKeyError("Two keys of the set share a kid.", remedy="Give each key an id of its own.")
    return keys


def key_set_of_text(text: str) -> dict[str, Any]:
    """Read public keys as somebody pastes them: a JWKS, one JWK, or PEM blocks `PUBLIC KEY`.

    Returns:
        A JWKS, for `read_key_set` to judge.

    Raises:
        ClientKeyError: it is none of these, or a private key in PEM.
    """
    if blocks := list(_PEM.finditer(text)):
        return {"keys": [_jwk_of_pem(block[0], block[1]) for block in blocks]}
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise ClientKeyError(
            "This is neither a public JWK, nor a JWKS, nor a public key in PEM.",
            remedy="Paste the whole of it, from the first brace or dash to the last one.",
        )
    return value if "keys" in value else {"keys": [value]}


def _jwk_of_pem(block: str, label: str) -> dict[str, Any]:
    if "PRIVATE" in label:
        raise _private()
    try:
        key = load_pem_public_key(block.encode())
    except (ValueError, UnsupportedAlgorithm):
        key = None
    for kind, read_by in _PEM_KINDS:
        if isinstance(key, kind):
            return dict(read_by.import_key(block).as_dict(private=False))
    raise ClientKeyError(
        "A PEM block is no public key that can sign assertions.",
        remedy="Use P-256, Ed25519 or RSA, and export the key itself, not a certificate.",
    )


def generate_private_key() -> dict[str, Any]:
    """Make a P-256 key for a client, as a private JWK that names its id; `public_set` makes the half to register."""
    key = ECKey.generate_key("P-256")
    return {**key.as_dict(private=True), "kid": key.thumbprint(), "alg": "ES256", "use": "sig"}


def public_set(private_key: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JWKS with the public half of a private JWK."""
    return {"keys": [{name: value for name, value in private_key.items() if name not in _PRIVATE_MEMBERS}]}


def import_public(jwk: Mapping[str, Any]) -> PublicKey:
    """Return a key that `read_key_set` took, ready to verify."""
    kinds: dict[str, type[PublicKey]] = {"EC": ECKey, "OKP": OKPKey, "RSA": RSAKey}
    return kinds[jwk["kty"]].import_key(dict(jwk))


def fits(jwk: Mapping[str, Any], algorithm: str) -> bool:
    """Tell whether a key may verify signatures of an algorithm."""
    return algorithm in _FITTING[jwk["kty"]] and jwk.get("alg", algorithm) == algorithm


def _read(jwk: object) -> ReadKey:
    if not isinstance(jwk, dict) or jwk.get("kty") not in _FITTING:
        raise ClientKeyError(
            "A key is not of a kind that can sign assertions.", remedy="Use P-256, Ed25519 or RSA."
        )
    if _PRIVATE_MEMBERS & set(jwk):
        raise _private()
    try:
        key = import_public(jwk)
        key.check_use("sig")
        key.check_key_op("verify")
        thumbprint = key.thumbprint()
    except (JoseError, ValueError, TypeError, KeyError):
        raise ClientKeyError(
            "A key of the set cannot be read.", remedy="Export it as a public JWK."
        ) from None
    _require_strength(key)
    kid = jwk.get("kid", thumbprint)
    if not isinstance(kid, str) or not 1 <= len(kid) <= MAX_KID_LENGTH or not kid.isprintable():
        raise ClientKeyError(
            f"A kid has 1 to {MAX_KID_LENGTH} printable characters.", remedy="Shorten it, or leave it out."
        )
    alg = jwk.get("alg")
    if alg is not None and alg not in _FITTING[jwk["kty"]]:
        raise ClientKeyError(
            "A key names an algorithm that is not accepted.", remedy=f"Use one of {', '.join(ALGORITHMS)}."
        )
    kept: dict[str, Any] = {"kid": kid} if alg is None else {"kid": kid, "alg": alg}
    kept |= {str(name): value for name, value in key.as_dict(private=False).items() if name in _KEPT}
    return ReadKey(kid, thumbprint, kept)


def _private() -> ClientKeyError:
    return ClientKeyError(
        "The set holds a private key, which must never leave the client.",
        remedy="Consider it known to others: generate a new one, and give its public half.",
    )


def _require_strength(key: PublicKey) -> None:
    if isinstance(key, RSAKey):
        bits = key.public_key.key_size
        if not MIN_RSA_BITS <= bits <= MAX_RSA_BITS:
            raise ClientKeyError(
                f"An RSA key has {MIN_RSA_BITS} to {MAX_RSA_BITS} bits.", remedy="Generate one of 3072 bits."
            )
    elif key.curve_name not in ("P-256", "Ed25519"):
        raise ClientKeyError("The key's curve is not accepted.", remedy="Use P-256 or Ed25519.")
