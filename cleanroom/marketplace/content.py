"""What a listing says: titles and texts in two languages, what is offered, on which terms and at which prices."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from cleanroom.grants.allocation import SIZES
from cleanroom.marketplace.errors import ListingFormError
from cleanroom.marketplace.plans import KEY, PricePlan, plan_from_data, plan_to_data
from policies.condition import Condition, condition_to_data, parse_condition
from policies.errors import PolicyError
from policies.question import KINDS, Question, question_from_dict, question_to_dict
from policies.sectors import SECTORS
from policies.text import nfc

MOST_DAYS = 1_100
_MOST = {"segments": 200, "templates": 50, "plans": 20, "attributes": 1_000, "purposes": 50}
MAX_TITLE_CHARACTERS = 200
_TEXT = 5_000
# A template names no dataset and no base: whoever asks it fills them in.
_BLANK = "-"
_T = TypeVar("_T")


@dataclass(frozen=True)
class Words:
    """The same words in both languages of the catalogue."""

    ru: str
    en: str


@dataclass(frozen=True)
class ReadySegment:
    """A segment that the provider has made ready.

    Attributes:
        key: names it within the listing.
        title: for people.
        condition: whom it holds.
    """

    key: str
    title: Words
    condition: Condition


@dataclass(frozen=True)
class QuestionTemplate:
    """A question that the provider suggests; dataset and base are the asker's to fill in."""

    key: str
    title: Words
    question: Question


@dataclass(frozen=True)
class OfferTerms:
    """On which terms the listing is offered; every request stays within them.

    Attributes:
        purposes: that may be asked for.
        kinds: of analysis.
        sizes: of grants: S, M, L.
        days: the longest term.
        sectors: of buyers; empty for every sector.
        resale: whether figures may be passed on to an agency that acts for the advertiser.
        questions: the most fresh questions of one entitlement; None for as many as its budget pays for.
        segments_only: only the ready-made segments are offered, not the dataset.
        verified_only: only verified organisations may ask for it.
        match_test_at_once: a request for match tests of size S is approved by these very terms.
    """

    purposes: frozenset[str]
    kinds: frozenset[str]
    sizes: frozenset[str]
    days: int
    sectors: frozenset[str] = frozenset()
    resale: bool = True
    questions: int | None = None
    segments_only: bool = False
    verified_only: bool = False
    match_test_at_once: bool = False


@dataclass(frozen=True)
class ListingContent:
    """One wording of a listing.

    Attributes:
        title: for people, 1 to 200 characters in each language.
        text: for people, at most 5,000 characters in each language.
        attributes: offered, by name.
        segments: ready-made.
        templates: suggested questions.
        terms: of every entitlement.
        plans: tariffs, at least one.
    """

    title: Words
    text: Words
    attributes: frozenset[str]
    segments: tuple[ReadySegment, ...]
    templates: tuple[QuestionTemplate, ...]
    terms: OfferTerms
    plans: tuple[PricePlan, ...]

    def plan(self, key: str, *parties: str | None) -> PricePlan | None:
        """Return a plan that is offered to one of these parties, or None."""
        return next((plan for plan in self.plans if plan.key == key and plan.open_to(*parties)), None)


def content_to_data(content: ListingContent) -> dict[str, Any]:
    """Write a content as plain data, fit for canonical JSON."""
    terms = content.terms
    return {
        "title": _words_to_data(content.title),
        "text": _words_to_data(content.text),
        "attributes": sorted(content.attributes),
        "segments": [
            {
                "key": segment.key,
                "title": _words_to_data(segment.title),
                "condition": condition_to_data(segment.condition),
            }
            for segment in content.segments
        ],
        "templates": [
            {
                "key": template.key,
                "title": _words_to_data(template.title),
                "question": {
                    name: value
                    for name, value in question_to_dict(template.question).items()
                    if name not in ("dataset_id", "base_id")
                },
            }
            for template in content.templates
        ],
        "terms": {
            "purposes": sorted(terms.purposes),
            "kinds": sorted(terms.kinds),
            "sizes": sorted(terms.sizes),
            "days": terms.days,
            "sectors": sorted(terms.sectors),
            "resale": terms.resale,
            "questions": terms.questions,
            "segments_only": terms.segments_only,
            "verified_only": terms.verified_only,
            "match_test_at_once": terms.match_test_at_once,
        },
        "plans": [plan_to_data(plan) for plan in content.plans],
    }


def content_from_data(data: object) -> ListingContent:
    """Read a content from plain data.

    Raises:
        ListingFormError: something is missing, unknown or outside its range; the message names it.
        PlanFormError: a plan is none.
    """
    fields = _mapping(
        data,
        "A listing",
        needs=("title", "text", "terms", "plans"),
        may=("attributes", "segments", "templates"),
    )
    content = ListingContent(
        title=_words(fields["title"], "title", least=1, most=MAX_TITLE_CHARACTERS),
        text=_words(fields["text"], "text", least=0, most=_TEXT),
        attributes=_names(fields.get("attributes", []), "attributes"),
        segments=_items(fields.get("segments", []), "segments", _segment),
        templates=_items(fields.get("templates", []), "templates", _template),
        terms=_terms(fields["terms"]),
        plans=_items(fields["plans"], "plans", plan_from_data),
    )
    for name, keys in (
        ("segments", [segment.key for segment in content.segments]),
        ("templates", [template.key for template in content.templates]),
        ("plans", [plan.key for plan in content.plans]),
    ):
        if len(set(keys)) < len(keys):
            raise ListingFormError(f"Two of the {name} have the same key.", remedy="Rename one of them.")
    if not content.plans:
        raise ListingFormError("A listing has at least one plan.", remedy="One that is free is a plan too.")
    if content.terms.segments_only and not content.segments:
        raise ListingFormError(
            "A listing of ready-made segments has none.", remedy="Add segments, or offer the dataset."
        )
    return content


