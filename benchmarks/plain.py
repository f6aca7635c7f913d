"""The same people in plaintext, as DuckDB, polars and a merge in C join them."""

import ctypes
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
from numpy.typing import NDArray

from benchmarks.harness import timed
from benchmarks.questions import AGES, CUBE, Cube
from benchmarks.synthetic import (
    BASE,
    BASE_OF_TWO,
    KEYS,
    PURPOSE,
    ROW_IS_PERSON,
    ROW_OF_TWO,
    base_numbers,
    people,
)
from cleanroom.schema.model import ConsentState

CHUNK = 1 << 20
THREADS = 2
Plain = dict[str, NDArray[Any]]


def chunks(numbers: range, *, provider: bool, keys: int) -> Iterator[Plain]:
    """Make the columns of some persons, a million at a time; a token is 128 bits in two halves."""
    schema = ((ROW_IS_PERSON, ROW_OF_TWO) if provider else (BASE, BASE_OF_TWO))[keys - 1]
    for start in range(numbers.start, numbers.stop, CHUNK):
        made = people(np.arange(start, min(start + CHUNK, numbers.stop), dtype=np.uint64), schema)
        columns: Plain = {}
        for key in KEYS[:keys]:
            halves = made[f"key:{key}/room"].reshape(-1, 32).view(np.uint64)
            columns[f"{key}_hi"] = np.ascontiguousarray(halves[:, 0])
            columns[f"{key}_lo"] = np.ascontiguousarray(halves[:, 1])
        if provider:
            columns["consented"] = made[f"consent:{PURPOSE}"] == ConsentState.GRANTED
            columns |= {name: made[f"attr:{name}"].astype(np.uint8) for name in ("sex", "age", "city")}
        yield columns


def cube_of(sex: NDArray[Any], age: NDArray[Any], city: NDArray[Any], count: NDArray[Any]) -> Cube:
    """Lay groups out as a cube."""
    cube: Cube = np.zeros(CUBE, np.int64)
    cube[sex.astype(np.int64) - 1, age.astype(np.int64), city.astype(np.int64) - 1] = count
    return cube


class DuckTables:
    """Both tables in DuckDB's memory, keyed by 128 bits; it uses all cores."""

    def __init__(self, provider_rows: int, base_rows: int, keys: int) -> None:
        """Load them."""
        self.keys = KEYS[:keys]
        self.connection = duckdb.connect()
        tokens = ", ".join(f"{key} HUGEINT" for key in self.keys)
        self.connection.execute(f"CREATE TABLE base ({tokens})")
        self.connection.execute(
            f"CREATE TABLE provider ({tokens}, consented BOOLEAN, sex UTINYINT, age UTINYINT, city UTINYINT)"
        )
        self._fill("base", chunks(base_numbers(provider_rows, base_rows), provider=False, keys=keys))
        self._fill("provider", chunks(range(provider_rows), provider=True, keys=keys))

    @classmethod
    def load(cls, path: Path) -> "DuckTables":
        """Read tables that `save` wrote into memory."""
        tables = cls(0, 0, 1)
        tables.connection.execute(f"ATTACH '{path}' AS stored (READ_ONLY)")
        for table in ("base", "provider"):
            tables.connection.execute(f"CREATE OR REPLACE TABLE {table} AS SELECT * FROM stored.{table}")
        tables.connection.execute("DETACH stored")
        return tables

    def _fill(self, table: str, made: Iterator[Plain]) -> None:
        tokens = [
            f"{key}_hi::BIGINT::HUGEINT * 18446744073709551616 + {key}_lo::HUGEINT" for key in self.keys
        ]
        rest = ["consented", "sex", "age", "city"] if table == "provider" else []
        for columns in made:
            signed = {
                name: value.view(np.int64) if name.endswith("_hi") else value
                for name, value in columns.items()
            }
            self.connection.register("frame", pd.DataFrame(signed))
            self.connection.execute(f"INSERT INTO {table} SELECT {', '.join(tokens + rest)} FROM frame")
            self.connection.unregister("frame")

    @property
    def threads(self) -> int:
        """How many threads it uses."""
        return int(self.connection.execute("SELECT current_setting('threads')").fetchall()[0][0])

    def forms(self) -> dict[str, str]:
        """Return the ways to write the join that were fastest somewhere; each gives the matched, grouped."""
        matched = {
            "semi join": f"provider SEMI JOIN base USING ({self.keys[0]}) WHERE consented",
            "in": f"provider WHERE consented AND {self.keys[0]} IN (SELECT {self.keys[0]} FROM base)",
        }
        if len(self.keys) == 2:
            one, two = self.keys
            columns = "sex, age, city"
            hit = f"(SELECT provider.rowid AS r, {columns} FROM provider SEMI JOIN base USING ({{}}) WHERE consented)"
            matched = {
                "union of two joins": f"(SELECT * FROM {hit.format(one)} UNION SELECT * FROM {hit.format(two)})",
                "either of two": f"provider WHERE consented AND ({one} IN (SELECT {one} FROM base) "
                f"OR {two} IN (SELECT {two} FROM base))",
            }
        return {
            name: f"SELECT sex, age, city, count(*) AS n FROM {source} GROUP BY sex, age, city"
            for name, source in matched.items()
        }

    def fastest(self) -> str:
        """Return the form that is fastest here, each tried twice."""
        seconds = {
            name: min(timed(lambda one=one: self.cube(one)) for _ in range(2))
            for name, one in self.forms().items()
        }
        return min(seconds, key=seconds.__getitem__)

    def cube(self, statement: str) -> Cube:
        """Run one of the forms."""
        found = self.connection.execute(statement).fetchnumpy()
        return cube_of(*(np.asarray(found[name]) for name in ("sex", "age", "city", "n")))

    def save(self, path: Path) -> None:
        """Write both tables to a database file."""
        self.connection.execute(f"ATTACH '{path}' AS stored")
        for table in ("base", "provider"):
            self.connection.execute(f"CREATE TABLE stored.{table} AS SELECT * FROM {table}")
        self.connection.execute("DETACH stored")


