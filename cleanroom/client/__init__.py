"""The SDK: call a room, prepare files where they lie, verify receipts. What is heavy is imported when it is used."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cleanroom.client.parties import Recipient, Signer
    from cleanroom.client.preparing import Prepared, prepare
    from cleanroom.client.progress import Pace, Progress, Step
    from cleanroom.client.receipts import VerifiedReceipt, verify_receipt
    from cleanroom.client.remote.aio import AsyncClient
    from cleanroom.client.remote.sync import Client
    from cleanroom.schema.codec import schema_from_yaml

__all__ = [
    "AsyncClient",
    "Client",
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

_PLACES = {
    "AsyncClient": "cleanroom.client.remote.aio",
    "Client": "cleanroom.client.remote.sync",
    "Pace": "cleanroom.client.progress",
    "Prepared": "cleanroom.client.preparing",
    "Progress": "cleanroom.client.progress",
    "Recipient": "cleanroom.client.parties",
    "Signer": "cleanroom.client.parties",
    "Step": "cleanroom.client.progress",
    "VerifiedReceipt": "cleanroom.client.receipts",
    "prepare": "cleanroom.client.preparing",
    "schema_from_yaml": "cleanroom.schema.codec",
    "verify_receipt": "cleanroom.client.receipts",
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_PLACES[name]), name)
