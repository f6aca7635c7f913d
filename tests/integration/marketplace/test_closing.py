"""What nobody can sell, buy or read any more is not sold, and costs nothing from then on."""

from concurrent.futures import ThreadPoolExecutor, wait

import pytest

from cleanroom.accounts.errors import OrganisationOffboardedError
from cleanroom.datasets.errors import DatasetNotFoundError
from cleanroom.db.database import Transaction
from cleanroom.foureyes.deeds import SHRED
from cleanroom.foureyes.types import Ask as DeedAsk
from cleanroom.foureyes.types import AskState
from cleanroom.grants.types import GrantStatus
from cleanroom.marketplace.catalogue import Search
from cleanroom.marketplace.closing import ROOM
from cleanroom.marketplace.errors import RequestStateError, UnknownListingError
from cleanroom.marketplace.models import ListingRow, ListingVersionRow
from cleanroom.marketplace.types import Ask, EntitlementState, ListingState, RequestState
from cleanroom.workspaces.errors import WorkspaceDestroyedError
from policies.codec import load_preset
from tests.market import Market, content
from tests.rooms import PURPOSE

FLAT = {"key": "monthly", "currency": "RUB", "flat_minor": 3_000_000, "vat_bp": 0}
MATCH_TEST = {"size": "S", "kinds": frozenset({"match_test"})}

# PostgreSQL with the long runs, but for what happens at one moment.
slow_on_postgresql = pytest.mark.slow_on("postgresql")


class Case:
    """A purchase through an agency and one without, a request of each kind, and listings in every state."""

    def __init__(self, market: Market) -> None:
        self.market = market
        self.agency = market.stage.party("agency", "agency").organisation_id
        with market.room.db.transaction() as tx:
            market.room.accounts.grant_mandate(tx, agency_id=self.agency, advertiser_id=market.advertiser)
        listing = market.live(plans=[FLAT])
        self.direct = market.bought(listing=listing, size="S")
        self.through = market.bought(listing=listing, size="S", agency=self.agency)
        self.asked = market.ask(listing=listing, size="S")
        self.asked_through = market.ask(listing=listing, size="S", agency=self.agency)
        paused = market.live(plans=[FLAT])
        with market.room.db.transaction() as tx:
            market.services.listings.move(tx, paused.id, "paused", organisation_id=market.provider, by="anna")

    def end(self, how: str, tx: Transaction) -> None:
        market, stage = self.market, self.market.stage
        if how == "deleted":
            market.room.removing.delete(tx, stage.dataset_id, organisation_id=market.provider)
        elif how == "shredded":
            deed, about = market.room.four_eyes.deeds[SHRED], stage.provider.workspace_id
            deed.execute(tx, shred_ask(market, about))
        else:
            who = {"provider": market.provider, "advertiser": market.advertiser, "agency": self.agency}
            market.room.offboarding.leave(tx, who[how])

    def entitlement(self, one):
        with self.market.room.db.reading() as tx:
            return self.market.services.entitlements.entitlement(
                tx, one.id, organisation_id=self.market.provider
            )

    def request(self, one):
        with self.market.room.db.reading() as tx:
            return self.market.services.requests.request(
                tx, one.request.id, organisation_id=self.market.provider
            )

    def grant(self, one):
        with self.market.room.db.reading() as tx:
            return self.market.room.grants.status(tx, one.grant_id)

    def states(self) -> set[str]:
        with self.market.room.db.reading() as tx:
            return {row.state for row in tx.session.query(ListingRow)}

    def flat(self, month: str) -> list[int]:
        return [line.amount.minor for line in self.market.statement(self.market.provider, month).lines]


def shred_ask(market: Market, about: str) -> DeedAsk:
    now = market.stage.clock.now()
    return DeedAsk(
        id="fe_1",
        deed=SHRED,
        organisation_id=market.provider,
        subject_id=about,
        details={},
        reason="the pilot is over",
        state=AskState.WAITING,
        asked_by="us_1",
        asked_at=now,
        lapses_at=now,
        ended_by=None,
        ended_at=None,
        end_reason="",
    )


def look(market: Market, listing_id: str) -> None:
    with market.room.db.reading() as tx:
        market.services.catalogue.listing(tx, listing_id, buyers=[market.advertiser])


