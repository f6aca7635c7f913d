"""SHA-256 of a whole column at once; the interpreter's lock is free meanwhile.

polars-hash writes every digest as text, which has to be read back. Apache DataFusion gives the bytes in a third of the
time; it is large, so it is an extra (`fast`), used where it is installed. Both give the same digests.
"""

import binascii
from functools import lru_cache
from types import ModuleType

import numpy as np
import polars as pl
import polars_hash as plh
from numpy.typing import NDArray

from crypto.limits import DIGEST_BYTES

Digests = NDArray[np.uint8]
_SLICE = 32_768
# For fewer values its planning takes longer than it saves.
_FEWEST_FOR_DATAFUSION = 16_384
_NO_DIGEST_HEX = "0" * (2 * DIGEST_BYTES)


def sha256_column(values: pl.Series) -> Digests:
    """Hash text values.

    Returns:
        (n, 32) bytes; all zero where the value is null.
    """
    if values.len() >= _FEWEST_FOR_DATAFUSION and (datafusion := _datafusion()):
        return _by_datafusion(values, datafusion)
    # In slices whose hex texts stay in the processor's cache on their way to bytes.
    digests = np.empty((values.len(), DIGEST_BYTES), dtype=np.uint8)
    for start in range(0, values.len(), _SLICE):
        digests[start : start + _SLICE] = hex_digests(_hexes(values.slice(start, _SLICE)))
    return digests


def hex_digests(hexes: pl.Series) -> Digests:
    """Turn digests in lower-case hex into bytes.

    Args:
        hexes: 64 characters each, or null.

    Returns:
        (n, 32) bytes; all zero where the value is null.
    """
    # Missing values become zeros as text: putting them in their places afterwards cost as much as the hashing.
    fixed = pl.Array(pl.UInt8, 2 * DIGEST_BYTES)
    text = hexes.fill_null(_NO_DIGEST_HEX).cast(pl.Binary).bin.reinterpret(dtype=fixed).to_numpy()
    return np.frombuffer(binascii.unhexlify(text.data), dtype=np.uint8).reshape(-1, DIGEST_BYTES)


@lru_cache(maxsize=1)
def _datafusion() -> ModuleType | None:
    # Loaded when there is much to hash: it takes a third of a second.
    try:
        import datafusion  # noqa: PLC0415
    except ImportError:
        return None
    return datafusion


def _by_datafusion(values: pl.Series, datafusion: ModuleType) -> Digests:
    digests = np.empty((values.len(), DIGEST_BYTES), dtype=np.uint8)
    # A context of its own is forgotten with its rows; one partition, since callers are threads already.
    context = datafusion.SessionContext(datafusion.SessionConfig().with_target_partitions(1))
    table = context.from_arrow(values.fill_null("").to_frame("v"))
    done = 0
    for batch in table.select(datafusion.functions.sha256(datafusion.col("v"))).collect():
        (column,) = batch.columns
        _, offsets, data = column.buffers()
        rows = len(column)
        start = np.frombuffer(offsets, dtype=np.int32)[column.offset]
        hashed = np.frombuffer(data, dtype=np.uint8, count=rows * DIGEST_BYTES, offset=start)
        digests[done : done + rows] = hashed.reshape(-1, DIGEST_BYTES)
        done += rows
    if values.null_count():
        digests[values.is_null().to_numpy()] = 0
    return digests


def _hexes(values: pl.Series) -> pl.Series:
    return values.to_frame("text").select(plh.col("text").chash.sha2_256()).to_series()
