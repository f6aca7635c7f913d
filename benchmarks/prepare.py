"""Preparing raw e-mail addresses and telephone numbers against bare polars-hash; `python -m benchmarks.prepare`.

The bare way reads the same file, normalises and hashes; both must come to the same digests. A second file has telephone
numbers as people type them, which the bare way cannot read; libphonenumber's own pace stands beside it.
"""

import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import polars_hash as plh
from numpy.typing import NDArray

from benchmarks.harness import (
    OURS,
    RUNS,
    CountsDifferError,
    Side,
    arguments,
    compared,
    in_own_process,
    in_turns,
    peak_of,
    show,
    spread,
)
from cleanroom.client import Prepared, Recipient, Signer, prepare
from cleanroom.schema.batch import BatchReader
from cleanroom.schema.codec import schema_from_yaml
from crypto.hash_profiles import HASH_PROFILES, digest
from crypto.keys import generate_signing_key
from crypto.package import generate_identity, open_payload

SCHEMA = schema_from_yaml(
    "match_keys:\n  email: {column: email}\n  phone: {column: phone, default_region: RU}\n"
)
ONLY_PHONE = schema_from_yaml("match_keys:\n  phone: {column: phone, default_region: RU}\n")
DIRTY_SHARE = 5
SAMPLE = 20_000
LEFT_OUT = {
    OURS: ("sending the package",),
    "polars-hash": (
        "validating what it hashes: broken addresses, impossible numbers, junk, IDNA, Unicode forms",
        "counting and reporting what was left out, encrypting, signing, writing",
        "files larger than memory",
    ),
}


def write_clean(path: Path, rows: int) -> None:
    """Write addresses in use (a fifth at Gmail, one in fifty of them with a dot, a tenth with a capital), and E.164."""
    number = pl.int_range(rows, eager=True).alias("n").to_frame().lazy()
    n = pl.col("n")
    domain = (n % 5).replace_strict(
        dict(enumerate(("gmail.com", "mail.ru", "yandex.ru", "example.org", "bk.ru")))
    )
    first = (
        pl.when(n % 10 == 3)
        .then(pl.lit("Name"))
        .when(n % 50 == 0)
        .then(pl.lit("na.me"))
        .otherwise(pl.lit("name"))
    )
    number.select(
        pl.format("{}{}@{}", first, n, domain).alias("email"),
        pl.format("+7{}{}", _area(n), _local(n)).alias("phone"),
    ).sink_csv(path)


def write_dirty(path: Path, rows: int) -> None:
    """Write telephone numbers in seven forms that people type, and one in eight that is none."""
    number = pl.int_range(rows, eager=True).alias("n").to_frame().lazy()
    n = pl.col("n")
    area, local = _area(n), _local(n)
    three, two, rest = local.str.slice(0, 3), local.str.slice(3, 2), local.str.slice(5, 2)
    forms = (
        pl.format("8 ({}) {}-{}-{}", area, three, two, rest),
        pl.format("+7-{}-{}-{}-{}", area, three, two, rest),
        pl.format("8{}{}", area, local),
        pl.format("7 {} {}", area, local),
        pl.format("({}) {} {} {}", area, three, two, rest),
        pl.format("tel. +7 {} {}{}{}", area, three, two, rest),
        pl.format("{}.{}.{}{} ", area, three, two, rest),
        pl.format("no {}", three),
    )
    chosen = forms[-1]
    for at, form in enumerate(forms[:-1]):
        chosen = pl.when(n % len(forms) == at).then(form).otherwise(chosen)
    number.select(chosen.alias("phone")).sink_csv(path)


def _area(n: pl.Expr) -> pl.Expr:
    return (n % 4).replace_strict({0: "903", 1: "916", 2: "926", 3: "985"})


def _local(n: pl.Expr) -> pl.Expr:
    return ((n * 7919) % 9_000_000 + 1_000_000).cast(pl.String)


def bare(path: Path) -> pl.DataFrame:
    """Read, normalise and hash in one lazy polars query, on all cores."""
    email = pl.col("email").str.strip_chars().str.to_lowercase()
    parts = email.str.split_exact("@", 1)
    local, domain = parts.struct.field("field_0"), parts.struct.field("field_1")
    folded = pl.format("{}@{}", local.str.replace(r"\+.*", "").str.replace_all(".", "", literal=True), domain)
    email = pl.when(domain.is_in(["gmail.com", "googlemail.com"])).then(folded).otherwise(email)
    digits = pl.col("phone").str.replace_all(r"[^0-9]", "")
    phone = pl.format("+{}", digits.str.replace(r"^8([0-9]{10})$", "7$1"))
    hashed = [plh.col("email").chash.sha2_256(), plh.col("phone").chash.sha2_256()]
    lazy = pl.scan_csv(path, schema_overrides={"phone": pl.String})
    return lazy.select(email.alias("email"), phone.alias("phone")).select(hashed).collect()


