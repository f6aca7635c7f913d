import base64
import hashlib

import pytest

from crypto.hash_profiles import (
    HASH_PROFILES,
    MalformedDigestError,
    UnknownHashProfileError,
    digest,
    hash_profile,
    hashing_alike,
    parse_hashed,
    person_digest,
)
from crypto.normalise import Identifier

RAW = hashlib.sha256(b"ivan@mail.ru").digest()


@pytest.mark.parametrize(
    ("profile", "identifier", "raw", "hashed"),
    [
        ("room", "email", "I.van+x@gmail.com", "ivan@gmail.com"),
        ("uid2", "email", "I.van+x@googlemail.com", "i.van+x@googlemail.com"),
        ("google", "email", "I. van+x@googlemail.com", "ivan@googlemail.com"),
        ("meta", "email", " I.van+x@gmail.com", "i.van+x@gmail.com"),
        ("tiktok", "email", "I. van@gmail.com", "i.van@gmail.com"),
        ("snap", "email", " I.van@gmail.com ", "i.van@gmail.com"),
        ("pair", "email", "I.van@gmail.com", "i.van@gmail.com"),
        ("room", "phone", "89123456789", "+79123456789"),
        ("uid2", "phone", "+1234567890", "+1234567890"),
        ("uid2", "phone", "8 912 345-67-89", "+79123456789"),
        ("google", "phone", "89123456789", "+79123456789"),
        ("tiktok", "phone", "89123456789", "+79123456789"),
        ("pair", "phone", "89123456789", "+79123456789"),
        ("meta", "phone", "89123456789", "79123456789"),
        ("snap", "phone", "89123456789", "79123456789"),
        ("room", "maid", "6D92078A-8246-4BA4-AE5B-76104861E7DC", "6d92078a-8246-4ba4-ae5b-76104861e7dc"),
        ("room", "cookie", " aB ", "aB"),
    ],
)
def test_every_profile_hashes_its_own_spelling(
    profile: str, identifier: Identifier, raw: str, hashed: str
) -> None:
    assert (
        digest(hash_profile(profile), identifier, raw, default_region="RU")
        == hashlib.sha256(hashed.encode()).digest()
    )


def test_yandex_is_a_family_of_its_own() -> None:
    profile = hash_profile("yandex")
    expected = hashlib.sha256(hashlib.md5(b"79123456789").digest()).digest()
    assert profile.legacy
    assert [one.name for one in HASH_PROFILES.values() if one.legacy] == ["yandex"]
    assert digest(profile, "phone", "+7 912 345-67-89") == expected
    assert parse_hashed(profile, hashlib.md5(b"79123456789").hexdigest()) == expected


def test_nothing_comes_of_nothing() -> None:
    assert digest(hash_profile("room"), "email", "nonsense") is None
    assert digest(hash_profile("meta"), "phone", "12", default_region="RU") is None


def test_digests_are_read_in_the_form_of_their_profile() -> None:
    assert parse_hashed(hash_profile("room"), RAW.hex()) == RAW
    assert parse_hashed(hash_profile("uid2"), base64.b64encode(RAW).decode()) == RAW


@pytest.mark.parametrize(
    ("profile", "text", "message"),
    [
        ("room", RAW.hex().upper(), "outside 0-9a-f.*lower-case hex, 64 characters"),
        ("room", RAW.hex()[:40], "40 characters instead of 64"),
        ("room", RAW.hex() + "\n", "65 characters"),
        ("room", RAW.hex()[:32], "32 characters instead of 64.*MD5.*legacy_md5"),
        ("uid2", RAW.hex(), "64 characters instead of 44.*base64"),
        ("uid2", base64.urlsafe_b64encode(bytes([255] * 32)).decode(), "not standard base64"),
        ("uid2", base64.b64encode(bytes(31)).decode(), "not standard base64"),
        ("uid2", base64.b64encode(bytes(32)).decode()[:42] + "B=", "not standard base64"),
        ("uid2", "ё" * 44, "not standard base64"),
        ("yandex", RAW.hex(), "64 characters instead of 32"),
    ],
)
def test_other_forms_are_refused_without_showing_them(profile: str, text: str, message: str) -> None:
    with pytest.raises(MalformedDigestError, match=message) as caught:
        parse_hashed(hash_profile(profile), text)
    assert text not in str(caught.value)


def test_an_unknown_profile_is_answered_with_those_that_exist() -> None:
    with pytest.raises(UnknownHashProfileError, match="room, uid2, google"):
        hash_profile("sha1")


@pytest.mark.parametrize("identifier", ["email", "phone", "maid"])
def test_profiles_that_are_said_to_hash_alike_do_and_others_do_not(identifier: str) -> None:
    texts = {
        "email": ["An.Na+x@Gmail.com", "a b@example.org", "x.y@googlemail.com", "o@localhost"],
        "phone": ["+7 916 123-45-67", "+14155552671"],
        "maid": ["6D92078A-8246-4BA4-AE5B-76104861E7DC"],
    }[identifier]
    profiles = [name for name, one in HASH_PROFILES.items() if identifier in one.identifiers]

    def digests(name: str) -> list[bytes | None]:
        return [digest(HASH_PROFILES[name], identifier, text) for text in texts]  # type: ignore[arg-type]

    for name in profiles:
        alike = hashing_alike(identifier, name)  # type: ignore[arg-type]
        assert name in alike
        for other in profiles:
            assert (digests(name) == digests(other)) == (other in alike), (name, other)


def test_a_profile_that_does_not_hash_an_identifier_is_alike_with_none() -> None:
    with pytest.raises(UnknownHashProfileError):
        hashing_alike("maid", "uid2")


def test_a_person_id_is_one_however_it_is_typed() -> None:
    plain = hashlib.sha256("Й-123".encode()).digest()
    decomposed = "\u0418\u0306-123"
    assert [person_digest(text) for text in ("Й-123", " Й-123\n", decomposed)] == [plain] * 3
    assert person_digest("й-123") != plain
