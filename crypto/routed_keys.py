"""Several stores of keys as one: an id tells which store a key is in, and new ones are made in one of them."""

from collections.abc import Mapping

from crypto.errors import UnknownKeyError
from crypto.keys import KeyProvider


class RoutedKeys:
    """A `KeyProvider` over others; so keys can move from one store to another while all of them are in use."""

    def __init__(self, stores: Mapping[str, KeyProvider], *, making: str) -> None:
        """Put stores together.

        Args:
            stores: by what the ids of their keys begin with; no prefix begins with another one.
            making: the prefix of the store in which new keys are made.
        """
        self._stores = dict(stores)
        self._making = making

    @property
    def prefix(self) -> str:
        """What the ids of new keys begin with."""
        return self._making

    def create_kek(self, label: str) -> str:
        """Create a key-encryption key and return its id; the label is for people and is not secret."""
        return self._stores[self._making].create_kek(label)

    def wrap(self, kek_id: str, key: bytes, *, context: bytes) -> bytes:
        """Encrypt a key under a key-encryption key, bound to the context."""
        return self._store(kek_id).wrap(kek_id, key, context=context)

    def unwrap(self, kek_id: str, wrapped: bytes, *, context: bytes) -> bytes:
        """Decrypt a key; raises UnwrapError, UnknownKeyError or KeyDestroyedError."""
        return self._store(kek_id).unwrap(kek_id, wrapped, context=context)

    def rewrap(self, old: str, new: str, wrapped: bytes, *, context: bytes) -> bytes:
        """Move a wrapped key to another key-encryption key, also into another store: then through this memory."""
        store = self._store(old)
        if store is self._store(new):
            return store.rewrap(old, new, wrapped, context=context)
        return self.wrap(new, store.unwrap(old, wrapped, context=context), context=context)

    def destroy(self, kek_id: str) -> None:
        """Destroy a key-encryption key for good; destroying it twice changes nothing."""
        self._store(kek_id).destroy(kek_id)

    def kek_ids(self) -> tuple[str, ...]:
        """List the keys that can be used, store by store, oldest first in each."""
        return tuple(kek_id for store in self._stores.values() for kek_id in store.kek_ids())

    def check(self) -> None:
        """Raise when keys of any store cannot be used now."""
        for store in self._stores.values():
            store.check()

    def _store(self, kek_id: str) -> KeyProvider:
        for prefix, store in self._stores.items():
            if kek_id.startswith(prefix):
                return store
        raise UnknownKeyError(
            "The key is in a store that this room is not told of.",
            remedy="Give the settings of the store that made it.",
        )
