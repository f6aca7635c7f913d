"""Workspaces, populations and a workspace's keys as values."""

from dataclasses import dataclass, field
from datetime import datetime

from crypto.keys import BoundKek, UnwrapError, WrapKey


@dataclass(frozen=True)
class Population:
    """People whose datasets share one privacy account.

    Attributes:
        id: `pop_...`.
        organisation_id: whose population it is.
        name: as shown to its owner.
        created_at: when it was registered.
    """

    id: str
    organisation_id: str
    name: str
    created_at: datetime


@dataclass(frozen=True)
class Workspace:
    """An isolated container of one organisation.

    Attributes:
        id: `ws_...`.
        organisation_id: whose it is.
        population_id: whom its datasets are about.
        name: as shown to its owner.
        kek_id: the key-encryption key that wraps all its other keys.
        token_key_version: the version of the token secret in use.
        recipient: the public age recipient that uploads are encrypted to.
        created_at: when it was made.
        destroyed_at: when its keys were destroyed; None while it lives.
    """

    id: str
    organisation_id: str
    population_id: str
    name: str
    kek_id: str
    token_key_version: int
    recipient: str
    created_at: datetime
    destroyed_at: datetime | None


@dataclass(frozen=True)
class KekRotation:
    """The key-encryption keys that a rotation moves from and to.

    Attributes:
        old_kek_id: destroyed once the rotation has finished.
        new_kek_id: wraps everything written since it began.
    """

    old_kek_id: str
    new_kek_id: str


@dataclass(frozen=True)
class EitherKek:
    """The `WrapKey` of a workspace while its key-encryption key is being replaced.

    Attributes:
        new: wraps, and is tried first.
        old: opens what has not been moved yet.
    """

    new: BoundKek
    old: BoundKek

    def wrap(self, key: bytes, *, context: bytes) -> bytes:
        """Encrypt a key under the new key-encryption key."""
        return self.new.wrap(key, context=context)

    def unwrap(self, wrapped: bytes, *, context: bytes) -> bytes:
        """Decrypt a key under whichever of both wrapped it; raises UnwrapError when neither did."""
        try:
            return self.new.unwrap(wrapped, context=context)
        except UnwrapError:
            return self.old.unwrap(wrapped, context=context)


@dataclass(frozen=True)
class WorkspaceKeys:
    """A workspace's keys, unwrapped for one piece of work; never stored, logged or shown.

    Attributes:
        token_secret: 32 bytes from which token keys are derived.
        token_version: the version of that secret.
        age_identity: the private age identity that opens uploads.
        fingerprint_key: 32 bytes keying the fingerprints of bases.
        kek: wraps and unwraps data keys of sealed files.
    """

    token_secret: bytes = field(repr=False)
    token_version: int
    age_identity: str = field(repr=False)
    fingerprint_key: bytes = field(repr=False)
    kek: WrapKey = field(repr=False)
