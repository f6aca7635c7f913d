import io
import json
import struct
from typing import Any

import numpy as np
import pytest

from cleanroom.schema.batch import MAX_FRAME_ROWS, BatchHeader, BatchReader, BatchTrailer, BatchWriter
from cleanroom.schema.errors import BatchFormatError
from cleanroom.schema.layout import ColumnSpec

SPECS = (ColumnSpec("row", "<u8"), ColumnSpec("key:email/room", "u1", 32))
HEADER: dict[str, Any] = {
    "v": 1,
    "schema_sha256": "0" * 64,
    "mode": "full",
    "columns": [{"name": "row", "dtype": "<u8", "width": 1}],
    "reasons": ["ragged_row"],
}
TRAILER: dict[str, Any] = {
    "v": 1, "rows_read": 1, "rows_written": 1, "rejected": {}, "invalid": {}, "junk": {}, "rejects": 0,
}  # fmt: skip


def sized(plain: Any) -> bytes:
    text = plain if isinstance(plain, bytes) else json.dumps(plain).encode()
    return struct.pack("<I", len(text)) + text


def payload(
    header: Any = None, trailer: Any = None, *, frames: bytes | None = None, tail: bytes = b""
) -> io.BytesIO:
    frame = struct.pack("<IQ", 1, 1) if frames is None else frames
    end = struct.pack("<I", 0) + sized({**TRAILER, **(trailer or {})}) + tail
    return io.BytesIO(
        b"CRB1" + sized(header if isinstance(header, bytes) else {**HEADER, **(header or {})}) + frame + end
    )


def test_a_well_formed_payload_is_read() -> None:
    reader = BatchReader(payload())
    assert [batch.columns["row"].tolist() for batch in reader] == [[1]]
    assert reader.trailer is not None
    assert reader.trailer.rows_read == 1


def test_long_columns_are_split_into_frames() -> None:
    sink = io.BytesIO()
    writer = BatchWriter(sink, BatchHeader("0" * 64, "full", SPECS, ()))
    rows = MAX_FRAME_ROWS + 1
    writer.write({"row": np.arange(rows, dtype="<u8"), "key:email/room": np.ones((rows, 1, 32), dtype="u1")})
    writer.finish(BatchTrailer(rows, rows, {}, {}, {}, []))
    assert [batch.rows for batch in BatchReader(io.BytesIO(sink.getvalue()))] == [MAX_FRAME_ROWS, 1]


def test_a_column_of_another_shape_is_not_written() -> None:
    writer = BatchWriter(io.BytesIO(), BatchHeader("0" * 64, "full", SPECS, ()))
    with pytest.raises(ValueError, match="key:email/room"):
        writer.write({"row": np.zeros(2, dtype="<u8"), "key:email/room": np.zeros((2, 32), dtype="u1")})


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (b"{", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "version 1"),
        ({"v": 2}, "version 1"),
        ({"columns": None}, "lacks a field"),
        ({"columns": [{}]}, "lacks a field"),
        ({"columns": []}, "no column"),
        ({"columns": HEADER["columns"] * 2}, "one twice"),
        ({"columns": [{"name": "row", "dtype": "O", "width": 1}]}, "unknown type"),
        ({"columns": [{"name": "row", "dtype": "u1", "width": 65_537}]}, "outside 1..65536"),
        ({"columns": [{"name": "row", "dtype": "u1", "width": True}]}, "outside 1..65536"),
        ({"columns": [{"name": "key:x", "dtype": "u1", "width": 33}]}, "32-byte digests"),
        ({"mode": "half"}, "neither full nor delta"),
    ],
)
def test_bad_headers_are_refused(header: Any, message: str) -> None:
    with pytest.raises(BatchFormatError, match=message):
        BatchReader(payload(header))


@pytest.mark.parametrize(
    ("trailer", "message"),
    [
        ({"rows_written": 2}, "other rows"),
        ({"rows_read": -1}, "rows_read is not a count"),
        ({"rejects": 10_001}, "up to 10000"),
        ({"rejected": []}, "rejected is not a table"),
        ({"junk": {"x": "1"}}, "is not a count"),
    ],
)
def test_bad_trailers_are_refused(trailer: Any, message: str) -> None:
    with pytest.raises(BatchFormatError, match=message):
        list(BatchReader(payload(trailer=trailer)))


def test_other_breaches_are_refused() -> None:
    with pytest.raises(BatchFormatError, match="CRB1"):
        BatchReader(io.BytesIO(b"PAR1...."))
    with pytest.raises(BatchFormatError, match="limit of 4194304 bytes"):
        BatchReader(io.BytesIO(b"CRB1" + struct.pack("<I", 2**32 - 1)))
    with pytest.raises(BatchFormatError, match="limit of 131072 rows"):
        list(BatchReader(payload(frames=struct.pack("<I", MAX_FRAME_ROWS + 1))))
    wide = {"columns": [{"name": f"c{i}", "dtype": "<u8", "width": 65_536} for i in range(8)]}
    with pytest.raises(BatchFormatError, match="2147483648 bytes"):
        list(BatchReader(payload(wide, frames=struct.pack("<I", 1000))))
    with pytest.raises(BatchFormatError, match="follow the end"):
        list(BatchReader(payload(tail=b"x")))
    with pytest.raises(BatchFormatError, match="does not list"):
        list(BatchReader(payload(trailer={"rejects": 1}, tail=struct.pack("<QH", 1, 7))))
