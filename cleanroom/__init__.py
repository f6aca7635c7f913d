"""The domain core of Cleanroom; it knows no web framework. At its top lies what callers of a room need."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cleanroom.client.remote.aio import AsyncClient
    from cleanroom.client.remote.sync import Client

__all__ = ["AsyncClient", "Client"]

_PLACES = {"AsyncClient": "cleanroom.client.remote.aio", "Client": "cleanroom.client.remote.sync"}


def __getattr__(name: str) -> Any:
    # Every command and every server imports this package; few of them are clients.
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_PLACES[name]), name)
