"""A room with a marketplace: a live listing, a buyer, and short ways through a purchase."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from cleanroom.analyses.types import Answer
from cleanroom.marketplace.content import ListingContent, content_from_data
from cleanroom.marketplace.months import Month
from cleanroom.marketplace.statements import Statement
from cleanroom.marketplace.types import Ask, Asked, Entitlement, Listing
from policies.decision import Deny, Gap
from tests.rooms import PURPOSE, Party, Stage

YOUNG = {"attribute": "age", "op": "<", "value": 30}
MONTHLY = {
    "key": "monthly",
    "currency": "RUB",
    "cpm_minor": 150_000,
    "question_minor": 5_000,
    "free_questions": 1,
    "questions_cap_minor": 8_000,
    "flat_minor": 1_000_000,
    "minimum_minor": 1_050_000,
    "vat_bp": 2_000,
}


def words(ru: str, en: str) -> dict[str, str]:
    return {"ru": ru, "en": en}


def offer(**changed: Any) -> dict[str, Any]:
    """A listing of the usual room's dataset, as plain data; `terms` are changed key by key."""
    terms = {
        "purposes": [PURPOSE],
        "kinds": ["match_test", "overlap", "profile"],
        "sizes": ["S", "M", "L"],
        "days": 365,
        "match_test_at_once": True,
    }
    return {
        "title": words("Покупатели Ёлки", "Shoppers"),
        "text": words("Люди с согласием", "People with consent"),
        "attributes": ["sex", "age"],
        "segments": [{"key": "young", "title": words("Молодые", "Young"), "condition": YOUNG}],
        "templates": [
            {
                "key": "who",
                "title": words("Кто они", "Who they are"),
                "question": {"purpose": PURPOSE, "kind": "profile", "breakdowns": [["sex"]]},
            }
        ],
        "plans": [MONTHLY],
        **changed,
        "terms": terms | changed.get("terms", {}),
    }


def content(**changed: Any) -> ListingContent:
    return content_from_data(offer(**changed))


@dataclass
class Market:
    """Short names for what tests of the marketplace do most."""

    stage: Stage
    listing: Listing = field(init=False)

    def __post_init__(self) -> None:
        self.listing = self.live()

    @property
    def room(self) -> Any:
        return self.stage.room

    @property
    def services(self) -> Any:
        return self.stage.room.marketplace

    @property
    def provider(self) -> str:
        return self.stage.provider.organisation_id

    @property
    def advertiser(self) -> str:
        return self.stage.advertiser.organisation_id

    def live(self, **changed: Any) -> Listing:
        """Write a listing and take it through review; later ones come later in the catalogue."""
        self.stage.clock.move(milliseconds=1)
        with self.room.db.transaction() as tx:
            made = self.services.listings.create(
                tx,
                organisation_id=self.provider,
                dataset_id=self.stage.dataset_id,
                content=content(**changed),
                by="anna",
            )
            for to, by in (("review", "anna"), ("live", "boris")):
                made = self.services.listings.move(tx, made.id, to, organisation_id=self.provider, by=by)
        return made

    def ask(
        self,
        *,
        listing: Listing | None = None,
        advertiser: str | None = None,
        agency: str | None = None,
        **changed: Any,
    ) -> Asked:
        wanted = {
            "plan_key": "monthly",
            "purposes": frozenset({PURPOSE}),
            "kinds": frozenset({"match_test", "overlap", "profile"}),
            "size": "L",
            "days": 90,
        }
        with self.room.db.transaction() as tx:
            return self.services.requests.ask(
                tx,
                (listing or self.listing).id,
                Ask(**wanted | changed),
                advertiser_id=advertiser or self.advertiser,
                agency_id=agency,
                by="client",
            )

    def approve(self, asked: Asked) -> Entitlement | Deny | Gap:
        with self.room.db.transaction() as tx:
            return self.services.requests.approve(
                tx, asked.request.id, organisation_id=self.provider, by="vera"
            )

    def bought(self, **changed: Any) -> Entitlement:
        made = self.approve(self.ask(**changed))
        assert isinstance(made, Entitlement), made
        return made

    def question(self, entitlement: Entitlement, *, asker: Party | None = None, **changed: Any) -> Answer:
        party = asker or self.stage.advertiser
        return self.room.analyses.ask(
            self.stage.question(**changed),
            grant_id=entitlement.grant_id,
            asker_id=party.organisation_id,
        )

    def mint(self) -> None:
        with self.room.db.transaction() as tx:
            self.services.usage.mint_all(tx)

    def statement(self, organisation_id: str, month: str = "2026-11") -> Statement:
        with self.room.db.reading() as tx:
            return self.services.statements.statement_lines(tx, organisation_id, Month.parse(month))

    def next_month(self) -> None:
        self.stage.clock.instant = Month.of(self.stage.clock.instant, self.services.usage.zone).ends_at(
            self.services.usage.zone
        ) + timedelta(hours=1)