@slow_on_postgresql
@pytest.mark.parametrize("how", ["provider", "deleted", "shredded"])
def test_data_that_is_gone_is_neither_offered_nor_charged(market, how):
    case = Case(market)
    market.stage.clock.move(days=1)
    with market.room.db.transaction() as tx:
        case.end(how, tx)

    for one in (case.direct, case.through):
        ended = case.entitlement(one)
        assert ended.state is EntitlementState.REVOKED
        assert ended.ended_at < market.stage.clock.now()
        assert ended.end_reason
        assert case.grant(one).status is GrantStatus.REVOKED
    for asked in (case.asked, case.asked_through):
        decided = case.request(asked)
        assert (decided.state, decided.decided_by) == (RequestState.REJECTED, ROOM)
        assert decided.reason
        with pytest.raises(RequestStateError):
            market.approve(asked)
    assert case.states() == {ListingState.RETIRED}
    with market.room.db.reading() as tx:
        assert market.services.catalogue.search(tx, Search(), buyers=[market.advertiser]) == ()
    with pytest.raises(UnknownListingError):
        market.ask(**MATCH_TEST)
    assert len(market.stage.events("marketplace.entitlement_revoked")) == 2
    assert len(market.stage.events("marketplace.request_rejected")) == 2
    retired = market.stage.events("marketplace.listing_moved")
    assert sum(event["body"]["to"] == "retired" for event in retired) == 3
    # Two of thirty days, as after a revocation.
    assert case.flat("2026-11") == [200_000, 200_000]
    market.next_month()
    market.next_month()
    assert case.flat("2026-12") == []


@pytest.mark.parametrize(
    ("how", "refused"), [("deleted", DatasetNotFoundError), ("shredded", WorkspaceDestroyedError)]
)
def test_data_that_is_gone_is_not_offered_anew(sqlite_market, how, refused):
    market = sqlite_market
    case = Case(market)
    with market.room.db.transaction() as tx:
        draft = market.services.listings.create(
            tx,
            organisation_id=market.provider,
            dataset_id=market.stage.dataset_id,
            content=content(),
            by="anna",
        )
        case.end(how, tx)
        # As one that was written at that moment.
        row = tx.session.get_one(ListingRow, draft.id)
        row.state = "review"
        tx.session.get_one(ListingVersionRow, row.newest_version_id).state = "review"
    with pytest.raises(refused), market.room.db.transaction() as tx:
        market.services.listings.move(tx, draft.id, "live", organisation_id=market.provider, by="boris")
    with pytest.raises(refused):
        market.live(plans=[FLAT])
    with pytest.raises(refused):
        market.stage.try_grant("S", documents=[load_preset("standard", purposes=[PURPOSE])])


def test_nothing_is_given_at_the_moment_in_which_the_provider_leaves(market):
    with ThreadPoolExecutor(1) as pool:
        with market.room.db.transaction() as tx:
            market.room.offboarding.leave(tx, market.provider)
            asking = pool.submit(market.ask, **MATCH_TEST)
            # On PostgreSQL it has seen the listing live by then.
            wait([asking], timeout=1)
        with pytest.raises((OrganisationOffboardedError, UnknownListingError)):
            asking.result()
    assert market.stage.events("grants.grant_issued") == []


def test_what_is_given_at_the_moment_in_which_the_provider_leaves_ends_with_it(market):
    ask = Ask("monthly", frozenset({PURPOSE}), days=90, **MATCH_TEST)

    def leave():
        with market.room.db.transaction() as tx:
            return market.room.offboarding.leave(tx, market.provider)

    with ThreadPoolExecutor(1) as pool:
        with market.room.db.transaction() as tx:
            asked = market.services.requests.ask(
                tx, market.listing.id, ask, advertiser_id=market.advertiser, by="client"
            )
            leaving = pool.submit(leave)
            wait([leaving], timeout=1)
        left = leaving.result()
    assert left.entitlements == (asked.entitlement.id,)
    assert left.grants == (asked.entitlement.grant_id,)


@pytest.mark.parametrize("how", ["advertiser", "deleted"])
def test_whoever_approves_at_the_moment_in_which_it_ends_is_told_so(market, how):
    case = Case(market)
    with ThreadPoolExecutor(1) as pool:
        with market.room.db.transaction() as tx:
            # What each of them holds first.
            if how == "deleted":
                market.room.datasets.lock(tx, market.stage.dataset_id)
            else:
                market.room.accounts.lock(tx, market.advertiser)
            approving = pool.submit(market.approve, case.asked_through)
            wait([approving], timeout=1)
            case.end(how, tx)
        with pytest.raises(RequestStateError):
            approving.result()


def test_a_request_made_at_the_moment_in_which_the_provider_leaves_does_not_wait_for_ever(market):
    def leave():
        with market.room.db.transaction() as tx:
            return market.room.offboarding.leave(tx, market.provider)

    ask = Ask("monthly", frozenset({PURPOSE}), frozenset({"overlap"}), "S", 90)
    with ThreadPoolExecutor(1) as pool:
        with market.room.db.transaction() as tx:
            asked = market.services.requests.ask(
                tx, market.listing.id, ask, advertiser_id=market.advertiser, by="client"
            )
            leaving = pool.submit(leave)
            wait([leaving], timeout=1)
        assert leaving.result().requests == (asked.request.id,)


