"""The SDK: prepare files where they lie, verify receipts; needs no server."""

from cleanroom.client.parties import Recipient, Signer
from cleanroom.client.prepare import Prepared, prepare

__all__ = ["Prepared", "Recipient", "Signer", "prepare"]
