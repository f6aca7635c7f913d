"""A question's way through a whole room: what is answered, what is refused, what it costs, and what remains of it."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from cleanroom.analyses.errors import (
    NoSharedKeyError,
    NoStoredAnswerError,
    NotYourBaseError,
    NotYourGrantError,
)
from cleanroom.analyses.models import AnalysisRow
from cleanroom.analyses.types import Answer, Outcome
from cleanroom.client.receipts import VerifiedReceipt, verify_receipt
from cleanroom.grants.service import Grants
from cleanroom.matching.local import LocalEngine
from cleanroom.release import gate, service
from cleanroom.release.models import StoredAnswer
from policies.codec import load_preset
from tests.rooms import (
    BASE_SCHEMA,
    DATASET_HEADER,
    DATASET_SCHEMA,
    KNOWN,
    PURPOSE,
    STRANGERS,
    Stage,
    clients,
    people,
)

# Every tenth of the known persons has withdrawn.
OVERLAP = KNOWN * 9 // 10
YOUNG = {"attribute": "age", "op": "<", "value": 30}
RICH = {
    "kind": "profile",
    "segments": {"young": YOUNG, "sporty": {"attribute": "likes", "op": "has_any", "value": ["sport"]}},
    "breakdowns": [["sex", "age"]],
    "labels": True,
    "per_key": True,
    "affinity": True,
    "precision": "fine",
}
OnCount = Callable[[Callable[[], None]], list[int]]


@pytest.fixture
def while_counting(monkeypatch: pytest.MonkeyPatch) -> OnCount:
    """Let something happen between the two transactions, each time that the engine counts."""

    def hook(action: Callable[[], None]) -> list[int]:
        counts: list[int] = []
        count = LocalEngine.count

        def counting(self: LocalEngine, *args: Any) -> Any:
            counts.append(len(counts) + 1)
            exact = count(self, *args)
            action()
            return exact

        monkeypatch.setattr(LocalEngine, "count", counting)
        return counts

    return hook


def receipt_of(stage: Stage, answer: Answer) -> VerifiedReceipt:
    return verify_receipt(answer.receipt.read_bytes(), verifier_key=stage.room.audit.verifier_key)


def status_of(stage: Stage, analysis_id: str) -> str:
    with stage.room.db.reading() as tx:
        return tx.session.get_one(AnalysisRow, analysis_id).status


def test_a_permitted_question_is_answered_charged_and_proven(stage):
    grant = stage.grant()

    answer = stage.ask(grant, **RICH)

    assert answer.outcome is Outcome.RELEASED
    overlap = next(figure for figure in answer.figures if figure.name == "overlap")
    # Eight sigma: a false alarm once in 10^15 runs.
    assert abs(overlap.value - OVERLAP) < 8 * overlap.sigma
    assert {figure.name for figure in answer.figures} >= {
        "key:email/room",
        "label:lapsed",
        "segment:young",
        "breakdown:sex=F,age=30-44",
        "dataset",
        "dataset:segment:sporty",
    }
    # overlap, labels, keys, two overlapping segments, a breakdown; and size, segments, breakdown of the dataset.
    assert answer.mechanism.l0 == 3 + 2 + 1 + 1 + 2 + 1
    assert answer.charged_micro == answer.mechanism.rho_micro == 5_000
    assert answer.left_micro == stage.left(grant) == 95_000 - 5_000
    body = receipt_of(stage, answer).record["body"]
    assert body["outcome"] == "released"
    assert body["budget"] == {"left_before_micro": 95_000, "left_after_micro": 90_000}
    assert [(item["name"], item["value"]) for item in body["figures"]] == [
        (figure.name, figure.value) for figure in answer.figures
    ]
    assert body["dataset_id"] == stage.dataset_id
    assert len(body["dataset_files_root"]) == 64
    assert status_of(stage, answer.analysis_id) == "released"


def test_every_cell_goes_through_the_gate_under_the_l0_that_was_paid_for(stage, monkeypatch):
    seen: list[Any] = []
    release = gate.release_cells
    monkeypatch.setattr(
        service,
        "release_cells",
        lambda cells, mechanism: seen.append((cells, mechanism)) or release(cells, mechanism),
    )

    answer = stage.ask(stage.grant(), **RICH)

    ((cells, mechanism),) = seen
    assert mechanism == answer.mechanism
    assert len(cells) == len(answer.figures)
    exact = {cell.name: cell.exact for cell in cells}
    assert exact["overlap"] == OVERLAP
    assert exact["key:email/room"] + exact["key:phone/room"] == OVERLAP
    assert exact["dataset"] == 2_700


def test_a_denied_question_names_rule_and_nearest_permitted_one_and_costs_nothing(stage):
    grant = stage.grant()

    answer = stage.ask(grant, purpose="research", labels=True)

    assert answer.outcome is Outcome.REFUSED
    assert [reason.rule for reason in answer.reasons] == ["grant_purpose"]
    assert (answer.figures, answer.ratios, answer.mechanism, answer.consent_epoch) == ((), (), None, None)
    assert answer.charged_micro == 0
    assert stage.left(grant) == answer.left_micro == 95_000
    nearest = answer.reasons[0].nearest["question"]
    assert nearest["purpose"] == PURPOSE
    proven = receipt_of(stage, answer)
    assert proven.record["kind"] == "release.refused"
    assert proven.record["body"]["reasons"][0]["nearest"]["question"] == nearest
    assert status_of(stage, answer.analysis_id) == "refused"
    # It is truly permitted.
    nearest.pop("dataset_id"), nearest.pop("base_id")
    assert stage.ask(grant, **nearest).outcome is Outcome.RELEASED


def test_the_kill_switch_and_a_spent_grant_deny(stage):
    grant = stage.grant("S")
    assert stage.ask(grant, half_width=32).outcome is Outcome.RELEASED
    left = stage.left(grant)

    refused = stage.ask(grant, precision="fine")

    assert [reason.rule for reason in refused.reasons] == ["budget_left"]
    assert refused.reasons[0].asked == 5_000
    assert stage.left(grant) == left
    stage.stop()
    assert [reason.rule for reason in stage.ask(grant, half_width=200).reasons] == ["kill_switch"]


def test_without_a_policy_a_version_or_a_consent_mapping_there_is_a_gap_and_gaps_refuse(stage):
    rule = load_preset("standard", purposes=[PURPOSE, "resale"])
    bare = stage.register("dataset", DATASET_SCHEMA)
    grant = stage.grant(dataset_id=bare, documents=[rule], size="S")
    stage.dataset_id = bare

    unset = stage.ask(grant)
    stage.rule(rule, dataset_id=bare)
    unloaded = stage.ask(grant)
    stage.load(bare, DATASET_HEADER, people(100))
    unmapped = stage.ask(
        stage.grant(dataset_id=bare, purposes=["resale"], size="S"), purpose="resale", precision="rough"
    )

    assert [answer.missing for answer in (unset, unloaded, unmapped)] == [
        ("policy", "published_version"),
        ("published_version",),
        ("consent",),
    ]
    for answer in (unset, unloaded, unmapped):
        assert (answer.outcome, answer.reasons, answer.charged_micro) == (Outcome.REFUSED, (), 0)
        assert receipt_of(stage, answer).record["body"]["missing"] == list(answer.missing)


def test_a_foreign_grant_or_base_is_answered_as_one_that_does_not_exist(stage):
    grant = stage.grant("S")
    stranger = stage.party("stranger")
    foreign_base = stage.base(clients(10, 0), party=stranger)
    other_dataset = stage.register("dataset", DATASET_SCHEMA)

    def error_of(kind: type[Exception], **changed: Any) -> tuple[str, str]:
        asked = {"grant_id": grant.id, "asker_id": stage.advertiser.organisation_id} | {
            key: changed.pop(key) for key in ("grant_id", "asker_id") if key in changed
        }
        question = stage.question()
        question = type(question)(**{**vars(question), **changed})
        with pytest.raises(kind) as caught:
            stage.room.analyses.ask(question, **asked)
        return caught.value.code, str(caught.value)

    assert (
        error_of(NotYourGrantError, grant_id="gr_nobody")
        == error_of(NotYourGrantError, asker_id=stranger.organisation_id)
        == error_of(NotYourGrantError, dataset_id=other_dataset)
        == error_of(NotYourGrantError, dataset_id="ds_nobody")
    )
    assert (
        error_of(NotYourBaseError, base_id="ds_nobody")
        == error_of(NotYourBaseError, base_id=foreign_base)
        == error_of(NotYourBaseError, base_id=stage.dataset_id)
    )
    # Not even a row is left of them: their ids would be a stranger's.
    assert not stage.events("release.refused")


def test_a_base_in_another_hash_profile_is_told_which_would_do(stage):
    schema = BASE_SCHEMA.replace("column: email", "column: email, hash_profile: uid2").replace(
        "  phone: {column: phone, default_region: RU}\n", ""
    )
    stage.base_id = stage.register("base", schema)

    with pytest.raises(NoSharedKeyError, match="email/room, phone/room"):
        stage.ask(stage.grant("S"))


def test_an_agency_needs_its_mandate_when_it_asks_and_not_only_when_it_bought(stage):
    agency = stage.party("agency", "agency")
    parties = {"agency_id": agency.organisation_id, "advertiser_id": stage.advertiser.organisation_id}
    with stage.room.db.transaction() as tx:
        mandate = stage.room.accounts.grant_mandate(tx, **parties)
    grant = stage.grant("M", agency_id=agency.organisation_id)
    assert stage.ask(grant, asker=agency).outcome is Outcome.RELEASED

    with stage.room.db.transaction() as tx:
        stage.room.accounts.revoke_mandate(tx, mandate.id)
    refused = stage.ask(grant, asker=agency)

    # Not even the stored answer.
    assert [reason.rule for reason in refused.reasons] == ["mandate"]
    assert stage.ask(grant).outcome is Outcome.STORED
    assert receipt_of(stage, refused).record["body"]["agency_id"] == agency.organisation_id


def test_the_same_question_is_answered_again_for_nothing_in_any_spelling(stage):
    grant = stage.grant("S")
    first = stage.ask(grant, segments={"young": YOUNG}, precision="normal")
    left = stage.left(grant)
    doubled = {
        "not": {"any": [{"attribute": "age", "op": ">=", "value": 30}, {"attribute": "age", "op": "is_null"}]}
    }

    again = stage.ask(grant, segments={"renamed": doubled}, precision="normal")

    assert (again.outcome, again.charged_micro, stage.left(grant)) == (Outcome.STORED, 0, left)
    assert [figure.value for figure in again.figures] == [figure.value for figure in first.figures]
    assert [figure.name for figure in again.figures] == ["overlap", "segment:renamed"]
    assert (again.as_of, again.consent_epoch) == (first.as_of, first.consent_epoch)
    # The proof is that of the release; the question itself stands in the log as well.
    assert again.receipt == first.receipt
    assert receipt_of(stage, again).record["subject"] == first.analysis_id
    assert stage.events("analyses.answered_again")[0]["body"]["answer_of"] == first.analysis_id
    assert status_of(stage, again.analysis_id) == "stored"


def test_a_finer_stored_answer_serves_a_coarser_question_and_not_the_other_way_round(stage):
    grant = stage.grant()
    rough = stage.ask(grant, precision="rough")
    normal = stage.ask(grant, precision="normal")

    assert normal.outcome is Outcome.RELEASED
    again = stage.ask(grant, precision="rough")
    assert again.outcome is Outcome.STORED
    # The newest that fits.
    assert again.figures == normal.figures
    assert rough.mechanism.sigma > again.mechanism.sigma


def test_a_stored_answer_is_given_when_the_grant_is_spent(stage):
    grant = stage.grant("S")
    first = stage.ask(grant, half_width=31)
    assert stage.left(grant) == 2_000 - first.charged_micro < 100

    assert stage.ask(grant, half_width=31).outcome is Outcome.STORED
    assert stage.ask(grant, half_width=31, labels=True).outcome is Outcome.REFUSED


def test_another_base_grant_purpose_policy_version_or_data_is_another_question(stage):
    both = [PURPOSE, "research"]
    grant = stage.grant("S", purposes=both)
    price = {"precision": "rough"}
    stage.ask(grant, **price)
    base_id = stage.base_id

    def fresh(grant=grant, **changed):
        return stage.ask(grant, **{**price, **changed}).outcome is Outcome.RELEASED

    assert not fresh()
    assert fresh(stage.grant("S", purposes=both))
    assert fresh(purpose="research")
    stage.base_id = stage.base(clients(KNOWN, STRANGERS - 1))
    assert fresh()
    # The same people under another id are the same base.
    stage.base_id = stage.base(clients()[::-1])
    assert not fresh()
    stage.base_id = base_id
    stage.rule(load_preset("standard", purposes=both, blocked=["likes"]))
    assert fresh()
    stage.load(stage.dataset_id, DATASET_HEADER, people())
    assert fresh()
    stage.withdraw(0)
    assert fresh()
    assert not fresh()


def test_as_of_gives_the_answer_of_that_day_and_never_a_fresh_one(stage):
    grant = stage.grant("S")
    before = stage.clock.now()
    first = stage.ask(grant, precision="rough")
    stage.clock.move(days=1)
    stage.withdraw(*range(50))
    second = stage.ask(grant, precision="rough")
    left = stage.left(grant)

    old = stage.ask(grant, precision="rough", as_of=first.as_of)
    new = stage.ask(grant, precision="rough", as_of=stage.clock.now())

    assert (old.figures, old.as_of, old.consent_epoch) == (first.figures, first.as_of, 0)
    assert (new.figures, new.as_of, new.consent_epoch) == (second.figures, second.as_of, 1)
    assert stage.left(grant) == left
    with pytest.raises(NoStoredAnswerError):
        stage.ask(grant, precision="rough", as_of=before)


def test_a_withdrawal_while_counting_makes_the_room_count_once_more(stage, while_counting, monkeypatch):
    monkeypatch.setattr(gate, "add_noise", lambda counts, sigma: list(counts))
    grant = stage.grant("S")
    pending = [50]
    counts = while_counting(lambda: pending and stage.withdraw(*range(pending.pop())) and None)

    answer = stage.ask(grant, precision="rough")

    assert counts == [1, 2]
    assert (answer.outcome, answer.consent_epoch, answer.charged_micro) == (Outcome.RELEASED, 1, 100)
    # Of the first fifty, five had withdrawn before.
    assert answer.figures[0].value == OVERLAP - 45
    assert stage.left(grant) == 2_000 - 100
    again = stage.ask(grant, precision="rough")
    assert (again.outcome, again.figures) == (Outcome.STORED, answer.figures)


def test_a_second_withdrawal_while_counting_refuses_and_the_budget_stays_spent(stage, while_counting):
    grant = stage.grant("S")
    numbers: Iterator[int] = iter(range(9))
    counts = while_counting(lambda: stage.withdraw(next(numbers)) and None)

    answer = stage.ask(grant, precision="rough")

    assert counts == [1, 2]
    assert answer.outcome is Outcome.REFUSED
    assert [reason.rule for reason in answer.reasons] == ["consent_epoch"]
    assert (answer.figures, answer.charged_micro, stage.left(grant)) == ((), 100, 1_900)
    assert receipt_of(stage, answer).record["body"]["outcome"] == "refused"
    with stage.room.db.reading() as tx:
        assert tx.session.scalars(select(StoredAnswer)).all() == []


def test_the_kill_switch_stops_a_question_that_is_being_counted(stage, while_counting):
    grant = stage.grant("S")
    counts = while_counting(stage.stop)

    answer = stage.ask(grant, precision="rough")

    assert counts == [1]
    assert [reason.rule for reason in answer.reasons] == ["kill_switch"]
    assert (answer.outcome, answer.figures, answer.charged_micro) == (Outcome.REFUSED, (), 100)
    assert stage.left(grant) == 1_900
    assert not stage.events("release.released")


def test_a_question_that_another_one_outruns_is_refused_with_what_is_left(stage, monkeypatch):
    grant = stage.grant("S")
    reserve = Grants.reserve

    def outrun(self: Grants, tx: Any, grant_id: str, **question: Any) -> Any:
        reserve(self, tx, grant_id, **{**question, "rho_micro": 1_950, "analysis_id": "an_faster"})
        return reserve(self, tx, grant_id, **question)

    monkeypatch.setattr(Grants, "reserve", outrun)

    answer = stage.ask(grant, precision="rough")

    assert [reason.rule for reason in answer.reasons] == ["budget_left"]
    assert (answer.charged_micro, stage.left(grant)) == (0, 50)


def test_no_transaction_is_open_while_counting(stage, while_counting):
    def write() -> None:
        # On SQLite this would wait a minute for a writer that waits for us.
        with stage.room.db.transaction() as tx:
            stage.room.accounts.create_organisation(tx, name="Meanwhile", kind="advertiser")

    while_counting(write)

    assert stage.ask(stage.grant("S"), precision="rough").outcome is Outcome.RELEASED


def test_a_question_whose_process_died_is_marked_lost_and_its_budget_stays_spent(stage, while_counting):
    grant = stage.grant("S")

    def die() -> None:
        raise KeyboardInterrupt

    while_counting(die)
    with pytest.raises(KeyboardInterrupt):
        stage.ask(grant, precision="rough")
    (asked,) = stage.events("analyses.asked")
    assert status_of(stage, asked["subject"]) == "reserved"

    stage.reopen()

    assert status_of(stage, asked["subject"]) == "lost"
    assert stage.left(grant) == 1_900
    assert [event["subject"] for event in stage.events("analyses.lost")] == [asked["subject"]]
    # Once is enough.
    assert stage.room.analyses.recover() == ()
    assert len(stage.events("analyses.lost")) == 1


def test_a_question_that_another_process_is_counting_is_not_lost(stage, while_counting):
    found: list[tuple[str, ...]] = []
    while_counting(lambda: found.append(stage.room.analyses.recover()))

    answer = stage.ask(stage.grant("S"), precision="rough")

    assert found == [()]
    assert answer.outcome is Outcome.RELEASED


@pytest.fixture
def expiring(make_room):
    """A dataset in which every second consent to research ends with the day, and the other with the next."""
    stage = make_room()
    mapping = '{column: lab, granted: ["yes"]}'
    schema = DATASET_SCHEMA.replace(mapping, mapping.replace("]}", "], expires_at: until}"))
    rows = [f"{row},2026-11-{22 + number % 2}" for number, row in enumerate(people(1_000))]
    stage.dataset_id = stage.dataset(rows, schema=schema, header=f"{DATASET_HEADER},until")
    stage.rule()
    return stage


def test_consents_that_expire_by_the_calendar_make_the_stored_answer_old(expiring):
    grant = expiring.grant("S", purposes=["research"])
    asked = {"purpose": "research", "precision": "rough"}
    first = expiring.ask(grant, **asked)
    expiring.clock.move(hours=11)
    assert expiring.ask(grant, **asked).outcome is Outcome.STORED

    expiring.clock.move(hours=2)
    fresh = expiring.ask(grant, **asked)

    assert (fresh.outcome, fresh.consent_epoch) == (Outcome.RELEASED, 1)
    assert expiring.ask(grant, **asked, as_of=first.as_of).figures == first.figures


def test_a_question_that_is_counted_over_midnight_honours_the_new_day(expiring, while_counting, monkeypatch):
    monkeypatch.setattr(gate, "add_noise", lambda counts, sigma: list(counts))
    steps = [13]
    counts = while_counting(lambda: expiring.clock.move(hours=steps.pop()) if steps else None)

    answer = expiring.ask(expiring.grant("S", purposes=["research"]), purpose="research", precision="rough")

    assert counts == [1, 2]
    assert (answer.consent_epoch, answer.figures[0].value) == (1, 500)


def numbers_in(value: Any) -> Iterator[int]:
    """All whole numbers of plain data, and those that stand in its texts."""
    if isinstance(value, dict):
        value = [*value.keys(), *value.values()]
    if isinstance(value, list | tuple):
        for item in value:
            yield from numbers_in(item)
    elif isinstance(value, int) and not isinstance(value, bool):
        yield value
    elif isinstance(value, str) and value.isdigit():
        yield int(value)


def test_neither_log_nor_receipts_nor_sql_hold_an_exact_count(stage, monkeypatch):
    exact: set[int] = set()

    def far(counts: list[int], *, sigma: float) -> list[int]:
        exact.update(counts)
        return [count + 1_000_000 + 7 * at for at, count in enumerate(counts)]

    # Noise that cannot meet a count by chance.
    monkeypatch.setattr(gate, "add_noise", far)
    answer = stage.ask(stage.grant("M"), **RICH)
    stage.ask(stage.grant("S"), precision="fine", purpose="research")

    exact = {count for count in exact if count > 100}
    assert OVERLAP in exact
    assert len(exact) > 15
    written = [event["body"] for event in stage.events()]
    written += [json.loads(path.read_bytes()) for path in answer.receipt.parent.iterdir()]
    with stage.room.db.reading() as tx:
        for model in (StoredAnswer, AnalysisRow):
            for row in tx.session.scalars(select(model)):
                written.append({column.name: getattr(row, column.name) for column in model.__table__.columns})
    # Record counts of the files are no counts of matches: 3,000 rows, 1,500 in the base.
    assert not exact & set(numbers_in(written))


def test_a_receipt_can_be_made_again_from_the_log(stage):
    answer = stage.ask(stage.grant("S"), precision="rough")
    answer.receipt.unlink()

    again = stage.ask(stage.grant("S"), precision="rough")
    with stage.room.db.transaction() as tx:
        path = stage.room.receipts.issue(tx, answer.analysis_id)

    assert again.analysis_id != answer.analysis_id
    assert path == answer.receipt
    assert receipt_of(stage, answer).record["subject"] == answer.analysis_id


def test_the_term_of_the_grant_holds_for_stored_answers_too(stage):
    grant = stage.grant("S", expires_at=stage.clock.now() + timedelta(days=2))
    stage.ask(grant, precision="rough")
    stage.clock.move(days=3)

    assert [reason.rule for reason in stage.ask(grant, precision="rough").reasons] == ["grant_term"]
