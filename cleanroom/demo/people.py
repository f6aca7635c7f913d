"""The made-up people themselves, in one canonical spelling, before a party writes them down."""

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cleanroom.demo import names

IDENTITY = ("local", "domain", "phone")

# Second phones and people the provider does not know get numbers from ranges of their own.
SECOND_PHONES, STRANGERS = 500_000_000, 700_000_000
_STREAM = 1


def people(start: int, size: int, *, population: int, seed: int) -> pl.DataFrame:
    """Make the persons from number `start` on.

    Args:
        start: index of the first one.
        size: how many.
        population: how many there are in all; families share phones only inside it.
        seed: same seed, same people.

    Returns:
        One row per person: identity (`local` part and `domain` of the e-mail address, ten digits of `phone`
        and `phone2`), `full_name` and the attributes as the provider holds them.
    """
    rng = np.random.default_rng([seed, _STREAM, start])
    index = np.arange(start, start + size)
    female = rng.random(size) < 0.53
    age = np.clip(rng.gamma(6.0, 5.2, size) + 13, 16, 92).astype(np.int64)
    premium = np.clip(age / 150 + rng.normal(0.28, 0.25, size), 0, 0.999)
    tariff = (premium * len(names.TARIFFS)).astype(np.int64)
    tenure = np.minimum(rng.gamma(1.3, 26.0, size), 240).astype(np.int64)
    spend: NDArray[np.float64] = np.exp(rng.normal(6.1, 0.6, size) + tariff * 0.33).round(2)
    churn = np.clip(rng.normal(46, 20, size) - tenure * 0.12 + (tariff == 0) * 9, 0, 100).astype(np.int64)
    frame = identities(index, female=female, seed=seed, rng=rng).with_columns(
        customer_id=pl.format("C{}", pl.Series(index + 10_000_000)),
        sex=_words(("M", "F"), female.astype(np.int64)),
        age=_missing(age, rng.random(size) < 0.02),
        city=_words(
            [name for name, _ in names.CITIES], _pick([weight for _, weight in names.CITIES], rng, size)
        ),
        tariff=_words(names.TARIFFS, tariff),
        tenure_months=pl.Series(tenure),
        spend=_missing(spend, rng.random(size) < 0.01),
        churn_score=pl.Series(churn),
        purchases=_purchases(female, age, rng),
        ads_consent=pick_words(names.CONSENT_SHARES, rng, size),
    )
    second = rng.random(size)
    # A tenth of the second numbers is the next person's: families share, and each of them is still a person.
    neighbour = phone_numbers((index + 1) % population, seed)
    own = phone_numbers(index + SECOND_PHONES, seed)
    phone2 = pl.Series(np.where(second < 0.007, neighbour, own)).cast(pl.String)
    return frame.with_columns(phone2=pl.when(pl.Series(second < 0.07)).then(phone2))


def identities(
    index: NDArray[np.int64], *, female: NDArray[np.bool_], seed: int, rng: np.random.Generator
) -> pl.DataFrame:
    """Give persons a name, an e-mail address and a phone; a few lack one of the two, nobody both."""
    size = len(index)
    russian = rng.random(size) < 0.85
    first_share, last_share = rng.random(size), rng.random(size)
    parts: dict[str, pl.Series] = {}
    for column, place in (("full_name", 0), ("local", 1)):
        suffix = ("а", "a")[place]
        first = [words[place] for words in (*names.FEMALE_FIRST, *names.MALE_FIRST)]
        last = [
            *(words[place] for words in names.RUSSIAN_LAST),
            *(words[place] + suffix for words in names.RUSSIAN_LAST),
            *(words[place] for words in names.ENGLISH_LAST),
        ]
        chosen_first = _words(first, _name_index(russian, ~female, first_share))
        chosen_last = _words(last, np.where(russian, 20 * female, 40) + (last_share * 20).astype(np.int64))
        joined = pl.format("{} {}" if place == 0 else "{}.{}", chosen_first, chosen_last)
        parts[column] = pl.select(joined).to_series()
    contact = rng.random(size)
    local = pl.format("{}{}", parts["local"], pl.Series(index))
    return pl.select(
        full_name=parts["full_name"],
        local=pl.when(pl.Series(contact >= 0.04)).then(local),
        domain=pick_words(names.EMAIL_DOMAINS, rng, size),
        phone=pl.when(pl.Series(contact < 0.92)).then(pl.Series(phone_numbers(index, seed)).cast(pl.String)),
    )


def phone_numbers(index: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """Give each index below 10^9 a mobile number of its own (the multiplier is coprime to 10^9)."""
    return 9_000_000_000 + (index * 387_420_489 + seed * 7_654_321) % 1_000_000_000


def pick_words(shares: Sequence[tuple[str, float]], rng: np.random.Generator, size: int) -> pl.Series:
    """Draw words by their shares."""
    return _words([word for word, _ in shares], _pick([share for _, share in shares], rng, size))


def _name_index(
    russian: NDArray[np.bool_], male: NDArray[np.bool_], share: NDArray[np.float64]
) -> NDArray[np.int64]:
    # Each table starts with 14 Russian names and ends with four English ones.
    within = np.where(russian, share * 14, 14 + share * 4).astype(np.int64)
    return within + len(names.FEMALE_FIRST) * male


def _purchases(female: NDArray[np.bool_], age: NDArray[np.int64], rng: np.random.Generator) -> pl.Series:
    """Draw up to four categories per person; tastes differ by sex and age, so audiences differ in size."""
    young, parent, old = age < 30, (age >= 27) & (age < 47), age >= 55
    chance = {
        "groceries": 0.50 + 0.20 * old,
        "electronics": 0.12 + 0.10 * young + 0.06 * ~female,
        "clothing": 0.15 + 0.20 * female,
        "sports": 0.10 + 0.12 * young,
        "books": 0.08 + 0.05 * old,
        "home": 0.10 + 0.08 * female,
        "travel": 0.14 + 0.04 * young,
        "kids": 0.04 + 0.26 * parent,
        "pets": 0.09 + 0.02 * old,
        "auto": 0.06 + 0.16 * ~female,
    }
    mask = np.zeros(len(age), dtype=np.int64)
    for bit, category in enumerate(names.CATEGORIES):
        mask |= (rng.random(len(age)) < chance[category]).astype(np.int64) << bit
    spelled = []
    for value in range(1 << len(names.CATEGORIES)):
        chosen = [name for bit, name in enumerate(names.CATEGORIES) if value >> bit & 1]
        spelled.append("|".join(chosen[-names.MOST_CATEGORIES :]))
    return _words(spelled, mask)


def _pick(weights: Sequence[float], rng: np.random.Generator, size: int) -> NDArray[np.int64]:
    edges = np.cumsum(np.asarray(weights, dtype=np.float64))
    return np.searchsorted(edges[:-1] / edges[-1], rng.random(size), side="right").astype(np.int64)


def _words(words: Sequence[str], index: NDArray[np.int64]) -> pl.Series:
    return pl.Series(words, dtype=pl.String).gather(pl.Series(index))


def _missing(values: NDArray[np.int64] | NDArray[np.float64], missing: NDArray[np.bool_]) -> pl.Series:
    return pl.select(pl.when(~pl.Series(missing)).then(pl.Series(values)).cast(pl.String)).to_series()
