"""How each party writes the same people down: its own case, spaces, dashes, dots, and its own mistakes."""

from dataclasses import dataclass

import numpy as np
import polars as pl

_TYPED_WRONG_PHONE = "8 916 12"


@dataclass(frozen=True)
class Mistakes:
    """Shares of rows with something wrong in them; about 3% together.

    Attributes:
        bad_email: the address lost its @; the phone still identifies the row, if there is one.
        bad_phone: the number was cut off; the address still identifies the row, if there is one.
        no_key: both are missing.
        other: a mistake outside the identifiers, which the caller makes.
    """

    bad_email: float = 0.012
    bad_phone: float = 0.006
    no_key: float = 0.006
    other: float = 0.006


MISTAKES = Mistakes()


def emails(frame: pl.DataFrame, rng: np.random.Generator, *, advertiser: bool) -> pl.Series:
    """Spell e-mail addresses; the two parties use different habits, so equal addresses seldom look equal."""
    style = pl.Series(rng.random(frame.height))
    local, domain = pl.col("local"), pl.col("domain")
    plain = local + "@" + domain
    gmail = domain == "gmail.com"
    undotted = local.str.replace_all(".", "", literal=True)
    if advertiser:
        spelled = (
            pl.when(gmail & (style < 0.35)).then(undotted + "@gmail.com")
            .when(gmail & (style < 0.50)).then(undotted + "+shop@gmail.com")
            .when(style < 0.60).then(plain.str.to_uppercase())
            .when(style < 0.75).then("  " + plain + " ")
            .otherwise(plain)
        )  # fmt: skip
    else:
        spelled = (
            pl.when(gmail & (style < 0.10)).then(local + "+news@gmail.com")
            .when(style < 0.25).then(plain.str.to_titlecase())
            .when(style < 0.32).then(plain + " ")
            .otherwise(plain)
        )  # fmt: skip
    return frame.select(spelled.alias("email")).to_series()


def phones(frame: pl.DataFrame, column: str, rng: np.random.Generator, *, advertiser: bool) -> pl.Series:
    """Spell phone numbers: +7 or 8, spaces, dashes and brackets."""
    style = pl.Series(rng.random(frame.height))
    digits = pl.col(column)
    a, b, c, d = (
        digits.str.slice(0, 3),
        digits.str.slice(3, 3),
        digits.str.slice(6, 2),
        digits.str.slice(8, 2),
    )
    if advertiser:
        spelled = (
            pl.when(style < 0.45).then(pl.format("8 ({}) {}-{}-{}", a, b, c, d))
            .when(style < 0.75).then(pl.format("+7 {} {} {} {}", a, b, c, d))
            .otherwise(pl.format("8{}", digits))
        )  # fmt: skip
    else:
        spelled = (
            pl.when(style < 0.70).then(pl.format("+7{}", digits))
            .when(style < 0.85).then(pl.format("8{}", digits))
            .otherwise(pl.format("+7 {} {}-{}-{}", a, b, c, d))
        )  # fmt: skip
    return frame.select(spelled.alias(column)).to_series()


def spoil_keys(frame: pl.DataFrame, draw: pl.Series, *, email: str, phones: tuple[str, ...]) -> pl.DataFrame:
    """Break identifiers in the rows whose draw is small; of several phones the first is the one cut off."""
    first = MISTAKES.bad_email
    second = first + MISTAKES.bad_phone
    third = second + MISTAKES.no_key
    lost = (draw >= second) & (draw < third)
    cut = (draw >= first) & (draw < second) & pl.col(phones[0]).is_not_null()
    without_at = pl.col(email).str.replace("@", "_", literal=True)
    return frame.with_columns(
        pl.when(draw < first).then(without_at).otherwise(pl.col(email)).alias(email),
        pl.when(cut).then(pl.lit(_TYPED_WRONG_PHONE)).otherwise(pl.col(phones[0])).alias(phones[0]),
    ).with_columns(pl.when(~lost).then(pl.col(name)).alias(name) for name in (email, *phones))
