"""The whole way on real tables: a telecom's customers matched with a bank's, with a known overlap."""

import gzip
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

DATA = Path(__file__).parents[3] / "shared" / "data" / "people"
SHARED = 3_000
RUNS = 3

PROVIDER_SCHEMA = {
    "person_id": {"column": "customerID"},
    "match_keys": {
        "email": {"column": "email", "hash_profile": "room", "form": "raw"},
        "phone": {"column": "phone", "hash_profile": "room", "form": "raw", "default_region": "RU"},
    },
    "attributes": {
        "sex": {"column": "gender", "type": "category", "kind": "descriptive", "values": ["Female", "Male"]},
        "senior": {"column": "SeniorCitizen", "type": "integer", "kind": "descriptive", "bands": [1]},
        "tenure": {"type": "integer", "kind": "behavioural", "bands": [12, 24, 48]},
        "contract": {
            "column": "Contract",
            "type": "category",
            "kind": "behavioural",
            "values": ["Month-to-month", "One year", "Two year"],
        },
        "monthly": {"column": "MonthlyCharges", "type": "decimal", "kind": "behavioural", "clamp": [0, 200]},
        "churn": {"column": "Churn", "type": "category", "kind": "behavioural", "values": ["Yes", "No"]},
    },
    "lawful_basis": "consent",
    "consent": {"advertising": {"column": "ads_consent", "granted": ["yes"], "withdrawn": ["stop"]}},
}
BASE_SCHEMA = {
    "match_keys": {
        "email": {"column": "email", "hash_profile": "room", "form": "raw"},
        "phone": {"column": "phone", "hash_profile": "room", "form": "raw", "default_region": "RU"},
    },
    "label": {"column": "marital", "values": ["married", "single", "divorced"]},
}
QUESTION = {
    "purpose": "advertising",
    "precision": "fine",
    "segments": {
        "monthly_contract": {"attribute": "contract", "op": "==", "value": "Month-to-month"},
        "loyal": {
            "all": [
                {"attribute": "tenure", "op": ">=", "value": 24},
                {"attribute": "churn", "op": "==", "value": "No"},
            ]
        },
        "high_bill": {"attribute": "monthly", "op": "between", "value": [70, 200]},
    },
    "breakdowns": [["sex", "tenure"]],
}


@dataclass(frozen=True)
class Files:
    provider: Path
    base: Path
    truth: dict[str, int]


def _table(name: str) -> pl.DataFrame:
    path = DATA / name
    if not path.exists():
        if os.environ.get("CI") == "true":
            pytest.fail(f"the real table {name} is required in CI")
        pytest.skip(f"the real table {name} is not beside the project")
    return pl.read_csv(gzip.decompress(path.read_bytes()), infer_schema_length=0)


def _identities(rows: int, *, first: int, written: str) -> pl.DataFrame:
    """Row i gets a deterministic e-mail and mobile, spelled in the style of one side."""
    number = pl.int_range(first, first + rows, dtype=pl.Int64)
    mobile = (pl.lit(9_000_000_000) + number * 7).cast(pl.Utf8)
    if written == "provider":
        email, phone = pl.format("Client.{}@Example.com", number), pl.format("8{}", mobile)
    else:
        email, phone = pl.format(" client.{}@example.com ", number), pl.format("+7 {}", mobile)
    return pl.select(email=email, phone=phone)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    telecom, bank = _table("ibm_telco_churn.csv.gz"), _table("bank_marketing_bank-full.csv.gz")
    assert (telecom.height, bank.height) == (7_043, 45_211)
    place = tmp_path_factory.mktemp("real")
    consents = pl.Series("ads_consent", ["stop" if row % 10 == 0 else "yes" for row in range(telecom.height)])
    telecom = telecom.hstack(_identities(telecom.height, first=0, written="provider")).with_columns(consents)
    # The bank's first rows are the telecom's first customers; its other rows are nobody else's.
    known = _identities(SHARED, first=0, written="bank")
    others = _identities(bank.height - SHARED, first=100_000, written="bank")
    bank = bank.hstack(pl.concat([known, others]))
    telecom.write_csv(place / "telecom.csv")
    bank.write_csv(place / "bank.csv", separator=";")
    return Files(place / "telecom.csv", place / "bank.csv", _truth(telecom, bank))