def polars_cube(provider_rows: int, base_rows: int) -> Callable[[], Cube]:
    """Load both tables into polars, keyed by 128 bits, and return what joins and groups them."""

    def token() -> pl.Expr:
        return (pl.col("email_hi").cast(pl.Int128) * 2**63 * 2 + pl.col("email_lo").cast(pl.Int128)).alias(
            "token"
        )

    def frame(made: Iterator[Plain]) -> pl.DataFrame:
        signed = ({**some, "email_hi": some["email_hi"].view(np.int64)} for some in made)
        parts = [pl.DataFrame(some).select(token(), pl.exclude("^email_.*$")) for some in signed]
        return pl.concat(parts, rechunk=True)

    provider = frame(chunks(range(provider_rows), provider=True, keys=1))
    base = frame(chunks(base_numbers(provider_rows, base_rows), provider=False, keys=1))

    def cube() -> Cube:
        matched = provider.lazy().filter("consented").join(base.lazy(), on="token", how="semi")
        found = matched.group_by("sex", "age", "city").len().collect()
        return cube_of(*(found[name].to_numpy() for name in ("sex", "age", "city", "len")))

    return cube


_MERGE = r"""
#include <stdint.h>
void merge(const uint64_t *tokens, const uint16_t *cells, long n, const uint64_t *base, long m, uint32_t *counts) {
    long i = 0, j = 0;
    while (i < n && j < m) {
        uint64_t left = tokens[i], right = base[j];
        counts[cells[i]] += left == right;
        i += left <= right;
        j += right < left;
    }
}
"""


class Merge:
    """The floor: both sides sorted beforehand, 64 bits a token, one cell number a person, a merge and nothing else."""

    def __init__(self, provider_rows: int, base_rows: int) -> None:
        """Sort both sides, with the consented persons of the provider only."""
        kept = []
        for columns in chunks(range(provider_rows), provider=True, keys=1):
            cells = np.ravel_multi_index(
                (columns["sex"] - np.uint8(1), columns["age"], columns["city"] - np.uint8(1)), CUBE
            ).astype(np.uint16)
            # The last cell is for those who have not consented; a reader of the column meets them too.
            cells[~columns["consented"]] = np.prod(CUBE)
            kept.append((columns["email_hi"], cells))
        tokens = np.concatenate([some for some, _ in kept])
        order = np.argsort(tokens)
        self._tokens = tokens[order]
        self._cells = np.concatenate([some for _, some in kept])[order]
        base = chunks(base_numbers(provider_rows, base_rows), provider=False, keys=1)
        self._base = np.sort(np.concatenate([columns["email_hi"] for columns in base]))
        self._library = _compiled()
        self.name = "C merge" if self._library else "numpy searchsorted"

    def cube(self) -> Cube:
        """Count, each thread a range of the provider's tokens."""
        ends = np.linspace(0, len(self._tokens), THREADS + 1).astype(int)
        with ThreadPoolExecutor(THREADS) as pool:
            parts = pool.map(self._range, ends[:-1], ends[1:])
            counts = np.sum(list(parts), axis=0)
        return counts[: np.prod(CUBE)].astype(np.int64).reshape(CUBE)

    def _range(self, start: int, stop: int) -> NDArray[np.int64]:
        tokens, cells = self._tokens[start:stop], self._cells[start:stop]
        if not len(tokens):
            return np.zeros(np.prod(CUBE) + 1, np.int64)
        low, high = np.searchsorted(self._base, [tokens[0], tokens[-1]], side="left")
        base = self._base[low : high + 1]
        counts = np.zeros(np.prod(CUBE) + 1, np.uint32)
        if self._library:
            self._library.merge(
                tokens.ctypes, cells.ctypes, ctypes.c_long(len(tokens)), base.ctypes, ctypes.c_long(len(base)),
                counts.ctypes,
            )  # fmt: skip
            return counts.astype(np.int64)
        at = np.minimum(np.searchsorted(tokens, base), len(tokens) - 1)
        return np.bincount(cells[at[tokens[at] == base]], minlength=len(counts))


def _compiled() -> ctypes.CDLL | None:
    """Return the merge as a library, or nothing where there is no compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        return None
    with tempfile.TemporaryDirectory() as place:
        source, library = Path(place) / "merge.c", Path(place) / "merge.so"
        source.write_text(_MERGE, encoding="ascii")
        command = [compiler, "-O3", "-march=native", "-shared", "-fPIC", "-o", str(library), str(source)]
        if subprocess.run(command, check=False, capture_output=True).returncode:
            return None
        return ctypes.CDLL(str(library))


assert AGES * CUBE[0] * CUBE[2] < 2**16