@pytest.mark.parametrize("who", ["advertiser", "agency"])
def test_what_a_buyer_asks_for_at_the_moment_in_which_it_leaves_ends_with_it(market, who):
    case = Case(market)
    agency = case.agency if who == "agency" else None
    wanted = MATCH_TEST if agency is None else {"size": "S", "kinds": frozenset({"overlap"})}
    ask = Ask("monthly", frozenset({PURPOSE}), days=90, **wanted)

    def leave():
        with market.room.db.transaction() as tx:
            case.end(who, tx)

    with ThreadPoolExecutor(1) as pool:
        with market.room.db.transaction() as tx:
            asked = market.services.requests.ask(
                tx,
                market.listing.id,
                ask,
                advertiser_id=market.advertiser,
                agency_id=agency,
                by="client",
            )
            leaving = pool.submit(leave)
            wait([leaving], timeout=1)
        leaving.result()
    if agency is None:
        assert case.entitlement(asked.entitlement).state is EntitlementState.REVOKED
    else:
        assert case.request(asked).state is RequestState.WITHDRAWN


@pytest.mark.parametrize("who", ["advertiser", "agency"])
def test_a_buyer_that_leaves_at_this_moment_asks_for_nothing_more(market, who):
    case = Case(market)
    agency = case.agency if who == "agency" else None
    with ThreadPoolExecutor(1) as pool:
        with market.room.db.transaction() as tx:
            case.end(who, tx)
            asking = pool.submit(market.ask, size="S", agency=agency)
            wait([asking], timeout=1)
        with pytest.raises(OrganisationOffboardedError):
            asking.result()


@slow_on_postgresql
@pytest.mark.parametrize("who", ["advertiser", "agency"])
def test_a_buyer_that_left_is_charged_no_more(market, who):
    case = Case(market)
    market.stage.clock.move(days=1)
    with market.room.db.transaction() as tx:
        case.end(who, tx)

    both = who == "advertiser"
    assert case.entitlement(case.through).state is EntitlementState.REVOKED
    assert (case.entitlement(case.direct).state is EntitlementState.REVOKED) is both
    assert case.request(case.asked_through).state is RequestState.WITHDRAWN
    assert (case.request(case.asked).state is RequestState.WITHDRAWN) is both
    assert case.states() == {ListingState.LIVE, ListingState.PAUSED}
    market.next_month()
    market.next_month()
    assert case.flat("2026-12") == ([] if both else [3_000_000])


def test_whoever_leaves_is_named_what_ended_and_again_nothing(sqlite_market):
    case = Case(sqlite_market)
    with sqlite_market.room.db.transaction() as tx:
        left = sqlite_market.room.offboarding.leave(tx, sqlite_market.provider)
        again = sqlite_market.room.offboarding.leave(tx, sqlite_market.provider)
    assert set(left.entitlements) == {case.direct.id, case.through.id}
    assert set(left.grants) == {case.direct.grant_id, case.through.grant_id}
    assert set(left.requests) == {case.asked.request.id, case.asked_through.request.id}
    assert len(left.listings) == 3
    assert (again.entitlements, again.grants, again.requests, again.listings) == ((), (), (), ())


def test_a_listing_of_whoever_left_is_not_shown_whatever_its_state(sqlite_market):
    look(sqlite_market, sqlite_market.listing.id)
    # As a room of an earlier version left it: gone, and still on offer.
    with sqlite_market.room.db.transaction() as tx:
        sqlite_market.room.access.offboard(tx, sqlite_market.provider)
    with sqlite_market.room.db.reading() as tx:
        assert sqlite_market.services.catalogue.search(tx, Search(), buyers=[sqlite_market.advertiser]) == ()
    with pytest.raises(UnknownListingError):
        look(sqlite_market, sqlite_market.listing.id)
    with pytest.raises(UnknownListingError):
        sqlite_market.ask(**MATCH_TEST)


def test_no_grant_is_given_on_data_of_whoever_left(sqlite_market):
    asked = sqlite_market.ask(size="S")
    with sqlite_market.room.db.transaction() as tx:
        sqlite_market.room.access.offboard(tx, sqlite_market.provider)
    with pytest.raises(OrganisationOffboardedError):
        sqlite_market.stage.try_grant("S", documents=[load_preset("standard", purposes=[PURPOSE])])
    with pytest.raises(OrganisationOffboardedError):
        sqlite_market.approve(asked)
    assert sqlite_market.stage.events("grants.grant_issued") == []
