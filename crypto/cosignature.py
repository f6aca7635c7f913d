"""Cosignatures of witnesses: that a checkpoint continues everything which the witness has seen of a log."""

import base64
import hashlib
import struct
from dataclasses import dataclass

from crypto.checkpoint import CheckpointError
from crypto.keys import SignatureError, public_key, sign, verify
from crypto.limits import KEY_BYTES, MAX_NOTE_BYTES, MAX_NOTE_SIGNATURES

_TYPE = b"\x04"
_KEY_ID_BYTES, _TIME, _SIGNATURE_BYTES = 4, struct.Struct(">Q"), 64
_MAX_SECONDS = 2**63 - 1
_MARK = "\u2014"


@dataclass(frozen=True)
class WitnessKey:
    """Whose cosignatures are believed.

    Attributes:
        name: the witness's name; neither space nor plus sign in it.
        public: 32 bytes, Ed25519; used for nothing but cosignatures.
    """

    name: str
    public: bytes

    @property
    def key_id(self) -> bytes:
        """What marks the lines of this key: 4 bytes."""
        return hashlib.sha256(self.name.encode() + b"\n" + _TYPE + self.public).digest()[:_KEY_ID_BYTES]

    @property
    def text(self) -> str:
        """The key on one line: name, key id and public key, joined by plus signs."""
        return f"{self.name}+{self.key_id.hex()}+{base64.b64encode(_TYPE + self.public).decode()}"


def parse_witness_key(text: str) -> WitnessKey:
    """Read a witness's verifier key; raises CheckpointError when it is malformed, or a log's."""
    malformed = CheckpointError(
        "The witness's verifier key is malformed.", remedy="Copy it whole from `cleanroom witness key`."
    )
    name, _, rest = text.strip().partition("+")
    key_id, _, encoded = rest.partition("+")
    try:
        material = base64.b64decode(encoded, validate=True)
    except ValueError:
        raise malformed from None
    key = WitnessKey(name, material[1:])
    if material[:1] != _TYPE or len(key.public) != KEY_BYTES or key.key_id.hex() != key_id:
        raise malformed
    if not name or any(character.isspace() or not character.isprintable() for character in name):
        raise malformed
    return key


def cosign(text: str, *, name: str, seed: bytes, seconds: int) -> str:
    """Cosign a checkpoint.

    Args:
        text: what the log signed, last newline included.
        name: the witness's.
        seed: 32 bytes, Ed25519.
        seconds: the time, POSIX.

    Returns:
        The signature line, with its newline.

    Source: C2SP tlog-cosignature (cosignature/v1, signature type 0x04).
    """
    key = WitnessKey(name, public_key(seed))
    data = key.key_id + _TIME.pack(seconds) + sign(seed, _message(text, seconds))
    return f"{_MARK} {name} {base64.b64encode(data).decode()}\n"


def cosigned_at(note: str, key: WitnessKey) -> int | None:
    """Check the witness's line on a signed checkpoint.

    Args:
        note: text, empty line, signature lines.
        key: whose line is meant.

    Returns:
        The time of the cosignature, POSIX seconds; None when the witness has none on it.

    Raises:
        CheckpointError: there is one and it does not verify, or the note is malformed.

    Source: C2SP tlog-cosignature.
    """
    body, separator, signatures = note.rpartition("\n\n")
    if len(note) > MAX_NOTE_BYTES or not separator or not signatures.endswith("\n"):
        raise CheckpointError("The checkpoint has no signature lines.")
    lines = signatures[:-1].split("\n")
    if len(lines) > MAX_NOTE_SIGNATURES:
        raise CheckpointError(f"A checkpoint has at most {MAX_NOTE_SIGNATURES} signatures.")
    found = None
    for line in lines:
        mark, _, rest = line.partition(" ")
        name, _, encoded = rest.partition(" ")
        if mark != _MARK or name != key.name:
            continue
        try:
            data = base64.b64decode(encoded, validate=True)
        except ValueError:
            raise CheckpointError("A signature line of the checkpoint is malformed.") from None
        if data[:_KEY_ID_BYTES] == key.key_id:
            found = _checked(body + "\n", data[_KEY_ID_BYTES:], key)
    return found


def _checked(text: str, data: bytes, key: WitnessKey) -> int:
    if len(data) != _TIME.size + _SIGNATURE_BYTES:
        raise CheckpointError("A cosignature of the checkpoint has another length than it must.")
    (seconds,) = _TIME.unpack(data[: _TIME.size])
    if seconds > _MAX_SECONDS:
        raise CheckpointError("A cosignature of the checkpoint is of no time.")
    try:
        verify(key.public, _message(text, seconds), data[_TIME.size :])
    except SignatureError:
        raise CheckpointError(f"The cosignature of {key.name} does not verify.") from None
    return int(seconds)


def _message(text: str, seconds: int) -> bytes:
    return f"cosignature/v1\ntime {seconds}\n{text}".encode(errors="replace")
