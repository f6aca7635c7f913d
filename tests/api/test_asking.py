"""The short way to ask: who asks comes first, counts once, and nothing of a stranger's is read or remembered."""

import threading
import tracemalloc
from typing import Any

import pytest
from fastapi.concurrency import run_in_threadpool

from advertiser_api.v1 import analyses, questions
from cleanroom.remembered import Remembered
from tests.api.conftest import MakeWorld
from tests.api.test_analyses import BUYER, ask, body
from tests.api.world import World
from tests.market import Market


class Reading:
    """Notes in which thread questions are read."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.threads: list[int] = []
        monkeypatch.setattr(analyses, "read_question", self)

    def __call__(self, media_type: str | None, body: bytes) -> Any:
        self.threads.append(threading.get_ident())
        return questions.read_question(media_type, body)


@pytest.mark.parametrize(
    ("who", "headers", "status"),
    [
        (None, {}, 401),
        (None, {"Authorization": "Bearer guess"}, 401),
        ("advertiser.viewer", {}, 403),
        ("provider.owner", {}, 403),
    ],
)
@pytest.mark.parametrize("fits", [True, False])
def test_nothing_is_read_for_those_who_may_not_ask(
    shared: World,
    monkeypatch: pytest.MonkeyPatch,
    who: str | None,
    headers: dict[str, str],
    status: int,
    fits: bool,
) -> None:
    reading = Reading(monkeypatch)
    question = body(shared, "ent_0193f0c2a1b27d3e8f4a5b6c7d8e9f01") if fits else {"segments": 7}
    answer = shared.call(who, "POST", "/v1/analyses", question, headers=headers)
    assert answer.status_code == status, answer.text
    assert reading.threads == []


def test_a_client_over_its_pace_is_not_read(make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    world = make_world(rate_per_minute=1)
    reading = Reading(monkeypatch)
    answers = [ask(world, "ent_0193f0c2a1b27d3e8f4a5b6c7d8e9f01") for _ in range(2)]
    assert [one.status_code for one in answers] == [404, 429]
    assert len(reading.threads) == 1


def test_either_way_counts_a_request_once(make_world: MakeWorld) -> None:
    world = make_world(rate_per_minute=9)
    known = "ent_0193f0c2a1b27d3e8f4a5b6c7d8e9f01"
    sound = ask(world, known)
    unsound = ask(world, known, kind="guess")
    other = {"Content-Type": "application/json; charset=utf-8"}
    usual = world.call(BUYER, "POST", "/v1/analyses", body(world, known), headers=other)
    answers = [sound, unsound, usual, ask(world, known)]
    assert [one.status_code for one in answers] == [404, 422, 404, 404]
    assert [one.headers["RateLimit-Remaining"] for one in answers] == ["8", "7", "6", "5"]


def test_questions_are_read_outside_the_loop_that_serves_all(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading = Reading(monkeypatch)
    loops: list[int] = []

    async def noted(*work: Any) -> Any:
        loops.append(threading.get_ident())
        return await run_in_threadpool(*work)

    monkeypatch.setattr(analyses, "run_in_threadpool", noted)
    assert ask(world, Market(world.stage).bought().id).status_code == 202
    assert len(reading.threads) == len(loops) == 1
    assert set(reading.threads).isdisjoint(loops)


def test_a_body_of_spaces_is_not_kept(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Remembered[Any, Any](1 << 20)
    monkeypatch.setattr(questions, "_READ", kept)
    words = b'{"entitlement_id": "ent_0193f0c2a1b27d3e8f4a5b6c7d8e9f01", "base_id": "%b", "purpose": "a"}'
    text = words % world.stage.base_id.encode() + b" " * 100_000
    assert questions.read_question("application/json", text) is not None
    assert [len(said) for said in kept._values] == [32]


def test_questions_that_list_many_values_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """One segment each, but as large as a body may be: they were counted by segments."""
    limit = 4 << 20
    kept = Remembered[Any, Any](limit, questions._QUESTIONS._weigh)
    monkeypatch.setattr(questions, "_QUESTIONS", kept)
    tracemalloc.start()
    try:
        for number in range(24):
            values = [f"{number}-{value}" for value in range(5_000)]
            asked = questions.AskedQuestion(
                entitlement_id=f"ent_{0:032x}",
                base_id=f"ds_{0:032x}",
                purpose="advertising",
                segments={"some": {"attribute": "region", "op": "in", "value": values}},
            )
            question = asked.question("ds_1")
            assert asked.question("ds_1") is question
            del asked, values, question
        taken = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert 0 < len(kept._values) < 24
    assert taken < limit
