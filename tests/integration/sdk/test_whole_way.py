"""Provider, operator, advertiser and agency with nothing but the SDK, on either database."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import polars as pl
import pytest

from cleanroom import AsyncClient, Client
from cleanroom.client.receipts import ReceiptError
from cleanroom.client.remote.market import EntitlementMissing
from cleanroom.client.remote.problems import (
    ApprovalPending,
    AudienceTooSmall,
    Conflict,
    InvalidRequest,
    NotAuthenticated,
    NotFound,
    Refused,
    UnprovenEvent,
)
from cleanroom.money import Money
from policies.codec import load_preset, policy_to_data
from tests.api.sdk import Desk
from tests.rooms import KNOWN, STRANGERS, email, phone

# PostgreSQL with the long runs.
pytestmark = pytest.mark.slow_on("postgresql")

SCHEMA: dict[str, Any] = {
    "person_id": {"column": "id"},
    "match_keys": {"email": {"column": "email"}, "phone": {"column": "phone"}},
    "attributes": {
        "sex": {"type": "category", "values": ["F", "M"]},
        "spend": {"type": "decimal", "scale": 2, "clamp": [0, 100]},
    },
    "lawful_basis": "consent",
    "consent": {"advertising": {"column": "ads", "granted": ["yes"]}},
}
CONTENT: dict[str, Any] = {
    "title": {"ru": "Покупатели", "en": "Purchases"},
    "text": {"ru": "", "en": ""},
    "attributes": ["sex", "spend"],
    "terms": {
        "purposes": ["advertising"],
        "kinds": ["overlap", "profile", "statistics"],
        "sizes": ["L"],
        "days": 30,
    },
    "plans": [{"key": "free", "currency": "RUB", "parts": []}],
}
MEN, SPENT = KNOWN // 2, 50.0


def purchases() -> pl.DataFrame:
    """Twice as many people as the base knows; everyone spent the same, so that every mean is known."""
    numbers = range(2 * KNOWN)
    return pl.DataFrame(
        {
            "id": [str(one) for one in numbers],
            "email": [email(one) for one in numbers],
            "phone": [phone(one) for one in numbers],
            "sex": ["FM"[one % 2] for one in numbers],
            "spend": ["50.00"] * len(numbers),
            "ads": ["yes"] * len(numbers),
        }
    )


def customers() -> pl.DataFrame:
    numbers = [*range(KNOWN), *range(1_000_000, 1_000_000 + STRANGERS)]
    return pl.DataFrame({"E-mail": [email(one) for one in numbers], "phone": [phone(one) for one in numbers]})


class Arrow:
    """Something that speaks Arrow's PyCapsule interface, and nothing else."""

    def __init__(self, frame: pl.DataFrame) -> None:
        self._frame = frame

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self._frame.__arrow_c_stream__(requested_schema)


def as_(desk: Desk, party: str, role: str = "owner", **options: Any) -> Client:
    client_id, key = desk.credential(party, role)
    room = desk.world.stage.room
    return desk.client(
        url=room.settings.public_url,
        client_id=client_id,
        client_key=str(key),
        verifier_key=room.audit.verifier_key,
        **options,
    )


def test_from_a_file_to_a_revoked_entitlement(desk: Desk) -> None:
    provider, second, operator, stranger, buyer = (
        as_(desk, "provider"),
        as_(desk, "provider"),
        as_(desk, "operator", "operator"),
        as_(desk, "rival"),
        as_(desk, "advertiser"),
    )
    with provider, second, operator, stranger, buyer:
        made = provider.datasets.create(purchases(), schema=SCHEMA, name="purchases")
        assert (made.rows, made.rejected) == (2 * KNOWN, {})
        rule = policy_to_data(load_preset("standard", purposes=["advertising"]))
        provider.datasets.set_policy(made.id, rule)
        listing = provider.offer(made.id, CONTENT)["id"]
        assert [one["state"] for one in provider.listings(mine=True) if one["id"] == listing] == ["draft"]
        with pytest.raises(NotFound):
            buyer.listing(listing)
        provider.move(listing, "review")
        with pytest.raises(Conflict, match="second person"):
            provider.move(listing, "live")
        assert [one["id"] for one in operator.reviews()] == [listing]
        operator.review(listing, "draft")
        provider.move(listing, "review")
        assert second.move(listing, "live")["state"] == "live"

        asked = buyer.request("purchases", note="hello")
        with pytest.raises(ApprovalPending):
            buyer.overlap("Purchases", customers(), on="phone")
        given = provider.decide(asked["id"], "approve")
        assert given["state"] == "active"

        base = buyer.bases.create(Arrow(customers()), on={"email": "E-mail", "phone": "phone"}).id
        profiled = buyer.profile("Purchases", base=base, breakdowns=[["sex"]], affinity=True).run().wait()
        men = profiled.figure("breakdown:sex=M")
        assert men.low is not None
        assert men.high is not None
        # Twice the interval: wrong once in ten thousand runs.
        assert men.low - (men.high - men.low) <= MEN <= men.high + (men.high - men.low)
        assert profiled.verify().record["subject"] == profiled.analysis_id

        added = buyer.statistics("Purchases", base=base, sums=["spend"], precision="fine").run().wait()
        mean = added.figure("mean:spend").value
        assert mean is not None
        assert abs(mean - SPENT) < 10
        assert added.verify().index == added.receipt.index
        assert set(added.to_pandas()["name"]) == {one.name for one in added.figures}

        provider.move(listing, "paused")
        with pytest.raises(NotFound):
            stranger.listing(listing)
        provider.move(listing, "live")
        provider.revoke(given["id"], reason="the contract ended")
        with pytest.raises(EntitlementMissing):
            buyer.overlap("Purchases", base=base)
        assert [one["end_reason"] for one in buyer.entitlements() if one["id"] == given["id"]] == [
            "the contract ended"
        ]
        assert provider.move(listing, "retired")["state"] == "retired"
        events = provider.events.list(["marketplace.entitlement_ended", "marketplace.listing_moved"])
        assert len(events) >= 6
        assert provider.events.proof(events[-1]["index"])["kind"] == events[-1]["kind"]
        with pytest.raises(NotFound):
            buyer.events.proof(events[-1]["index"])


