"""Whoever is erased is not counted from then on, is in no file once a pass has been over them, and stays out."""

import secrets
from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from cleanroom.client.certificates import verify_certificate
from cleanroom.client.receipts import ReceiptError
from cleanroom.consent.changes import ChangeState, read_changes
from cleanroom.consent.errors import RequestEndedError, StaleChangeError, UnknownRequestError
from cleanroom.consent.files import ConsentFiles
from cleanroom.consent.models import ConsentEpochRow
from cleanroom.consent.optout_types import OptOutAction, OptOutKind
from cleanroom.consent.terms import Terms, read_terms
from cleanroom.consent.types import Change
from cleanroom.datasets.errors import DatasetNotFoundError
from cleanroom.datasets.models import DatasetVersionRow
from cleanroom.datasets.tokens import token_halves, token_key
from cleanroom.datasets.types import DatasetKind, Role, VersionStatus
from cleanroom.rekeying.types import What
from cleanroom.release import gate
from cleanroom.rights.errors import ErasureFormError, NotAppliedError, NotErasedYetError, UnknownErasureError
from cleanroom.rights.types import ErasureState, PassState
from cleanroom.storage.leases import Leases
from tests.holding_back import listed
from tests.rights_rooms import (
    DATED_HEADER,
    DATED_SCHEMA,
    asked,
    compact,
    dated,
    digest,
    erase,
    hasten,
    problems,
)
from tests.rooms import DATASET_HEADER, Stage, email, people, phone

pytestmark = pytest.mark.slow_on("postgresql")


def counted(stage: Stage, dataset_id: str = "") -> int:
    room, dataset_id = stage.room, dataset_id or stage.dataset_id
    with room.db.reading() as tx:
        version = room.datasets.current(tx, dataset_id)
        epoch = room.consents.epoch(tx, dataset_id)
        view = room.consents.view(tx, version.id, purpose="advertising", epoch=epoch)
    return int(view.mask(room.clock.now()).sum())


def current(stage: Stage, dataset_id: str = "") -> Any:
    with stage.room.db.reading() as tx:
        return stage.room.datasets.current(tx, dataset_id or stage.dataset_id)


def report(stage: Stage, version_id: str) -> Any:
    with stage.room.db.reading() as tx:
        return stage.room.datasets.report(tx, version_id)


def contents_of_everything(stage: Stage, dataset_id: str) -> dict[str, bytes]:
    """Decrypt every sealed file of a dataset: versions and consents; by object key."""
    room, found = stage.room, {}
    with room.db.reading() as tx:
        dataset = room.datasets.dataset(tx, dataset_id)
        for version in room.datasets.versions(tx, dataset_id):
            reader = room.datasets.reader(tx, version.id)
            for file in room.datasets.files(tx, version.id):
                found[file.object_key] = reader.read_bytes(file.role, file.column)
        files = ConsentFiles(room.workspaces, room.store)
        for row in tx.session.query(ConsentEpochRow).filter_by(dataset_id=dataset_id).all():
            if row.object_key is not None:
                reader = files.reader(tx, dataset, row)
                found[row.object_key] = read_changes(reader, epoch=row.epoch).tobytes()
                for file in files.beside(tx, [row.id]).get(row.id, ()):
                    found[file.object_key] = reader.read_bytes(file.role, file.column)
    return found


def halves(stage: Stage, key: str, text: str) -> list[bytes]:
    """The two halves of a token, as columns hold them."""
    room = stage.room
    with room.db.reading() as tx:
        keys = room.workspaces.secrets(tx, stage.provider.workspace_id)
    made = token_key(
        keys.token_secret, workspace_id=stage.provider.workspace_id, version=keys.token_version, key=key
    )
    return [half.tobytes() for half in token_halves(digest(text), key=made).astype("<u8")[0]]


