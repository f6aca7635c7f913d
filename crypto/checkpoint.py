"""Signed checkpoints of the audit tree, as C2SP signed notes that other tools verify too."""

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass

from crypto.errors import CryptoError
from crypto.keys import SignatureError, public_key, sign, verify
from crypto.limits import DIGEST_BYTES, KEY_BYTES, MAX_NOTE_BYTES, MAX_NOTE_SIGNATURES

_ED25519 = b"\x01"
_KEY_ID_BYTES = 4
_NAME = re.compile(r"[^\s+\x00-\x1f\x7f]+")
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")


class CheckpointError(CryptoError):
    """A checkpoint, its signature or a verifier key is malformed or does not verify."""

    code = "crypto.checkpoint"


@dataclass(frozen=True)
class VerifierKey:
    """Whom to believe.

    Attributes:
        name: the signer's name; neither space nor plus sign in it.
        public: 32 bytes, Ed25519.
    """

    name: str
    public: bytes


@dataclass(frozen=True)
class Checkpoint:
    """The head of a log at one moment.

    Attributes:
        origin: which log.
        size: number of records.
        root: 32 bytes, the tree's root.
        text: exactly what was signed.
    """

    origin: str
    size: int
    root: bytes
    text: str


def format_checkpoint(origin: str, size: int, root: bytes) -> str:
    """Write the text of a checkpoint: origin, size and root in base64, each on its line.

    Raises:
        CheckpointError: a field cannot stand in a checkpoint.

    Source: C2SP tlog-checkpoint.
    """
    return _parse_text(f"{origin}\n{size}\n{_base64(root)}\n").text


def sign_note(text: str, *, name: str, seed: bytes) -> str:
    """Sign a text that ends in a newline, and put the signature under it.

    Args:
        text: what to sign, last newline included.
        name: the signer's name.
        seed: 32 bytes, Ed25519.

    Returns:
        The note: the text, an empty line, a signature line.

    Raises:
        CheckpointError: the text does not end in a newline, or the name cannot stand in a note.

    Source: C2SP signed-note, signature type 0x01.
    """
    if not text.endswith("\n"):
        raise CheckpointError("The text of a note ends in a newline.")
    _require_name(name)
    signature = _key_id(name, public_key(seed)) + sign(seed, text.encode())
    return f"{text}\n— {name} {_base64(signature)}\n"


def verifier_key(name: str, public: bytes) -> str:
    """Write whom to believe on one line: name, key id and public key, joined by plus signs.

    Source: C2SP signed-note; Go's `note.NewVerifier` takes it.
    """
    _require_name(name)
    if len(public) != KEY_BYTES:
        raise CheckpointError(f"An Ed25519 public key has {KEY_BYTES} bytes.")
    return f"{name}+{_key_id(name, public).hex()}+{_base64(_ED25519 + public)}"


def parse_verifier_key(text: str) -> VerifierKey:
    """Read a verifier key; raises CheckpointError when it is malformed or its key id is not its own."""
    malformed = CheckpointError(
        "The verifier key is malformed.", remedy="Copy it whole: name+8 hex digits+base64."
    )
    name, _, rest = text.strip().partition("+")
    key_id, _, encoded = rest.partition("+")
    try:
        material = _unbase64(encoded)
    except CheckpointError:
        raise malformed from None
    public = material[1:]
    if not _NAME.fullmatch(name) or material[:1] != _ED25519 or len(public) != KEY_BYTES:
        raise malformed
    if _key_id(name, public).hex() != key_id:
        raise malformed
    return VerifierKey(name=name, public=public)


