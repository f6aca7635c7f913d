"""The form of a listing: what stands in its fields, rows that come and go, and the wording that they make."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from cleanroom.errors import CleanroomError
from cleanroom.marketplace.content import (
    MAX_TITLE_CHARACTERS,
    ListingContent,
    content_from_data,
    content_to_data,
)
from cleanroom.marketplace.offerable import Offerable
from cleanroom.marketplace.plans import KEY, PricePlan
from cleanroom.money import EXPONENTS, MoneyError, exponent_of, parse_money
from policies.condition import condition_to_data
from policies.condition_text import condition_from_text, condition_to_text
from policies.errors import PolicyError
from policies.question import Question, question_to_dict
from provider_portal.i18n import N_

SECTIONS = ("segments", "templates", "plans")
SWITCHES = ("resale", "segments_only", "verified_only", "match_test_at_once")
_MOST_ROWS = 40
_LONGEST = 20_000
_ORGANISATION = re.compile(r"org_[0-9A-Za-z]{1,36}")
_PERCENT = re.compile(r"(\d{1,3})(?:[.,](\d{1,2}))?\s*%?")
# What a question holds that the form has no field for goes along unseen.
_FIELDS_OF_A_QUESTION = ("dataset_id", "base_id", "purpose", "kind", "breakdowns")


class FieldError(CleanroomError):
    """A field of the form cannot be read; it is told in the reader's language."""

    code = "portal.bad_field"

    def __init__(self, label: str, text: str, row: int = 0) -> None:
        super().__init__(f"{label}: {text}")
        self.label, self.text, self.row = label, text, row


_NO_AMOUNT = N_("This amount cannot be read. Write it like 1500 or 1500.50, without the currency.")
_NO_NUMBER = N_("This is not a whole number.")
_KEY = N_("A key has 1 to 40 small letters, digits, dashes and underscores.")
_AMOUNTS = {
    "cpm": ("cpm_minor", N_("Per 1,000 people")),
    "question": ("question_minor", N_("Per question")),
    "cap": ("questions_cap_minor", N_("At most for questions, a month")),
    "flat": ("flat_minor", N_("Per month")),
    "minimum": ("minimum_minor", N_("At least, a month")),
}