def test_a_person_is_excluded_at_once_and_gone_after_the_next_pass(stage: Stage) -> None:
    room = stage.room
    before = counted(stage)
    outcome = erase(stage, 3)
    assert (outcome.applied, outcome.not_applied) == (("email/room",), ())
    assert outcome.erasure.state is ErasureState.EXCLUDED
    assert outcome.erasure.erase_by is not None
    assert counted(stage) == before - 1
    old = current(stage)
    with room.db.reading() as tx:
        files = room.datasets.files(tx, old.id)
    done = compact(stage)
    assert done.state is PassState.DONE
    new = current(stage)
    with room.db.reading() as tx:
        erasure = room.rights.erasures.erasure(tx, stage.dataset_id, outcome.erasure.id)
    assert (erasure.state, erasure.compaction_id, erasure.erase_by) == (ErasureState.ERASED, done.id, None)
    assert (new.id, new.number, new.status) == (old.id, old.number, old.status)
    assert new.persons == old.persons - 1
    assert new.files_root != old.files_root
    assert counted(stage) == before - 1
    figure = report(stage, new.id)
    assert (figure.persons, figure.erased, figure.came_back) == (new.persons, 1, 0)
    assert not set(room.store.keys()) & {file.object_key for file in files}
    assert problems(stage) == []


def test_a_pass_waits_for_its_time_and_is_done_once(stage: Stage) -> None:
    room = stage.room
    erase(stage, 3)
    erase(stage, 4)
    assert not room.rights.compactions.work()
    stage.clock.move(hours=room.settings.erasure_hours)
    assert room.rights.compactions.work()
    assert not room.rights.compactions.work()
    room.rights.compactions.cover()
    with room.db.reading() as tx:
        (one,) = room.rights.compactions.of(tx, stage.dataset_id)
        erased = room.rights.erasures.listed(tx, stage.dataset_id, limit=10)
    assert one.state is PassState.DONE
    assert {each.state for each in erased} == {ErasureState.ERASED}


def test_no_sealed_file_holds_a_token_of_the_person_but_what_keeps_it_out(stage: Stage) -> None:
    dataset_id = stage.register("dataset", DATED_SCHEMA)
    first = stage.load(dataset_id, DATED_HEADER, [dated(number) for number in range(30)])
    stage.load(dataset_id, DATED_HEADER, [dated(number) for number in range(1, 30)])
    stage.load(dataset_id, DATED_HEADER, [dated(number) for number in range(25)], publish=False)
    mine = [*halves(stage, "email/room", email(3)), *halves(stage, "phone/room", phone(3))]
    held = contents_of_everything(stage, dataset_id)
    assert sum(any(half in data for half in mine) for data in held.values()) == 3 * 4
    erase(stage, 3, dataset_id=dataset_id)
    compact(stage, dataset_id)
    left = contents_of_everything(stage, dataset_id)
    keepers = {key for key, data in left.items() if any(half in data for half in mine)}
    assert {key.split("/")[1][:2] for key in keepers} == {"ce"}
    with stage.room.db.reading() as tx:
        persons = {v.id: v.persons for v in stage.room.datasets.versions(tx, dataset_id)}
        dataset = stage.room.datasets.dataset(tx, dataset_id)
        segments = stage.room.rights.compactions.one_pass.erased.rows(tx, dataset)()
    assert list(persons.values()) == [29, 28, 24]
    assert persons[first] == 29
    own = np.isin(segments["hi"], np.frombuffer(b"".join(mine[::2]), "<u8"))
    assert set(segments["state"][own].tolist()) == {ChangeState.WITHDRAWN, ChangeState.ERASED}
    # What was written is all that lies there.
    with stage.room.db.reading() as tx:
        named = {f.object_key for v in persons for f in stage.room.datasets.files(tx, v)}
    assert {key for key in stage.room.store.keys() if key.split("/")[1] in persons} == named  # noqa: SIM118 - a store is no mapping


