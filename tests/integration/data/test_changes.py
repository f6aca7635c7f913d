"""Changes of consents: grants, denials, withdrawals; what stands, in this version and in later ones."""

import hashlib
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from cleanroom.consent import taking
from cleanroom.consent.changes import ChangeState
from cleanroom.consent.errors import ChangeError
from cleanroom.consent.types import Change, Withdrawal
from cleanroom.datasets.tokens import PERSON_KEY

PLAIN = """\
person_id: {column: id}
match_keys:
  email: {column: email}
  phone: {column: phone, default_region: RU}
lawful_basis: consent
consent:
  advertising: {column: ads, granted: ["yes"], pending: [sent]}
  research: {column: lab, granted: ["yes"]}
"""
DATED = PLAIN.replace("pending: [sent]", "pending: [sent], collected_at: seen")
DAY = timedelta(days=1)


def email(*numbers: int) -> bytes:
    return b"".join(hashlib.sha256(f"u{number}@example.org".encode()).digest() for number in numbers)


def rows(*people: tuple[int, str], seen: str = "") -> str:
    lines = [f"p{number},u{number}@example.org,+7916{number:07},{said},{seen},no" for number, said in people]
    return "\n".join(("id,email,phone,ads,seen,lab", *lines)) + "\n"


def grant(digests: bytes, *, key: str = "email/room", **how) -> Change:
    return Change(key, digests, ChangeState.GRANTED, "advertising", **how)


@pytest.fixture
def ledger(room):
    """A room whose clock moves on with every change, and a function that counts who may be counted."""

    class Ledger:
        def __init__(self) -> None:
            self.dataset = ""

        def open(self, schema: str, text: str) -> str:
            self.dataset = room.register(schema)
            return self.load(text)

        def load(self, text: str) -> str:
            room.clock.instant += DAY
            return room.load(self.dataset, text)

        def change(self, *changes: Change):
            room.clock.instant += DAY
            return room.consents.change(self.dataset, changes)

        def withdraw(self, digests: bytes) -> None:
            room.clock.instant += DAY
            room.consents.withdraw(self.dataset, [Withdrawal("email/room", digests)])

        def counted(self, version: str, *, at: datetime | None = None, epoch: int | None = None) -> int:
            with room.db.reading() as tx:
                newest = room.consents.epoch(tx, self.dataset)
                view = room.consents.view(
                    tx, version, purpose="advertising", epoch=newest if epoch is None else epoch
                )
            return int(view.mask(at or room.clock.now()).sum())

    return Ledger()


def test_a_consent_given_later_counts_and_the_withdrawal_after_it_beats_it(ledger):
    version = ledger.open(PLAIN, rows((1, "no"), (2, "yes")))
    assert ledger.change(grant(email(1, 77))).epoch == 1
    assert ledger.counted(version) == 2
    assert ledger.counted(version, epoch=0) == 1
    ledger.withdraw(email(1))
    assert ledger.counted(version) == 1
    ledger.change(grant(email(1)))
    assert ledger.counted(version) == 2


@pytest.mark.parametrize("state", [ChangeState.DENIED, ChangeState.PENDING, ChangeState.EXPIRED])
def test_whatever_is_not_a_consent_ends_one(ledger, state):
    version = ledger.open(PLAIN, rows((1, "yes"), (2, "yes")))
    ledger.change(Change("email/room", email(1), state, "advertising"))
    assert ledger.counted(version) == 1


def test_a_consent_holds_for_its_last_day_and_not_for_the_next(ledger, room):
    version = ledger.open(PLAIN, rows((1, "no")))
    last = (room.clock.now() + 5 * DAY).date()
    ledger.change(grant(email(1), until=last))
    noon = datetime(last.year, last.month, last.day, 12, tzinfo=UTC)
    assert [ledger.counted(version, at=noon + days * DAY) for days in (0, 1)] == [1, 0]


def test_a_consent_with_a_last_day_begins_an_epoch_when_days_pass(ledger, room):
    ledger.open(PLAIN, rows((1, "no")))
    ledger.change(grant(email(99), until=date(2027, 1, 1)))
    room.clock.instant += DAY
    with room.db.transaction() as tx:
        assert room.consents.advance(tx, ledger.dataset) == 2


