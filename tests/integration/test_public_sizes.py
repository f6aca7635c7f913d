"""A dataset's size is released once to everyone, at everyone's cost."""

import re

import pytest

from cleanroom.analyses.types import Outcome
from cleanroom.consent.view import ConsentView
from cleanroom.datasets.errors import VersionNotFoundError
from cleanroom.grants.types import AccountKind
from cleanroom.reconciling import reconcile_room
from cleanroom.release import gate
from cleanroom.release.models import PublicRelease
from tests.backups import Backup
from tests.rooms import DATASET_HEADER, DATASET_SCHEMA, PURPOSE, people

# PostgreSQL with the long runs.
pytestmark = pytest.mark.slow_on("postgresql")

CONSENTED = 2_700
# A tenth of the 5% that every cap keeps for it.
PRICE_MICRO = 500


def public_spent(stage) -> int:
    with stage.room.db.reading() as tx:
        accounts = stage.room.grants.accounts(tx, stage.provider.population_id)
    return sum(account.allocated_micro for account in accounts if account.kind is AccountKind.PUBLIC)


def size_of(stage, purpose: str = PURPOSE):
    return stage.room.public_sizes.release(stage.dataset_id, purpose=purpose)


def test_a_size_is_noised_and_charged_once_for_each_version_and_purpose(stage):
    figure = size_of(stage)

    assert figure.name == "dataset"
    # Eight sigma: a false alarm once in 10^15 runs.
    assert abs(figure.value - CONSENTED) < 8 * figure.sigma
    assert size_of(stage) == figure
    assert public_spent(stage) == PRICE_MICRO
    assert size_of(stage, "research") != figure
    assert public_spent(stage) == 2 * PRICE_MICRO
    stage.load(stage.dataset_id, DATASET_HEADER, people())
    size_of(stage)
    assert public_spent(stage) == 3 * PRICE_MICRO
    assert len(stage.events("release.public")) == 3


def test_questions_are_answered_with_the_size_that_was_released(stage):
    grant = stage.grant("S")
    before = stage.ask(grant, precision="rough")
    figure = size_of(stage)

    after = stage.ask(grant, precision="rough")

    assert after.outcome is Outcome.STORED
    assert after.figures == (*before.figures, figure)
    assert [ratio.name for ratio in after.ratios] == ["match_rate:base", "match_rate:dataset"]


def test_keys_that_are_rotated_before_the_files_are_opened_make_the_room_count_once_more(stage, monkeypatch):
    mask, calls = ConsentView.mask, []

    def rotate_once(self, at):
        calls.append(1)
        if len(calls) == 1:
            stage.room.rotation.rotate_kek(stage.provider.workspace_id)
        return mask(self, at)

    monkeypatch.setattr(ConsentView, "mask", rotate_once)
    figure = size_of(stage)

    assert abs(figure.value - CONSENTED) < 8 * figure.sigma
    assert len(calls) == 2
    assert public_spent(stage) == PRICE_MICRO


def test_when_the_kept_share_is_used_up_nothing_is_released(stage, monkeypatch):
    for _ in range(10):
        assert size_of(stage) is not None
        stage.load(stage.dataset_id, DATASET_HEADER, people(200))

    assert size_of(stage) is None
    assert public_spent(stage) == 5_000


def test_a_crash_between_charge_and_figure_is_charged_once(stage, monkeypatch):
    def die(cells, mechanism):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("cleanroom.release.public.release_cells", die)
        with pytest.raises(KeyboardInterrupt):
            size_of(stage)
    stage.reopen()

    assert size_of(stage) is not None
    assert public_spent(stage) == PRICE_MICRO


def test_a_size_that_was_paid_for_once_is_not_made_twice_by_a_backup_from_in_between(make_room, monkeypatch):
    stage = make_room()

    def die(cells, mechanism):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("cleanroom.release.public.release_cells", die)
        with pytest.raises(KeyboardInterrupt):
            size_of(stage)
    backup = Backup(stage)
    assert size_of(stage).value is not None
    backup.put_back()

    reconcile_room(stage.room)

    # With fresh noise it would tell more than was charged; the next version has a size again.
    assert (size_of(stage).value, size_of(stage).suppressed) == (None, True)
    assert public_spent(stage) == PRICE_MICRO
    assert [event["body"] for event in stage.events("release.public_withheld")] == [{"purpose": PURPOSE}]
    stage.load(stage.dataset_id, DATASET_HEADER, people())
    assert size_of(stage).value is not None


def test_a_purpose_without_a_mapping_of_consents_costs_nobody_anything(stage):
    assert [size_of(stage, purpose) for purpose in ("resale", "anything")] == [None, None]
    assert public_spent(stage) == 0


def test_without_a_policy_or_a_version_there_is_no_size(stage):
    stage.dataset_id = stage.register("dataset", DATASET_SCHEMA)
    with pytest.raises(VersionNotFoundError):
        size_of(stage)
    stage.load(stage.dataset_id, DATASET_HEADER, people(50))

    assert size_of(stage) is None
    assert public_spent(stage) == 0


def test_the_exact_size_is_in_no_table_and_no_event(stage, monkeypatch):
    monkeypatch.setattr(gate, "add_noise", lambda counts, sigma: [count + 100_001 for count in counts])

    figure = size_of(stage)

    assert figure.value == CONSENTED + 100_001
    with stage.room.db.reading() as tx:
        row = tx.session.query(PublicRelease).one()
    assert str(CONSENTED) not in {str(value) for value in vars(row).values()}
    # As a number of its own: an identifier's hex digits may spell anything.
    assert not re.search(rf"\b{CONSENTED}\b", repr(stage.events("release.public")[0]["body"]))