def test_what_somebody_said_before_is_struck_with_its_terms_and_others_keep_theirs(stage: Stage) -> None:
    room, dataset_id = stage.room, stage.dataset_id
    room.consents.change(
        dataset_id,
        [
            Change(
                "email/room",
                digest(email(number)),
                ChangeState.GRANTED,
                "advertising",
                terms=[Terms(evidence=f"letter-{number}")],
            )
            for number in (3, 19)
        ],
    )
    before = counted(stage)
    erase(stage, 3)
    assert counted(stage) == before - 1
    compact(stage)
    assert counted(stage) == before - 1
    with room.db.reading() as tx:
        dataset = room.datasets.dataset(tx, dataset_id)
        changes = room.rights.compactions.one_pass.erased.rows(tx, dataset)()
        row = tx.session.query(ConsentEpochRow).filter_by(dataset_id=dataset_id, epoch=1).one()
        reader = ConsentFiles(room.workspaces, room.store).reader(tx, dataset, row)
    kept = read_terms(reader.read_bytes(Role.CONSENT_TERMS))
    assert [one.evidence for one in kept] == [None, "letter-19"]
    granted = changes[changes["state"] == ChangeState.GRANTED]
    assert set(granted["detail"].tolist()) == {1}
    assert problems(stage) == []


def test_a_load_that_brings_the_person_back_does_not_count_it_and_says_so(stage: Stage) -> None:
    before = counted(stage)
    erase(stage, 3)
    compact(stage)
    version_id = stage.load(stage.dataset_id, DATASET_HEADER, people())
    assert counted(stage) == before - 1
    assert current(stage).persons == 3000
    compact(stage)
    assert current(stage).persons == 2999
    figure = report(stage, version_id)
    assert (figure.erased, figure.came_back) == (0, 1)
    assert problems(stage) == []


def test_whoever_changes_the_identifier_before_the_pass_is_not_counted_either(stage: Stage) -> None:
    before = counted(stage)
    erase(stage, 3)
    moved = [row.replace(email(3), "new@example.org") for row in people()]
    stage.load(stage.dataset_id, DATASET_HEADER, moved)
    assert (counted(stage), current(stage).persons) == (before - 1, 3000)


@pytest.mark.slow
def test_whoever_comes_back_under_other_identifiers_is_known_by_these_too(stage: Stage) -> None:
    dataset_id = stage.register("dataset", DATED_SCHEMA)
    others = [dated(number) for number in range(5)]
    stage.load(dataset_id, DATED_HEADER, [*others, dated(9)])
    erase(stage, 9, dataset_id=dataset_id)
    compact(stage, dataset_id)
    # A new id and a new e-mail, in a version that is never published; and then nothing of the first identifiers.
    moved = dated(9, key="new", email="new@example.org")
    third = dated(9, key="new", email="third@example.org", phone=phone(900))
    stage.load(dataset_id, DATED_HEADER, [*others, moved], publish=False)
    compact(stage, dataset_id)
    stage.load(dataset_id, DATED_HEADER, [*others, third])
    assert counted(stage, dataset_id) == 5
    compact(stage, dataset_id)
    assert current(stage, dataset_id).persons == 5
    assert problems(stage) == []


@pytest.mark.slow
@pytest.mark.parametrize("how", ["a later record", "a change", "none"])
def test_a_consent_that_was_collected_later_is_the_beginning_of_something_new(stage: Stage, how: str) -> None:
    dataset_id = stage.register("dataset", DATED_SCHEMA)
    stage.load(dataset_id, DATED_HEADER, [dated(number) for number in range(5)])
    erase(stage, 2, dataset_id=dataset_id)
    stage.clock.move(hours=1)
    later = stage.clock.now()
    stage.clock.move(hours=1)
    if how == "a change":
        change = Change("email/room", digest(email(2)), ChangeState.GRANTED, "advertising", at=later)
        stage.room.consents.change(dataset_id, [change])
    seen = later.isoformat().replace("+00:00", "Z") if how == "a later record" else "2026-01-01T00:00:00Z"
    stage.load(dataset_id, DATED_HEADER, [*(dated(n) for n in range(5) if n != 2), dated(2, seen=seen)])
    expected = 4 if how == "none" else 5
    assert counted(stage, dataset_id) == expected
    compact(stage, dataset_id)
    assert (counted(stage, dataset_id), current(stage, dataset_id).persons) == (expected, expected)


