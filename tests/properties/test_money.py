"""Money is exact: what is written is read back, sums are sums, and parting loses nothing."""

from decimal import ROUND_HALF_UP, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleanroom.money import (
    EXPONENTS,
    LOCALES,
    Money,
    MoneyError,
    exponent_of,
    format_money,
    parse_money,
    round_half_up,
    total,
)

minors = st.integers(-(10**15), 10**15)
currencies = st.sampled_from(sorted(EXPONENTS))
amounts = st.builds(Money, minors, currencies)


@given(amounts, st.sampled_from(LOCALES))
def test_what_is_written_is_read_back(amount, locale):
    text = format_money(amount, locale)

    assert parse_money(text, locale) == amount
    assert parse_money(text, locale, currency=amount.currency) == amount


@given(st.lists(minors), currencies)
def test_sums_are_exact(parts, currency):
    assert total([Money(part, currency) for part in parts], currency).minor == sum(parts)


@given(amounts, st.lists(st.integers(0, 10**6), min_size=1, max_size=20).filter(any))
def test_parting_loses_no_kopeck(amount, weights):
    parts = amount.allocate(weights)

    assert total(parts, amount.currency) == amount
    for part, weight in zip(parts, weights, strict=True):
        assert abs(part.minor * sum(weights) - amount.minor * weight) <= sum(weights)
        if weight == 0:
            assert part.minor == 0


@given(minors, st.integers(1, 10**6))
def test_rounding_is_the_one_of_invoices(numerator, denominator):
    # A quotient of these has at most 22 digits before the half is decided.
    exact = (Decimal(numerator) / Decimal(denominator)).quantize(Decimal(1), ROUND_HALF_UP)

    assert round_half_up(numerator, denominator) == int(exact)


@given(amounts, st.integers(0, 10_000))
def test_a_fee_and_the_rest_are_the_whole(amount, fee):
    assert amount.share(fee) + (amount - amount.share(fee)) == amount
    assert abs(amount.share(fee).minor) <= abs(amount.minor)


@pytest.mark.parametrize(
    ("text", "locale", "minor", "currency"),
    [
        ("1 234,50 ₽", "ru", 123450, "RUB"),
        ("1234,5 RUB", "ru", 123450, "RUB"),
        ("$0.07", "en", 7, "USD"),
        ("-RUB 1,234.50", "en", -123450, "RUB"),
        ("12 JPY", "en", 12, "JPY"),
        ("1.234 KWD", "en", 1234, "KWD"),
    ],
)
def test_people_write_it_in_several_ways(text, locale, minor, currency):
    assert parse_money(text, locale) == Money(minor, currency)


def test_both_locales_look_as_people_expect():
    amount = Money(-123456789, "RUB")

    assert format_money(amount, "ru") == "-1\u00a0234\u00a0567,89\u00a0₽"
    assert format_money(amount, "en") == "-RUB\u00a01,234,567.89"
    assert format_money(Money(5, "JPY"), "en") == "JPY\u00a05"


@pytest.mark.parametrize(
    ("text", "locale"),
    [
        ("1,50", "ru"),
        ("RUB 1,50", "en"),
        ("RUB 1.500", "en"),
        ("1.5 ₽", "ru"),
        ("RUB 1 ₽", "ru"),
        ("12 34,00 ₽", "ru"),
        ("", "ru"),
        ("RUB", "en"),
        ("RUB ١٢", "en"),
        ("1.", "en"),
        ("XXX 1.00", "en"),
        ("RUB " + "1" * 100, "en"),
        ("RUB 1.00", "de"),
    ],
)
def test_nothing_is_guessed(text, locale):
    with pytest.raises(MoneyError):
        parse_money(text, locale)


def test_currencies_do_not_mix():
    with pytest.raises(MoneyError):
        Money(1, "RUB") + Money(1, "EUR")
    with pytest.raises(MoneyError):
        parse_money("1.00 EUR", "en", currency="RUB")
    with pytest.raises(MoneyError):
        exponent_of("rub")
    with pytest.raises(MoneyError):
        Money(1, "RUB").allocate([0, 0])