def _truth(telecom: pl.DataFrame, bank: pl.DataFrame) -> dict[str, int]:
    matched = telecom.with_row_index().filter((pl.col("index") < SHARED) & (pl.col("ads_consent") == "yes"))
    tenure, bill = pl.col("tenure").cast(pl.Int64), pl.col("MonthlyCharges").cast(pl.Float64)
    truth = {
        "overlap": matched.height,
        "segment:monthly_contract": matched.filter(pl.col("Contract") == "Month-to-month").height,
        "segment:loyal": matched.filter((tenure >= 24) & (pl.col("Churn") == "No")).height,
        "segment:high_bill": matched.filter((bill >= 70) & (bill <= 200)).height,
    }
    bands = {
        "<12": tenure < 12,
        "12-23": tenure.is_between(12, 23),
        "24-47": tenure.is_between(24, 47),
        "48+": tenure >= 48,
    }
    for sex in ("Female", "Male"):
        for label, band in bands.items():
            cell = matched.filter((pl.col("gender") == sex) & band)
            truth[f"breakdown:sex={sex},tenure={label}"] = cell.height
    marital = bank.head(SHARED).get_column("marital").to_list()
    consented = matched.get_column("index").to_list()
    for label in ("married", "single", "divorced"):
        truth[f"label:{label}"] = sum(marital[row] == label for row in consented)
    return truth


def _run(files: Files, tmp_path: Path, provider_schema: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    paths = {}
    for name, content in (("provider", provider_schema), ("base", BASE_SCHEMA), ("question", QUESTION)):
        paths[name] = tmp_path / f"{name}.yaml"
        paths[name].write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
    command = [Path(sys.executable).parent / "cleanroom", "demo", "--json", "--home", tmp_path / "home"]
    command += ["--provider", files.provider, "--provider-schema", paths["provider"]]
    command += ["--base", files.base, "--base-schema", paths["base"], "--segments", paths["question"]]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


@pytest.mark.slow
def test_figures_about_real_people_lie_inside_their_intervals_at_the_stated_rate(
    files: Files, tmp_path: Path
) -> None:
    inside = shown = 0
    for run in range(RUNS):
        place = tmp_path / str(run)
        place.mkdir()
        result = _run(files, place, PROVIDER_SCHEMA)
        assert result.returncode == 0, result.stderr
        report = json.loads(result.stdout)
        assert report["dataset"]["rows"] == 7_043
        assert report["dataset"]["persons"] == 7_043
        assert report["base"]["rows"] == 45_211
        assert report["audit"]["verified"] is True
        for figure in report["analysis"]["figures"]:
            if figure["name"] not in files.truth:
                continue
            if figure["suppressed"]:
                assert figure["value"] is None
                continue
            low, high = figure["interval95"]
            shown += 1
            inside += low <= files.truth[figure["name"]] <= high
            # Seven sigma: once in 4e11 figures.
            assert abs(figure["value"] - files.truth[figure["name"]]) < 7 * figure["sigma"] + 1

    assert shown >= 10 * RUNS
    # At 95% each, fewer than 75% inside of 30 or more would be seen once in a million runs.
    assert inside >= 0.75 * shown


def test_what_is_not_there_is_suppressed(files: Files, tmp_path: Path) -> None:
    report = json.loads(_run(files, tmp_path, PROVIDER_SCHEMA).stdout)

    figures = {figure["name"]: figure for figure in report["analysis"]["figures"]}
    assert figures["breakdown:sex=unknown,tenure=unknown"]["suppressed"]


def test_race_is_refused_as_a_special_category(files: Files, tmp_path: Path) -> None:
    income = _table("adult_income.csv.gz")
    income = income.rename({name: name.strip() for name in income.columns})
    assert "race" in income.columns
    provider = tmp_path / "income.csv"
    income.hstack(_identities(income.height, first=0, written="provider")).write_csv(provider)
    schema = {
        "match_keys": {"email": {"column": "email"}},
        "attributes": {
            "race": {"type": "category", "kind": "descriptive", "values": ["White", "Black", "Other"]},
        },
        "consent": {"advertising": {"column": "income", "granted": ["<=50K"]}},
    }

    result = _run(Files(provider, files.base, {}), tmp_path, schema)

    assert result.returncode == 3
    assert "schema.special_category" in result.stderr
    assert not (tmp_path / "home" / "objects").exists()
