import pytest

from crypto import normalise
from crypto.normalise import GMAIL_DOMAINS, Identifier


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (" Ivan.Petrov@Mail.RU ", "ivan.petrov@mail.ru"),
        ("i.v.a.n+news@gmail.com", "ivan@gmail.com"),
        ("I.van@GoogleMail.com", "ivan@googlemail.com"),
        ("i.v+x@mail.ru", "i.v+x@mail.ru"),
        ("иван@почта.рф", "иван@xn--80a1acny.xn--p1ai"),
        ("ＩＶＡＮ@mail.ru", "ivan@mail.ru"),
        ("+x@gmail.com", None),
        ("ivan@mail", None),
        ("ivan@mail.ru.", None),
        ("ivan petrov@mail.ru", None),
        ("ivan\x00@mail.ru", None),
        ("ivan@ma_il.ru", None),
        ("a@b@c.ru", None),
        ("a" * 250 + "@b.ru", None),
        ("", None),
    ],
)
def test_strict_emails(raw: str, expected: str | None) -> None:
    assert normalise.email(raw, fold=GMAIL_DOMAINS, strict=True) == expected


def test_spaces_inside_go_only_where_a_profile_says_so() -> None:
    assert normalise.email("iv an@mail.ru", remove_spaces=True) == "ivan@mail.ru"
    assert normalise.email("iv an@mail.ru") is None


@pytest.mark.parametrize(
    ("raw", "region", "expected"),
    [
        ("8 (912) 345-67-89", "RU", "+79123456789"),
        ("+7 912 345 67 89", None, "+79123456789"),
        ("79123456789", "RU", "+79123456789"),
        ("9123456789 доб. 12", "RU", "+79123456789"),
        ("8 (771) 000 9998", "KZ", "+77710009998"),
        ("89123456789", None, None),
        ("+7 912 345 67", "RU", None),
        ("phone", "RU", None),
        ("+7" + " " * 70 + "9123456789", "RU", None),
    ],
)
def test_phones_become_e164_or_nothing(raw: str, region: str | None, expected: str | None) -> None:
    assert normalise.phone(raw, default_region=region) == expected


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (" 6D92078A-8246-4BA4-AE5B-76104861E7DC ", "6d92078a-8246-4ba4-ae5b-76104861e7dc"),
        ("6d92078a82464ba4ae5b76104861e7dc", "6d92078a-8246-4ba4-ae5b-76104861e7dc"),
        ("00000000-0000-0000-0000-000000000000", None),
        ("nonsense", None),
    ],
)
def test_advertising_ids(raw: str, expected: str | None) -> None:
    assert normalise.maid(raw) == expected


def test_opaque_ids_are_only_trimmed() -> None:
    assert normalise.opaque_id(" Card-7 ") == "Card-7"
    assert normalise.opaque_id("  ") is None
    assert normalise.opaque_id("x" * 257) is None


@pytest.mark.parametrize(
    ("identifier", "value", "junk"),
    [
        ("email", "test@test.ru", True),
        ("email", "test@tester.ru", False),
        ("phone", "+79999999999", True),
        ("phone", "+71234567890", True),
        ("phone", "+79123456789", False),
        ("maid", "test@test.ru", False),
    ],
)
def test_known_junk(identifier: Identifier, value: str, junk: bool) -> None:
    assert normalise.is_known_junk(identifier, value) is junk
