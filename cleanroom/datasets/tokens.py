"""The token keys of a workspace, one for each key of the room."""

from cleanroom.ids import uuid_of
from crypto.tokens import derive_token_key

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
