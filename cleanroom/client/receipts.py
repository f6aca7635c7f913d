"""Receipts: the proof, verifiable offline with the room's verifier key alone, of what was released or refused."""

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any

from cleanroom.canonical import canonical_json
from cleanroom.errors import CleanroomError
from crypto.checkpoint import open_note
from crypto.errors import CryptoError
from crypto.merkle import leaf_hash, verify_inclusion

FORMAT = "cleanroom-receipt/v1"
RELEASED = "release.released"
REFUSED = "release.refused"
KINDS = (RELEASED, REFUSED)
MAX_RECEIPT_BYTES = 64 * 1024 * 1024
_FIELDS = {"format", "record", "index", "proof", "checkpoint"}


class ReceiptError(CleanroomError):
    """A receipt does not prove what it says."""

    code = "client.receipt_invalid"


@dataclass(frozen=True)
class VerifiedReceipt:
    """A receipt whose place in the room's log was proven.

    Attributes:
        record: the log's record; `record["body"]` says what was released or refused, and why.
        index: the record's place in the log.
        size: the size of the log that the checkpoint signs.
        origin: the name of the log.
    """

    record: dict[str, Any]
    index: int
    size: int
    origin: str


def assemble_receipt(
    *, record: bytes, index: int, proof: list[bytes], checkpoint: str, form: str = FORMAT
) -> bytes:
    """Put the proof and the signed checkpoint around a log record.

    Args:
        form: what the file calls itself.
        record: the record exactly as it stands in the log: canonical JSON.
        index: its place in the log.
        proof: hashes of 32 bytes, from the leaf up, to the checkpoint's root.
        checkpoint: the signed note of a log of at least index + 1 records.

    Returns:
        The receipt file: indented JSON, UTF-8.
    """
    # The record stands as it was hashed, on one line: to lay out hundreds of figures takes longer than to release them.
    head = json.dumps({"format": form, "index": index}, indent=2).removesuffix("\n}")
    rest = {"proof": [base64.b64encode(node).decode() for node in proof], "checkpoint": checkpoint}
    tail = json.dumps(rest, ensure_ascii=False, indent=2).removeprefix("{\n")
    return f'{head},\n  "record": '.encode() + record + f",\n{tail}\n".encode()


def verify_receipt(receipt: bytes, *, verifier_key: str) -> VerifiedReceipt:
    """Prove a receipt offline.

    The key must come from elsewhere: a key taken from the receipt itself would prove nothing.

    Args:
        receipt: the file's bytes.
        verifier_key: the room's `name+id+key`, as the room publishes it.

    Raises:
        ReceiptError: not a receipt, signed by another key, or altered after it was signed.

    Source: RFC 6962 (leaf, proof); C2SP tlog-checkpoint and signed-note.
    """
    proven = prove_record(receipt, verifier_key=verifier_key, form=FORMAT)
    if proven.record.get("kind") not in KINDS:
        raise ReceiptError(
            "The record is proven, but it is no release and no refusal.",
            remedy="Use `cleanroom audit proof` for other records.",
        )
    return proven


def prove_record(receipt: bytes, *, verifier_key: str, form: str) -> VerifiedReceipt:
    """Prove that a file's record stands in the room's log, whatever kind of record it is.

    Args:
        receipt: the file's bytes.
        verifier_key: the room's, from elsewhere.
        form: what the file has to call itself.

    Raises:
        ReceiptError: as `verify_receipt`.
    """
    fields = _parse(receipt, form)
    try:
        checkpoint = open_note(fields["checkpoint"], verifier_key)
        proof = [base64.b64decode(node, validate=True) for node in fields["proof"]]
        leaf = leaf_hash(canonical_json(fields["record"]))
        verify_inclusion(leaf, fields["index"], checkpoint.size, proof, checkpoint.root)
    except (CryptoError, CleanroomError, binascii.Error) as error:
        raise ReceiptError(
            f"The receipt does not verify: {error}",
            remedy="Ask the room for its receipt and its verifier key anew.",
        ) from None
    return VerifiedReceipt(fields["record"], fields["index"], checkpoint.size, checkpoint.origin)


def _parse(receipt: bytes, form: str) -> dict[str, Any]:
    if len(receipt) > MAX_RECEIPT_BYTES:
        raise ReceiptError(f"A receipt has at most {MAX_RECEIPT_BYTES} bytes.")
    try:
        fields = json.loads(receipt)
    except (ValueError, RecursionError):
        raise ReceiptError(
            "The file is not JSON.", remedy="Name a file from the room's receipts folder."
        ) from None
    shaped = (
        isinstance(fields, dict)
        and set(fields) == _FIELDS
        and fields["format"] == form
        and isinstance(fields["record"], dict)
        and type(fields["index"]) is int
        and isinstance(fields["proof"], list)
        and all(isinstance(node, str) for node in fields["proof"])
        and isinstance(fields["checkpoint"], str)
    )
    if not shaped:
        raise ReceiptError(f"The file is not a receipt of the format {form}.")
    return dict(fields)
