import random
from collections.abc import Iterator

import phonenumbers
import polars as pl
import pytest

from cleanroom.client import phones
from cleanroom.client.phones import e164_column
from crypto import normalise

REGIONS = sorted(phonenumbers.SUPPORTED_REGIONS)
SOME = ["RU", "KZ", "BY", "GB", "GG", "DE", "US", "CA", "IT", "AX", "TM", "BR", "AR", "MX", "JP", None]
MARKS = ["", "", "", " ", "-", "(", ")", ".", "\u00a0", "\u2013"]
KINDS = ("general_desc", "mobile", "fixed_line", "toll_free", "voip", "uan", "shared_cost", "pager")


@pytest.fixture(autouse=True, scope="module")
def _every_number_goes_by_patterns() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(phones, "_FEWEST", 1)
        yield


def examples(region: str) -> list[tuple[str, str, str]]:
    """Return country code, national prefix and number of each kind that the region has an example of."""
    metadata = phonenumbers.PhoneMetadata.metadata_for_region(region, None)
    kinds = [getattr(metadata, kind) for kind in KINDS]
    numbers = sorted({kind.example_number for kind in kinds if kind is not None and kind.example_number})
    return [(str(metadata.country_code), metadata.national_prefix or "", number) for number in numbers]


def spellings(seed: int, region: str | None, foreign: int) -> list[str]:
    """Return numbers of the region and of others as people write and mistype them."""
    chance = random.Random(seed)
    own = examples(region) * 2 if region else []
    others = [one for name in chance.sample(REGIONS, foreign) for one in examples(name)]
    texts = []
    for code, prefix, number in [*own, *others]:
        for before in (
            "tel. ",
            "т. +" + code,
            "",
            "+" + code,
            code,
            prefix,
            "+" + code + prefix,
            "00" + code,
            "810" + code,
            "8",
            "0",
            "1",
        ):
            typed = number
            if chance.random() < 0.3:
                typed = typed[:-1] + str(chance.randrange(10))
            if chance.random() < 0.15:
                typed = str(chance.randrange(10)) + typed[1:]
            if chance.random() < 0.1:
                typed = typed[: chance.randrange(2, len(typed))]
            if chance.random() < 0.1:
                typed += str(chance.randrange(10))
            text = before + typed
            if chance.random() < 0.5:
                text = "".join(digit + chance.choice(MARKS) for digit in text)
            texts.append(text.strip())
    return texts


def assert_like_the_reference(region: str | None, texts: list[str]) -> float:
    """Compare, and return the share that was decided without asking."""
    column = e164_column(pl.Series(texts, dtype=pl.String), default_region=region)
    asked = set(column.open.to_list())
    numbers = column.numbers.to_list()
    assert all(numbers[position] is None for position in asked)
    decided = [position for position in range(len(texts)) if position not in asked]
    for position in decided:
        assert numbers[position] == normalise.phone(texts[position], default_region=region), (
            region,
            texts[position],
        )
    return len(decided) / len(texts)


@pytest.mark.parametrize("region", SOME)
def test_what_patterns_decide_is_what_libphonenumber_says(region: str | None) -> None:
    assert assert_like_the_reference(region, spellings(7, region, 12)) > 0.05


@pytest.mark.slow
@pytest.mark.parametrize("region", REGIONS)
def test_patterns_decide_right_in_every_region(region: str) -> None:
    assert assert_like_the_reference(region, spellings(11, region, 30)) > 0.05


@pytest.mark.parametrize(
    "text",
    [
        "+79161234567",
        "89161234567",
        "9161234567",
        "79161234567",
        "8 (916) 123-45-67",
        "+7 916 123\u201345\u201367",
        "8\u00a0495\u00a0123\u00a045\u00a067",
        "+7 701 234 56 78",
        "8 10 49 1512 3456789",
        "+44 7911 123456",
        "+375 29 123-45-67",
        "+7 200 123-45-67",
        "тел. (916) 123-45-67",
        "tel:+7-916-123-45-67",
        "123",
        "нет",
    ],
)
def test_usual_spellings_need_no_asking(text: str) -> None:
    column = e164_column(pl.Series([text]), default_region="RU")
    assert not column.open.len()
    assert column.numbers[0] == normalise.phone(text, default_region="RU")


@pytest.mark.parametrize(
    "text",
    [
        "+7 (916) 123-45-67 доб. 5",
        "8916123456\u0967",
        "\uff0b79161234567",
        "+",
        "+999 12345678",
        "tel:9161234567;phone-context=+7",
    ],
)
def test_what_is_no_plain_number_is_asked_about(text: str) -> None:
    column = e164_column(pl.Series([None, text]), default_region="RU")
    assert column.open.to_list() == [1]
    assert column.numbers.to_list() == [None, None]


@pytest.mark.parametrize(
    ("region", "text"),
    [("KZ", "79123456786"), ("AX", "358900123450"), ("TM", "+8109012345675"), ("IT", "0612345678")],
)
def test_what_looks_like_a_code_or_prefix_is_read_as_the_reference_does(region: str, text: str) -> None:
    assert_like_the_reference(region, [text])


def test_few_numbers_of_a_country_are_asked_about(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(phones, "_FEWEST", 3)
    column = e164_column(pl.Series(["+44 7911 123456"] * 2 + ["+7 495 123 45 67"] * 3), default_region=None)
    assert column.open.to_list() == [0, 1]
    assert column.numbers.to_list() == [None, None] + ["+74951234567"] * 3


def test_a_region_that_does_not_exist_is_none() -> None:
    column = e164_column(pl.Series(["89161234567", "+79161234567"]), default_region="ZZ")
    assert column.open.to_list() == [0]
    assert column.numbers.to_list() == [None, "+79161234567"]