def _terms(data: object) -> OfferTerms:
    fields = _mapping(
        data,
        "`terms`",
        needs=("purposes", "kinds", "sizes", "days"),
        may=(
            "sectors",
            "resale",
            "questions",
            "segments_only",
            "verified_only",
            "match_test_at_once",
        ),
    )
    switches = {
        name: fields.get(name, name == "resale")
        for name in ("resale", "segments_only", "verified_only", "match_test_at_once")
    }
    for name, value in switches.items():
        if type(value) is not bool:
            raise ListingFormError(f"`{name}` of the terms is true or false.")
    questions = fields.get("questions")
    if questions is not None:
        questions = _whole(questions, "questions", 1_000_000)
    return OfferTerms(
        purposes=_some(fields["purposes"], "purposes"),
        kinds=_some(fields["kinds"], "kinds", KINDS),
        sizes=_some(fields["sizes"], "sizes", SIZES),
        days=_whole(fields["days"], "days", MOST_DAYS),
        sectors=_names(fields.get("sectors", []), "sectors", SECTORS),
        questions=questions,
        **switches,
    )


def _segment(data: object) -> ReadySegment:
    fields = _mapping(data, "A segment", needs=("key", "title", "condition"))
    try:
        condition = parse_condition(fields["condition"])
    except PolicyError as error:
        raise ListingFormError(
            f"A segment's condition cannot be read: {error.message}", remedy=error.remedy
        ) from None
    return ReadySegment(
        _key(fields["key"]), _words(fields["title"], "title", least=1, most=MAX_TITLE_CHARACTERS), condition
    )


def _template(data: object) -> QuestionTemplate:
    fields = _mapping(data, "A template", needs=("key", "title", "question"))
    question = _mapping(fields["question"], "A template's question", needs=("purpose",), rest=True)
    if {"dataset_id", "base_id"} & set(question):
        raise ListingFormError("A template names no dataset and no base.", remedy="Leave them out.")
    try:
        parsed = question_from_dict(dict(question), dataset_id=_BLANK, base_id=_BLANK)
    except PolicyError as error:
        raise ListingFormError(
            f"A template's question cannot be read: {error.message}", remedy=error.remedy
        ) from None
    return QuestionTemplate(
        _key(fields["key"]), _words(fields["title"], "title", least=1, most=MAX_TITLE_CHARACTERS), parsed
    )


def _mapping(
    data: object, what: str, *, needs: Sequence[str], may: Sequence[str] = (), rest: bool = False
) -> Mapping[str, Any]:
    if not isinstance(data, Mapping) or any(not isinstance(name, str) for name in data):
        raise ListingFormError(f"{what} is a mapping.")
    lacking = [name for name in needs if name not in data]
    unknown = [] if rest else sorted(name for name in data if name not in (*needs, *may))
    if lacking or unknown:
        wrong = f"lacks `{lacking[0]}`" if lacking else f"has the unknown key {unknown[0][:80]!r}"
        raise ListingFormError(f"{what} {wrong}.", remedy=f"Use: {', '.join((*needs, *may))}.")
    return data


def _words(data: object, name: str, *, least: int, most: int) -> Words:
    fields = _mapping(data, f"`{name}`", needs=("ru", "en"))
    texts = [text.strip() if isinstance(text, str) else None for text in (fields["ru"], fields["en"])]
    for text in texts:
        if text is None or not least <= len(text) <= most:
            raise ListingFormError(
                f"`{name}` has {least} to {most} characters in each language, `ru` and `en`."
            )
    return Words(*(nfc(str(text)) for text in texts))


def _words_to_data(words: Words) -> dict[str, str]:
    return {"ru": words.ru, "en": words.en}


def _names(data: object, name: str, known: Sequence[str] = ()) -> frozenset[str]:
    if not isinstance(data, list) or not all(isinstance(item, str) and item for item in data):
        raise ListingFormError(f"`{name}` is a list of names.")
    most = _MOST.get(name, 100)
    if len(data) > most or any(len(item) > 200 for item in data):
        raise ListingFormError(f"`{name}` lists at most {most} names of at most 200 characters.")
    names = frozenset(nfc(item) for item in data)
    unknown = sorted(names - set(known)) if known else []
    if unknown:
        raise ListingFormError(
            f"Unknown name {unknown[0][:80]!r} in `{name}`.", remedy=f"Use: {', '.join(known)}."
        )
    return names


def _some(data: object, name: str, known: Sequence[str] = ()) -> frozenset[str]:
    names = _names(data, name, known)
    if not names:
        raise ListingFormError(f"`{name}` of the terms is empty.", remedy="Name at least one.")
    return names


def _items(data: object, name: str, read: Callable[[object], _T]) -> tuple[_T, ...]:
    if not isinstance(data, list) or len(data) > _MOST[name]:
        raise ListingFormError(f"`{name}` is a list of at most {_MOST[name]}.")
    return tuple(read(item) for item in data)


def _whole(value: object, name: str, most: int) -> int:
    if type(value) is not int or not 1 <= value <= most:
        raise ListingFormError(f"`{name}` of the terms is a whole number from 1 to {most}.")
    return value


def _key(value: object) -> str:
    if not isinstance(value, str) or not KEY.fullmatch(value):
        raise ListingFormError("A key has 1 to 40 small letters, digits, dashes and underscores.")
    return value
