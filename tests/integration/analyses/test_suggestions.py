"""Bands to merge: suggested with an answer from what it shows, and with an estimate from what the asker expects."""

import pytest

from cleanroom.analyses.suggesting import Suggestion
from cleanroom.release import gate
from tests.rooms import Stage

BY_AGE = {"kind": "profile", "breakdowns": [["age"]], "precision": "fine"}
# Two cells at this price have sigma 14.1: a cell is shown from 133.
LABELS = ("<18", "18-29", "30-44", "45+")


@pytest.fixture
def exact(make_room, monkeypatch) -> Stage:
    """A room without noise, where 1,080 people of 15 to 64 years match: 65, 259, 324 and 432 of each band."""
    monkeypatch.setattr(gate, "add_noise", lambda counts, sigma: list(counts))
    return make_room()


def estimate(stage: Stage, grant, expected, **asked):
    return stage.room.analyses.estimate(
        stage.question(**asked),
        grant_id=grant.id,
        asker_id=stage.advertiser.organisation_id,
        expected=expected,
    )


def test_an_answer_with_a_withheld_band_suggests_its_neighbour(exact):
    answer = exact.ask(exact.grant(), **BY_AGE)

    values = {figure.name: figure.value for figure in answer.figures}
    assert values["breakdown:age=<18"] is None
    (merge,) = answer.suggestions
    assert (merge.breakdown, merge.attribute, merge.bands) == (("age",), "age", (("<18", "18-29"),))
    # Only released values enter: those of the withheld cells share what the shown ones leave.
    left = values["overlap"] - sum(value for name, value in values.items() if "=" in name and value)
    assert merge.withheld_before == pytest.approx(left)
    assert merge.withheld_after < merge.withheld_before


def test_the_stored_answer_suggests_the_same(exact):
    grant = exact.grant()

    assert exact.ask(grant, **BY_AGE).suggestions == exact.ask(grant, **BY_AGE).suggestions != ()


def test_a_crossed_breakdown_is_merged_along_its_bands_in_whatever_order_it_is_asked(exact):
    asked = {**BY_AGE, "breakdowns": [["sex", "age"], ["likes"]]}
    grant = exact.grant()
    (one,) = exact.ask(grant, **asked).suggestions
    (other,) = exact.ask(grant, **{**asked, "breakdowns": [["likes"], ["age", "sex"]]}).suggestions

    # The small bands of either sex, and what is left over for people of unknown sex or age.
    assert (one.breakdown, one.attribute, one.bands) == (("sex", "age"), "age", (LABELS,))
    assert other == Suggestion(("age", "sex"), "age", one.bands, other.withheld_before, other.withheld_after)


def test_where_everything_is_shown_or_nothing_can_be_nothing_is_suggested(exact):
    grant = exact.grant()

    assert (
        exact.ask(grant, kind="profile", breakdowns=[["sex"], ["likes"]], precision="fine").suggestions == ()
    )
    assert exact.ask(grant, precision="rough").suggestions == ()
    assert exact.ask(grant, purpose="resale").suggestions == ()


def test_an_estimate_suggests_at_the_sizes_that_the_asker_expects(exact):
    grant = exact.grant()
    expected = dict(zip((f"breakdown:age={label}" for label in LABELS), (60, 50, 40, 900), strict=True))

    (merge,) = estimate(exact, grant, expected, **BY_AGE).suggestions

    assert merge == Suggestion(("age",), "age", (("<18", "18-29", "30-44"),), 150, 0)
    # Without guesses there is nothing to go by: the data are not asked.
    assert estimate(exact, grant, {}, **BY_AGE).suggestions == ()
    assert estimate(exact, grant, {"overlap": 1_000}, **BY_AGE).suggestions == ()


def test_one_band_of_everybody_is_not_suggested(exact):
    grant = exact.grant()
    # Only all four together reach a minimum of a hundred.
    expected = {f"breakdown:age={label}": 40 for label in LABELS}

    assert estimate(exact, grant, expected, **BY_AGE).suggestions == ()
