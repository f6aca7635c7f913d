import pytest

from benchmarks.targets import TARGETS, Target

LESS = Target("a", "ratio", 0.5, 0.4, "less", "match.ratio")
MORE = Target("b", "rows/s", 2e6, None, "more", "prepare.rows_per_s")


@pytest.mark.parametrize(
    ("target", "figure", "verdict"),
    [
        (LESS, 0.4, "met, and the goal"),
        (LESS, 0.5, "met"),
        (LESS, 0.6, "missed by 20%"),
        (LESS, 1.5, "missed by 3.0 times"),
        (MORE, 2e6, "met"),
        (MORE, 1.6e6, "missed by 25%"),
        (MORE, 0.5e6, "missed by 4.0 times"),
    ],
)
def test_a_verdict_says_by_how_much(target: Target, figure: float, verdict: str) -> None:
    assert target.verdict(figure) == verdict


def test_a_figure_is_taken_by_its_path() -> None:
    p99 = next(target for target in TARGETS if target.unit == "milliseconds")
    assert p99.figure({"serve": {"over_http": {"p99_s": 0.02}}}) == 20
    # As it stood in results before there was an HTTP interface.
    assert p99.figure({"serve": {"over_http": False, "at_rate": {"p99_s": 0.02}}}) is None
    assert p99.figure({}) is None
    assert (p99.shown(20), p99.limit(50)) == ("20.0 ms", "≤ 50 ms")
    assert (MORE.shown(1_234_567), MORE.limit(MORE.must)) == ("1,234,567 rows/s", "≥ 2,000,000 rows/s")


def test_every_target_says_what_is_better() -> None:
    for target in TARGETS:
        if target.goal is not None:
            assert target.holds(target.goal, target.must)
    assert len({target.what for target in TARGETS}) == len(TARGETS)
