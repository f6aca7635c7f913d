"""The prepared payload inside the age file: a header, frames of columns, and a trailer with the rejects.

`CRB1`, u32 length, canonical JSON header; frames: u32 rows (1..131,072), then every column's raw bytes;
u32 zero; u32 length, canonical JSON trailer; the rejects' row numbers (u64) and reason codes (u16).
All integers are little-endian. Nothing may follow.
"""

import json
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from cleanroom.canonical import canonical_json
from cleanroom.schema.errors import BatchFormatError
from cleanroom.schema.layout import ColumnSpec, Mode
from crypto.buffers import as_octets

MAGIC = b"CRB1"
MAX_FRAME_ROWS = 131_072
MAX_HEADER_BYTES = 4 * 2**20
MAX_COLUMNS = 8_192
MAX_FRAME_BYTES = 2**31
MAX_REJECTS = 10_000
_DTYPES = frozenset({"u1", "<u2", "<i4", "<i8", "<u8"})
_DAMAGED = "Prepare and upload the file again."

Columns = dict[str, NDArray[Any]]


class Source(Protocol):
    """Something bytes are read from; short reads are allowed."""

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes, none at the end."""
        ...


class Sink(Protocol):
    """Something bytes are written to."""

    def write(self, data: bytes | memoryview, /) -> Any:
        """Take all bytes; they may change after the call."""
        ...


@dataclass(frozen=True)
class BatchHeader:
    """What a payload says about itself first.

    Attributes:
        schema_sha256: of the schema the file was prepared with.
        mode: full or delta.
        columns: in the order of every frame.
        reasons: texts of the reason codes.
    """

    schema_sha256: str
    mode: Mode
    columns: tuple[ColumnSpec, ...]
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class PreparedBatch:
    """One frame.

    Attributes:
        rows: how many.
        columns: arrays by name, shaped as `ColumnSpec.shape` says.
    """

    rows: int
    columns: Columns

    def parts(self, rows: int) -> "Iterator[PreparedBatch]":
        """Yield the frame in parts of at most so many rows; nothing is copied."""
        for start in range(0, self.rows, rows):
            columns = {name: values[start : start + rows] for name, values in self.columns.items()}
            yield PreparedBatch(min(rows, self.rows - start), columns)


@dataclass(frozen=True)
class BatchTrailer:
    """What is known at the end.

    Attributes:
        rows_read: data rows of the source file.
        rows_written: rows in the frames.
        rejected: rows left out, by reason.
        invalid: single identifiers left out of rows that stayed, by key name.
        junk: well-known junk identifiers kept, by key name.
        rejects: row number (1-based) and reason of the first 10,000 rejected rows.
    """

    rows_read: int
    rows_written: int
    rejected: Mapping[str, int]
    invalid: Mapping[str, int]
    junk: Mapping[str, int]
    rejects: Sequence[tuple[int, str]]


class BatchWriter:
    """Writes a payload; `finish` must be called once, last."""

    def __init__(self, sink: Sink, header: BatchHeader) -> None:
        self._sink = sink
        self._header = header
        plain = {
            "v": 1,
            "schema_sha256": header.schema_sha256,
            "mode": header.mode,
            "columns": [{"name": c.name, "dtype": c.dtype, "width": c.width} for c in header.columns],
            "reasons": list(header.reasons),
        }
        sink.write(MAGIC)
        self._write_json(plain)

    def write(self, columns: Columns) -> None:
        """Write rows, split into frames.

        Args:
            columns: an array for every column of the header, equally long.
        """
        specs = self._header.columns
        rows = len(columns[specs[0].name])
        for start in range(0, rows, MAX_FRAME_ROWS):
            count = min(MAX_FRAME_ROWS, rows - start)
            self._sink.write(struct.pack("<I", count))
            for spec in specs:
                part = columns[spec.name][start : start + count]
                if part.shape != spec.shape(count):
                    raise ValueError(f"column {spec.name} has another shape than its layout")
                self._sink.write(as_octets(np.ascontiguousarray(part, dtype=spec.dtype)).data)

    def finish(self, trailer: BatchTrailer) -> None:
        """Write the end mark and the trailer."""
        codes = {reason: code for code, reason in enumerate(self._header.reasons)}
        rejects = trailer.rejects[:MAX_REJECTS]
        self._sink.write(struct.pack("<I", 0))
        self._write_json(
            {
                "v": 1,
                "rows_read": trailer.rows_read,
                "rows_written": trailer.rows_written,
                "rejected": dict(trailer.rejected),
                "invalid": dict(trailer.invalid),
                "junk": dict(trailer.junk),
                "rejects": len(rejects),
            }
        )
        self._sink.write(np.array([row for row, _ in rejects], dtype="<u8").tobytes())
        self._sink.write(np.array([codes[reason] for _, reason in rejects], dtype="<u2").tobytes())

    def _write_json(self, plain: Mapping[str, Any]) -> None:
        text = canonical_json(plain)
        self._sink.write(struct.pack("<I", len(text)) + text)


class BatchReader:
    """Reads a payload strictly: what breaks the format or a limit raises BatchFormatError, naming the limit.

    Iterate over it once; then `trailer` is set.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        if self._exactly(4) != MAGIC:
            raise BatchFormatError(
                "The payload does not begin with the mark of the format CRB1.", remedy=_DAMAGED
            )
        self.header = _header(self._read_json())
        self.trailer: BatchTrailer | None = None
        self._row_bytes = sum(spec.row_bytes for spec in self.header.columns)

    def __iter__(self) -> Iterator[PreparedBatch]:
        """Yield every frame, then read the trailer."""
        written = 0
        while rows := struct.unpack("<I", self._exactly(4))[0]:
            if rows > MAX_FRAME_ROWS or rows * self._row_bytes > MAX_FRAME_BYTES:
                raise BatchFormatError(
                    f"A frame passes the limit of {MAX_FRAME_ROWS} rows or {MAX_FRAME_BYTES} bytes.",
                    remedy=_DAMAGED,
                )
            columns = {
                spec.name: np.frombuffer(self._exactly(rows * spec.row_bytes), dtype=spec.dtype).reshape(
                    spec.shape(rows)
                )
                for spec in self.header.columns
            }
            written += rows
            yield PreparedBatch(rows, columns)
        self.trailer = self._trailer(written)

    def _trailer(self, written: int) -> BatchTrailer:
        plain = self._read_json()
        rejects = _count(plain, "rejects", MAX_REJECTS)
        rows = np.frombuffer(self._exactly(rejects * 8), dtype="<u8")
        codes = np.frombuffer(self._exactly(rejects * 2), dtype="<u2")
        if self._source.read(1):
            raise BatchFormatError("Bytes follow the end of the payload.", remedy=_DAMAGED)
        if rejects and int(codes.max()) >= len(self.header.reasons):
            raise BatchFormatError("A reject has a reason that the header does not list.", remedy=_DAMAGED)
        if _count(plain, "rows_written") != written:
            raise BatchFormatError("The trailer counts other rows than the frames hold.", remedy=_DAMAGED)
        return BatchTrailer(
            rows_read=_count(plain, "rows_read"),
            rows_written=written,
            rejected=_counters(plain, "rejected"),
            invalid=_counters(plain, "invalid"),
            junk=_counters(plain, "junk"),
            rejects=[
                (row, self.header.reasons[code])
                for row, code in zip(rows.tolist(), codes.tolist(), strict=True)
            ],
        )

    def _exactly(self, size: int) -> bytes:
        data = self._source.read(size)
        if len(data) == size:
            return data
        parts = [data]
        missing = size - len(data)
        while missing:
            part = self._source.read(missing)
            if not part:
                raise BatchFormatError("The payload ends too early.", remedy=_DAMAGED)
            parts.append(part)
            missing -= len(part)
        return b"".join(parts)

    def _read_json(self) -> dict[str, Any]:
        size = struct.unpack("<I", self._exactly(4))[0]
        if size > MAX_HEADER_BYTES:
            raise BatchFormatError(f"A header passes the limit of {MAX_HEADER_BYTES} bytes.", remedy=_DAMAGED)
        try:
            plain = json.loads(self._exactly(size))
        except (ValueError, RecursionError):
            raise BatchFormatError("A header is not JSON.", remedy=_DAMAGED) from None
        if not isinstance(plain, dict) or plain.get("v") != 1:
            raise BatchFormatError("A header is not of version 1.", remedy="Update the older side.")
        return plain


