"""Sealed files behind one small protocol; the local directory is its first store."""

from cleanroom.storage.local import LocalDirectory
from cleanroom.storage.types import ObjectStore

__all__ = ["LocalDirectory", "ObjectStore"]
