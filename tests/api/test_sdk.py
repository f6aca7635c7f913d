"""The SDK against a whole room in this process: nothing between them but a socket is missing."""

import asyncio
import stat
from pathlib import Path
from typing import Any

import httpx
import openpyxl
import pandas as pd
import polars as pl
import pytest

from cleanroom import Client
from cleanroom.client.remote.drivers import SyncDriver
from cleanroom.client.remote.login import log_in
from cleanroom.client.remote.market import EntitlementMissing
from cleanroom.client.remote.problems import (
    ApprovalPending,
    ConfigurationError,
    NotAuthenticated,
    NotFound,
    PrivacyBudgetExceeded,
    Refused,
    Unreachable,
)
from cleanroom.client.remote.profiles import Profile, load_profile
from cleanroom.client.remote.session import Session
from tests.api.conftest import MakeWorld
from tests.api.sdk import Desk, Worked
from tests.rooms import KNOWN, STRANGERS, phone

TITLE = "Shoppers"


@pytest.fixture
def desk(make_world: MakeWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    for name in ("CLEANROOM_CONFIG_DIR", "CLEANROOM_STATE_DIR"):
        monkeypatch.setenv(name, "")
    for name in ("CLEANROOM_URL", "CLEANROOM_CLIENT_ID", "CLEANROOM_CLIENT_SECRET", "CLEANROOM_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    return Desk(make_world(release_tick_ms=0), tmp_path)


def customers() -> pd.DataFrame:
    numbers = [*range(KNOWN), *range(1_000_000, 1_000_000 + STRANGERS)]
    return pd.DataFrame({"phone": [phone(number) for number in numbers], "secret": "never read"})


def test_the_hello_world(desk: Desk) -> None:
    desk.market.bought()
    desk.logged_in()
    with desk.client() as room:
        estimate = room.overlap(TITLE, customers(), on="phone")
        assert estimate.permitted
        assert estimate.price_at_most is not None
        assert estimate.price_at_most.currency == "RUB"
        assert estimate.half_width is not None
        assert "people (95%)" in repr(estimate)
        assert "such questions" in estimate._repr_html_()
        result = estimate.run()
        overlap = result.figure("overlap")
        assert not overlap.suppressed
        # Every tenth has withdrawn; four intervals are a chance of one in 10^14.
        assert overlap.value is not None
        assert abs(overlap.value - KNOWN * 0.9) <= 4 * estimate.half_width
        assert result.receipt.record["subject"] == result.analysis_id
        assert stat.S_IMODE(result.receipt.path.stat().st_mode) == 0o600
        frame = result.to_pandas()
        assert frame.loc[frame["name"] == "overlap", "value"].item() == overlap.value
        assert result.to_polars().filter(pl.col("name") == "overlap")["low"].item() == overlap.low
        book = openpyxl.load_workbook(result.to_xlsx(desk.folder / "r.xlsx"))
        assert ("overlap", overlap.value) in {row[:2] for row in book["figures"].iter_rows(values_only=True)}
        assert "<svg" in result._repr_html_()
        # The same content is not sent again, and the same question costs nothing again.
        again = room.overlap(TITLE, customers(), on="phone")
        assert again.question["base_id"] == estimate.question["base_id"]
        assert again.answer["outcome"] == "stored"
        assert again.run().figure("overlap") == overlap
        assert len([one for one in room.bases.list() if one["name"].startswith("base ")]) == 1
    left = [path.name for path in (desk.folder / "state").rglob("*") if path.is_file()]
    assert sorted(left) == sorted(
        ["digests.json", "known.json", "signing-key.json", *(name for name in left if "receipt" in name)]
    )


def test_whoever_awaits_has_the_same(desk: Desk) -> None:
    desk.market.bought()
    desk.logged_in()

    async def ask() -> Any:
        async with desk.aclient() as room:
            estimate = await room.overlap(TITLE, pl.from_pandas(customers()), on="phone")
            result = await (await estimate.run()).wait()
            return result.figure("overlap")

    assert asyncio.run(ask()).value > 0


def test_logging_in_saves_what_is_needed(desk: Desk) -> None:
    client_id, key = desk.credential("advertiser")
    url = desk.world.stage.room.settings.public_url
    session = Session(Profile(url, client_id, client_key=str(key)), progress=False)
    with SyncDriver(url, transport=Worked(desk.world)) as driver:
        done = driver.run(log_in(session))
    assert done.key_id is not None
    assert stat.S_IMODE(Path(done.file).stat().st_mode) == 0o600
    saved = load_profile()
    assert saved.verifier_key == desk.world.stage.room.audit.verifier_key
    with desk.client() as room:
        assert room.me()["client_id"] == client_id
    other = Session(Profile(url, client_id, client_key=str(key), verifier_key="x+1+y"), progress=False)
    with (
        SyncDriver(url, transport=Worked(desk.world)) as driver,
        pytest.raises(ConfigurationError, match="verifier key"),
    ):
        driver.run(log_in(other))


def test_an_agency_that_may_not_upload_logs_in_without_a_signing_key(desk: Desk) -> None:
    owner = "advertiser.owner"
    [given] = desk.world.call(owner, "GET", "/v1/mandates").json()["items"]
    desk.world.call(owner, "DELETE", f"/v1/mandates/{given['id']}")
    narrower = {"agency_id": desk.world.party("agency").organisation_id, "actions": ["ask"]}
    assert desk.world.call(owner, "POST", "/v1/mandates", narrower).status_code == 201
    client_id, key = desk.credential("agency")
    url = desk.world.stage.room.settings.public_url
    advertiser = desk.world.party("advertiser").organisation_id
    profile = Profile(url, client_id, client_key=str(key), advertiser=advertiser)
    with SyncDriver(url, transport=Worked(desk.world)) as driver:
        done = driver.run(log_in(Session(profile, progress=False)))
    assert done.key_id is None
    assert load_profile().advertiser == advertiser


def test_a_room_that_names_another_one_gets_no_proof(desk: Desk) -> None:
    client_id, key = desk.credential("advertiser")
    session = Session(Profile("http://localhost:8000", client_id, client_key=str(key)), progress=False)
    transport = Worked(desk.world)
    with (
        SyncDriver("http://localhost:8000", transport=transport) as driver,
        pytest.raises(ConfigurationError, match="calls itself"),
    ):
        driver.run(log_in(session))
    assert transport.seen == ["GET /.well-known/oauth-authorization-server"]


def test_a_wrong_key_is_told(desk: Desk) -> None:
    client_id, _ = desk.credential("advertiser")
    _, another = desk.credential("advertiser")
    with (
        desk.client(
            url=desk.world.stage.room.settings.public_url, client_id=client_id, client_key=str(another)
        ) as room,
        pytest.raises(NotAuthenticated, match="does not accept"),
    ):
        room.me()


def test_a_token_that_ended_early_is_replaced_once(desk: Desk) -> None:
    desk.logged_in()
    with desk.client() as room:
        room.me()
        desk.world.stage.clock.move(hours=2)
        desk.world.stage.clock.move(hours=-2)
        room._session.connection._token.value = "ended"
        assert room.me()["organisation"]["name"] == "advertiser"
        seen = room._run._transport.seen  # type: ignore[union-attr]
    assert seen.count("POST /oauth/token") == 2


def test_without_an_entitlement_it_says_what_to_ask_for(desk: Desk) -> None:
    desk.logged_in()
    with desk.client() as room:
        with pytest.raises(EntitlementMissing, match="monthly"):
            room.overlap(TITLE, customers(), on="phone")
        with pytest.raises(NotFound, match="title"):
            room.overlap("loyalty", customers(), on="phone")
        asked = room.request(TITLE, size="L", kinds=["overlap"])
        assert asked["state"] == "pending"
        with pytest.raises(ApprovalPending, match=asked["id"]):
            room.overlap(TITLE, customers(), on="phone")
        assert room.bases.list()[-1]["name"] != "base"


def test_refusals_are_typed(desk: Desk) -> None:
    desk.market.bought(size="S")
    desk.logged_in()
    with desk.client() as room:
        base = room.bases.create(customers(), on="phone").id
        refused = room.overlap(TITLE, base=base, purpose="research")
        assert not refused.permitted
        with pytest.raises(Refused) as told:
            refused.run()
        assert told.value.analysis_id is not None
        assert told.value.reasons
        with pytest.raises(PrivacyBudgetExceeded):
            exhaust(room, base)


def exhaust(room: Client, base: str) -> None:
    for half_width in range(100, 20, -1):
        room.match_test(TITLE, base=base, half_width=half_width).run().wait()


def test_an_upload_that_broke_off_goes_on_in_another_run(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.logged_in()
    monkeypatch.setattr("cleanroom.client.remote.tus._MOST_PAUSE", 0.0)
    monkeypatch.setattr("cleanroom.client.remote.tus.FAILURES", 2)

    def lost(request: httpx.Request) -> None:
        if request.method == "PATCH":
            raise httpx.ReadError("lost", request=request)

    with desk.client(before=lost) as room, pytest.raises(Unreachable):
        room.bases.create(customers(), on="phone")
    kept = {path.name for path in (desk.folder / "state").rglob("*")}
    assert {"payload.age", "manifest.json", "parcel.json"} <= kept
    with desk.client(after=lost) as room:
        # The answers are lost now, not the bytes.
        made = room.bases.create(customers(), on="phone")
        assert made.version_id is not None
        assert made.rows is None
        assert [one["id"] for one in room.bases.list()].count(made.id) == 1
        assert "payload.age" not in {path.name for path in (desk.folder / "state").rglob("*")}


def test_nothing_secret_is_logged_or_shown(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    desk.logged_in()
    with desk.client() as room:
        room.me()
        token = room._session.connection._token.value
        shown = repr(vars(room)) + repr(room._session.profile) + repr(room._session.connection.credential)
    assert token
    assert token not in caplog.text + shown
    assert '"d"' not in shown
