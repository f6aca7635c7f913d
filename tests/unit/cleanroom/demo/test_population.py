"""The made-up files hold what the demo promises about them."""

from pathlib import Path

import polars as pl
import pytest

from cleanroom.demo.population import CHUNK_PEOPLE, JUNK_PHONE, Files, write_population

PEOPLE, BASE = 20_000, 5_000


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return write_population(tmp_path_factory.mktemp("made"), population=PEOPLE, base_size=BASE, seed=7)


@pytest.fixture(scope="module")
def provider(files: Files) -> pl.DataFrame:
    return pl.read_csv(files.provider, infer_schema=False)


@pytest.fixture(scope="module")
def base(files: Files) -> pl.DataFrame:
    return pl.read_csv(files.base, separator=";", infer_schema=False)


def share(frame: pl.DataFrame, condition: pl.Expr) -> float:
    return float(frame.select(condition.fill_null(value=False).mean()).item())


def digits(column: str) -> pl.Expr:
    return pl.col(column).str.replace_all(r"\D", "").str.slice(1)


def test_the_same_seed_gives_the_same_bytes(files: Files, tmp_path: Path) -> None:
    again = write_population(tmp_path, population=PEOPLE, base_size=BASE, seed=7)
    assert again.provider.read_bytes() == files.provider.read_bytes()
    assert again.base.read_bytes() == files.base.read_bytes()


def test_another_seed_gives_other_people(files: Files, tmp_path: Path) -> None:
    other = write_population(tmp_path, population=PEOPLE, base_size=BASE, seed=8)
    assert other.provider.read_bytes() != files.provider.read_bytes()
    assert other.base.read_bytes() != files.base.read_bytes()


def test_row_counts_are_reported_as_written(files: Files, provider: pl.DataFrame, base: pl.DataFrame) -> None:
    assert (provider.height, base.height) == (files.provider_rows, files.base_rows)
    assert base.height == BASE
    assert PEOPLE < provider.height < PEOPLE * 1.02
    assert provider["customer_id"].n_unique() <= PEOPLE + 1


def test_eighty_five_of_a_hundred_agreed_and_some_are_pending(provider: pl.DataFrame) -> None:
    assert share(provider, pl.col("ads_consent").is_in(["yes", "confirmed"])) == pytest.approx(0.85, abs=0.02)
    assert share(provider, pl.col("ads_consent") == "confirmed") > 0.1
    assert share(provider, pl.col("ads_consent") == "sent") == pytest.approx(0.06, abs=0.01)


def test_some_people_have_two_phones(provider: pl.DataFrame) -> None:
    assert share(provider, pl.col("phone2").is_not_null()) == pytest.approx(0.07, abs=0.01)


def test_one_phone_is_shared_by_five_hundred_rows_and_stands_in_the_base_once(
    provider: pl.DataFrame, base: pl.DataFrame
) -> None:
    whole = provider.filter(digits("phone").str.len_chars() == 10)
    held = whole.select(digits("phone").value_counts(sort=True)).unnest("phone")
    assert held.row(0) == (JUNK_PHONE, 500)
    assert held["count"][1] <= 3
    assert base.filter(digits("mobile") == JUNK_PHONE).height == 1


def test_about_three_rows_in_a_hundred_are_dirty_on_both_sides(
    provider: pl.DataFrame, base: pl.DataFrame
) -> None:
    no_at, short = ~pl.col("email").str.contains("@"), digits("phone").str.len_chars() < 10
    lost = pl.all_horizontal(pl.col("email", "phone", "phone2").is_null())
    other = (pl.col("age") == "н/д") | pl.col("customer_id").is_null()
    dirty = no_at.fill_null(value=False) | short.fill_null(value=False) | lost | other.fill_null(value=False)
    assert share(provider, dirty) == pytest.approx(0.03, abs=0.006)
    no_at, short = ~pl.col("e_mail").str.contains("@"), digits("mobile").str.len_chars() < 10
    lost = pl.col("e_mail").is_null() & pl.col("mobile").is_null()
    dirty = no_at.fill_null(value=False) | short.fill_null(value=False) | lost | (pl.col("status") == "???")
    assert share(base, dirty) == pytest.approx(0.03, abs=0.008)


def test_identities_are_written_differently_on_each_side(provider: pl.DataFrame, base: pl.DataFrame) -> None:
    mine, theirs = set(provider["email"].drop_nulls()), set(base["e_mail"].drop_nulls())
    folded = {text.strip().lower() for text in mine} & {text.strip().lower() for text in theirs}
    assert len(mine & theirs) < 0.75 * len(folded)
    assert provider["phone"].str.starts_with("8").any()
    assert base["mobile"].str.contains(r"^8 \(\d{3}\) \d{3}-\d\d-\d\d$").any()
    assert base["e_mail"].str.contains(r"\+shop@gmail\.com$").any()
    assert base["e_mail"].str.contains(r"^[A-Z]+\.[A-Z]+\d+@").any()


def test_about_forty_of_a_hundred_base_rows_are_people_of_the_provider(
    provider: pl.DataFrame, base: pl.DataFrame
) -> None:
    # Every made-up address ends in the person's number, however spelled; strangers' begin at 700 million.
    number = pl.col("e_mail").str.extract(r"(\d+)(?:\+shop)?@").cast(pl.Int64)
    with_mail = base.filter(number.is_not_null())
    assert share(with_mail, number < PEOPLE) == pytest.approx(0.40, abs=0.03)


def test_the_base_is_labelled(base: pl.DataFrame) -> None:
    for label, expected in (("vip", 0.12), ("active", 0.58), ("lapsed", 0.30)):
        assert share(base, pl.col("status") == label) == pytest.approx(expected, abs=0.03)


def test_purchases_name_at_most_four_categories(provider: pl.DataFrame) -> None:
    assert provider["purchases"].drop_nulls().str.split("|").list.len().max() == 4


def test_names_are_russian_and_english(provider: pl.DataFrame) -> None:
    assert share(provider, pl.col("full_name").str.contains("^[А-ЯЁ][а-яё]+ [А-ЯЁ][а-яё]+$")) > 0.7
    assert share(provider, pl.col("full_name").str.contains("^[A-Z][a-z]+ [A-Z][a-z]+$")) > 0.1


def test_a_base_larger_than_the_population_finds_no_more_than_half_of_it(tmp_path: Path) -> None:
    made = write_population(tmp_path, population=400, base_size=5_000)
    number = pl.col("e_mail").str.extract(r"(\d+)(?:\+shop)?@").cast(pl.Int64)
    base = pl.read_csv(made.base, separator=";", infer_schema=False)
    assert base.height == 5_000
    assert base.filter(number < 400)["e_mail"].len() <= 210


def test_progress_is_told_chunk_by_chunk(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    write_population(
        tmp_path,
        population=CHUNK_PEOPLE + 1,
        base_size=10,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(CHUNK_PEOPLE, CHUNK_PEOPLE + 1), (CHUNK_PEOPLE + 1, CHUNK_PEOPLE + 1)]
