import pytest
from dp_accounting import GaussianDpEvent
from dp_accounting.rdp import RdpAccountant

from policies.accounting import advantage, questions_left, rho_to_epsilon
from policies.errors import PrecisionError

KNOWN = [
    (0.03125, 1e-3, 0.6880024554878086),
    (0.00125, 1e-6, 0.205902236),
    (0.1, 1e-6, 2.141938928),
    (0.5, 1e-6, 5.221534445),
    (1, 1e-6, 7.766216625),
]


@pytest.mark.parametrize(("rho", "delta", "epsilon"), KNOWN)
def test_published_epsilons(rho, delta, epsilon):
    assert rho_to_epsilon(rho, delta) == pytest.approx(epsilon, abs=1e-6)


@pytest.mark.parametrize(("rho", "delta", "epsilon"), KNOWN)
def test_another_accountant_agrees(rho, delta, epsilon):
    orders = [1 + 10 ** (step / 200 - 2) for step in range(1200)]
    accountant = RdpAccountant(orders)
    accountant.compose(GaussianDpEvent((1 / (2 * rho)) ** 0.5))

    assert accountant.get_epsilon(delta) == pytest.approx(rho_to_epsilon(rho, delta), rel=1e-3)


@pytest.mark.parametrize(
    ("rho", "bound"), [(0.03, 0.10), (0.1, 0.18), (0.3, 0.30), (0.5, 0.38), (1, 0.52), (5, 0.89)]
)
def test_advantages_of_the_presets(rho, bound):
    assert advantage(rho) == pytest.approx(bound, abs=0.005)


def test_no_budget_tells_nothing():
    assert rho_to_epsilon(0) == 0
    assert advantage(0) == 0
    assert rho_to_epsilon(1e-12) == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize(("rho", "delta"), [(-1, 1e-6), (1, 0), (1, 1), (float("nan"), 1e-6)])
def test_impossible_budgets_are_refused(rho, delta):
    with pytest.raises(PrecisionError, match="delta lies between 0 and 1"):
        rho_to_epsilon(rho, delta)


def test_a_large_standard_grant_pays_for_190_normal_questions():
    assert questions_left(95_000, 500) == 190
    assert questions_left(499, 500) == 0
