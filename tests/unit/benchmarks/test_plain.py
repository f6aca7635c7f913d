from itertools import chain
from typing import Any

import numpy as np
import pytest

from benchmarks import plain
from benchmarks.plain import DuckTables, Merge, chunks, polars_cube
from benchmarks.questions import CUBE, from_cube, twelve
from benchmarks.synthetic import KEYS, base_numbers

PEOPLE, WANTED = 6_000, 1_500


def one_by_one(keys: int) -> Any:
    cube = np.zeros(CUBE, np.int64)
    known = {key: set() for key in KEYS[:keys]}
    for made in chunks(base_numbers(PEOPLE, WANTED), provider=False, keys=keys):
        for key, tokens in known.items():
            tokens |= set(zip(made[f"{key}_hi"].tolist(), made[f"{key}_lo"].tolist(), strict=True))
    for made in chunks(range(PEOPLE), provider=True, keys=keys):
        rows = zip(*(made[name].tolist() for name in made), strict=True)
        for row in (dict(zip(made, values, strict=True)) for values in rows):
            hit = any((row[f"{key}_hi"], row[f"{key}_lo"]) in tokens for key, tokens in known.items())
            if hit and row["consented"]:
                cube[row["sex"] - 1, row["age"], row["city"] - 1] += 1
    return cube


@pytest.mark.parametrize("keys", [1, 2])
def test_every_way_to_write_the_join_counts_as_a_loop_does(keys: int) -> None:
    tables, expected = DuckTables(PEOPLE, WANTED, keys), one_by_one(keys)
    assert expected.sum() == pytest.approx(WANTED * 2 / 5 * 0.85, rel=0.1)
    for form, statement in tables.forms().items():
        assert np.array_equal(tables.cube(statement), expected), form
    assert tables.fastest() in tables.forms()
    assert tables.threads >= 1
    tables.connection.close()


def test_polars_and_both_merges_count_as_a_loop_does(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = one_by_one(1)
    assert np.array_equal(polars_cube(PEOPLE, WANTED)(), expected)
    assert np.array_equal(Merge(PEOPLE, WANTED).cube(), expected)
    monkeypatch.setattr(plain.shutil, "which", lambda _name: None)
    without_compiler = Merge(PEOPLE, WANTED)
    assert without_compiler.name == "numpy searchsorted"
    assert np.array_equal(without_compiler.cube(), expected)


def test_neither_key_alone_finds_what_two_find() -> None:
    def alone(key: str) -> int:
        offered, wanted = (
            set(
                chain.from_iterable(
                    made[f"{key}_hi"].tolist() for made in chunks(rows, provider=side, keys=2)
                )
            )
            for rows, side in ((range(PEOPLE), True), (base_numbers(PEOPLE, WANTED), False))
        )
        return len(offered & wanted)

    two_fifths = WANTED * 2 // 5
    assert alone("email") == alone("phone") == two_fifths * 2 // 3


def test_a_cube_answers_the_whole_question() -> None:
    cube = np.zeros(CUBE, np.int64)
    cube[0, 26, 0] = 5  # women of 26 in the first city
    cube[1, 70, 10] = 3  # men of 70 elsewhere
    found = from_cube(cube, twelve(0))
    assert found.overlap == 8
    assert dict(zip(twelve(0), found.segments, strict=True)) == {
        "aged18": 0, "aged25": 5, "aged30": 0, "aged35": 0, "old": 3, "women": 5, "men": 3, "cities0": 5, "cities3": 0,
        "cities6": 0, "young women": 5, "old or near": 8,
    }  # fmt: skip
    cells = np.array(found.cells).reshape(4, 7, 12)
    assert cells[0, 2, 0] == 5
    assert cells[1, 5, 10] == 3
    assert cells.sum() == 8