@dataclass(frozen=True)
class ListingForm:
    """What stands in the form.

    Attributes:
        fields: typed, by name.
        language: whose decimal mark amounts have.
        offer: what the dataset can offer.
    """

    fields: Mapping[str, str]
    language: str
    offer: Offerable

    def __call__(self, name: str) -> str:
        """Return what stands in a field."""
        return self.fields.get(name, "")

    def rows(self, section: str) -> range:
        """Return the numbers of a section's rows."""
        text = self(section)
        return range(
            min(int(text), _MOST_ROWS) if text.isascii() and text.isdecimal() and len(text) < 5 else 0
        )

    def named(self, prefix: str) -> list[str]:
        """Return what is ticked among the boxes whose names begin so."""
        return sorted(
            name[len(prefix) :] for name, value in self.fields.items() if name.startswith(prefix) and value
        )

    def acted(self, act: str) -> "ListingForm":
        """Return the form with a row more, or without one: `add-segments`, `remove-plans-2`; else as it is."""
        word, _, rest = act.partition("-")
        section, _, number = rest.partition("-")
        if section not in SECTIONS:
            return self
        count = len(self.rows(section))
        fields = dict(self.fields)
        if word == "add" and count < _MOST_ROWS:
            fields[section] = str(count + 1)
            if section == "plans":
                fields[f"plans.{count}.currency"] = self(f"plans.{count - 1}.currency") or "RUB"
        elif word == "remove" and number.isascii() and number.isdecimal() and int(number[:4]) < count:
            gone = int(number)
            for name in [name for name in fields if name.startswith(f"{section}.")]:
                value, (_, row, field) = fields.pop(name), name.split(".", 2)
                if row.isdecimal() and int(row) != gone:
                    fields[f"{section}.{int(row) - (int(row) > gone)}.{field}"] = value
            fields[section] = str(count - 1)
        return ListingForm(fields, self.language, self.offer)

    def content(self) -> ListingContent:
        """Return the wording that the fields make.

        Raises:
            FieldError: a field cannot be read.
            ListingFormError, PlanFormError: they can be, and make no listing.
        """
        data = {
            "title": self._words("title"),
            "text": self._words("text"),
            "attributes": self.named("attribute:"),
            "segments": [self._segment(row) for row in self._filled("segments")],
            "templates": [self._template(row) for row in self._filled("templates")],
            "terms": self._terms(),
            "plans": [self._plan(row) for row in self._filled("plans")],
        }
        self._require()
        return content_from_data(data)

    def _require(self) -> None:
        """Tell what every listing has and this one lacks; the rest is the listing's own to refuse."""
        for name, label in (("ru", N_("Title in Russian")), ("en", N_("Title in English"))):
            if not 0 < len(self(f"title.{name}").strip()) <= MAX_TITLE_CHARACTERS:
                raise FieldError(label, N_("From 1 to 200 characters."))
        for prefix, label in (
            ("purpose:", N_("Purposes")),
            ("kind:", N_("Kinds of questions")),
            ("size:", N_("Sizes of budgets")),
        ):
            if not self.named(prefix):
                raise FieldError(label, N_("Tick at least one."))
        if next(self._filled("plans"), None) is None:
            raise FieldError(
                N_("Tariffs"), N_("A listing has at least one; one that is free is a tariff too.")
            )

    def _named_key(self, place: str, row: int) -> str:
        key = self(f"{place}.key").strip()
        if not KEY.fullmatch(key):
            raise FieldError(N_("Key"), _KEY, row + 1)
        return key

    def _words(self, name: str) -> dict[str, str]:
        return {one: self(f"{name}.{one}").replace("\r\n", "\n")[:_LONGEST] for one in ("ru", "en")}

    def _filled(self, section: str) -> Iterator[int]:
        """Pass over rows in which nothing was typed."""
        silent = ("kind", "purpose", "rest", "currency", "counted", "vat")
        for row in self.rows(section):
            prefix = f"{section}.{row}."
            if any(
                value.strip() and name[len(prefix) :] not in silent
                for name, value in self.fields.items()
                if name.startswith(prefix)
            ):
                yield row

    def _terms(self) -> dict[str, Any]:
        most = self("questions").strip()
        return {
            "purposes": self.named("purpose:"),
            "kinds": self.named("kind:"),
            "sizes": self.named("size:"),
            "days": self._number("days", N_("The longest term, in days")),
            "sectors": self.named("sector:"),
            "questions": self._number("questions", N_("At most so many questions")) if most else None,
            **{name: bool(self(name)) for name in SWITCHES},
        }

    def _segment(self, row: int) -> dict[str, Any]:
        place = f"segments.{row}"
        condition = self._policy(
            N_("Ready-made segment"),
            row,
            lambda: condition_from_text(self(f"{place}.condition")[:_LONGEST], self.offer.attributes),
        )
        return {
            "key": self._named_key(place, row),
            "title": self._words(place),
            "condition": condition_to_data(condition),
        }

    def _template(self, row: int) -> dict[str, Any]:
        place = f"templates.{row}"
        try:
            rest = json.loads(self(f"{place}.rest") or "{}")
        except (ValueError, RecursionError):
            rest = {}
        breakdowns = [
            [name.strip() for name in line.split(",")]
            for line in self(f"{place}.breakdowns").splitlines()
            if line.strip()
        ]
        kept = rest if isinstance(rest, dict) else {}
        question = {name: value for name, value in kept.items() if name not in _FIELDS_OF_A_QUESTION}
        question |= {"purpose": self(f"{place}.purpose"), "kind": self(f"{place}.kind")}
        if breakdowns:
            question["breakdowns"] = breakdowns
        return {"key": self._named_key(place, row), "title": self._words(place), "question": question}

    def _plan(self, row: int) -> dict[str, Any]:
        place = f"plans.{row}"
        currency = self(f"{place}.currency").strip().upper()
        if currency not in EXPONENTS:
            raise FieldError(
                N_("Currency"), N_("This currency is not known. Use a code such as RUB."), row + 1
            )
        plan: dict[str, Any] = {"key": self._named_key(place, row), "currency": currency}
        for field, (name, label) in _AMOUNTS.items():
            if self(f"{place}.{field}").strip():
                plan[name] = self._amount(f"{place}.{field}", label, currency, row)
        if self(f"{place}.free").strip():
            plan["free_questions"] = self._number(f"{place}.free", N_("Free questions, a month"), row + 1)
        if self(f"{place}.counted"):
            plan["counted"] = self(f"{place}.counted")
        found = _PERCENT.fullmatch(self(f"{place}.vat").strip() or "0")
        if found is None:
            raise FieldError(N_("VAT, percent"), N_("Write a percentage such as 20."), row + 1)
        plan["vat_bp"] = int(found[1]) * 100 + int((found[2] or "0").ljust(2, "0"))
        others = re.split(r"[\s,;]+", self(f"{place}.others").strip())
        named = [*self.named(f"{place}.buyer:"), *(one for one in others if one)]
        if any(not _ORGANISATION.fullmatch(one) for one in named):
            raise FieldError(
                N_("Only for these buyers"), N_("A buyer's number looks like org_..., one a line."), row + 1
            )
        return plan | {"offered_to": sorted(set(named))}

    def _amount(self, name: str, label: str, currency: str, row: int) -> int:
        try:
            return parse_money(self(name), self.language, currency=currency).minor
        except MoneyError:
            # Nothing is guessed: which mark parts and which groups is the reader's language's.
            raise FieldError(label, _NO_AMOUNT, row + 1) from None

    def _number(self, name: str, label: str, row: int = 0) -> int:
        text = self(name).strip()
        if not (text.isascii() and text.isdecimal() and len(text) < 10):
            raise FieldError(label, _NO_NUMBER, row)
        return int(text)

    def _policy(self, label: str, row: int, read: Callable[[], Any]) -> Any:
        try:
            return read()
        except PolicyError as error:
            raise FieldError(label, str(error), row + 1) from None


