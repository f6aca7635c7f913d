"""Money, months and tax as requests and answers write them."""

from typing import Annotated

from fastapi import Path
from pydantic import Field

from advertiser_api.schemas import Given
from cleanroom.marketplace.plans import MOST_MINOR
from cleanroom.money import Money

MONTH = r"^(19[7-9][0-9]|[2-9][0-9]{3})-(0[1-9]|1[0-2])$"
Currency = Annotated[str, Field(pattern="^[A-Z]{3}$", examples=["RUB"])]
MonthInPath = Annotated[str, Path(pattern=MONTH, examples=["2026-11"])]


class Price(Given):
    """A price: whole minor units (kopecks, cents) of a currency."""

    minor: Annotated[int, Field(ge=0, le=MOST_MINOR, examples=[12000])]
    currency: Currency


class MoneyOut(Given):
    """An amount; negative for what is given back."""

    minor: Annotated[int, Field(examples=[12000])]
    currency: Currency


def money_out(amount: Money) -> MoneyOut:
    """Return an amount as answers write it."""
    return MoneyOut(minor=amount.minor, currency=amount.currency)
