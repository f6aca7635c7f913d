"""The token keys of a workspace, one for each key of the room, and tokens as pairs of numbers."""

import numpy as np
from numpy.typing import NDArray

from cleanroom.ids import uuid_of
from crypto.buffers import Octets
from crypto.tokens import derive_token_key, tokenise

U64 = NDArray[np.uint64]
PERSON_KEY = "person_id/sha256"
"""The name under which the values of person_id are tokenised."""


def token_key(secret: bytes, *, workspace_id: str, version: int, key: str) -> bytes:
    """Derive the token key of one key of the room.

    Args:
        secret: 32 bytes, the workspace's token secret of the version.
        workspace_id: `ws_...`.
        version: of the secret.
        key: name and hash profile, such as `email/room`.

    Returns:
        32 bytes.
    """
    key_type, _, hash_family = key.rpartition("/")
    return derive_token_key(
        secret, workspace=uuid_of(workspace_id), version=version, key_type=key_type, hash_family=hash_family
    )


def token_halves(digests: Octets, *, key: bytes) -> U64:
    """Tokenise digests and return each token as two big-endian numbers.

    Args:
        digests: bytes, or any shape whose last axis is 32 bytes.
        key: the token key.

    Returns:
        (n, 2): the first and the last 64 bits.
    """
    return halves_of(tokenise(digests, key=key))


def halves_of(tokens: bytes | bytearray | memoryview) -> U64:
    """Read n x 16 bytes of tokens as (n, 2) numbers whose order is the tokens' order."""
    return np.frombuffer(tokens, ">u8").astype(np.uint64).reshape(-1, 2)


def tokens_of(hi: U64, lo: U64) -> bytes:
    """Write halves back as n x 16 bytes of tokens."""
    return np.stack([hi, lo], axis=1).astype(">u8").tobytes()


def starts_of(hi: U64, lo: U64) -> NDArray[np.int64]:
    """Return where each new token begins among sorted halves."""
    new = np.ones(hi.size, np.bool_)
    new[1:] = (hi[1:] != hi[:-1]) | (lo[1:] != lo[:-1])
    return np.flatnonzero(new)
