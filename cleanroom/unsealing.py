"""Opening a sealed key file: one process of the room gathers shares, and tells the others the root key.

It listens at a socket in the closed folder of the keys, and answers to its own account alone. The root key is in the
memory of the room's processes and nowhere else.
"""

import base64
import fcntl
import json
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Lock, Thread
from time import monotonic
from typing import Any

from cleanroom.errors import CleanroomError
from crypto.errors import CryptoError
from crypto.key_file import read_seal
from crypto.shares import Seal, Share, ShareError, read_share

KEPT_SECONDS = 900.0
"""How long shares wait for those that are missing."""
_SOCKET, _LOCK = "unseal.sock", "unseal.lock"
_MAX_BYTES = 4096
_CALL_SECONDS = 10.0
_CREDENTIALS = struct.Struct("3i")


class NobodyGathersError(CleanroomError):
    """No process of the room runs that could take shares."""

    code = "unsealing.nobody_gathers"


class ShareRefusedError(CleanroomError):
    """A share was not taken."""

    code = "unsealing.share_refused"


@dataclass(frozen=True)
class Standing:
    """How far the opening is.

    Attributes:
        sealed: whether shares are missing.
        have: how many were given.
        need: how many it takes; 0 for a file in clear.
    """

    sealed: bool
    have: int
    need: int


@dataclass
class Gathering:
    """Shares that wait for each other, and root keys that were opened."""

    key_file: Path
    opened: Event = field(default_factory=Event)
    _guard: Lock = field(default_factory=Lock)
    _shares: dict[int, Share] = field(default_factory=dict, repr=False)
    _since: float = 0.0
    _roots: dict[bytes, bytes] = field(default_factory=dict, repr=False)

    def standing(self) -> Standing:
        """Say how far it is."""
        seal = read_seal(self.key_file)
        with self._guard:
            self._forget_old(seal)
            sealed = seal is not None and seal.id not in self._roots
            return Standing(sealed, len(self._shares), 0 if seal is None else seal.threshold)

    def give(self, text: str) -> Standing:
        """Take a share; the last one that it takes opens the root key.

        Raises:
            ShareError: it is mistyped, of another split, or was given before; or all together open nothing, and then
                none is kept.
        """
        share, seal = read_share(text), read_seal(self.key_file)
        if seal is None or share.seal_id != seal.id:
            raise ShareError("This share is of another split.", remedy="Find the one from the last split.")
        with self._guard:
            self._forget_old(seal)
            if seal.id not in self._roots:
                if share.index in self._shares:
                    raise ShareError("This share was given already.", remedy="Give another person's.")
                self._since = self._since if self._shares else monotonic()
                self._shares[share.index] = share
                if len(self._shares) == seal.threshold:
                    gathered = list(self._shares.values())
                    self._shares.clear()
                    self._roots[seal.id] = seal.open(gathered)
                    self.opened.set()
        return self.standing()

    def keep(self, seal_id: bytes, root: bytes) -> None:
        """Know a root key that this room is about to be sealed under."""
        with self._guard:
            self._roots[seal_id] = root

    def root(self, seal_id: bytes) -> bytes | None:
        """Return a root key; None while it is sealed."""
        with self._guard:
            return self._roots.get(seal_id)

    def _forget_old(self, seal: Seal | None) -> None:
        stale = any(seal is None or share.seal_id != seal.id for share in self._shares.values())
        if stale or monotonic() - self._since > KEPT_SECONDS:
            self._shares.clear()


