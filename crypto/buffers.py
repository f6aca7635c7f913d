"""Bytes in whatever object they come, seen as one flat array without a copy."""

from typing import Any

import numpy as np
import numpy.typing as npt

Octets = bytes | bytearray | memoryview | npt.NDArray[Any]
"""Anything whose memory can be read as contiguous bytes."""


def as_octets(data: Octets) -> npt.NDArray[np.uint8]:
    """View contiguous memory as bytes; an array that is not contiguous is copied once."""
    if isinstance(data, np.ndarray):
        return np.ascontiguousarray(data).reshape(-1).view(np.uint8)
    return np.frombuffer(data, dtype=np.uint8)
