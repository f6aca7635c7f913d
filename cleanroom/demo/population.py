"""A seeded population for the demo: the provider's file and the advertiser's base, each written its own way.

Nothing here is about a real person. Every value is a function of the seed and of a person's place in the
population, so the files are made in chunks of bounded memory and are the same on every machine.
"""

from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cleanroom.client import Progress
from cleanroom.demo import names, writing
from cleanroom.demo.people import IDENTITY, STRANGERS, identities, people, pick_words

CHUNK_PEOPLE = 100_000
JUNK_PHONE = "4950000001"
BASE_SHARE_KNOWN = 0.40
SHARE_TWICE = 0.01
_MOST_JUNK_HOLDERS = 500
_EVERY_TWICE = 60
_YAML_FILES = ("provider.schema.yaml", "base.schema.yaml", "segments.yaml")
_PROVIDER_STREAM, _BASE_STREAM, _JUNK_STREAM = 2, 3, 4
_PROVIDER_COLUMNS = (
    "customer_id", "full_name", "email", "phone", "phone2", "sex", "age", "city", "tariff", "tenure_months",
    "spend", "churn_score", "purchases", "ads_consent",
)  # fmt: skip


@dataclass(frozen=True)
class Files:
    """Where the made-up files are, and how many data rows they have.

    Attributes:
        provider: the provider's CSV file, comma-separated.
        base: the advertiser's CSV file, semicolon-separated.
        provider_schema: YAML description of the provider's file.
        base_schema: YAML description of the base.
        segments: YAML file with the audiences to ask about.
        provider_rows: data rows in the provider's file.
        base_rows: data rows in the base.
    """

    provider: Path
    base: Path
    provider_schema: Path
    base_schema: Path
    segments: Path
    provider_rows: int
    base_rows: int


