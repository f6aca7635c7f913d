"""Languages: which one a browser gets, and how words, numbers, money and times are written in it."""

import io
import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from importlib.resources import files
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_date, format_datetime, format_skeleton, format_timedelta
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_currency, format_decimal, format_percent
from babel.support import NullTranslations, Translations

from cleanroom.money import Money, exponent_of

LANGUAGES = {"en": "English", "ru": "Русский"}
DEFAULT = "en"


def N_(text: str) -> str:  # noqa: N802 - gettext's own name for it
    """Mark a text that is translated where it is shown."""
    return text


@lru_cache(maxsize=len(LANGUAGES))
def translations(language: str) -> NullTranslations:
    """Return the words of a language; English is what the sources are written in."""
    if language == DEFAULT:
        return NullTranslations()
    source = files("provider_portal").joinpath("locale", f"{language}.po").read_bytes()
    compiled = io.BytesIO()
    write_mo(compiled, read_po(io.BytesIO(source), locale=language))
    compiled.seek(0)
    return Translations(compiled)


def negotiate(chosen: str | None, accepted: str) -> str:
    """Return the language for a request.

    Args:
        chosen: by the person before; it wins when there is such a language.
        accepted: the header Accept-Language; empty when there is none.
    """
    if chosen in LANGUAGES:
        return str(chosen)
    wanted: list[tuple[float, int, str]] = []
    for part in accepted.split(",")[:20]:
        tag, _, quality = part.strip().partition(";q=")
        try:
            weight = float(quality) if quality else 1.0
        except ValueError:
            weight = 0.0
        wanted.append((-weight, len(wanted), tag.partition("-")[0].lower()))
    return next((tag for _, _, tag in sorted(wanted) if tag in LANGUAGES), DEFAULT)


@dataclass(frozen=True)
class Writing:
    """How values are written in one language; times are those of the room's zone."""

    language: str
    zone: ZoneInfo

    @property
    def locale(self) -> Locale:
        """What Babel needs."""
        return Locale("en", "GB") if self.language == "en" else Locale(self.language)

    def gettext(self, text: str) -> str:
        """Translate a text."""
        return str(translations(self.language).ugettext(text))

    def number(self, value: float | Decimal) -> str:
        """Write a number with its groups; one below a thousandth with two digits, as it would look like none."""
        if 0 < abs(float(value)) < 0.001:
            return format_decimal(float(f"{value:.2g}"), "#,##0.#########", self.locale)
        return format_decimal(value, locale=self.locale)

    def numbers(self, text: str) -> str:
        """Write a range such as 1000-9999."""
        return "\u2013".join(self.number(int(one)) if one.isdecimal() else one for one in text.split("-"))

    def percent(self, part: int, whole: int) -> str:
        """Write a share; of nothing it is none."""
        share = part / whole if whole else 0
        return format_percent(
            share, self._percents(1 if 0 < share < 0.1 or 0.99 < share < 1 else 0), self.locale
        )

    def share(self, value: float) -> str:
        """Write a share to two digits that say something; below a thousandth of a percent it is none."""
        return format_percent(float(f"{value:.2g}"), self._percents(3), self.locale)

    def _percents(self, digits: int) -> str:
        """Return the locale's own form of a percentage, which says whether a space stands in it, with more digits."""
        form: str = self.locale.percent_formats[None].pattern
        return form.replace("#,##0", "#,##0." + "#" * digits) if digits else form

    def money(self, value: Money) -> str:
        """Write an amount to the minor unit."""
        digits = Decimal(value.minor).scaleb(-exponent_of(value.currency))
        text = format_currency(digits, value.currency, locale=self.locale)
        # Between letters and digits stands a space, as CLDR has it and Babel leaves out.
        return re.sub(r"(?<=[A-Z])(?=\d)", "\u00a0", text)

    def amount(self, minor: int, currency: str) -> str:
        """Write minor units of a currency."""
        return self.money(Money(minor, currency))

    def day(self, value: datetime) -> str:
        """Write a day."""
        return format_date(value.astimezone(self.zone), "d MMM y", locale=self.locale)

    def calendar(self, value: date) -> str:
        """Write a day of the calendar, which is the same day in every zone."""
        return format_date(value, "d MMM y", locale=self.locale)

    def moment(self, value: datetime) -> str:
        """Write a day and a time."""
        return format_datetime(value, "d MMM y, HH:mm", tzinfo=self.zone, locale=self.locale)

    def ago(self, value: datetime, now: datetime) -> str:
        """Write how long ago something was, or how soon it will be."""
        return format_timedelta(value - now, add_direction=True, threshold=1.2, locale=self.locale)

    def month(self, first: date) -> str:
        """Write a month and its year."""
        return format_skeleton("yMMMM", first, locale=self.locale)

    def wait(self, seconds: int) -> str:
        """Write how long to wait."""
        return format_timedelta(timedelta(seconds=seconds), threshold=1.2, locale=self.locale)
