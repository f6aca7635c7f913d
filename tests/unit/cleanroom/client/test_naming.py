"""People are hashed where they are named, in every way that a dataset may have hashed them."""

import base64
import hashlib

import pytest

from cleanroom.client.naming import NoIdentifierError, name_one, name_people
from cleanroom.client.remote.people import batches


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_raw_emails_are_hashed_for_every_profile_that_hashes_differently() -> None:
    named = {one["profile"]: one["digests"] for one in name_people([" An.Na+x@Gmail.com ", ""], "email")}
    folded = sha("anna@gmail.com")
    assert named == {
        "room": [folded],
        "uid2": [base64.b64encode(bytes.fromhex(folded)).decode()],
        "google": [folded],
        "meta": [sha("an.na+x@gmail.com")],
        "tiktok": [sha("an.na+x@gmail.com")],
    }


def test_phones_are_hashed_with_and_without_a_plus() -> None:
    named = {
        one["profile"]: one["digests"]
        for one in name_people(["8 916 123-45-67"], "phone", default_region="RU")
    }
    assert named == {"room": [sha("+79161234567")], "meta": [sha("79161234567")]}


def test_a_line_that_is_no_identifier_is_named_by_its_number_and_not_shown() -> None:
    with pytest.raises(NoIdentifierError) as refused:
        name_people(["a@example.org", "nonsense"], "email")
    assert "2" in refused.value.message
    assert "nonsense" not in str(refused.value)
    with pytest.raises(NoIdentifierError):
        name_people(["a@example.org"], "passport")


def test_digests_are_taken_as_they_are_and_checked() -> None:
    (one,) = name_people([sha("x")], "email", hashed="meta")
    assert one == {"identifier": "email", "profile": "meta", "digests": [sha("x")]}
    with pytest.raises(NoIdentifierError):
        name_people([sha("x").upper()], "email", hashed="meta")


def test_one_person_is_named_in_every_variant_or_by_person_id() -> None:
    assert [one["profile"] for one in name_one("a@example.org", "email")] == [
        "room",
        "uid2",
        "google",
        "meta",
        "tiktok",
    ]
    assert name_one(" p1 ", "person_id") == [
        {"identifier": "person_id", "profile": "sha256", "digest": sha("p1")}
    ]


def test_batches_hold_every_digest_once() -> None:
    named = name_people([f"a{number}@example.org" for number in range(25)], "email")
    parts = list(batches(named, 50))
    assert [sum(len(one["digests"]) for one in part) for part in parts] == [50, 50, 25]
    joined = [
        digest for part in parts for one in part if one["profile"] == "room" for digest in one["digests"]
    ]
    assert joined == named[0]["digests"]