def ratio_of(answer: Any, name: str) -> Any:
    return next(one for one in answer["ratios"] if one["name"] == name)


def test_a_receipt_proves_exactly_what_is_shown(desk: Desk) -> None:
    desk.market.bought()
    with as_(desk, "advertiser") as room:
        asked = room.profile("Shoppers", customers(), on="phone", breakdowns=[["sex"]])
        result = asked.run().wait()
        stored = asked.run().wait()
        assert stored.analysis_id != result.analysis_id
        # What is answered from the store is proven by the receipt of what was counted.
        assert stored.verify().record == result.verify().record
        for change in (
            lambda answer: answer["figures"][0].update(value=answer["figures"][0]["value"] + 1),
            lambda answer: answer["figures"][0].update(interval95=[0, 10**6]),
            lambda answer: answer["figures"].pop(),
            lambda answer: answer["figures"].append({**answer["figures"][0], "name": "segment:more"}),
            lambda answer: ratio_of(answer, "share:breakdown:sex=F").update(value=0.9),
            lambda answer: answer.update(as_of="2020-01-01T00:00:00.000000Z"),
            lambda answer: answer.update(analysis_id="an_" + "0" * 32),
        ):
            shown = json.loads(json.dumps(result.answer))
            change(shown)
            with pytest.raises(ReceiptError):
                room._session.verify(
                    result.receipt, shown, analysis_id=result.analysis_id, asked=asked.question
                )
        kept = result.receipt.path
        kept.write_bytes(kept.read_bytes().replace(b'"overlap"', b'"overlop"', 1))
        with pytest.raises(ReceiptError, match="verify"):
            result.verify()


def test_an_answer_from_the_store_is_proven_under_other_names(desk: Desk) -> None:
    desk.market.bought()
    young, old = ({"attribute": "age", "op": op, "value": 30} for op in ("<", ">="))
    with as_(desk, "advertiser") as room:
        base = room.bases.create(customers(), on="phone").id
        room.overlap("Shoppers", base=base, segments={"a": young, "b": old}).run().wait()
        swapped = room.overlap("Shoppers", base=base, segments={"a": old, "b": young, "c": old}).run().wait()
        assert swapped.figure("segment:a") != swapped.figure("segment:b")
        swapped.verify()
        shown = json.loads(json.dumps(swapped.answer))
        shown["figures"][1]["value"] += 1
        with pytest.raises(ReceiptError, match="segment"):
            room._session.verify(swapped.receipt, shown, analysis_id=swapped.analysis_id, asked={})
        with pytest.raises(ReceiptError, match="not that of this result"):
            room._session.verify(
                swapped.receipt, swapped.answer, analysis_id=swapped.analysis_id, asked={"kind": "profile"}
            )


def test_the_same_people_uploaded_twice_get_one_answer_that_is_believed(desk: Desk) -> None:
    desk.market.bought()
    with as_(desk, "advertiser") as room:
        fresh = room.overlap("Shoppers", customers(), on="phone").run().wait()
        renamed = customers().rename({"phone": "mobile"})
        stored = room.overlap("Shoppers", renamed, on={"phone": "mobile"}).run().wait()
        assert (stored.answer["outcome"], stored.figure("overlap")) == ("stored", fresh.figure("overlap"))
        with pytest.raises(ReceiptError, match="not that of this result"):
            room._session.verify(
                fresh.receipt, fresh.answer, analysis_id=fresh.analysis_id, asked={"base_id": "ds_0"}
            )