def write_population(
    directory: Path, *, population: int, base_size: int, seed: int = 1, progress: Progress | None = None
) -> Files:
    """Write both parties' files and the three YAML files that describe them.

    Args:
        directory: an existing directory; files of the same names are replaced.
        population: persons in the provider's file; about 1% of them come twice.
        base_size: data rows in the base, about 40% of them people that the provider knows too.
        seed: same seed and sizes, same bytes.
        progress: called with (people done, people in all) after each chunk.

    Returns:
        The paths and the row counts.
    """
    provider, base = directory / "provider.csv", directory / "base.csv"
    described = [directory / name for name in _YAML_FILES]
    for path in described:
        path.write_bytes(resources.files("cleanroom.demo").joinpath("files", path.name).read_bytes())
    known_target = min(int(base_size * BASE_SHARE_KNOWN), population // 2)
    junk = _junk_holders(population, seed)
    known: list[pl.DataFrame] = []
    rows = 0
    with provider.open("wb") as sink:
        for start in range(0, population, CHUNK_PEOPLE):
            size = min(CHUNK_PEOPLE, population - start)
            rng = np.random.default_rng([seed, _PROVIDER_STREAM, start])
            made = people(start, size, population=population, seed=seed)
            target = known_target * (start + size) // population - known_target * start // population
            known.append(made.select(IDENTITY).filter(_customers(made, target, rng)))
            holders = pl.Series(np.isin(np.arange(start, start + size), junk, assume_unique=True))
            written = _provider_rows(made, holders, rng)
            written.write_csv(sink, include_header=start == 0)
            rows += written.height
            if progress is not None:
                progress(start + size, population)
    _base_rows(pl.concat(known), base_size=base_size, seed=seed).write_csv(base, separator=";")
    return Files(
        provider=provider,
        base=base,
        provider_schema=described[0],
        base_schema=described[1],
        segments=described[2],
        provider_rows=rows,
        base_rows=base_size,
    )


def _junk_holders(population: int, seed: int) -> NDArray[np.int64]:
    """Choose who left the shop's own phone number; fewer than 500 only in a population too small for that."""
    rng = np.random.default_rng([seed, _JUNK_STREAM])
    return rng.choice(population, min(_MOST_JUNK_HOLDERS, population // 4), replace=False)


def _customers(made: pl.DataFrame, target: int, rng: np.random.Generator) -> pl.Series:
    """Choose who is also the advertiser's customer: some kinds of people more often, so affinities show."""
    age = made["age"].cast(pl.Float64).fill_null(40).to_numpy()
    weight = (
        np.where(age < 35, 1.7, 1.0)
        * np.where(made["purchases"].str.contains("travel|sports").to_numpy(), 2.0, 1.0)
        * np.where((made["tariff"] == "Premium").to_numpy(), 1.5, 1.0)
        * np.where((made["city"] == names.CITIES[0][0]).to_numpy(), 1.3, 1.0)
    )
    # The largest of u^(1/w) are a weighted sample without replacement (Efraimidis, Spirakis 2006).
    order = np.argsort(np.log(rng.random(made.height)) / weight)
    chosen = np.zeros(made.height, dtype=np.bool_)
    chosen[order[made.height - target :]] = True
    return pl.Series(chosen)


def _provider_rows(made: pl.DataFrame, junk: pl.Series, rng: np.random.Generator) -> pl.DataFrame:
    frame = made.with_columns(phone=pl.when(junk).then(pl.lit(JUNK_PHONE)).otherwise(pl.col("phone")))
    frame = frame.with_columns(
        email=writing.emails(frame, rng, advertiser=False),
        phone=writing.phones(frame, "phone", rng, advertiser=False),
        phone2=writing.phones(frame, "phone2", rng, advertiser=False),
    )
    # The rows with the junk phone stay free of mistakes: the number is seen as often as promised.
    draw = pl.select(pl.when(~junk).then(pl.Series(rng.random(made.height))).otherwise(1.0)).to_series()
    again = pl.Series(rng.random(made.height) < SHARE_TWICE) & ~junk
    spoiled = writing.spoil_keys(frame, draw, email="email", phones=("phone", "phone2"))
    other = (draw >= 1 - writing.MISTAKES.other) & (draw < 1)
    first = spoiled.with_columns(
        age=pl.when(other & (pl.Series(np.arange(made.height)) % 2 == 0))
        .then(pl.lit("н/д"))
        .otherwise(pl.col("age")),
        customer_id=pl.when(~(other & (pl.Series(np.arange(made.height)) % 2 == 1))).then(
            pl.col("customer_id")
        ),
    )
    # The same customers again, further down: a newer tariff, and some have said "stop" meanwhile.
    second = frame.filter(again)
    stopped = pl.Series(rng.random(second.height) < 0.2)
    second = second.with_columns(
        tariff=pl.lit("Premium"),
        ads_consent=pl.when(stopped).then(pl.lit("stop")).otherwise(pl.col("ads_consent")),
    )
    return pl.concat([first.select(_PROVIDER_COLUMNS), second.select(_PROVIDER_COLUMNS)])


def _base_rows(known: pl.DataFrame, *, base_size: int, seed: int) -> pl.DataFrame:
    rng = np.random.default_rng([seed, _BASE_STREAM])
    # Some customers are in the base twice, maybe as vip and as lapsed: the first declared label counts.
    known = pl.concat([known, known.gather_every(_EVERY_TWICE)])
    strangers = base_size - known.height
    index = np.arange(STRANGERS, STRANGERS + strangers)
    others = identities(index, female=rng.random(strangers) < 0.5, seed=seed, rng=rng).select(IDENTITY)
    frame = pl.concat([known, others])
    # An advertiser knows less than a telecom: a third of its rows lacks one of the identifiers.
    lacking = pl.Series(rng.random(base_size))
    both = pl.col("local").is_not_null() & pl.col("phone").is_not_null()
    frame = frame.with_columns(
        local=pl.when(~(both & (lacking < 0.12))).then(pl.col("local")),
        phone=pl.when(~(both & (lacking > 0.78))).then(pl.col("phone")),
    )
    frame = frame.with_columns(
        e_mail=writing.emails(frame, rng, advertiser=True),
        mobile=writing.phones(frame, "phone", rng, advertiser=True),
        status=pick_words(names.LABEL_SHARES, rng, base_size),
    )
    draw = pl.Series(rng.random(base_size))
    frame = writing.spoil_keys(frame, draw, email="e_mail", phones=("mobile",))
    frame = frame.with_columns(
        status=pl.when(draw >= 1 - writing.MISTAKES.other).then(pl.lit("???")).otherwise(pl.col("status"))
    )
    frame = frame.select("e_mail", "mobile", "status").gather(pl.Series(rng.permutation(base_size)))
    # One entry is the shop's own number; without a junk list it would match everybody who left it.
    odd = pl.DataFrame(
        {"e_mail": None, "mobile": "8 (495) 000-00-01", "status": "lapsed"}, schema=frame.schema
    )
    return pl.concat([frame.head(base_size - 1), odd])