class Desk:
    """A party's machine: prepares files into a folder and can open what it prepared."""

    def __init__(self, folder: Path) -> None:
        """Make the keys of a party and of a room."""
        self._identity, recipient = generate_identity()
        self._recipient = Recipient("ws_benchmark", "ds_benchmark", recipient)
        self._signer = Signer("ek_benchmark", generate_signing_key())
        self._folder = folder

    def prepare(self, source: Path, schema: Any = SCHEMA) -> Prepared:
        """Prepare a file."""
        made = prepare(
            source, schema=schema, recipient=self._recipient, signer=self._signer, out_dir=self._folder
        )
        made.manifest_path.unlink()
        return made

    def digests(self, made: Prepared) -> dict[str, NDArray[np.uint8]]:
        """Return the digests in a package by key, in the file's order, and remove the package."""
        kept: dict[str, list[NDArray[np.uint8]]] = {}
        with open_payload(made.package_path, self._identity) as payload:
            for batch in BatchReader(payload):
                for name, column in batch.columns.items():
                    kept.setdefault(name, []).append(column)
        made.package_path.unlink()
        return {name: np.concatenate(kept[name]).reshape(-1, 32) for name in kept if name.startswith("key:")}


def _bytes(hexes: pl.Series) -> NDArray[np.uint8]:
    return np.frombuffer(bytes.fromhex("".join(hexes)), np.uint8).reshape(-1, 32)


def measure(rows: int, *, runs: int = RUNS) -> dict[str, Any]:
    """Time both sides in turns on the clean file, then the dirty one."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        clean, dirty = folder / "clean.csv", folder / "dirty.csv"
        write_clean(clean, rows)
        write_dirty(dirty, dirty_rows := max(rows // DIRTY_SHARE, 1))
        desk = Desk(folder)
        sides = [
            Side(OURS, lambda _run: desk.prepare(clean), LEFT_OUT[OURS]),
            Side("polars-hash", lambda _run: bare(clean), LEFT_OUT["polars-hash"]),
        ]

        def check(run: int, made: Mapping[str, Any]) -> None:
            if run < runs:
                made[OURS].package_path.unlink()
                return
            ours = desk.digests(made[OURS])
            for key in ("email", "phone"):
                if not np.array_equal(ours[f"key:{key}/room"], _bytes(made["polars-hash"][key])):
                    raise CountsDifferError(f"The digests of {key} differ.")

        seconds = in_turns(sides, runs=runs, check=check)
        peaks = {
            OURS: in_own_process(peak_prepare, source=str(clean)),
            "polars-hash": in_own_process(peak_bare, source=str(clean)),
        }
        of_dirty = _time_dirty(desk, dirty, dirty_rows, runs)
    found = compared(
        "prepare",
        sides,
        seconds,
        peak_mb={side: peak["peak_mb"] for side, peak in peaks.items()},
        rows=rows,
        dirty=of_dirty,
    )
    return {**found, "rows_per_s": rows / found["ours_s"], "baseline_rows_per_s": rows / found["baseline_s"]}


def _time_dirty(desk: Desk, dirty: Path, rows: int, runs: int) -> dict[str, Any]:
    """Time the dirty numbers, and one after the other through libphonenumber for a sample of them."""
    seconds = in_turns(
        [Side(OURS, lambda _run: desk.prepare(dirty, ONLY_PHONE).package_path.unlink())], runs=runs
    )[OURS]
    texts = pl.read_csv(dirty, schema_overrides={"phone": pl.String}, n_rows=SAMPLE)["phone"].to_list()
    started = time.perf_counter()
    one_by_one = [digest(HASH_PROFILES["room"], "phone", text, default_region="RU") for text in texts]
    per_row = (time.perf_counter() - started) / len(texts)
    expected = b"".join(made for made in one_by_one if made is not None)
    ours = desk.digests(desk.prepare(dirty, ONLY_PHONE))["key:phone/room"]
    if ours.tobytes()[: len(expected)] != expected:
        raise CountsDifferError("The digests of dirty telephone numbers differ.")
    times = spread(seconds)
    return {
        "rows": rows,
        "rows_kept": len(ours),
        "spread": times,
        "rows_per_s": rows / times["median"],
        "libphonenumber_rows_per_s": 1 / per_row,
        "libphonenumber_measured": len(texts),
    }


def peak_prepare(source: str) -> dict[str, float]:
    """Prepare in this fresh process."""
    with tempfile.TemporaryDirectory() as place:
        desk = Desk(Path(place))
        return peak_of(lambda: desk.prepare(Path(source)))


def peak_bare(source: str) -> dict[str, float]:
    """Do it the bare way in this fresh process."""
    return peak_of(lambda: bare(Path(source)))


def main() -> None:
    """Measure and print."""
    parser = arguments("prepare", __doc__, rows=(2_000_000, "people"), runs=(RUNS, "how many runs are kept"))
    options = parser.parse_args()
    found = measure(options.rows, runs=options.runs)
    show(found, as_json=options.json)
    if not options.json:
        dirty = found["dirty"]
        print(f"rows/s       {found['rows_per_s']:,.0f}; bare {found['baseline_rows_per_s']:,.0f}")
        print(
            f"dirty        {dirty['rows_per_s']:,.0f} rows/s; libphonenumber one by one "
            f"{dirty['libphonenumber_rows_per_s']:,.0f}, measured on {dirty['libphonenumber_measured']:,}"
        )


if __name__ == "__main__":
    main()
