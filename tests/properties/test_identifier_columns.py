"""The vectorised path gives the digests of the scalar reference, whatever stands in the column."""

import base64
from collections.abc import Iterator

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cleanroom.client import hashing
from cleanroom.client import phones as phone_patterns
from cleanroom.client.identifiers import hash_column, is_junk, normalise_column, parse_hashed_column
from crypto.hash_profiles import HASH_PROFILES, HashProfile, MalformedDigestError, digest, parse_hashed
from crypto.normalise import IDENTIFIERS, Identifier, is_known_junk
from tests.examples import up_to

ROOM = HASH_PROFILES["room"]


@pytest.fixture(autouse=True, scope="module")
def _few_values_go_the_ways_of_many() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(phone_patterns, "_FEWEST", 1)
        patch.setattr(hashing, "_SLICE", 3)
        patch.setattr(hashing, "_FEWEST_FOR_DATAFUSION", 6)
        yield


REGIONS = ["RU", "KZ", "BY", "GB", "DE", "US", "FR", "IT", "BR", "CN", None]
local_parts = st.text("abzAZ019._%+-'\u00e9\u0451\u212a ", min_size=0, max_size=8)
domains = st.sampled_from(
    [
        "gmail.com",
        "GMAIL.com",
        "googlemail.com",
        "mail.ru",
        "Почта.рф",
        "b.co",
        "a-b.org",
        "a--b.com",
        "xn--e1afmkfd.xn--p1ai",
        "b",
        "_x.com",
        "x.c",
        "1.2",
        ".com",
        "b.ru.",
    ]
)
emails = st.builds("{}@{}".format, local_parts, domains) | st.text(max_size=12)
number_digits = st.text("0123456789", min_size=6, max_size=11) | st.sampled_from(
    ["9123456789", "9300000000", "7710009998", "7400123456", "15123456789", "2015550123", "291234567"]
)
separated = number_digits.flatmap(
    lambda digits: st.lists(
        st.sampled_from(["", "", "", " ", "-", "(", ")", "."]), min_size=len(digits), max_size=len(digits)
    ).map(lambda marks: "".join(d + m for d, m in zip(digits, marks, strict=True)))
)
phones = st.builds(
    "{}{}{}".format,
    st.sampled_from(
        ["", "+7", "8", "7", "+ 7", "8 (", "+1", "+44", "+375", "0", "00", "+49 ", "(8", "+7 (", "８", "tel:"]
    ),
    separated,
    st.sampled_from(["", "", "", " доб. 12", " ext 5", " x", "."]),
)
opaque = (
    st.text(max_size=6) | st.just("x" * 257) | st.uuids().map(str) | st.uuids().map(lambda u: u.hex.upper())
)
VALUES: dict[str, st.SearchStrategy[str]] = {"email": emails, "phone": phones, "maid": opaque}
PAIRS = [
    (profile, identifier)
    for profile in HASH_PROFILES.values()
    for identifier in IDENTIFIERS
    if identifier in profile.identifiers
]


@pytest.mark.parametrize(("profile", "identifier"), PAIRS, ids=lambda value: getattr(value, "name", value))
@settings(max_examples=up_to(120), deadline=None)
@given(data=st.data())
def test_columns_hash_like_the_reference(
    profile: HashProfile, identifier: Identifier, data: st.DataObject
) -> None:
    strategy = VALUES.get(identifier, opaque)
    texts = data.draw(st.lists(st.none() | strategy.map(str.strip).filter(bool), min_size=1, max_size=8))
    region = data.draw(st.sampled_from(REGIONS))
    normalised = normalise_column(
        pl.Series(texts, dtype=pl.String), profile=profile, identifier=identifier, default_region=region
    )
    expected = [
        None if text is None else profile.normalise(identifier, text, default_region=region) for text in texts
    ]
    assert normalised.to_list() == expected
    assert [row.tobytes() for row in hash_column(normalised, profile=profile)] == [
        (None if text is None else digest(profile, identifier, text, default_region=region)) or bytes(32)
        for text in texts
    ]
    assert is_junk(normalised, identifier).to_list() == [
        text is not None and is_known_junk(identifier, text) for text in expected
    ]


hexes = st.text("0123456789abcdefABCDEF", min_size=63, max_size=65) | st.text(
    "0123456789abcdef", min_size=31, max_size=64
)
base64s = st.binary(min_size=31, max_size=33).map(lambda raw: base64.b64encode(raw).decode()) | st.text(
    "abcXYZ019+/=", min_size=43, max_size=45
)


@pytest.mark.parametrize("name", ["room", "uid2", "yandex"])
@settings(max_examples=up_to(150), deadline=None)
@given(texts=st.lists(st.none() | hexes | base64s | st.text(max_size=5), min_size=1, max_size=8))
def test_columns_of_digests_read_like_the_reference(name: str, texts: list[str | None]) -> None:
    profile = HASH_PROFILES[name]

    def reference(text: str | None) -> bytes:
        try:
            return bytes(32) if text is None else parse_hashed(profile, text)
        except MalformedDigestError:
            return bytes(32)

    parsed = parse_hashed_column(pl.Series(texts, dtype=pl.String), profile=profile)
    assert [row.tobytes() for row in parsed] == [reference(text) for text in texts]


PREFIXES = [
    "",
    "+7",
    "8",
    "7",
    "0",
    "00",
    "+ 7 ",
    "(8",
    "+1",
    "1",
    "+44",
    "44",
    "80",
    "87",
    "77",
    "+78",
    "88",
    "810",
]
NUMBERS = [
    "9123456789",
    "7710009998",
    "2015550123",
    "15123456789",
    "7400123456",
    "291234567",
    "612345678",
    "91234567",
]


@pytest.mark.parametrize("region", REGIONS)
def test_every_prefix_before_every_number_reads_like_the_reference(region: str | None) -> None:
    texts = [prefix + number for prefix in PREFIXES for number in NUMBERS]
    normalised = normalise_column(pl.Series(texts), profile=ROOM, identifier="phone", default_region=region)
    assert normalised.to_list() == [ROOM.normalise("phone", text, default_region=region) for text in texts]
