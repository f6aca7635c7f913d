"""Two approvers, two minters, two questions with one left: on either database there is one of each."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import func, select

from cleanroom.analyses.types import Outcome
from cleanroom.bootstrap import open_room
from cleanroom.marketplace.models import EntitlementRow, UsageRow
from cleanroom.marketplace.types import Entitlement
from tests.market import YOUNG


def count(market, model):
    with market.room.db.reading() as tx:
        return tx.session.scalar(select(func.count()).select_from(model))


def test_two_approvers_at_once_make_one_entitlement(market):
    asked = market.ask(size="M")
    with ThreadPoolExecutor(2) as pool:
        made = list(pool.map(lambda _: market.approve(asked), range(2)))

    assert all(isinstance(one, Entitlement) for one in made)
    assert len({one.id for one in made}) == 1
    assert count(market, EntitlementRow) == 1
    assert len(market.stage.events("grants.grant_issued")) == 1


def test_two_rooms_that_mint_at_once_charge_each_answer_once(market):
    made = market.bought()
    for kind in ("match_test", "overlap"):
        market.question(made, kind=kind, precision="rough")
    market.question(made, precision="rough", segments={"young": YOUNG})
    # A second process has a room of its own over the same database.
    other = open_room(market.room.settings, clock=market.stage.clock)

    def mint(room):
        for _ in range(4):
            with room.db.transaction() as tx:
                room.marketplace.usage.mint(tx, limit=1)

    try:
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(mint, (market.room, other)))
    finally:
        other.close()

    assert count(market, UsageRow) == 3
    with market.room.db.reading() as tx:
        assert not market.services.usage.behind(tx)
    assert sum(event["body"]["records"] for event in market.stage.events("marketplace.usage_minted")) == 3


def test_a_crash_while_minting_loses_and_doubles_nothing(sqlite_market):
    market = sqlite_market
    made = market.bought()
    market.question(made, precision="rough")

    def killed():
        with market.room.db.transaction() as tx:
            market.services.usage.mint_all(tx)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        killed()
    assert count(market, UsageRow) == 0

    market.mint()
    market.mint()

    assert count(market, UsageRow) == 1


def test_two_questions_at_once_share_a_quota_of_one(market):
    made = market.bought(questions=1)
    with ThreadPoolExecutor(2) as pool:
        answers = list(
            pool.map(
                lambda segments: market.question(made, precision="rough", segments=segments),
                ({}, {"young": YOUNG}),
            )
        )
    assert sorted(answer.outcome for answer in answers) == [Outcome.REFUSED, Outcome.RELEASED]
