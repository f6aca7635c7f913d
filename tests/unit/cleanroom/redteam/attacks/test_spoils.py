"""What an attacker gets to spend: never more than its account allows, unless a fault is planted."""

import pytest

from cleanroom.redteam.attacks import account_doubling, collusion, crash_query, key_fanout, snapshots
from cleanroom.redteam.plants import planted
from cleanroom.redteam.scenes import Crowd, Scene, pooled
from cleanroom.redteam.spending import plan_purchases

PURPOSES = ("advertising", "research")
CAP, ALLOCATABLE = 100_000, 95_000


def scene_of(lab):
    crowd = Crowd.made(lab, 12, copies=2, seed="spoils")
    return Scene.opened(lab, crowd, purposes=PURPOSES)


def every_way(lab) -> float:
    with scene_of(lab) as scene:
        again = scene.room.dataset(scene.provider, scene.crowd.schema(*PURPOSES), scene.crowd.people())
        buyer = account_doubling._Buyer(scene, 0, again)
        return pooled(list(buyer.spoils(PURPOSES))).weight


def test_every_way_together_buys_one_cap(make_lab):
    assert 0.9 * ALLOCATABLE < every_way(make_lab(20)) <= ALLOCATABLE


@pytest.mark.parametrize("plant", account_doubling.AccountDoubling.plants)
def test_each_fault_in_the_accounts_buys_another_one(make_lab, plant):
    with planted(plant):
        assert every_way(make_lab(20)) > 1.5 * CAP


def shared(lab) -> list[float]:
    with scene_of(lab) as scene:
        return [agency.weight for agency in collusion._spoils(scene)]


def test_each_agency_and_everybody_together_have_one_cap(make_lab):
    agencies = shared(make_lab(20))

    assert len(agencies) == 2
    assert max(agencies) <= 2 * ALLOCATABLE
    assert 3.5 * ALLOCATABLE < sum(agencies) <= 4 * ALLOCATABLE


def test_without_a_cap_an_agency_takes_everything(make_lab):
    with planted("agencies_uncapped"):
        agencies = shared(make_lab(20))

    assert len(agencies) == 1
    assert agencies[0] > 3.5 * ALLOCATABLE


def test_without_a_total_there_are_always_more_buyers(make_lab, monkeypatch):
    monkeypatch.setattr(collusion, "_ALLIES", 6)
    with planted("no_total"):
        agencies = shared(make_lab(20))

    assert sum(agencies) > 5 * ALLOCATABLE


def crashed(lab) -> float:
    with scene_of(lab) as scene:
        ((buyer, grant),) = scene.buyers()
        return crash_query._spoils(scene, buyer, grant).weight


def test_crashing_gains_nothing(make_lab):
    assert 0.8 * ALLOCATABLE < crashed(make_lab(20)) <= ALLOCATABLE


def test_a_charge_that_comes_after_the_answer_makes_crashes_free(make_lab, monkeypatch):
    monkeypatch.setattr(crash_query, "_FREE", 8)
    with planted("settle_at_release"):
        assert crashed(make_lab(20)) > 2 * CAP


def versions(lab) -> float:
    with scene_of(lab) as scene:
        ((buyer, grant),) = scene.buyers()
        parts = [scene.spend(grant, buyer)]
        for _ in range(snapshots.VERSIONS - 1):
            scene.reload()
            parts.append(scene.spend(grant, buyer))
        return pooled(parts).weight


def test_a_new_version_brings_no_new_budget_unless_spending_hangs_on_it(make_lab):
    assert versions(make_lab(20)) <= ALLOCATABLE
    with planted("budget_by_version"):
        assert versions(make_lab(20)) > 2.5 * ALLOCATABLE


def test_a_crowd_with_two_keys_spends_all_too(make_lab):
    lab = make_lab(20)
    crowd = key_fanout.Families.made(lab, 12, copies=2, seed="spoils")
    with Scene.opened(lab, crowd) as scene:
        ((buyer, grant),) = scene.buyers()
        spent = scene.spend(grant, buyer).weight
        assert 0.8 * ALLOCATABLE < spent == grant.rho_micro - scene.room.left(grant)


def test_a_plan_spends_nearly_all_and_asks_nothing_twice(make_lab):
    limits = make_lab(20).limits
    for l0 in (1, 5, 7, 11):
        for spellings in (1, 4):
            plan = plan_purchases(l0, ALLOCATABLE, limits, spellings=spellings)
            assert 0.85 * ALLOCATABLE < sum(purchase.rho_micro for purchase in plan) <= ALLOCATABLE
            assert all(purchase.rho_micro <= limits.question_max_rho_micro for purchase in plan)
            assert len(set(plan)) == len(plan)
            assert [purchase.rho_micro for purchase in plan] == sorted(p.rho_micro for p in plan)