@contextmanager
def gathering(keys_dir: Path) -> Iterator[Gathering | None]:
    """Gather shares for the room while the block runs; None when another process does."""
    lock = os.open(keys_dir / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
            return
        with _listening(keys_dir) as listening:
            made = Gathering(keys_dir / "keyring.json")
            Thread(target=_answer, args=(listening, made), name="unsealing", daemon=True).start()
            yield made
    finally:
        os.close(lock)


def ask_root(keys_dir: Path, seal: Seal) -> bytes | None:
    """Ask the process that gathers shares for a root key; None when it has none, or there is no such process."""
    try:
        answer = _call(keys_dir, {"do": "root", "id": seal.id.hex()})
    except NobodyGathersError:
        return None
    return base64.b64decode(answer["root"]) if "root" in answer else None


def tell_root(keys_dir: Path, seal: Seal, root: bytes) -> bool:
    """Tell the process that gathers shares a root key that is about to be used; returns whether there is one."""
    try:
        _call(keys_dir, {"do": "keep", "id": seal.id.hex(), "root": base64.b64encode(root).decode()})
    except NobodyGathersError:
        return False
    return True


def give_share(keys_dir: Path, text: str) -> Standing:
    """Give a share; raises ShareRefusedError, which says why, and NobodyGathersError."""
    return _standing(_call(keys_dir, {"do": "give", "share": text}))


def ask_standing(keys_dir: Path) -> Standing:
    """Ask how far the opening is; raises NobodyGathersError."""
    return _standing(_call(keys_dir, {"do": "standing"}))


def _standing(answer: dict[str, Any]) -> Standing:
    if "refused" in answer:
        raise ShareRefusedError(answer["refused"], remedy=answer["remedy"])
    return Standing(answer["sealed"], answer["have"], answer["need"])


def _call(keys_dir: Path, request: dict[str, Any]) -> dict[str, Any]:
    try:
        with socket.socket(socket.AF_UNIX) as calling, _place(keys_dir) as place:
            calling.settimeout(_CALL_SECONDS)
            calling.connect(place)
            calling.sendall(json.dumps(request).encode() + b"\n")
            answer: dict[str, Any] = json.loads(_line(calling))
    except (OSError, ValueError):
        raise NobodyGathersError(
            "No process of this room takes shares.", remedy="Start it first: cleanroom serve."
        ) from None
    return answer


@contextmanager
def _listening(keys_dir: Path) -> Iterator[socket.socket]:
    path = keys_dir / _SOCKET
    # Left by a process that was killed; who holds the lock is alone.
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as listening, _place(keys_dir) as place:
        listening.bind(place)
        path.chmod(0o600)
        listening.listen(16)
        try:
            yield listening
        finally:
            # Wakes who waits for callers.
            listening.shutdown(socket.SHUT_RDWR)
            path.unlink(missing_ok=True)


@contextmanager
def _place(keys_dir: Path) -> Iterator[str]:
    """Name the socket in a way that stays short: a path to one has at most 107 bytes."""
    folder = os.open(keys_dir, os.O_RDONLY | os.O_DIRECTORY)
    try:
        short = Path(f"/proc/self/fd/{folder}")
        yield str((short if short.exists() else keys_dir) / _SOCKET)
    finally:
        os.close(folder)


def _answer(listening: socket.socket, gathered: Gathering) -> None:
    while True:
        try:
            called, _ = listening.accept()
        except OSError:
            return
        with called, suppress(OSError, ValueError, KeyError, TypeError):
            called.settimeout(_CALL_SECONDS)
            if _is_own(called):
                request = json.loads(_line(called))
                try:
                    answer = _do(request, gathered)
                except CryptoError as error:
                    answer = {"refused": error.message, "remedy": error.remedy}
                called.sendall(json.dumps(answer).encode() + b"\n")


def _do(request: dict[str, Any], gathered: Gathering) -> dict[str, Any]:
    match request["do"]:
        case "root":
            root = gathered.root(bytes.fromhex(request["id"]))
            return {} if root is None else {"root": base64.b64encode(root).decode()}
        case "keep":
            gathered.keep(bytes.fromhex(request["id"]), base64.b64decode(request["root"], validate=True))
            return {}
        case "give":
            standing = gathered.give(str(request["share"]))
        case _:
            standing = gathered.standing()
    return {"sealed": standing.sealed, "have": standing.have, "need": standing.need}


def _is_own(called: socket.socket) -> bool:
    """Tell whether the account of the room calls, or the machine's own."""
    if not hasattr(socket, "SO_PEERCRED"):
        # The folder is closed to everybody else.
        return True
    credentials = called.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return _CREDENTIALS.unpack(credentials)[1] in (os.geteuid(), 0)


def _line(connected: socket.socket) -> bytes:
    read = b""
    while not read.endswith(b"\n") and len(read) < _MAX_BYTES:
        more = connected.recv(_MAX_BYTES)
        if not more:
            break
        read += more
    return read
