import hashlib
from collections.abc import Callable

import numpy as np
import polars as pl
import pytest

from cleanroom.client import hashing
from cleanroom.client.hashing import Digests, sha256_column


@pytest.fixture(params=["datafusion", "polars-hash"])
def hashed(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[[pl.Series], Digests]:
    found = hashing._datafusion()
    assert found is not None, "the extra `fast` is part of the development environment"
    monkeypatch.setattr(hashing, "_FEWEST_FOR_DATAFUSION", 1)
    other = request.param == "polars-hash"
    monkeypatch.setattr(hashing, "_datafusion", lambda: None if other else found)
    monkeypatch.setattr(hashing, "_hexes", hashing._hexes if other else None)
    return sha256_column


def expected(texts: list[str | None]) -> list[bytes]:
    return [bytes(32) if text is None else hashlib.sha256(text.encode()).digest() for text in texts]


@pytest.mark.parametrize(
    "texts",
    [
        [],
        [None],
        [None, None, "a", None],
        ["", "a", "a", "почта@пример.рф", "x" * 55, "x" * 56, "x" * 64, "x" * 1000],
    ],
    ids=["none", "null", "with null", "of every length"],
)
def test_digests_are_those_of_hashlib(
    hashed: Callable[[pl.Series], Digests], texts: list[str | None]
) -> None:
    digests = hashed(pl.Series(texts, dtype=pl.String))
    assert digests.shape == (len(texts), 32)
    assert [row.tobytes() for row in digests] == expected(texts)


def test_many_rows_in_parts_and_slices_keep_their_order(hashed: Callable[[pl.Series], Digests]) -> None:
    texts = [None if row % 7 == 3 else f"name{row}@example.org" for row in range(70_000)]
    values = pl.concat([pl.Series(texts[:40_000]), pl.Series(texts[40_000:])], rechunk=False)
    digests = hashed(values.slice(13, 69_000))
    assert np.array_equal(
        digests, np.frombuffer(b"".join(expected(texts)), np.uint8).reshape(-1, 32)[13:69_013]
    )


def test_few_rows_do_not_load_what_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashing, "_datafusion", lambda: pytest.fail("loaded"))
    assert sha256_column(pl.Series(["a"])).tobytes() == hashlib.sha256(b"a").digest()
