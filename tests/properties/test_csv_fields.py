"""Fields come out of a CSV file as they were written, without the blanks around them, wherever blocks end."""

import csv
import io
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from cleanroom.client import text_source
from cleanroom.client.readers import read_rows
from tests.examples import up_to

BLANKS = " \t\u00a0\u1680\u2003\u2009\u200a\u2028\u202f\u205f\u3000\u0085"
texts = st.text(BLANKS + "aрЯп\u0480é日\U0001f600\u00c2\u2013,;\"'!\n1", max_size=4)
tables = st.integers(1, 4).flatmap(
    lambda width: st.lists(st.lists(texts, min_size=width, max_size=width), min_size=1, max_size=6)
)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("csv") / "f.csv"


@settings(max_examples=up_to(400), deadline=None)
@given(
    table=tables,
    separator=st.sampled_from(",;\t"),
    line_end=st.sampled_from(["\n", "\r\n"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    block=st.sampled_from([5, 16, 1000]),
)
def test_fields_are_read_trimmed(
    path: Path, table: list[list[str]], separator: str, line_end: str, quoting: int, block: int
) -> None:
    # A header of one column shows no separator; the others would be guesses, and their rows are rejected.
    assume(
        quoting == csv.QUOTE_ALL or len(table[0]) > 1 or not any(set(row[0]) & set(",;\t") for row in table)
    )
    names = [f"c{number}" for number in range(len(table[0]))]
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=separator, lineterminator=line_end, quoting=quoting).writerows([names, *table])
    path.write_bytes(text.getvalue().encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_source, "BLOCK_BYTES", block)
        batches = list(read_rows(path, required=names))
    rows = [row for batch in batches for row in batch.frame.rows()]
    assert rows == [tuple(field.strip() or None for field in row) for row in table]
    assert [number for batch in batches for number in batch.rows.tolist()] == list(range(1, len(table) + 1))
    assert not any(batch.rejected for batch in batches)
    shares = [batch.share for batch in batches]
    assert shares == sorted(shares)
    assert shares[-1] == 1
