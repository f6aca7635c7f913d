"""Certificates of erasure: verified offline, and opened by those alone who know whom they are about."""

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass

from cleanroom.canonical import canonical_json
from cleanroom.client.receipts import ReceiptError, VerifiedReceipt, assemble_receipt, prove_record

FORMAT = "cleanroom-erasure/v1"
KIND = "rights.erased"
_DOMAIN = b"cleanroom/erasure/v1\n"


@dataclass(frozen=True)
class Certificate:
    """A certificate whose place in the room's log was proven.

    Attributes:
        proven: the record and its place.
        dataset_id: of which dataset or base.
        commitment: hex; to whom it refers.
    """

    proven: VerifiedReceipt
    dataset_id: str
    commitment: str

    def is_about(self, identifiers: Iterable[tuple[str, bytes]], *, salt: bytes) -> bool:
        """Tell whether it certifies the request that named these identifiers with this salt."""
        opened = commitment_of(self.dataset_id, identifiers, salt=salt)
        return hmac.compare_digest(opened, self.commitment)


def commitment_of(dataset_id: str, identifiers: Iterable[tuple[str, bytes]], *, salt: bytes) -> str:
    """Commit to whom a request names, so that nobody without the salt can tell, even by trying all phones.

    Args:
        dataset_id: of which dataset.
        identifiers: keys, such as `email/room`, with digests of 32 bytes; their order does not count.
        salt: 32 random bytes.

    Returns:
        64 hex digits.
    """
    named = sorted([key, digest.hex()] for key, digest in identifiers)
    content = canonical_json({"dataset_id": dataset_id, "identifiers": named})
    return hmac.new(salt, _DOMAIN + content, hashlib.sha256).hexdigest()


def assemble_certificate(*, record: bytes, index: int, proof: list[bytes], checkpoint: str) -> bytes:
    """Put the proof and the signed checkpoint around the record of an erasure; see `assemble_receipt`."""
    return assemble_receipt(record=record, index=index, proof=proof, checkpoint=checkpoint, form=FORMAT)


def verify_certificate(content: bytes, *, verifier_key: str) -> Certificate:
    """Prove a certificate offline.

    Args:
        content: the file's bytes.
        verifier_key: the room's `name+id+key`, from elsewhere.

    Raises:
        ReceiptError: not a certificate, signed by another key, or altered after it was signed.
    """
    proven = prove_record(content, verifier_key=verifier_key, form=FORMAT)
    body = proven.record.get("body")
    if proven.record.get("kind") != KIND or not isinstance(body, dict):
        raise ReceiptError(
            "The record is proven, but it is no erasure.", remedy="Ask the room for the certificate anew."
        )
    return Certificate(proven, str(body["dataset_id"]), str(body["commitment"]))