def _header(plain: dict[str, Any]) -> BatchHeader:
    try:
        columns = tuple(ColumnSpec(str(c["name"]), str(c["dtype"]), c["width"]) for c in plain["columns"])
        sha256, mode, reasons = plain["schema_sha256"], plain["mode"], tuple(map(str, plain["reasons"]))
    except (KeyError, TypeError):
        raise BatchFormatError("The header lacks a field.", remedy=_DAMAGED) from None
    if not 1 <= len(columns) <= MAX_COLUMNS or len({c.name for c in columns}) != len(columns):
        raise BatchFormatError(
            f"The header lists no column, one twice, or over {MAX_COLUMNS}.", remedy=_DAMAGED
        )
    if any(c.dtype not in _DTYPES or type(c.width) is not int or not 1 <= c.width <= 65_536 for c in columns):
        raise BatchFormatError("A column has an unknown type or a width outside 1..65536.", remedy=_DAMAGED)
    if any(c.name.startswith("key:") and c.width % 32 for c in columns):
        raise BatchFormatError("A match key is not made of 32-byte digests.", remedy=_DAMAGED)
    if mode not in ("full", "delta") or not isinstance(sha256, str):
        raise BatchFormatError("The mode is neither full nor delta.", remedy=_DAMAGED)
    return BatchHeader(schema_sha256=sha256, mode=mode, columns=columns, reasons=reasons)


def _count(plain: dict[str, Any], key: str, limit: int = 2**53) -> int:
    value = plain.get(key)
    if type(value) is not int or not 0 <= value <= limit:
        raise BatchFormatError(f"The trailer's {key} is not a count up to {limit}.", remedy=_DAMAGED)
    return value


def _counters(plain: dict[str, Any], key: str) -> dict[str, int]:
    counters = plain.get(key)
    if not isinstance(counters, dict):
        raise BatchFormatError(f"The trailer's {key} is not a table of counts.", remedy=_DAMAGED)
    return {str(name): _count(counters, name) for name in counters}
