"""The SDK: prepare files where they lie, verify receipts; needs no server."""

from cleanroom.client.parties import Recipient, Signer
from cleanroom.client.prepare import Prepared, prepare
from cleanroom.client.progress import Pace, Progress, Step
from cleanroom.client.receipts import VerifiedReceipt, verify_receipt
from cleanroom.schema.codec import schema_from_yaml

__all__ = [
    "Pace",
    "Prepared",
    "Progress",
    "Recipient",
    "Signer",
    "Step",
    "VerifiedReceipt",
    "prepare",
    "schema_from_yaml",
    "verify_receipt",
]