def open_note(note: str, verifier: str) -> Checkpoint:
    """Check a signed checkpoint; returning means that the signature of this verifier is on it and good.

    Signatures of others, such as witnesses, may stand beside it and are not judged.

    Args:
        note: text, empty line, signature lines.
        verifier: from a source that is not the note.

    Returns:
        The checkpoint.

    Raises:
        CheckpointError: malformed, not signed by this verifier, or the signature is wrong.

    Source: C2SP signed-note and tlog-checkpoint.
    """
    key = parse_verifier_key(verifier)
    if len(note) > MAX_NOTE_BYTES or len(note.encode(errors="replace")) > MAX_NOTE_BYTES:
        raise CheckpointError(f"A checkpoint has at most {MAX_NOTE_BYTES} bytes.")
    body, separator, signatures = note.rpartition("\n\n")
    if not separator or not signatures.endswith("\n"):
        raise CheckpointError("The checkpoint has no signature lines.")
    text = body + "\n"
    lines = signatures[:-1].split("\n")
    if len(lines) > MAX_NOTE_SIGNATURES:
        raise CheckpointError(f"A checkpoint has at most {MAX_NOTE_SIGNATURES} signatures.")
    ours = [signature for name, signature in map(_parse_signature, lines) if name == key.name]
    ours = [signature for signature in ours if signature[:_KEY_ID_BYTES] == _own_id(key)]
    if len(ours) != 1:
        raise CheckpointError(f"The checkpoint carries {len(ours)} signatures of this verifier key, not one.")
    try:
        verify(key.public, text.encode(errors="replace"), ours[0][_KEY_ID_BYTES:])
    except SignatureError:
        raise CheckpointError("The checkpoint's signature does not verify.") from None
    return _parse_text(text)


def signed_alone(note: str, verifier: str) -> str:
    """Return a signed checkpoint with the signature line of this verifier alone, in its one spelling.

    Lines of others are not judged by `open_note`: whoever passes a checkpoint on could add any to it.

    Args:
        note: text, empty line, signature lines.
        verifier: from a source that is not the note.

    Raises:
        CheckpointError: as `open_note`.
    """
    text, key = open_note(note, verifier).text, parse_verifier_key(verifier)
    parsed = map(_parse_signature, note.rpartition("\n\n")[2][:-1].split("\n"))
    (own,) = {data for name, data in parsed if name == key.name and data[:_KEY_ID_BYTES] == _own_id(key)}
    return f"{text}\n\u2014 {key.name} {_base64(own)}\n"


def _parse_text(text: str) -> Checkpoint:
    lines = text.split("\n")
    if len(lines) != 4 or lines[3]:
        raise CheckpointError("A checkpoint has three lines: origin, size, root.")
    origin, size, encoded = lines[:3]
    if not origin or any(ord(character) < 0x20 for character in origin):
        raise CheckpointError("A checkpoint's origin is one line of text without control characters.")
    if not _SIZE.fullmatch(size):
        raise CheckpointError("A checkpoint's size is a decimal number without leading zeros.")
    root = _unbase64(encoded)
    if len(root) != DIGEST_BYTES:
        raise CheckpointError(f"A checkpoint's root has {DIGEST_BYTES} bytes.")
    return Checkpoint(origin=origin, size=int(size), root=root, text=text)


def _parse_signature(line: str) -> tuple[str, bytes]:
    marker, _, rest = line.partition(" ")
    name, _, encoded = rest.partition(" ")
    if marker != "—" or not _NAME.fullmatch(name):
        raise CheckpointError("A signature line of the checkpoint is malformed.")
    signature = _unbase64(encoded)
    if len(signature) <= _KEY_ID_BYTES:
        raise CheckpointError("A signature line of the checkpoint is too short.")
    return name, signature


def _own_id(key: VerifierKey) -> bytes:
    return _key_id(key.name, key.public)


def _key_id(name: str, public: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + _ED25519 + public).digest()[:_KEY_ID_BYTES]


def _require_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise CheckpointError(
            "A signer's name is not empty and holds no space, plus sign or control character."
        )


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _unbase64(text: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise CheckpointError("A base64 field of the checkpoint is malformed.") from None
    # Unused bits could be changed without notice: only one spelling is accepted.
    if _base64(data) != text:
        raise CheckpointError("A base64 field of the checkpoint is malformed.")
    return data
