"""Key-encryption keys inside a PKCS#11 token: made there, used there, destroyed there, never seen outside."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self, TypeVar

import pkcs11
from pkcs11 import Attribute, GCMParams, KeyType, Mechanism, ObjectClass

from crypto.errors import UnwrapError
from crypto.key_file import bound_to, require_label, require_wrappable
from crypto.key_services import DestroyedKeys, KeyServiceUnavailableError
from crypto.limits import TAG_BYTES
from crypto.pkcs11_module import Sessions, TokenPlace

PREFIX = "hsm_"
"""What the ids of these keys begin with."""
_LABEL = "cleanroom/"
_PURPOSE = b"cleanroom/kek-wrap-pkcs11/v1\n"
_FORMAT = b"\x02"
_NONCE_BYTES = 12
_MAY: dict[Attribute, bool] = {
    Attribute.TOKEN: True,
    Attribute.PRIVATE: True,
    Attribute.SENSITIVE: True,
    Attribute.EXTRACTABLE: False,
    Attribute.MODIFIABLE: False,
    Attribute.COPYABLE: False,
    Attribute.ENCRYPT: True,
    Attribute.DECRYPT: True,
    Attribute.WRAP: False,
    Attribute.UNWRAP: False,
    Attribute.SIGN: False,
    Attribute.VERIFY: False,
    Attribute.DERIVE: False,
}
_PROMISED: dict[Attribute, bool] = {
    Attribute.SENSITIVE: True,
    Attribute.ALWAYS_SENSITIVE: True,
    Attribute.EXTRACTABLE: False,
    Attribute.NEVER_EXTRACTABLE: True,
    Attribute.LOCAL: True,
}
Result = TypeVar("Result")


class Pkcs11Keys:
    """A `KeyProvider` over AES-256 keys in a token.

    A key is found by its id each time, so one that another process destroys is gone for all.
    """

    def __init__(self, sessions: Sessions, destroyed: DestroyedKeys) -> None:
        self._sessions = sessions
        self._destroyed = destroyed

    @classmethod
    def open(cls, place: TokenPlace, pin: str, *, destroyed: Path) -> Self:
        """Log in to a token.

        Args:
            place: where it is.
            pin: of its user; tried once.
            destroyed: a file that remembers the ids of keys that are gone.

        Raises:
            KeyServiceMissingError: the module cannot be loaded.
            KeyServiceUnavailableError: the token is not there.
            KeyServiceRefusedError: the PIN is wrong.
        """
        return cls(Sessions.begin(place, pin), DestroyedKeys(destroyed))

    def create_kek(self, label: str) -> str:
        """Create a key-encryption key and return its id; the label is for people and is not secret."""
        require_label(label)
        # The time comes first so that ids sort by age: a token keeps no other order.
        kek_id = f"{PREFIX}{time.time_ns() // 1_000_000:012x}{os.urandom(10).hex()}"
        named = {Attribute.ID: kek_id.encode(), Attribute.LABEL: _LABEL + label}

        def make(session: pkcs11.Session) -> None:
            # A first try may have come as far as to make it.
            if not _objects(session, kek_id):
                session.generate_key(KeyType.AES, 256, template={**_MAY, **named})
            self._require_kept_in(_objects(session, kek_id)[0])

        self._sessions.run(make)
        return kek_id

    def wrap(self, kek_id: str, key: bytes, *, context: bytes) -> bytes:
        """Encrypt a key with AES-256-GCM in the token, bound to the key's id and the context.

        Args:
            kek_id: which key-encryption key.
            key: what to encrypt, 1 to 4096 bytes.
            context: public bytes that must be given again to unwrap.

        Returns:
            `key` plus 29 bytes.
        """
        require_wrappable(key)
        nonce = os.urandom(_NONCE_BYTES)
        mechanism = _gcm(nonce, bound_to(_PURPOSE, kek_id, context))
        sealed: bytes = self._with(kek_id, lambda kek: kek.encrypt(key, **mechanism))
        return _FORMAT + nonce + sealed

    def unwrap(self, kek_id: str, wrapped: bytes, *, context: bytes) -> bytes:
        """Decrypt a key; raises UnwrapError, UnknownKeyError or KeyDestroyedError."""
        well_formed = wrapped[:1] == _FORMAT and len(wrapped) > len(_FORMAT) + _NONCE_BYTES + TAG_BYTES
        nonce, sealed = wrapped[1 : 1 + _NONCE_BYTES], wrapped[1 + _NONCE_BYTES :]
        mechanism = _gcm(nonce, bound_to(_PURPOSE, kek_id, context))

        def opened(kek: Any) -> bytes | None:
            if not well_formed:
                return None
            try:
                return bytes(kek.decrypt(sealed, **mechanism))
            except pkcs11.PKCS11Error:
                # Modules answer a wrong tag with whatever error they like. One that still works has told of the tag.
                _require_working(kek)
                return None

        plain = self._with(kek_id, opened)
        if plain is None:
            raise UnwrapError("The wrapped key is damaged, or belongs to another key or context.")
        return plain

    def rewrap(self, old: str, new: str, wrapped: bytes, *, context: bytes) -> bytes:
        """Move a wrapped key from one key-encryption key to another, same context."""
        return self.wrap(new, self.unwrap(old, wrapped, context=context), context=context)

    def destroy(self, kek_id: str) -> None:
        """Destroy a key in the token; its id is remembered first, so that a crash in between is told from a loss."""

        def destroy(session: pkcs11.Session) -> None:
            found = _objects(session, kek_id)
            if not found and kek_id not in self._destroyed:
                raise self._destroyed.missing(kek_id)
            self._destroyed.add(kek_id)
            for kek in found:
                kek.destroy()
            if _objects(session, kek_id):
                raise KeyServiceUnavailableError(
                    "The token still has the key that it was told to destroy.", remedy="Destroy it by hand."
                )

        self._sessions.run(destroy)

    def kek_ids(self) -> tuple[str, ...]:
        """List the keys that can be used, oldest first."""

        def listed(session: pkcs11.Session) -> list[str]:
            keys = session.get_objects({Attribute.CLASS: ObjectClass.SECRET_KEY})
            return [bytes(key[Attribute.ID]).decode("ascii", "replace") for key in keys]

        return tuple(
            sorted(kek_id for kek_id in self._sessions.run(listed, afresh=True) if kek_id.startswith(PREFIX))
        )

    def check(self) -> None:
        """Raise when the token is not there or does not answer."""
        self._sessions.run(lambda session: session.token.slot.get_token())

    def _with(self, kek_id: str, use: Callable[[Any], Result]) -> Result:
        def work(session: pkcs11.Session) -> Result:
            found = _objects(session, kek_id)
            if not found:
                raise self._destroyed.missing(kek_id)
            return use(found[0])

        return self._sessions.run(work)

    def _require_kept_in(self, kek: Any) -> None:
        """Destroy a key that the token would give out, whatever it was told; raises KeyServiceUnavailableError."""
        if any(kek[attribute] is not promised for attribute, promised in _PROMISED.items()):
            kek.destroy()
            raise KeyServiceUnavailableError(
                "The token does not promise to keep its keys to itself.", remedy="Use another token."
            )


def _objects(session: pkcs11.Session, kek_id: str) -> list[Any]:
    wanted = {Attribute.CLASS: ObjectClass.SECRET_KEY, Attribute.ID: kek_id.encode()}
    return list(session.get_objects(wanted))


def _gcm(nonce: bytes, associated: bytes) -> dict[str, Any]:
    return {
        "mechanism": Mechanism.AES_GCM,
        "mechanism_param": GCMParams(nonce, aad=associated, tag_bits=TAG_BYTES * 8),
    }


def _require_working(kek: Any) -> None:
    """Raise the module's error unless the key still encrypts and decrypts."""
    mechanism = _gcm(os.urandom(_NONCE_BYTES), _PURPOSE)
    kek.decrypt(kek.encrypt(_PURPOSE, **mechanism), **mechanism)
