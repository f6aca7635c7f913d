"""The promise itself, tested on the running room: an event may be likelier with one person more, but not by more.

A profile of 97,336 cells, half of them with one person and half with none, is as many pairs of neighbours. Of two
answers, about 195,000 draws, the test takes the event that tells neighbours apart best, and holds the lower end of its
probability against the upper end without the person (Clopper-Pearson, each at 1e-7). Power: a noise of 4 passes; 3
instead of 4 is caught with 5 standard deviations to spare.
"""

import itertools

import pytest
from scipy import stats

from cleanroom.analyses.types import Outcome
from cleanroom.release import gate
from policies.codec import policy_from_data
from tests.rooms import PURPOSE

SIDE, ALARM = 44, 1e-7
VALUES = ", ".join(f"v{number}" for number in range(SIDE))
SCHEMA = f"""\
match_keys: {{email: {{column: email}}}}
attributes:
  one: {{type: category, values: [{VALUES}]}}
  two: {{type: category, values: [{VALUES}]}}
  three: {{type: category, values: [{VALUES}]}}
lawful_basis: consent
consent: {{advertising: {{column: ads, granted: ["yes"]}}}}
"""
# No minimum, a larger cap, and a question may cost a quarter of it; as no owner would have it.
POLICY = {
    "v": 1,
    "name": "test",
    "rules": [
        {"rule": "purposes", "allowed": [PURPOSE]},
        {"rule": "analyses", "allowed": ["profile"]},
        {"rule": "attributes", "filter": "*", "breakdown": "*", "blocked": []},
        {"rule": "breakdown_depth", "max": 3},
        {"rule": "base_floor", "min": 1},
        {"rule": "minimum_audience", "min": 0},
        {
            "rule": "budget",
            "cap_rho_micro": 1_000_000,
            "agency_rho_micro": 1_000_000,
            "total_rho_micro": 1_000_000,
        },
    ],
}
# 1.959964 x 4 people: the half-width that buys a sigma of 4.08 for both parts of the question.
HALF_WIDTH = 8


def full(cell: tuple[int, int, int]) -> bool:
    """Every second cell of the declared ones has a person."""
    return sum(cell) % 2 == 0


@pytest.fixture(scope="module")
def rows() -> list[str]:
    cells = filter(full, itertools.product(range(SIDE), repeat=3))
    return [f"p{at}@example.org,v{a},v{b},v{c},yes" for at, (a, b, c) in enumerate(cells)]


def tells_apart(make_room, rows: list[str]) -> tuple[float, float]:
    """How much likelier is "at least one person" with a person than without: lower end, and what sigma allows."""
    stage = make_room()
    # Datasets about the same people share the strictest budget: the room's first one must not be stricter.
    stage.rule(policy_from_data(POLICY))
    stage.dataset_id = stage.dataset(rows, schema=SCHEMA, header="email,one,two,three,ads")
    stage.base_id = stage.base([f"{row.partition(',')[0]},,vip" for row in rows])
    stage.rule(policy_from_data(POLICY))
    grant = stage.grant("L", dataset_id=stage.dataset_id)
    hits, games, sigma = {True: 0, False: 0}, {True: 0, False: 0}, 0.0
    # The same question twice is one answer; another half-width makes it a fresh one, a hair finer.
    for half_width in (HALF_WIDTH + 1, HALF_WIDTH):
        answer = stage.ask(
            grant, kind="profile", breakdowns=[["one", "two", "three"]], half_width=half_width, labels=False
        )
        assert answer.outcome is Outcome.RELEASED
        sigma = answer.mechanism.sigma
        for figure in answer.figures:
            name = figure.name.removeprefix("breakdown:")
            if name == "overlap" or "other" in name or "unknown" in name:
                continue
            cell = tuple(int(part.partition("=v")[2]) for part in name.split(","))
            games[full(cell)] += 1
            hits[full(cell)] += (figure.value or 0) >= 1
    lower = stats.beta.ppf(ALARM, hits[True], games[True] - hits[True] + 1)
    upper = stats.beta.isf(ALARM, hits[False] + 1, games[False] - hits[False])
    # With a person the event is "noise >= 0", without "noise >= 1": they differ by the chance of no noise at all.
    allowed = stats.norm.cdf(0.5 / sigma) - stats.norm.cdf(-0.5 / sigma)
    return float(lower - upper), float(allowed)


@pytest.mark.slow
def test_one_person_shows_no_more_than_the_stated_noise_lets_it(make_room, rows):
    found, allowed = tells_apart(make_room, rows)

    assert found <= allowed
    # The test sees the person: without noise worth its name it would see nothing either.
    assert found > allowed / 2


@pytest.mark.slow
@pytest.mark.parametrize("sigma", [3.0, 2.0])
def test_less_noise_than_stated_is_caught(make_room, rows, monkeypatch, sigma):
    add_noise = gate.add_noise
    monkeypatch.setattr(gate, "add_noise", lambda counts, **_stated: add_noise(counts, sigma=sigma))

    found, allowed = tells_apart(make_room, rows)

    assert found > allowed
