"""What is written comes back, and no damage passes silently as something else than a BatchFormatError."""

import io
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cleanroom.schema.batch import BatchHeader, BatchReader, BatchTrailer, BatchWriter, Columns
from cleanroom.schema.codec import schema_from_yaml
from cleanroom.schema.errors import BatchFormatError
from cleanroom.schema.layout import layout, reasons
from tests.examples import up_to

SCHEMA = schema_from_yaml("""
person_id: id
match_keys: {email: {column: email}, phone: {columns: [a, b], default_region: RU}}
attributes:
  age: {type: integer}
  tags: {type: set, values: [a, b], max_values: 2}
  day: {type: date}
consent: {ads: {column: c, granted: [1], collected_at: at}}
""")
SPECS = layout(SCHEMA, "delta")


def columns_of(rows: int, seed: int) -> Columns:
    random = np.random.default_rng(seed)
    return {
        spec.name: np.frombuffer(random.bytes(rows * spec.row_bytes), dtype=spec.dtype).reshape(
            spec.shape(rows)
        )
        for spec in SPECS
    }


def written(sizes: list[int], rejects: list[tuple[int, str]]) -> bytes:
    sink = io.BytesIO()
    writer = BatchWriter(sink, BatchHeader(SCHEMA.sha256(), "delta", SPECS, reasons(SCHEMA)))
    for seed, rows in enumerate(sizes):
        writer.write(columns_of(rows, seed))
    writer.finish(
        BatchTrailer(sum(sizes) + len(rejects), sum(sizes), {"ragged_row": 1}, {"email": 2}, {}, rejects)
    )
    return sink.getvalue()


class Dripping(io.BytesIO):
    """Gives a few bytes at a time, as a pipe may."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(min(size or 0, 7))


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(0, 30), max_size=4),
    rejects=st.lists(st.tuples(st.integers(1, 2**53), st.sampled_from(reasons(SCHEMA))), max_size=5),
    drip=st.booleans(),
)
def test_frames_and_trailer_come_back(sizes: list[int], rejects: list[tuple[int, str]], drip: bool) -> None:
    data = written(sizes, rejects)
    reader = BatchReader(Dripping(data) if drip else io.BytesIO(data))
    batches = list(reader)
    assert reader.header == BatchHeader(SCHEMA.sha256(), "delta", SPECS, reasons(SCHEMA))
    assert [batch.rows for batch in batches] == [rows for rows in sizes if rows]
    for seed, batch in zip([s for s, rows in enumerate(sizes) if rows], batches, strict=True):
        for name, array in columns_of(batch.rows, seed).items():
            np.testing.assert_array_equal(batch.columns[name], array)
    assert reader.trailer is not None
    assert list(reader.trailer.rejects) == rejects
    assert reader.trailer.invalid == {"email": 2}


@settings(max_examples=up_to(150), deadline=None)
@given(cut=st.floats(0, 1, exclude_max=True))
def test_a_truncated_payload_is_refused_wherever_it_ends(cut: float) -> None:
    data = written([3, 2], [(1, "no_valid_key")])
    with pytest.raises(BatchFormatError, match="again"):
        list(BatchReader(io.BytesIO(data[: int(cut * len(data))])))


@settings(max_examples=up_to(200), deadline=None)
@given(at=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255))
def test_damage_never_raises_anything_else(at: float, flip: int) -> None:
    data = bytearray(written([3], [(1, "no_valid_key")]))
    data[int(at * len(data))] ^= flip
    with suppress(BatchFormatError):
        list(BatchReader(io.BytesIO(bytes(data))))
