"""Published vectors of UID2 and libphonenumber, read from the project's shared data."""

import base64
import csv
import json
import os
from pathlib import Path

import pytest

from crypto import normalise
from crypto.hash_profiles import digest, hash_profile

FOLDER = Path(__file__).parents[3] / "shared" / "data" / "normalisation"
if os.environ.get("CI") != "true" and not FOLDER.is_dir():
    pytest.skip("the shared data folder is not here; it is required when CI=true", allow_module_level=True)

UID2 = json.loads((FOLDER / "uid2_normalization_vectors.json").read_text(encoding="utf-8"))
with (FOLDER / "libphonenumber_examples.csv").open(encoding="utf-8", newline="") as _file:
    NUMBERS = list(csv.DictReader(_file))
PROFILE = hash_profile("uid2")


@pytest.mark.parametrize(("raw", "normalised", "base64_digest"), UID2["test_valid_email_normalization"])
def test_uid2_emails_normalise_and_hash_as_published(raw: str, normalised: str, base64_digest: str) -> None:
    assert PROFILE.normalise("email", raw) == normalised
    assert base64.b64encode(digest(PROFILE, "email", raw) or b"").decode() == base64_digest


@pytest.mark.parametrize("raw", UID2["test_invalid_email_normalization"])
def test_uid2_bad_emails_are_refused(raw: str) -> None:
    assert PROFILE.normalise("email", raw) is None


@pytest.mark.parametrize("raw", UID2["test_phone_number_is_normalized_positive"])
def test_uid2_normalised_phones_are_taken_as_they_are(raw: str) -> None:
    assert normalise.is_uid2_phone(raw)
    assert PROFILE.normalise("phone", raw) == raw


@pytest.mark.parametrize(
    "raw", [raw for raw in UID2["test_phone_number_is_normalized_negative"] if raw is not None]
)
def test_uid2_other_phones_are_not_called_normalised(raw: str) -> None:
    assert not normalise.is_uid2_phone(raw)


def test_all_published_cases_are_there() -> None:
    assert len(UID2["test_valid_email_normalization"]) == 26
    assert len(UID2["test_phone_number_is_normalized_negative"]) == 24
    assert len(NUMBERS) == 1619


def test_valid_numbers_of_every_region_become_their_e164() -> None:
    wrong = []
    for row in NUMBERS:
        if row["validity"] != "valid":
            continue
        for text in (row["national"], row["international"], row["e164"]):
            if normalise.phone(text, default_region=row["region"]) != row["e164"]:
                wrong.append((row["region"], row["type"], text))
    assert wrong == []


def test_invalid_numbers_of_every_region_are_refused() -> None:
    invalid = [row for row in NUMBERS if row["validity"] == "invalid"]
    assert len(invalid) > 200
    assert [row["e164"] for row in invalid if normalise.phone(row["e164"]) is not None] == []
