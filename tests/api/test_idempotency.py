"""A POST does its work once, however often and however fast it is sent."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import select

from advertiser_api.idempotency import canonical
from cleanroom.access.idempotency import Idempotency
from cleanroom.access.models import IdempotencyRow
from cleanroom.bootstrap import init_room
from cleanroom.datasets.types import DatasetKind
from cleanroom.settings import load_settings
from crypto.keys import read_seed
from tests.api.conftest import MakeWorld
from tests.api.matrix import new_opt_out
from tests.api.test_routes import BASE
from tests.api.world import World, populate, world_of
from tests.rooms import MovableClock, Stage


def bases(world: World) -> int:
    with world.stage.room.db.reading() as tx:
        owner = world.party("advertiser").organisation_id
        return len(
            world.stage.room.datasets.datasets_of(tx, organisation_id=owner, kind=DatasetKind.BASE, limit=100)
        )


def test_the_same_request_is_answered_the_same_and_done_once(world: World) -> None:
    before = bases(world)
    first = world.call("advertiser.owner", "POST", "/v1/bases", BASE, key="k")
    again = world.call("advertiser.owner", "POST", "/v1/bases", dict(reversed(BASE.items())), key="k")
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.content == again.content
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    assert bases(world) == before + 1


@pytest.mark.parametrize(
    ("path", "body", "headers"),
    [
        ("/v1/bases", BASE | {"name": "another"}, {}),
        ("/v1/keys", {"public_key": "AAAA"}, {}),
    ],
)
def test_a_key_belongs_to_one_request(world: World, path: str, body: object, headers: dict[str, str]) -> None:
    world.call("advertiser.owner", "POST", "/v1/bases", BASE, key="k")
    before = bases(world)
    other = world.call("advertiser.owner", "POST", path, body, key="k", headers=headers)
    assert (other.status_code, other.json()["code"]) == (422, "access.idempotency_mismatch")
    assert bases(world) == before


def test_a_key_belongs_to_one_client(world: World) -> None:
    first = world.call("advertiser.owner", "POST", "/v1/bases", BASE, key="k").json()
    second = world.call("advertiser.analyst", "POST", "/v1/bases", BASE, key="k").json()
    assert first["id"] != second["id"]


def test_whom_a_body_named_cannot_be_tried_out_on_the_database(world: World) -> None:
    body = new_opt_out()
    assert world.call("provider.owner", "POST", "/v1/opt-outs", body, key="k").status_code == 201
    room = world.stage.room
    with room.db.reading() as tx:
        (row,) = tx.session.scalars(select(IdempotencyRow).where(IdempotencyRow.key == "k"))
    sent = "POST", "/v1/opt-outs", canonical(json.dumps(body).encode())
    kept = Idempotency(room.clock, read_seed(room.settings.keys_dir / "log.key"))
    assert row.request_hash == kept.request_hash(*sent)
    assert row.request_hash != Idempotency(room.clock, bytes(32)).request_hash(*sent)
    for digest in (one for given in body["named"] for one in given["digests"]):
        assert digest.encode() not in row.body


@pytest.mark.parametrize(
    ("key", "code"),
    [("", "access.idempotency_key_missing"), ("k" * 256, "access.bad_idempotency_key")],
)
def test_a_post_without_a_good_key_does_nothing(world: World, key: str, code: str) -> None:
    before = bases(world)
    answer = world.call("advertiser.owner", "POST", "/v1/bases", BASE, headers={"Idempotency-Key": key})
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert bases(world) == before


def test_what_failed_may_be_sent_again_under_its_key(world: World) -> None:
    path = f"/v1/datasets/{world.stage.dataset_id}/stop"
    missing = path.replace(world.stage.dataset_id, "ds_" + "0" * 32)
    assert world.call("provider.owner", "POST", missing, key="k").status_code == 404
    assert world.call("provider.owner", "POST", path, key="k").status_code == 200


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_of_many_at_once_one_does_the_work(
    database: str, make_world: MakeWorld, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if database == "sqlite":
        world = make_world()
    else:
        settings = load_settings(
            {"CLEANROOM_DATABASE_URL": request.getfixturevalue("postgresql_url")}, home=tmp_path / "pg"
        )
        clock = MovableClock()
        stage = Stage(settings.home, init_room(settings, clock=clock), clock)
        world = world_of(stage, populate(stage))
    world.token("advertiser.owner")
    before = bases(world)
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(lambda _: world.call("advertiser.owner", "POST", "/v1/bases", BASE, key="k"), range(16))
        )
    assert {one.status_code for one in answers} <= {201, 409}
    done = [one for one in answers if one.status_code == 201]
    assert len({one.content for one in done}) == 1
    assert sum("Idempotency-Replayed" not in one.headers for one in done) == 1
    assert bases(world) == before + 1
    assert world.call("advertiser.owner", "POST", "/v1/bases", BASE, key="k").status_code == 201
    if database == "postgresql":
        world.http.close()
        world.stage.room.close()
