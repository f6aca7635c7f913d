"""Money: whole minor units of one currency, exact arithmetic, one named rounding, and how people write it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from cleanroom.errors import CleanroomError

BASIS_POINTS = 10_000
"""How many basis points make a whole."""

_UNUSUAL = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
_USUAL = (
    "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY COP CRC CUP "
    "CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES "
    "KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK "
    "NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB "
    "TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VED VES WST XCD YER ZAR ZMW ZWG"
)
EXPONENTS: dict[str, int] = dict.fromkeys(_USUAL.split(), 2) | {
    code: exponent for exponent, codes in _UNUSUAL.items() for code in codes.split()
}
"""Digits after the point of every currency, by its code. Source: ISO 4217, list one."""

LOCALES = ("ru", "en")
_SYMBOLS = {"RUB": "₽", "EUR": "€", "USD": "$", "GBP": "£", "KZT": "₸"}
_CODES = {symbol: code for code, symbol in _SYMBOLS.items()}
_GROUP, _POINT = {"ru": "\u00a0", "en": ","}, {"ru": ",", "en": "."}
_SPACES = "\u00a0\u202f\u2009 "
_MOST_CHARACTERS = 64


class MoneyError(CleanroomError):
    """An amount or a currency cannot be understood, or two currencies were mixed."""

    code = "money.invalid"


def exponent_of(currency: str) -> int:
    """Return how many digits after the point a currency has; raises MoneyError when it is not known."""
    if currency not in EXPONENTS:
        raise MoneyError(
            "The currency is not known.", remedy="Use a code of ISO 4217 in capitals, such as RUB."
        )
    return EXPONENTS[currency]


def round_half_up(numerator: int, denominator: int) -> int:
    """Divide and round to the nearest whole number; a half goes away from zero.

    It is the rounding of invoices, `ROUND_HALF_UP` of the General Decimal Arithmetic, on whole numbers.

    Args:
        numerator: any whole number.
        denominator: at least 1.
    """
    size = (2 * abs(numerator) + denominator) // (2 * denominator)
    return size if numerator >= 0 else -size


@dataclass(frozen=True)
class Money:
    """An amount of one currency.

    Attributes:
        minor: whole minor units (kopecks, cents); negative for what is given back.
        currency: a code of ISO 4217, such as RUB.
    """

    minor: int
    currency: str

    def __post_init__(self) -> None:
        exponent_of(self.currency)
        if type(self.minor) is not int:
            raise MoneyError("An amount is a whole number of minor units.", remedy="Write kopecks or cents.")

    def __add__(self, other: "Money") -> "Money":
        return Money(self.minor + self._like(other), self.currency)

    def __sub__(self, other: "Money") -> "Money":
        return Money(self.minor - self._like(other), self.currency)

    def __neg__(self) -> "Money":
        return Money(-self.minor, self.currency)

    def __mul__(self, times: int) -> "Money":
        return Money(self.minor * times, self.currency)

    def __lt__(self, other: "Money") -> bool:
        return self.minor < self._like(other)

    def __le__(self, other: "Money") -> bool:
        return self.minor <= self._like(other)

    def share(self, basis_points: int) -> "Money":
        """Return a share in basis points (10,000 are the whole), rounded half up."""
        return self.scaled(basis_points, BASIS_POINTS)

    def scaled(self, numerator: int, denominator: int) -> "Money":
        """Return the amount times a fraction, rounded half up."""
        return Money(round_half_up(self.minor * numerator, denominator), self.currency)

    def allocate(self, weights: Sequence[int]) -> tuple["Money", ...]:
        """Part an amount by weights so that the parts add up to it to the minor unit.

        Each part lies less than one minor unit from its exact share. The cumulated shares are rounded, so that which
        part gets a left-over unit depends on the weights alone.

        Args:
            weights: at least one, none below 0, not all 0.

        Raises:
            MoneyError: the weights are none such.
        """
        if not weights or min(weights) < 0 or sum(weights) == 0:
            raise MoneyError("An amount is parted by weights of at least 0, not all of them 0.")
        total, ends, cumulated = sum(weights), [0], 0
        for weight in weights:
            cumulated += weight
            ends.append(round_half_up(self.minor * cumulated, total))
        return tuple(Money(end - start, self.currency) for start, end in pairwise(ends))

    def _like(self, other: "Money") -> int:
        if other.currency != self.currency:
            raise MoneyError("Two currencies do not add up.", remedy="Total each currency apart.")
        return other.minor


def total(amounts: Sequence[Money], currency: str) -> Money:
    """Add amounts up; none make zero of the currency."""
    return sum(amounts, Money(0, currency))


def format_money(amount: Money, locale: str = "en") -> str:
    """Write an amount as people of a locale do: `1 234,50 ₽` (ru, with no-break spaces), `RUB 1,234.50` (en).

    Raises:
        MoneyError: the locale is neither ru nor en.
    """
    _require_locale(locale)
    exponent = exponent_of(amount.currency)
    digits = str(abs(amount.minor)).rjust(exponent + 1, "0")
    whole, fraction = (digits[:-exponent], digits[-exponent:]) if exponent else (digits, "")
    text = f"{int(whole):,}".replace(",", _GROUP[locale]) + (_POINT[locale] + fraction if fraction else "")
    sign = "-" if amount.minor < 0 else ""
    if locale == "ru":
        return f"{sign}{text}\u00a0{symbol_of(amount.currency)}"
    return f"{sign}{amount.currency}\u00a0{text}"


def symbol_of(currency: str) -> str:
    """Return how a currency is written beside an amount: its symbol, or its code when it has none of its own."""
    return _SYMBOLS.get(currency, currency)


def parse_money(text: str, locale: str = "en", *, currency: str | None = None) -> Money:
    """Read an amount that a person wrote.

    Args:
        text: digits with the locale's separators, and a code or a symbol before or after them.
        locale: ru or en: it says whether a comma groups or parts.
        currency: which, when the text names none; if both name one, they must agree.

    Raises:
        MoneyError: anything else: nothing is guessed where money is concerned.
    """
    _require_locale(locale)
    if len(text) > _MOST_CHARACTERS:
        raise MoneyError(f"An amount has at most {_MOST_CHARACTERS} characters.")
    plain = re.sub(f"[{_SPACES}]", " ", text).strip()
    sign, plain = (-1, plain[1:].strip()) if plain.startswith(("-", "−")) else (1, plain)
    found = re.fullmatch(r"([^\d\s.,]+)? ?(\d[\d .,]*)(?<=\d) ?([^\d\s.,]+)?", plain, re.ASCII)
    if found is None or (found[1] and found[3]):
        raise _unreadable(locale)
    name = found[1] or found[3]
    named = _CODES.get(name, name) if name else None
    if (named or currency) is None or (named and currency and named != currency):
        raise MoneyError(
            "The amount names no currency, or another one.", remedy="Write its code, such as RUB."
        )
    code = str(named or currency)
    exponent = exponent_of(code)
    group, point = (" " if locale == "ru" else ","), re.escape(_POINT[locale])
    digits = re.fullmatch(rf"(\d+|\d{{1,3}}(?:{group}\d{{3}})+)(?:{point}(\d+))?", found[2], re.ASCII)
    fraction = (digits and digits[2]) or ""
    if digits is None or len(fraction) > exponent:
        raise _unreadable(locale)
    return Money(sign * int(digits[1].replace(group, "") + fraction.ljust(exponent, "0")), code)


def _require_locale(locale: str) -> None:
    if locale not in LOCALES:
        raise MoneyError("The locale is not known.", remedy=f"Use one of: {', '.join(LOCALES)}.")


def _unreadable(locale: str) -> MoneyError:
    example = format_money(Money(123450, "RUB"), locale)
    return MoneyError("The amount cannot be read.", remedy=f"Write it like {example}.")
