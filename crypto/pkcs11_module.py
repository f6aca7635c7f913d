"""A PKCS#11 module in this process: calls take turns, a fork and a lost token are survived, a PIN is tried once."""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import RLock
from typing import ClassVar, Self, TypeVar

import pkcs11
from pkcs11.constants import TokenFlag

from crypto.errors import UnknownKeyError
from crypto.key_services import KeyServiceMissingError, KeyServiceRefusedError, KeyServiceUnavailableError

Result = TypeVar("Result")
_PIN_ERRORS = (
    pkcs11.PinExpired,
    pkcs11.PinIncorrect,
    pkcs11.PinInvalid,
    pkcs11.PinLenRange,
    pkcs11.PinLocked,
    pkcs11.UserPinNotInitialized,
)
# A wrong PIN counts: with one try left a person has to look, else restarts would lock the token.
_NO_TRY_TO_SPARE = TokenFlag.USER_PIN_FINAL_TRY | TokenFlag.USER_PIN_LOCKED

_PAUSES = (0.05, 0.2)


@dataclass(frozen=True)
class TokenPlace:
    """Where a token is.

    Attributes:
        module: path of the module, a shared library.
        label: the token's; None for whichever is in the slot.
        slot: the slot's id; None for any that holds a token of this label.
    """

    module: Path
    label: str | None = None
    slot: int | None = None


class Module:
    """A loaded module, one for all who use it in this process.

    The binding initialises modules without locking, so that two threads must not be inside at once. Sessions and the
    login belong to the process: whoever starts the module anew ends those of everybody, and `generation` tells.
    """

    _loaded: ClassVar[dict[Path, Self]] = {}

    def __init__(self, path: Path) -> None:
        self.lock = RLock()
        self.generation = 0
        self._forked = False
        try:
            self._lib = pkcs11.lib(str(path))
        except pkcs11.PKCS11Error:
            raise KeyServiceMissingError(
                f"The PKCS#11 module {path.name} cannot be loaded.",
                remedy="Install it, and name its path in CLEANROOM_PKCS11_MODULE.",
            ) from None
        # Nobody may be inside the module while the process forks: its child could not go on with half a call.
        os.register_at_fork(
            before=self.lock.acquire, after_in_parent=self.lock.release, after_in_child=self._in_child
        )

    @classmethod
    def load(cls, path: Path) -> Self:
        """Return the module of a path, loaded once; raises KeyServiceMissingError."""
        # One library under two names would be started twice.
        path = path.resolve()
        if path not in cls._loaded:
            cls._loaded[path] = cls(path)
        return cls._loaded[path]

    def restart(self) -> None:
        """Start the module anew: it looks at its slots again, and everybody's sessions end."""
        self.generation += 1
        self._forked = False
        with suppress(pkcs11.PKCS11Error):
            # After a fork it never was started in this process.
            self._lib.finalize()
        try:
            self._lib.initialize()
        except pkcs11.PKCS11Error as error:
            raise KeyServiceUnavailableError(
                f"The PKCS#11 module does not start ({type(error).__name__}).",
                remedy="Look after the module's own settings.",
            ) from None

    def token(self, place: TokenPlace) -> pkcs11.Token:
        """Find a token; raises KeyServiceUnavailableError unless exactly one is there."""
        if self._forked:
            self.restart()
        found = self._fitting(place)
        for pause in _PAUSES:
            if found:
                break
            # A module that starts while another process writes to the token may not see it: SoftHSM does not.
            time.sleep(pause)
            self.restart()
            found = self._fitting(place)
        if len(found) != 1:
            raise KeyServiceUnavailableError(
                f"The PKCS#11 module has {len(found)} tokens that fit, not one.",
                remedy="Check CLEANROOM_PKCS11_TOKEN and CLEANROOM_PKCS11_SLOT, and that the device is there.",
            )
        return found[0]

    def _fitting(self, place: TokenPlace) -> list[pkcs11.Token]:
        found = []
        for slot in self._lib.get_slots(token_present=True):
            if place.slot not in (None, slot.slot_id):
                continue
            try:
                token = slot.get_token()
            except (pkcs11.TokenNotPresent, pkcs11.TokenNotRecognised):
                continue
            if place.label in (None, token.label) and token.flags & TokenFlag.TOKEN_INITIALIZED:
                found.append(token)
        return found

    def _in_child(self) -> None:
        self.generation += 1
        self._forked = True
        self.lock.release()


@dataclass
class Sessions:
    """The one session of a user of a token, opened when it is needed and again when it was lost."""

    place: TokenPlace
    pin: str = field(repr=False)
    _module: Module = field(init=False)
    _session: pkcs11.Session | None = field(default=None, init=False)
    _generation: int = field(default=-1, init=False)
    _refused: KeyServiceRefusedError | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self._module = Module.load(self.place.module)

    def run(self, work: Callable[[pkcs11.Session], Result], *, afresh: bool = False) -> Result:
        """Do something with the token, alone; once again on a new session when the token was lost meanwhile.

        What a module knows of a token can be behind what other processes have done: where a key is not found it starts
        anew and looks once more.

        Args:
            work: can be done again after any of its calls has failed.
            afresh: whether to start anew before, as a list lacks what is missing without an error.

        Raises:
            UnknownKeyError: the work's own, twice.
            KeyServiceRefusedError: the PIN is wrong; this process does not try it again.
            KeyServiceUnavailableError: the token is not there, or does not do what it is asked.
        """
        with self._module.lock:
            if not afresh:
                with suppress(pkcs11.PKCS11Error, KeyServiceUnavailableError, UnknownKeyError):
                    return work(self._opened())
            self._module.restart()
            try:
                return work(self._opened())
            except pkcs11.PKCS11Error as error:
                raise KeyServiceUnavailableError(
                    f"The PKCS#11 token does not do its work ({type(error).__name__}).",
                    remedy="Look after the device; the keys in it are untouched.",
                ) from None

    def _opened(self) -> pkcs11.Session:
        if self._refused is not None:
            raise self._refused
        if self._session is None or self._generation != self._module.generation:
            self._session = self._open(self._module.token(self.place))
            self._generation = self._module.generation
        return self._session

    def _open(self, token: pkcs11.Token) -> pkcs11.Session:
        if token.flags & _NO_TRY_TO_SPARE:
            raise self._refuse(
                "The token has at most one try of its PIN left, which a program does not take.",
                remedy="Log in to it by hand once; then start again.",
            )
        try:
            return token.open(rw=True, user_pin=self.pin)
        except pkcs11.UserAlreadyLoggedIn:
            return token.open(rw=True)
        except _PIN_ERRORS as error:
            raise self._refuse(
                f"The token refuses the PIN ({type(error).__name__}); it is not tried again.",
                remedy="Correct CLEANROOM_PKCS11_PIN or its file, and start again.",
            ) from None

    def _refuse(self, message: str, *, remedy: str) -> KeyServiceRefusedError:
        self._refused = KeyServiceRefusedError(message, remedy=remedy)
        return self._refused

    @classmethod
    def begin(cls, place: TokenPlace, pin: str) -> Self:
        """Open a session at once, so that what is wrong is known before it is needed; raises as `run`."""
        sessions = cls(place, pin)
        sessions.run(lambda _session: None)
        return sessions