def test_a_restriction_outlives_a_pass_and_the_consent_after_it_until_it_is_lifted(stage: Stage) -> None:
    dataset_id = stage.register("dataset", DATED_SCHEMA)
    stage.load(dataset_id, DATED_HEADER, [dated(number) for number in range(5)])
    listed(stage, [2], OptOutKind.RESTRICTION)
    erase(stage, 2, dataset_id=dataset_id)
    compact(stage, dataset_id)
    stage.clock.move(hours=2)
    later = stage.clock.now().isoformat().replace("+00:00", "Z")
    stage.load(dataset_id, DATED_HEADER, [*(dated(n) for n in range(5) if n != 2), dated(2, seen=later)])
    assert (counted(stage, dataset_id), current(stage, dataset_id).persons) == (4, 5)
    listed(stage, [2], OptOutKind.RESTRICTION, action=OptOutAction.LIFT)
    assert counted(stage, dataset_id) == 5


@pytest.mark.slow
def test_a_value_that_two_hold_names_both_and_nobody_goes_through_another_value(stage: Stage) -> None:
    dataset_id = stage.register("dataset", DATED_SCHEMA)
    rows = [dated(0, phone2=phone(77)), dated(1, phone2=phone(77)), dated(2, phone=phone(0))]
    stage.load(dataset_id, DATED_HEADER, rows)
    stage.room.rights.erasures.ask(
        dataset_id,
        asked(("phone/room", phone(77))),
        organisation_id=stage.provider.organisation_id,
        kind=DatasetKind.DATASET,
        by="us_1",
    )
    compact(stage, dataset_id)
    assert (counted(stage, dataset_id), current(stage, dataset_id).persons) == (1, 1)


def test_the_same_request_is_taken_once_and_another_one_is_another(stage: Stage) -> None:
    room, salt = stage.room, secrets.token_bytes(32)

    def ask(salt: bytes) -> str:
        return room.rights.erasures.ask(
            stage.dataset_id,
            asked(("email/room", email(3)), ("phone/room", phone(3)), salt=salt),
            organisation_id=stage.provider.organisation_id,
            kind=DatasetKind.DATASET,
            by="us_1",
        ).erasure.id

    first = ask(salt)
    with room.db.reading() as tx:
        epoch = room.consents.epoch(tx, stage.dataset_id)
    assert ask(salt) == first
    with room.db.reading() as tx:
        assert room.consents.epoch(tx, stage.dataset_id) == epoch
    assert ask(secrets.token_bytes(32)) != first


def test_an_answer_does_not_tell_who_was_found(stage: Stage) -> None:
    found, missing = erase(stage, 3), erase(stage, 700_000)
    plain = [
        replace(one.erasure, id="", commitment="", epoch=0, asked_at=stage.clock.instant)
        for one in (found, missing)
    ]
    assert plain[0] == plain[1]
    assert missing.erasure.epoch == found.erasure.epoch + 1
    kinds = [event["kind"] for event in stage.events("consent.epoch_begun", "rights.erasure_asked")]
    assert kinds == ["consent.epoch_begun", "rights.erasure_asked"] * 2


def test_forms_that_are_refused(stage: Stage) -> None:
    room = stage.room

    def ask(request: Any, **changed: Any) -> None:
        room.rights.erasures.ask(
            changed.get("dataset_id", stage.dataset_id),
            request,
            organisation_id=changed.get("organisation_id", stage.provider.organisation_id),
            kind=changed.get("kind", DatasetKind.DATASET),
            by="us_1",
        )

    good = asked(("email/room", email(3)))
    with pytest.raises(ErasureFormError, match="1 to 100"):
        ask(replace(good, identifiers=()))
    with pytest.raises(ErasureFormError, match="digest"):
        ask(replace(good, identifiers=(replace(good.identifiers[0], digest=b"x"),)))
    with pytest.raises(ErasureFormError, match="salt"):
        ask(replace(good, salt=b"short"))
    with pytest.raises(ErasureFormError, match="reference"):
        ask(replace(good, reference="Иван Петров"))
    with pytest.raises(NotAppliedError) as refused:
        ask(asked(("maid/room", "x")))
    assert "email/room" in str(refused.value)
    with pytest.raises(DatasetNotFoundError):
        ask(good, organisation_id=stage.advertiser.organisation_id)
    with pytest.raises(DatasetNotFoundError):
        ask(good, dataset_id=stage.base_id)
    assert stage.events("rights.erasure_asked", "consent.epoch_begun") == []