def test_a_version_ends_earlier_consents_by_a_denial_and_not_by_silence(ledger):
    ledger.open(PLAIN, rows((1, "no"), (2, "sent")))
    ledger.change(grant(email(1, 2)))
    # 1 denies as of the load; that 2 was asked once says nothing against the consent.
    assert ledger.counted(ledger.load(rows((1, "no"), (2, "sent")))) == 1


def test_what_was_collected_later_than_a_change_counts_whatever_the_change_says(ledger, room):
    ledger.open(DATED, rows((1, "yes"), seen="2026-01-01"))
    ledger.change(Change("email/room", email(1), ChangeState.DENIED, "advertising"))
    collected = room.clock.now().date() + DAY
    ledger.load(rows((1, "yes"), seen="2026-01-01"))
    assert ledger.counted(ledger.load(rows((1, "yes"), seen=str(collected)))) == 1


def test_a_consent_by_person_id_outlives_the_identifiers_and_one_by_a_key_binds_to_person_id(ledger):
    ledger.open(PLAIN, rows((1, "sent"), (2, "sent")))
    by_id = hashlib.sha256(b"p1").digest()
    ledger.change(grant(by_id, key=PERSON_KEY), grant(email(2)))
    moved = rows((1, "sent"), (2, "sent")).replace("u1@", "new1@").replace("u2@", "new2@")
    assert ledger.counted(ledger.load(moved)) == 2


def test_whoever_takes_over_a_value_gets_no_consent_with_it(ledger):
    ledger.open(PLAIN, rows((1, "sent"), (2, "sent")))
    ledger.change(grant(email(1)))
    # The phone that was 1's alone is 3's now.
    passed = rows((3, "sent")).replace("+79160000003", "+79160000001")
    assert ledger.counted(ledger.load(passed)) == 0


@pytest.mark.parametrize("fold", [1, 3, 100])
def test_however_often_overlays_are_folded_the_same_people_count(ledger, room, monkeypatch, fold):
    monkeypatch.setattr(taking, "_FOLD_EPOCHS", fold)
    version = ledger.open(PLAIN, rows(*((number, "yes") for number in range(12))))
    seen = []
    for number in range(12):
        state = ChangeState.DENIED if number % 3 else ChangeState.WITHDRAWN
        ledger.change(Change("email/room", email(number), state))
        seen.append(ledger.counted(version))
        if number % 6 == 4:
            ledger.change(grant(email(number - 1, number)))
            seen.append(ledger.counted(version))
    # After the fifth and the eleventh one comes back who withdrew, and one who was denied.
    assert seen == [11, 10, 9, 8, 7, 9, 8, 7, 6, 5, 4, 3, 5, 4]
    assert seen[-1] == looked_for(room, ledger, version)


def looked_for(room, ledger, version: str) -> int:
    """Count without any overlay, by the tokens of all changes."""
    with room.db.reading() as tx:
        epoch = room.consents.epoch(tx, ledger.dataset)
        view = room.consents.view(tx, version, purpose="advertising", epoch=epoch)
    assert view.overlays is not None
    return int(replace(view, overlays=None).mask(room.clock.now()).sum())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (Change("email/room", email(1), ChangeState.GRANTED), "one purpose"),
        (grant(email(1), at=datetime(2999, 1, 1, tzinfo=UTC)), "later than now"),
        (grant(b"short"), "32 bytes"),
        (Change("email/room", email(1), ChangeState.DENIED, "sports"), "Use one of"),
    ],
)
def test_bad_changes_are_refused(ledger, change, message):
    ledger.open(PLAIN, rows((1, "yes")))
    with pytest.raises(ChangeError, match=message):
        ledger.change(change)


def test_rotated_keys_change_nobody_s_standing(ledger, room):
    version = ledger.open(PLAIN, rows((1, "no"), (2, "yes"), (3, "yes")))
    ledger.change(grant(email(1)), Change("email/room", email(2), ChangeState.DENIED, "advertising"))
    room.rotation.rotate_token_key(room.parties["provider"].workspace_id)
    room.rotation.rotate_kek(room.parties["provider"].workspace_id)
    assert ledger.counted(version) == looked_for(room, ledger, version) == 2
    ledger.withdraw(email(3))
    assert ledger.counted(version) == looked_for(room, ledger, version) == 1