def test_a_room_that_shows_other_figures_than_it_signed_is_not_believed(desk: Desk) -> None:
    desk.market.bought()
    with as_(desk, "advertiser") as room:
        analysis = room.overlap("Shoppers", customers(), on="phone").run().wait().analysis_id
        transport = room._run._transport
        assert transport is not None
        handle = transport.handle_request

        def lie(request: httpx.Request) -> httpx.Response:
            answer = handle(request)
            if not request.url.path.endswith("/result"):
                return answer
            plain = answer.json()
            plain["figures"][0]["value"] += 1
            return httpx.Response(200, json=plain)

        transport.handle_request = lie  # type: ignore[method-assign]
        with pytest.raises(ReceiptError, match="other figures"):
            room.result(analysis).wait()


def test_a_refusal_has_a_receipt_and_a_forged_event_none(desk: Desk) -> None:
    desk.market.bought()
    with as_(desk, "advertiser") as room:
        few = room.bases.create(customers().head(500), on="phone").id
        with pytest.raises(AudienceTooSmall) as told:
            room.overlap("Shoppers", base=few).run()
        assert told.value.analysis_id is not None
        receipt = room.receipt(told.value.analysis_id)
        assert receipt.record["body"]["outcome"] == "refused"
        index = room.events.list()[-1]["index"]
        other = desk.world.stage.room.audit.verifier_key.replace("/", "+") + "A"
        with pytest.raises(UnprovenEvent, match=str(index)):
            room._run(room._session.oversight.proven_event(index, verifier_key=other))


def test_an_agency_acts_with_a_secret_for_whom_it_names(desk: Desk) -> None:
    stage = desk.world.stage
    advertiser, agency = stage.advertiser.organisation_id, stage.parties["agency"].organisation_id
    with stage.room.db.transaction() as tx:
        made = stage.room.access.clients.register(tx, organisation_id=agency, name="agent", role="owner")
    assert made.secret is not None
    transport = desk.aclient_transport()

    def agent(advertiser_id: str | None, secret: str) -> AsyncClient:
        named = {} if advertiser_id is None else {"advertiser": advertiser_id}
        return AsyncClient(
            stage.room.settings.public_url,
            client_id=made.client.id,
            client_secret=secret,
            verifier_key=stage.room.audit.verifier_key,
            transport=transport,
            progress=False,
            **named,  # type: ignore[arg-type]
        )

    async def whole_way() -> None:
        with as_(desk, "advertiser") as owner, as_(desk, "provider") as provider:
            room = agent(advertiser, made.secret)
            with pytest.raises(NotFound):
                await room.bases.list()
            given = owner.mandates.grant(
                agency,
                until=datetime.now(UTC) + timedelta(days=1),
                purposes=["advertising"],
                cap=Money(100_000_00, "RUB"),
            )
            path = desk.folder / "customers.parquet"
            customers().write_parquet(path)
            base = await room.bases.create(path, on="phone")
            assert base.id in [one["id"] for one in await room.bases.list()]
            # What an agency loads is its advertiser's.
            assert base.id in [one["id"] for one in owner.bases.list()]
            asked = await room.request("Shoppers", size="S", kinds=["overlap", "match_test"])
            assert (asked["advertiser"]["id"], asked["agency"]["id"]) == (advertiser, agency)
            if asked["state"] == "pending":
                provider.decide(asked["id"], "approve")
            result = await (await (await room.overlap("Shoppers", base=base.id)).run()).wait()
            assert not result.figure("overlap").suppressed
            assert result.verify().record["body"]["agency_id"] == agency
            assert result.to_polars().height == len(result.figures)
            with pytest.raises(Refused):
                await (await room.overlap("Shoppers", base=base.id, purpose="research")).run()
            assert [one["id"] for one in await room.mandates.list()] == [given["id"]]
            assert await room.budgets()
            await room.close()

            others = {None: InvalidRequest, stage.provider.organisation_id: NotFound}
            for other, kind in others.items():
                async with agent(other, made.secret) as stranger:
                    with pytest.raises(kind):
                        await stranger.bases.create(path, on="phone")
            async with agent(advertiser, "wrong") as wrong:
                with pytest.raises(NotAuthenticated, match="does not accept"):
                    await wrong.me()
            owner.mandates.revoke(given["id"])
            async with agent(advertiser, made.secret) as ended:
                with pytest.raises(NotFound):
                    await ended.bases.list()

    asyncio.run(whole_way())
