"""Frames become rows of tokens; what a client should have left out is left out here."""

import numpy as np
import pytest

from cleanroom.datasets.tokens import halves_of
from cleanroom.ingestion.errors import PayloadError
from cleanroom.ingestion.frames import FrameReader, Quarantine
from cleanroom.ingestion.records import RecordLayout
from cleanroom.schema.batch import PreparedBatch
from cleanroom.schema.codec import schema_from_yaml
from cleanroom.schema.layout import layout
from crypto.tokens import tokenise

SCHEMA = """\
person_id: {column: id}
match_keys: {phone: {columns: [a, b], default_region: RU}}
label: {column: l, values: [vip, active]}
"""
KEY, PERSON_KEY = bytes(range(32)), bytes(32)


def batch_of(rows: int) -> PreparedBatch:
    columns = {
        spec.name: np.zeros(spec.shape(rows), spec.dtype)
        for spec in layout(schema_from_yaml(SCHEMA), "delta")
    }
    columns["row"] = np.arange(1, rows + 1, dtype="<u8")
    columns["person"][:, 0] = 1
    columns["key:phone/room"][:, 0, 5] = columns["row"]
    columns["label"][:] = 1
    return PreparedBatch(rows, columns)


@pytest.fixture
def reader() -> FrameReader:
    made = RecordLayout.of(schema_from_yaml(SCHEMA))
    return FrameReader(made, keys={"phone/room": KEY}, person_key=PERSON_KEY)


def test_digests_become_tokens_and_missing_values_stay_missing(reader):
    batch = batch_of(2)
    rows = reader.rows(batch)
    expected = halves_of(tokenise(batch.columns["key:phone/room"][:, 0].copy(), key=KEY))
    assert rows["k0"][:, 0].tolist() == expected.tolist()
    assert not rows["k0"][:, 1].any()
    assert rows["person_hi"][0] == rows["person_hi"][1] != 0


def test_unknown_operations_and_labels_are_quarantined_but_deletions_need_neither_label_nor_key(reader):
    batch = batch_of(5)
    batch.columns["op"][:] = (0, 2, 1, 0, 0)
    batch.columns["label"][:] = (2, 1, 0, 3, 0)
    batch.columns["key:phone/room"][2] = 0
    assert reader.rows(batch)["op"].tolist() == [0, 1]
    assert reader.quarantine.counts == {"unknown_op": 1, "unknown_label": 2}
    assert reader.quarantine.rows == [(2, "unknown_op"), (4, "unknown_label"), (5, "unknown_label")]


def test_row_numbers_ascend_from_frame_to_frame(reader):
    reader.rows(batch_of(2))
    with pytest.raises(PayloadError, match="ascend"):
        reader.rows(batch_of(2))


def test_only_the_first_ten_thousand_quarantined_rows_are_listed():
    quarantine = Quarantine()
    for _ in range(3):
        quarantine.add(np.arange(4_000, dtype=np.uint64), "no_valid_key")
    assert quarantine.counts["no_valid_key"] == 12_000
    assert len(quarantine.rows) == 10_000
