"""Join tokens: identifier digests under a key of one workspace.

AES-256 serves as a pseudo-random permutation on single blocks. It runs in ECB mode because every input block
is one whole SHA-256 prefix: equal blocks mean equal identifiers, which a join must see, and there is no
message whose pattern could show. A token is still personal data: the key's holder can test guesses.
"""

from uuid import UUID

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext, algorithms, modes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from crypto.buffers import Octets, as_octets
from crypto.errors import CryptoError
from crypto.limits import DIGEST_BYTES, KEY_BYTES, MAX_LABEL_BYTES, TOKEN_BYTES

_PURPOSE = b"cleanroom/token-key/v1\n"
_BLOCKS = 1 << 15  # 512 KiB at a time: gathered and encrypted while still in the processor's cache


class DigestLengthError(CryptoError):
    """A buffer does not hold whole digests or whole tokens."""

    code = "crypto.digest_length"


class TokenKeyError(CryptoError):
    """A token key, or what it is derived from, does not have the required form."""

    code = "crypto.token_key"


def derive_token_key(
    secret: bytes, *, workspace: UUID, version: int, key_type: str, hash_family: str
) -> bytes:
    """Derive the key that turns digests of one key type into tokens of one workspace.

    Key type and hash family are part of it, so an e-mail never meets a phone, nor SHA-256 a digest of an MD5.

    Args:
        secret: 32 random bytes, the workspace's token secret of this version.
        workspace: the workspace.
        version: the secret's version, 1 or more.
        key_type: the match key's name and profile, such as `email/room`; at most 255 bytes of UTF-8.
        hash_family: such as `sha256`; at most 255 bytes of UTF-8.

    Returns:
        32 bytes.

    Raises:
        TokenKeyError: the secret is not 32 bytes, or a field is empty, too long or out of range.

    Source: RFC 5869 with SHA-256; the info has fixed widths and length prefixes, so no two inputs share it.
    """
    if len(secret) != KEY_BYTES:
        raise TokenKeyError(f"A token secret has {KEY_BYTES} bytes.", remedy="Generate one with os.urandom.")
    if not 1 <= version < 1 << 32:
        raise TokenKeyError("A token secret's version is a number from 1 to 2^32 - 1.")
    info = _PURPOSE + workspace.bytes + version.to_bytes(4) + _prefixed(key_type) + _prefixed(hash_family)
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=info).derive(secret)


def tokenise(digests: Octets, *, key: bytes) -> memoryview:
    """Turn n identifier digests into n join tokens of one workspace.

    Equal digests meet inside a workspace and nowhere else: every workspace has its own key.

    Args:
        digests: n x 32 bytes, SHA-256 of normalised identifiers, concatenated; order is kept.
        key: 32 bytes, the workspace's token key.

    Returns:
        n x 16 bytes, writable; token i belongs to digest i.

    Raises:
        DigestLengthError: the length is not a multiple of 32.
        TokenKeyError: the key is not 32 bytes.

    Source: FIPS 197 (AES-256 on single blocks as a pseudo-random permutation).
    """
    octets = _whole(digests, DIGEST_BYTES, "digests")
    return _permute(octets.view(f"V{TOKEN_BYTES}")[::2], (_cipher(key).encryptor(),))


def invert(tokens: Octets, *, key: bytes) -> memoryview:
    """Turn n tokens back into the n truncated digests that they came from.

    Only rotation and re-keying for another workspace use it; the result is as sensitive as a digest.

    Args:
        tokens: n x 16 bytes.
        key: 32 bytes, the key that made them.

    Returns:
        n x 16 bytes, writable: the first half of each digest, in order.

    Raises:
        DigestLengthError: the length is not a multiple of 16.
        TokenKeyError: the key is not 32 bytes.
    """
    octets = _whole(tokens, TOKEN_BYTES, "tokens")
    return _permute(octets.view(f"V{TOKEN_BYTES}"), (_cipher(key).decryptor(),))


def retokenise(tokens: Octets, *, old_key: bytes, new_key: bytes) -> memoryview:
    """Move n tokens from one key to another; no raw data and no full-length digest is needed.

    Args:
        tokens: n x 16 bytes under the old key.
        old_key: 32 bytes.
        new_key: 32 bytes.

    Returns:
        n x 16 bytes, writable: what `tokenise` gives for the same digests under the new key, in order.

    Raises:
        DigestLengthError: the length is not a multiple of 16.
        TokenKeyError: a key is not 32 bytes.
    """
    octets = _whole(tokens, TOKEN_BYTES, "tokens")
    return _permute(
        octets.view(f"V{TOKEN_BYTES}"), (_cipher(old_key).decryptor(), _cipher(new_key).encryptor())
    )


def _permute(blocks: npt.NDArray[np.void], steps: tuple[CipherContext, ...]) -> memoryview:
    count = len(blocks)
    # `update_into` asks for room of one block less a byte behind its output.
    room = np.empty(count * TOKEN_BYTES + TOKEN_BYTES - 1, dtype=np.uint8)
    out = room[: count * TOKEN_BYTES]
    gathered = out.view(blocks.dtype)
    for start in range(0, count, _BLOCKS):
        stop = min(count, start + _BLOCKS)
        gathered[start:stop] = blocks[start:stop]
        source = room.data[start * TOKEN_BYTES : stop * TOKEN_BYTES]
        target = room.data[start * TOKEN_BYTES : stop * TOKEN_BYTES + TOKEN_BYTES - 1]
        for step in steps:
            step.update_into(source, target)
    return out.data


def _cipher(key: bytes) -> Cipher[modes.ECB]:
    if len(key) != KEY_BYTES:
        raise TokenKeyError(f"A token key has {KEY_BYTES} bytes.", remedy="Take it from derive_token_key.")
    return Cipher(algorithms.AES(key), modes.ECB())  # noqa: S305 - single blocks, see above


def _whole(data: Octets, width: int, what: str) -> npt.NDArray[np.uint8]:
    octets = as_octets(data)
    if len(octets) % width:
        raise DigestLengthError(f"The {what} are not a whole number of {width}-byte blocks.")
    return octets


def _prefixed(text: str) -> bytes:
    encoded = text.encode()
    if not 1 <= len(encoded) <= MAX_LABEL_BYTES:
        raise TokenKeyError(f"A key type and a hash family have 1 to {MAX_LABEL_BYTES} bytes.")
    return len(encoded).to_bytes(1) + encoded
