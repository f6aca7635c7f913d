"""The answer store gives an answer to the same question about the same data, and to no other."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from cleanroom.release import answers
from cleanroom.release.answers import Asked, Found, find_answer, store_answer
from cleanroom.release.gate import plan_mechanism
from cleanroom.release.types import ReleasedFigure

ASKED = Asked(
    grant_id="gr_1",
    version_id="dv_1",
    policy_id="pol_1",
    purpose="advertising",
    base_fingerprint=bytes(32),
    tree={"v": 1, "kind": "overlap", "segments": []},
)
DAY = datetime(2026, 11, 22, tzinfo=UTC)


def found(number: int, *, rho_micro: int = 500, epoch: int = 0, day: int = 0) -> Found:
    mechanism = plan_mechanism(l0=2, rho_micro=rho_micro, minimum_audience=100, round_to=1)
    figures = (
        ReleasedFigure("overlap", number, False, mechanism.sigma, (number - 9, number + 9)),
        ReleasedFigure("segment:0", None, True, mechanism.sigma, None),
    )
    return Found(f"an_{number}", epoch, DAY + timedelta(days=day), mechanism, figures)


@pytest.fixture
def store(db):
    def keep(*all_: Found, asked: Asked = ASKED) -> None:
        with db.transaction() as tx:
            for each in all_:
                store_answer(tx, asked, each)

    return keep


@pytest.fixture
def look(db):
    def find(asked: Asked = ASKED, *, epoch=0, rho_micro=500, at=None) -> Found | None:
        with db.reading() as tx:
            return find_answer(tx, asked, epoch=epoch, rho_micro=rho_micro, at=at)

    return find


def test_an_answer_comes_back_as_it_was_released(store, look):
    store(found(1_000))

    assert look() == found(1_000)


@pytest.mark.parametrize(
    "change",
    [
        {"grant_id": "gr_2"},
        {"version_id": "dv_2"},
        {"policy_id": "pol_2"},
        {"purpose": "research"},
        {"base_fingerprint": bytes(31) + b"\1"},
        {"tree": {"v": 1, "kind": "overlap", "segments": [1]}},
    ],
)
def test_anything_else_about_the_question_makes_it_another(store, look, change):
    store(found(1_000))

    assert look(replace(ASKED, **change)) is None


def test_another_family_of_mechanisms_makes_it_another_question(store, look, monkeypatch):
    store(found(1_000))
    monkeypatch.setattr(answers, "FAMILY", "laplace-v1")

    assert look(replace(ASKED)) is None


def test_no_part_of_the_key_can_slide_into_another():
    one = replace(ASKED, grant_id="gr_1", version_id="dv_1")
    other = replace(ASKED, grant_id="gr_1dv", version_id="_1")

    assert one.key != other.key
    assert len(one.key) == 64


def test_only_answers_of_the_epoch_are_found_unless_a_date_is_asked_for(store, look):
    store(found(1_000, epoch=3))

    assert look(epoch=4) is None
    assert look(epoch=3) is not None
    assert look(epoch=None, at=DAY) is not None


def test_a_finer_answer_serves_and_a_coarser_one_does_not(store, look):
    store(found(1_000, rho_micro=500))

    assert look(rho_micro=100) == look(rho_micro=500) == found(1_000)
    assert look(rho_micro=501) is None


def test_the_newest_answer_until_the_date_is_given(store, look):
    store(found(1, day=1), found(2, day=2), found(3, day=2), found(4, day=3))

    assert look(at=DAY) is None
    assert look(at=DAY + timedelta(days=1)).analysis_id == "an_1"
    # Of two at one instant the later id.
    assert look(at=DAY + timedelta(days=2)).analysis_id == "an_3"
    assert look().analysis_id == "an_4"
