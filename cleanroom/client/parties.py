"""Whom a package is for and who signs it."""

import json
from dataclasses import dataclass, field
from typing import Any

from cleanroom.canonical import canonical_json
from cleanroom.client.errors import PrepareError


@dataclass(frozen=True)
class Recipient:
    """What a room tells an owner before it prepares a file; nothing in it is secret.

    Attributes:
        workspace_id: where the file goes.
        dataset_id: what it loads.
        recipient: the workspace's public key, age's text.
        accepted_profiles: hash profiles the room takes; empty for all.
    """

    workspace_id: str
    dataset_id: str
    recipient: str
    accepted_profiles: tuple[str, ...] = ()

    def to_json(self) -> bytes:
        """Write it as canonical JSON."""
        return canonical_json(
            {
                "v": 1,
                "workspace_id": self.workspace_id,
                "dataset_id": self.dataset_id,
                "recipient": self.recipient,
                "accepted_profiles": self.accepted_profiles,
            }
        )

    @classmethod
    def from_json(cls, data: bytes | str) -> "Recipient":
        """Read what `to_json` wrote.

        Raises:
            PrepareError: it is not that, or of another version.
        """
        try:
            plain: Any = json.loads(data)
            texts = {name: plain[name] for name in ("workspace_id", "dataset_id", "recipient")}
            profiles = tuple(plain["accepted_profiles"])
            good = plain["v"] == 1 and all(isinstance(text, str) for text in (*texts.values(), *profiles))
        except (ValueError, KeyError, TypeError, RecursionError):
            good = False
        if not good:
            raise PrepareError(
                "This is not a recipient file of version 1.", remedy="Fetch it from the room again."
            )
        return cls(accepted_profiles=profiles, **texts)


@dataclass(frozen=True)
class Signer:
    """A key that is enrolled with the room.

    Attributes:
        key_id: under which it is enrolled.
        seed: 32 bytes, the Ed25519 private key; never shown.
    """

    key_id: str
    seed: bytes = field(repr=False)