def form_of(content: ListingContent, offer: Offerable, language: str, known: frozenset[str]) -> ListingForm:
    """Fill the form with a wording.

    Args:
        content: the wording.
        offer: what the dataset can offer.
        language: whose decimal mark amounts get.
        known: ids of the buyers that have a box of their own.
    """
    data = content_to_data(content)
    fields: dict[str, str] = {}
    for name in ("title", "text"):
        fields |= {f"{name}.{one}": data[name][one] for one in ("ru", "en")}
    fields |= {f"attribute:{name}": "on" for name in content.attributes}
    terms = content.terms
    for prefix, names in (
        ("purpose", terms.purposes),
        ("kind", terms.kinds),
        ("size", terms.sizes),
        ("sector", terms.sectors),
    ):
        fields |= {f"{prefix}:{name}": "on" for name in names}
    fields |= {name: "on" for name in SWITCHES if getattr(terms, name)}
    fields |= {"days": str(terms.days), "questions": str(terms.questions or "")}
    fields |= {section: str(len(data[section])) for section in SECTIONS}
    for row, segment in enumerate(content.segments):
        fields |= _named(f"segments.{row}", segment.key, segment.title.ru, segment.title.en)
        fields[f"segments.{row}.condition"] = condition_to_text(segment.condition, offer.attributes)
    for row, template in enumerate(content.templates):
        fields |= _named(f"templates.{row}", template.key, template.title.ru, template.title.en)
        fields |= _question(f"templates.{row}", template.question)
    for row, plan in enumerate(content.plans):
        fields |= _tariff(f"plans.{row}", plan, language, known)
    return ListingForm(fields, language, offer)


def empty_form(offer: Offerable, language: str) -> ListingForm:
    """Return the form of a listing that is to be written, with what most take."""
    fields = {"days": "365", "size:S": "on", "size:M": "on", "resale": "on", "plans": "1"}
    fields |= {"plans.0.key": "monthly", "plans.0.currency": "RUB", "plans.0.vat": "20"}
    return ListingForm(fields, language, offer)


def _named(place: str, key: str, ru: str, en: str) -> dict[str, str]:
    return {f"{place}.key": key, f"{place}.ru": ru, f"{place}.en": en}


def _question(place: str, question: Question) -> dict[str, str]:
    data = question_to_dict(question)
    rest = {name: value for name, value in data.items() if name not in _FIELDS_OF_A_QUESTION}
    return {
        f"{place}.purpose": question.purpose,
        f"{place}.kind": question.kind,
        f"{place}.breakdowns": "\n".join(", ".join(group) for group in question.breakdowns),
        f"{place}.rest": json.dumps(rest, ensure_ascii=False),
    }


def _tariff(place: str, plan: PricePlan, language: str, known: frozenset[str]) -> dict[str, str]:
    fields = {
        f"{place}.key": plan.key,
        f"{place}.currency": plan.currency,
        f"{place}.counted": plan.counted.value,
    }
    for field, (name, _) in _AMOUNTS.items():
        minor = getattr(plan, name)
        if minor or (minor == 0 and field == "cap"):
            fields[f"{place}.{field}"] = _decimal(minor, exponent_of(plan.currency), language)
    if plan.free_questions:
        fields[f"{place}.free"] = str(plan.free_questions)
    fields[f"{place}.vat"] = _decimal(plan.vat_bp, 2, language)
    fields |= {f"{place}.buyer:{one}": "on" for one in plan.offered_to & known}
    fields[f"{place}.others"] = "\n".join(sorted(plan.offered_to - known))
    return fields


def _decimal(units: int, digits: int, language: str) -> str:
    number = Decimal(units).scaleb(-digits)
    text = f"{number:f}" if units % 10**digits else str(units // 10**digits)
    return text.replace(".", ",") if language == "ru" else text
