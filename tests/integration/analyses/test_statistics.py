"""Sums and means through the room: one file, one question, one receipt."""

import json

import pytest

from cleanroom.analyses.types import Outcome
from cleanroom.release import gate
from policies.codec import policy_from_data
from tests.integration.analyses.questions import receipt_of
from tests.rooms import PURPOSE, client_row, email

SCHEMA = """\
person_id: {column: id}
match_keys: {email: {column: email}}
attributes:
  sex: {type: category, values: [F, M]}
  spend: {type: decimal, bands: [50], aggregate: sum, clamp: [0, 100]}
lawful_basis: consent
consent: {advertising: {column: ads, granted: ["yes"]}}
"""
POLICY = {
    "v": 1,
    "name": "sums",
    "rules": [
        {"rule": "purposes", "allowed": [PURPOSE]},
        {"rule": "analyses", "allowed": ["statistics"]},
        {"rule": "attributes", "filter": "*", "breakdown": "*", "sum": ["spend"], "blocked": []},
        {"rule": "base_floor", "min": 1},
        {"rule": "minimum_audience", "min": 100},
        {
            "rule": "budget",
            "cap_rho_micro": 1_000_000,
            "agency_rho_micro": 1_000_000,
            "total_rho_micro": 1_000_000,
        },
    ],
}
PEOPLE, KNOWN = 2_000, 1_600
STATISTICS = {
    "sums": ["spend"],
    "breakdowns": [["sex"]],
    "segments": {
        "buyers": {"attribute": "spend", "op": "not_null"},
        "rich": {"attribute": "spend", "op": ">=", "value": 50},
    },
    "precision": "fine",
}


def receipts_of(number: int) -> list[str]:
    """What a person bought: nothing, 30.00 in one receipt, or 130.00 in three, of which 100.00 count."""
    return ([""], ["30"], ["50.5", "", "79.5"])[number % 3]


def rows() -> list[str]:
    return [
        f"p{number},{email(number)},{'FM'[number % 2]},{spent},yes"
        for number in range(PEOPLE)
        for spent in receipts_of(number)
    ]


@pytest.fixture
def shop(make_room):
    stage = make_room()
    stage.dataset_id = stage.dataset(rows(), schema=SCHEMA, header="id,email,sex,spend,ads")
    stage.base_id = stage.base([client_row(number) for number in range(1, 2 * KNOWN, 2)])
    stage.rule(policy_from_data(POLICY))
    return stage


# The base knows the people with odd numbers by their e-mail: 1,000 of the 2,000.
MATCHED = range(1, PEOPLE, 2)
TOTALS = {number: (0, 3_000, 10_000)[number % 3] for number in MATCHED}


def without_noise(exact: list[int], *, sigma: float) -> list[int]:
    assert sigma > 0
    return list(exact)


def test_sums_and_means_are_released_beside_the_counts_under_one_price(shop, monkeypatch):
    monkeypatch.setattr(gate, "add_noise", without_noise)

    answer = shop.ask(shop.grant(), **STATISTICS)

    assert answer.outcome is Outcome.RELEASED
    figures = {figure.name: figure for figure in answer.figures}
    # Overlap, two segments that overlap, a breakdown; and all of it once more for the sums.
    assert answer.mechanism.l0 == 2 * (1 + 2 + 1)
    assert answer.charged_micro == answer.mechanism.rho_micro
    assert figures["sum:spend"].value == sum(TOTALS.values())
    assert figures["sum:spend:segment:buyers"].value == sum(TOTALS.values())
    rich = [total for total in TOTALS.values() if total >= 5_000]
    assert figures["sum:spend:segment:rich"].value == sum(rich) == 10_000 * len(rich)
    # Odd numbers are men, all of them.
    assert figures["sum:spend:breakdown:sex=M"].value == sum(TOTALS.values())
    assert figures["sum:spend:breakdown:sex=F"].suppressed
    assert figures["breakdown:sex=F"].suppressed
    assert figures["sum:spend"].sigma == answer.mechanism.sigma * 10_000
    assert figures["sum:spend"].scale == 2
    means = {ratio.name: ratio for ratio in answer.ratios}
    assert means["mean:spend"].value == pytest.approx(sum(TOTALS.values()) / len(TOTALS))
    buyers = [total for number, total in TOTALS.items() if number % 3]
    assert means["mean:spend:segment:buyers"].value == pytest.approx(sum(buyers) / len(buyers))
    assert means["mean:spend:breakdown:sex=F"].value is None


def test_the_same_statistics_cost_nothing_again_and_the_receipt_shows_how_they_were_made(shop):
    grant = shop.grant()
    asked = shop.ask(grant, **STATISTICS)
    left = shop.left(grant)

    again = shop.ask(grant, **{**STATISTICS, "percent": 50, "expected": 1_000, "precision": None})

    assert asked.outcome is Outcome.RELEASED
    assert (again.outcome, again.figures, again.ratios) == (Outcome.STORED, asked.figures, asked.ratios)
    assert shop.left(grant) == left
    body = json.loads(json.dumps(receipt_of(shop, asked).record["body"]))
    assert body["question"]["sums"] == ["spend"]
    (noise,) = body["mechanism"]["sums"]
    assert (noise["attribute"], noise["lowest"], noise["highest"], noise["l0"]) == ("spend", 0, 10_000, 4)
    written = {figure["name"]: figure for figure in body["figures"]}
    assert int(written["sum:spend"]["value"]) == next(
        figure.value for figure in asked.figures if figure.name == "sum:spend"
    )


def test_percent_of_an_expected_size_is_the_half_width_that_is_kept(shop):
    grant = shop.grant()

    answer = shop.ask(grant, sums=["spend"], percent=5, expected=1_000)

    assert answer.mechanism.half_width == 50
    # The same width in people is the same price, and so the same answer.
    assert shop.ask(grant, sums=["spend"], half_width=50).outcome is Outcome.STORED
    assert shop.ask(grant, sums=["spend"], half_width=49).outcome is Outcome.RELEASED


def test_an_attribute_that_may_not_be_added_up_is_refused_and_the_count_alone_is_near(shop):
    rules = [{**rule, "sum": []} if rule["rule"] == "attributes" else rule for rule in POLICY["rules"]]
    analyses = {"rule": "analyses", "allowed": ["statistics", "overlap"]}
    shop.rule(
        policy_from_data(
            {**POLICY, "rules": [analyses if rule["rule"] == "analyses" else rule for rule in rules]}
        )
    )

    answer = shop.ask(shop.grant(), sums=["spend"])

    assert answer.outcome is Outcome.REFUSED
    (reason,) = answer.reasons
    assert reason.rule == "attributes"
    assert reason.nearest["question"]["kind"] == "overlap"