def test_the_certificate_is_verified_offline_and_opened_by_whoever_keeps_the_salt(stage: Stage) -> None:
    room = stage.room
    request = asked(("email/room", email(3)), ("phone/room", phone(3)))
    taken = room.rights.erasures.ask(
        stage.dataset_id,
        request,
        organisation_id=stage.provider.organisation_id,
        kind=DatasetKind.DATASET,
        by="us_1",
    )
    with room.db.reading() as tx, pytest.raises(NotErasedYetError):
        room.rights.erasures.certificate(tx, stage.dataset_id, taken.erasure.id)
    compact(stage)
    with room.db.reading() as tx:
        content = room.rights.erasures.certificate(tx, stage.dataset_id, taken.erasure.id)
        with pytest.raises(UnknownErasureError):
            room.rights.erasures.certificate(tx, stage.base_id, taken.erasure.id)
    certificate = verify_certificate(content, verifier_key=room.audit.verifier_key)
    named = [(one.key, one.digest) for one in reversed(request.identifiers)]
    assert certificate.is_about(named, salt=request.salt)
    assert not certificate.is_about(named, salt=bytes(32))
    assert not certificate.is_about(named[:1], salt=request.salt)
    body = certificate.proven.record["body"]
    assert set(body["versions"]) == {current(stage).id}
    assert body["reference"] == "case-1"
    with pytest.raises(ReceiptError):
        verify_certificate(content.replace(b"case-1", b"case-2"), verifier_key=room.audit.verifier_key)
    # The log knows neither the digest nor the salt, and no number of people.
    log = "\n".join(map(str, stage.events())).lower()
    for secret in (request.salt.hex(), *(one.digest.hex() for one in request.identifiers)):
        assert secret not in log


@pytest.mark.slow
def test_tokens_of_erased_people_move_with_the_token_key(stage: Stage) -> None:
    room = stage.room
    erase(stage, 3)
    compact(stage)
    with room.db.transaction() as tx:
        rotation = room.rekeying.ask(tx, stage.provider.workspace_id, What.TOKENS, by="us_1")
    room.rekeying.run(rotation.id)
    stage.load(stage.dataset_id, DATASET_HEADER, people())
    compact(stage)
    assert current(stage).persons == 2999
    assert problems(stage) == []


def test_a_pass_waits_for_loads_and_rotations_and_does_not_give_up(stage: Stage) -> None:
    room = stage.room
    erase(stage, 3)
    with Leases(room.settings.home / "leases").hold(stage.provider.workspace_id):
        assert compact_once(stage) is PassState.WAITING
    stage.clock.move(minutes=1)
    with room.db.transaction() as tx:
        tx.session.get_one(DatasetVersionRow, current(stage).id).status = VersionStatus.LOADING.value
    assert compact_once(stage) is PassState.WAITING
    with room.db.transaction() as tx:
        row = tx.session.query(DatasetVersionRow).filter_by(status="loading").one()
        row.status = VersionStatus.PUBLISHED.value
    stage.clock.move(minutes=1)
    assert compact_once(stage) is PassState.DONE
    assert problems(stage) == []


def compact_once(stage: Stage) -> PassState:
    with stage.room.db.transaction() as tx:
        hasten(tx, stage.dataset_id, stage.room.clock)
    stage.room.rights.compactions.work()
    with stage.room.db.reading() as tx:
        return stage.room.rights.compactions.of(tx, stage.dataset_id)[0].state


