"""What a listing says, as requests and answers write it."""

from typing import Annotated, Any

from pydantic import ConfigDict, Field, JsonValue

from advertiser_api.parties import PartyOut, party_out
from advertiser_api.schemas import Given, Id, Instant, Shown
from advertiser_api.v1.plans import Plan, plan_data, plan_out
from cleanroom.db.database import Transaction
from cleanroom.marketplace.content import ListingContent, content_from_data, content_to_data
from cleanroom.marketplace.types import Listing, ListingState
from cleanroom.room import Room

Name = Annotated[str, Field(min_length=1, max_length=200)]
Key = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")]
_CONTENT: JsonValue = {
    "title": {"ru": "Покупатели детских товаров", "en": "Buyers of goods for children"},
    "text": {"ru": "Чеки за два года.", "en": "Receipts of two years."},
    "attributes": ["sex", "age"],
    "segments": [
        {
            "key": "young",
            "title": {"ru": "Молодые", "en": "Young"},
            "condition": {"attribute": "age", "op": "<", "value": 30},
        }
    ],
    "templates": [
        {
            "key": "who",
            "title": {"ru": "Кто они", "en": "Who they are"},
            "question": {"purpose": "advertising", "kind": "profile", "breakdowns": [["sex"]]},
        }
    ],
    "terms": {
        "purposes": ["advertising"],
        "kinds": ["match_test", "overlap", "profile"],
        "sizes": ["S", "M"],
        "days": 365,
        "match_test_at_once": True,
    },
    "plans": [{"key": "trial", "currency": "RUB", "vat_bp": 0, "parts": []}],
}


class Bilingual(Given):
    """The same words in both languages."""

    ru: Annotated[str, Field(max_length=5_000)]
    en: Annotated[str, Field(max_length=5_000)]


class Segment(Given):
    """A segment that the provider has made ready."""

    key: Key
    title: Bilingual
    condition: Annotated[dict[str, Any], Field(description="as in a question's segments")]


class Template(Given):
    """A question that the provider suggests."""

    key: Key
    title: Bilingual
    question: Annotated[dict[str, Any], Field(description="a question without dataset and base")]


class Terms(Given):
    """On which terms it is offered; every request stays within them."""

    purposes: Annotated[list[Name], Field(min_length=1, max_length=50)]
    kinds: Annotated[list[Name], Field(min_length=1, max_length=100)]
    sizes: Annotated[list[Name], Field(min_length=1, max_length=3, examples=[["S", "M"]])]
    days: Annotated[int, Field(ge=1, description="the longest term")]
    sectors: Annotated[
        list[Name], Field(max_length=100, description="of buyers; empty for all", default_factory=list)
    ]
    resale: Annotated[bool, Field(description="whether an agency may ask for the advertiser")] = True
    questions: Annotated[int | None, Field(ge=1, description="at most so many; null for no limit")] = None
    segments_only: bool = False
    verified_only: bool = False
    match_test_at_once: Annotated[
        bool, Field(description="match tests of size S are approved by these terms")
    ] = False


class Content(Given):
    """One wording of a listing."""

    model_config = ConfigDict(json_schema_extra={"examples": [_CONTENT]})

    title: Bilingual
    text: Bilingual
    attributes: Annotated[list[Name], Field(max_length=1_000, default_factory=list)]
    segments: Annotated[list[Segment], Field(max_length=200, default_factory=list)]
    templates: Annotated[list[Template], Field(max_length=50, default_factory=list)]
    terms: Terms
    # At least one when it is written; a preview may have none.
    plans: Annotated[list[Plan], Field(max_length=20)]


class SizeOut(Shown):
    """How many people may be counted, as released to everyone."""

    value: Annotated[int | None, Field(description="with noise; null when withheld")]
    interval95: tuple[int, int] | None
    sigma: float


class VersionOut(Shown):
    """Which wording it is."""

    id: Id
    number: int
    state: ListingState
    policy_id: Annotated[Id, Field(description="the analysis rule that it was written for")]
    policy_sha256: str
    grade: Annotated[str | None, Field(description="of the red team's report on that rule")]
    written_by: Annotated[str | None, Field(description="for its owner alone")]
    reviewed_by: Annotated[str | None, Field(description="for its owner alone")]
    created_at: Instant


class ListingOut(Shown):
    """An offer; a buyer sees the live wording and the plans offered to it, its owner the newest and all plans."""

    id: Id
    provider: PartyOut
    dataset_id: Id
    state: ListingState
    live_number: Annotated[int | None, Field(description="of the wording that buyers see")]
    version: VersionOut
    content: Content
    sizes: Annotated[dict[str, SizeOut], Field(description="by purpose")]
    created_at: Instant


def content_of(content: Content) -> ListingContent:
    """Return a wording as the domain has it; raises ListingFormError or PlanFormError."""
    data = content.model_dump(mode="json", exclude={"plans"})
    return content_from_data(data | {"plans": [plan_data(plan) for plan in content.plans]})


def listing_out(room: Room, tx: Transaction, listing: Listing, *, own: bool) -> ListingOut:
    """Return a listing as answers write it; who wrote and reviewed it is for its owner and the operator."""
    version = listing.version
    data = content_to_data(version.content)
    plans = [plan_out(plan) for plan in version.content.plans]
    return ListingOut(
        id=listing.id,
        provider=party_out(room, tx, listing.provider_id),
        dataset_id=listing.dataset_id,
        state=listing.state,
        live_number=listing.live_number,
        version=VersionOut(
            id=version.id,
            number=version.number,
            state=version.state,
            policy_id=version.policy_id,
            policy_sha256=version.policy_sha256,
            grade=version.grade,
            written_by=version.written_by if own else None,
            reviewed_by=version.reviewed_by if own else None,
            created_at=version.created_at,
        ),
        content=Content.model_validate(data | {"plans": plans}),
        sizes={
            purpose: SizeOut(value=figure.value, interval95=figure.interval95, sigma=figure.sigma)
            for purpose, figure in listing.sizes.items()
        },
        created_at=listing.created_at,
    )