def test_a_question_whose_files_are_written_anew_while_it_is_counted_is_counted_once_more(
    stage: Stage, while_counting: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "add_noise", lambda counts, sigma: list(counts))
    grant = stage.grant("S")
    exact = stage.ask(grant, precision="rough").figures[0].value
    erase(stage, 3)
    pending = [True]
    counts = while_counting(lambda: pending and pending.pop() and compact(stage) and None)
    answer = stage.ask(grant, precision="rough")
    assert counts == [1, 2]
    assert answer.outcome == "released"
    assert (exact, answer.figures[0].value) == (exact, exact - 1)


def test_public_sizes_are_not_drawn_anew(stage: Stage) -> None:
    room = stage.room
    before = room.public_sizes.release(stage.dataset_id, purpose="advertising")
    assert before is not None
    erase(stage, 3)
    compact(stage)
    assert room.public_sizes.release(stage.dataset_id, purpose="advertising") == before
    assert len(stage.events("release.public_released")) <= 1


@pytest.mark.slow
def test_accounts_do_not_notice(stage: Stage) -> None:
    grant = stage.grant()
    stage.ask(grant)
    left = stage.left(grant)
    erase(stage, 3)
    compact(stage)
    assert stage.left(grant) == left
    stage.ask(grant)
    assert stage.left(grant) < left


def test_a_batch_prepared_before_a_pass_names_the_same_people_after_it(stage: Stage) -> None:
    for number in range(9):
        erase(stage, number)
    before = counted(stage)
    taking = stage.room.consents.taking
    batch = [Change("email/room", digest(email(20)), ChangeState.WITHDRAWN)]
    early = taking.prepare(stage.dataset_id, batch)
    compact(stage)
    with pytest.raises(StaleChangeError, match="anew"), stage.room.db.transaction() as tx:
        taking.take(tx, early)
    assert counted(stage) == before
    stage.room.consents.change(stage.dataset_id, batch)
    assert counted(stage) == before - 1


def test_an_old_letter_does_not_bring_back_whom_an_erasure_named(stage: Stage) -> None:
    requests, now = stage.room.consent_requests, stage.room.clock.now()
    pending = [
        Change(
            "email/room",
            digest(email(number)),
            ChangeState.PENDING,
            "advertising",
            terms=(Terms(given_at=now),),
        )
        for number in (10, 20)
    ]
    asked_for = requests.prepare(stage.dataset_id, pending, within=timedelta(days=30))
    with stage.room.db.transaction() as tx:
        _, (old, other) = requests.ask(tx, asked_for)
    stage.clock.move(minutes=1)
    erase(stage, 10)
    with pytest.raises(RequestEndedError):
        requests.prepare_confirmation(stage.dataset_id, str(old))
    compact(stage)
    # Its terms are gone, the secret's hash among them.
    with pytest.raises(UnknownRequestError):
        requests.prepare_confirmation(stage.dataset_id, str(old))
    # Whoever was asked beside them confirms as before, by the one identifier that was given.
    confirming = requests.prepare_confirmation(stage.dataset_id, str(other))
    assert confirming.prepared.submitted.rows["key"].tolist() == [0]


def test_a_base_waits_for_the_pass_that_takes_its_people_out(stage: Stage) -> None:
    grant = stage.grant()
    before = stage.ask(grant)
    with stage.room.db.reading() as tx:
        spent = stage.room.grants.status(tx, grant.id).spent_micro
    stage.room.rights.erasures.ask(
        stage.base_id,
        asked(("email/room", email(3))),
        organisation_id=stage.advertiser.organisation_id,
        kind=DatasetKind.BASE,
        by="cl_1",
    )

    # Neither counted nor taken from the store, and for nothing.
    refused = stage.ask(grant)
    assert [reason.rule for reason in refused.reasons] == ["base_erasing"]
    with stage.room.db.reading() as tx:
        assert stage.room.grants.status(tx, grant.id).spent_micro == spent

    compact(stage, stage.base_id)
    after = stage.ask(grant)
    assert (before.outcome, after.outcome) == ("released", "released")
    with stage.room.db.reading() as tx:
        assert stage.room.grants.status(tx, grant.id).spent_micro == 2 * spent
