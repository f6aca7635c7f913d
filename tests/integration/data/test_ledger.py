"""The ledger from the register to the count: notices, records held against them, requests that a token confirms."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from cleanroom.consent.changes import ChangeState
from cleanroom.consent.errors import (
    ChangeError,
    RegisterError,
    RequestEndedError,
    SignalError,
    StaleChangeError,
    TermsError,
    UnknownNoticeError,
    UnknownPurposeError,
    UnknownRequestError,
)
from cleanroom.consent.models import ConfirmationRow, ConsentEpochRow, ConsentFileRow
from cleanroom.consent.recording import Record, Recording
from cleanroom.consent.register import ConsentRegister
from cleanroom.consent.registered import LegalBasis, PurposeKind
from cleanroom.consent.requests import ConsentRequests
from cleanroom.consent.terms import Terms
from cleanroom.consent.types import ALL_PURPOSES, Withdrawal

pytestmark = pytest.mark.slow_on("postgresql")

SCHEMA = """\
person_id: {column: id}
match_keys: {email: {column: email}}
lawful_basis: consent
consent:
  advertising: {column: ads, granted: ["yes"]}
  research: {column: lab, granted: ["yes"]}
"""
FILE = "id,email,ads,lab\np1,u1@example.org,no,no\np2,u2@example.org,yes,no\n"
HOUR = timedelta(hours=1)
# Purposes 3 to 9, and none: published examples.
SOME = "COrEAV4OrXx94ACABBENAHCIAD-AAAAAAACAAxAAAAgAIAwgAgAAAAEAgQAAAAAEAYQAQAAAACAAAABAAA"
NONE = "CPSG_8APSG_8AAAAAAENAACgAAAAAAAAAAAAAAAAAAAA.YAAAAAAAAAAA"


def digest(number: int) -> bytes:
    return hashlib.sha256(f"u{number}@example.org".encode()).digest()


def record(number: int = 1, state: ChangeState | None = ChangeState.GRANTED, **terms) -> Record:
    given = {"notice": "letter", **terms}
    return Record("email/room", digest(number), "advertising", state, terms=Terms(**given))


class Desk:
    """A provider with a dataset, a register, and what takes its records."""

    def __init__(self, room) -> None:
        self.room = room
        self.register = ConsentRegister(clock=room.clock)
        self.recording = Recording(register=self.register, clock=room.clock)
        self.requests = ConsentRequests(consents=room.consents, clock=room.clock)
        self.dataset = room.register(SCHEMA)
        self.version = room.load(self.dataset, FILE)
        self.owner = room.parties["provider"].organisation_id
        room.clock.instant += HOUR
        self.purpose("advertising", PurposeKind.ADVERTISING, tcf_purposes=(3, 4))
        self.purpose("research", PurposeKind.PROCESSING)
        self.notice("letter")

    def purpose(self, code: str, kind: PurposeKind, **how):
        with self.room.db.transaction() as tx:
            return self.register.add_purpose(
                tx,
                organisation_id=self.owner,
                code=code,
                title_en=code,
                title_ru=code,
                legal_basis=LegalBasis.CONSENT,
                kind=kind,
                **how,
            )

    def notice(self, code: str, text: str = "I agree.", purposes=("advertising",), **how):
        given = {"separate_document": True, "text_ru": "Согласен.", **how}
        with self.room.db.transaction() as tx:
            return self.register.publish_notice(
                tx, organisation_id=self.owner, code=code, text_en=text, purposes=purposes, **given
            )

    def changes(self, *records: Record):
        with self.room.db.reading() as tx:
            return self.recording.changes(tx, records, organisation_id=self.owner)

    def record(self, *records: Record):
        return self.room.consents.change(self.dataset, self.changes(*records))

    def ask(self, *numbers: int, within: timedelta = HOUR):
        pending = (record(number, ChangeState.PENDING) for number in numbers)
        asked = self.requests.prepare(self.dataset, self.changes(*pending), within=within)
        with self.room.db.transaction() as tx:
            return self.requests.ask(tx, asked)[1]

    def confirm(self, token: str) -> int:
        confirming = self.requests.prepare_confirmation(self.dataset, token)
        with self.room.db.transaction() as tx:
            return self.requests.confirm(tx, confirming).epoch

    def counted(self) -> int:
        with self.room.db.reading() as tx:
            epoch = self.room.consents.epoch(tx, self.dataset)
            view = self.room.consents.view(tx, self.version, purpose="advertising", epoch=epoch)
        return int(view.mask(self.room.clock.now()).sum())

    def rows(self, model):
        with self.room.db.reading() as tx:
            found = tx.session.query(model).all()
            tx.session.expunge_all()
        return found


@pytest.fixture
def desk(any_room):
    return Desk(any_room)


def test_a_consent_is_recorded_with_its_terms_sealed(desk):
    outcome = desk.record(record(1, method="web_form", evidence="crm/4711", recipients=("Shop",)))
    assert (outcome.epoch, outcome.submitted, desk.counted()) == (1, 1, 2)
    with desk.room.db.reading() as tx:
        dataset = desk.room.datasets.dataset(tx, desk.dataset)
        batch = desk.room.consents.submitted(tx, dataset, 1)
        notice = desk.register.notice(tx, "letter", organisation_id=desk.owner)
    (kept,) = batch.terms()
    assert (kept.method, kept.evidence, kept.recipients) == ("web_form", "crm/4711", ("Shop",))
    assert (kept.notice_version, kept.notice_sha256) == (1, notice.sha256)
    assert (kept.advertising, kept.separate_document) == (True, True)
    assert batch.records()["detail"].tolist() == [0]
    on_disk = b"".join(path.read_bytes() for path in desk.room.home.rglob("*") if path.is_file())
    assert b"crm/4711" not in on_disk
    assert b"web_form" not in on_disk


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        (record(notice=None), TermsError),
        (record(notice="other"), UnknownNoticeError),
        (record(notice_version=2), UnknownNoticeError),
        (record(notice_sha256="0" * 64), TermsError),
        (Record("email/room", digest(1), "sports", ChangeState.GRANTED), UnknownPurposeError),
        (Record("email/room", digest(1), "*", ChangeState.GRANTED), TermsError),
        (
            Record("email/room", digest(1), "research", ChangeState.GRANTED, terms=Terms(notice="letter")),
            TermsError,
        ),
        (Record("email/room", digest(1), "advertising", None), ChangeError),
        (record(tcf="nonsense"), SignalError),
        (record(tcf=NONE), SignalError),
    ],
)
def test_what_the_register_or_a_string_does_not_carry_is_not_recorded(desk, wrong, error):
    with pytest.raises(error):
        desk.record(wrong)
    assert desk.counted() == 1


def test_a_consent_older_than_its_notice_is_refused(desk):
    early = record()
    early = Record(
        early.key,
        early.digest,
        early.purpose,
        early.state,
        datetime(2026, 1, 1, tzinfo=UTC),
        None,
        early.terms,
    )
    with pytest.raises(TermsError, match="older"):
        desk.record(early)


def test_in_russia_consent_is_a_document_of_its_own_since_september_2025(desk):
    since = datetime(2025, 8, 1, tzinfo=UTC)
    desk.notice("inside", separate_document=False, valid_from=since)

    def on(day: datetime, jurisdiction: str) -> Record:
        one = record(1, notice="inside", jurisdiction=jurisdiction)
        return Record(one.key, one.digest, one.purpose, one.state, day, None, one.terms)

    # Midnight in Moscow is 21:00 in UTC.
    before, after = (datetime(2025, 8, 31, hour, 30, tzinfo=UTC) for hour in (20, 21))
    desk.record(on(before, "RU"))
    desk.record(on(after, "DE"))
    with pytest.raises(TermsError, match="152-FZ"):
        desk.record(on(after, "RU"))


@pytest.mark.parametrize(
    ("string", "counted"), [({"tcf": SOME}, 2), ({"tcf": NONE}, 1), ({"gpp": "DBABL~BVVVkkkkkpFY.YA"}, 1)]
)
def test_a_string_tells_the_state_where_none_is_given(desk, string, counted):
    desk.record(record(1, None, **string))
    assert desk.counted() == counted


def test_advertising_is_asked_for_apart_from_anything_else(desk):
    with pytest.raises(RegisterError, match="apart"):
        desk.notice("both", purposes=("advertising", "research"))
    assert desk.notice("other", purposes=("research",)).version == 1


def test_versions_of_a_notice_stay_as_they_are_and_can_be_compared(desk):
    with pytest.raises(RegisterError, match="differs"):
        desk.notice("letter")
    second = desk.notice("letter", "I agree.\nI can withdraw at any time.")
    assert second.version == 2
    with desk.room.db.reading() as tx:
        lines = desk.register.difference(tx, "letter", 1, 2, organisation_id=desk.owner)
        first = desk.register.notice(tx, "letter", 1, organisation_id=desk.owner)
    assert "+I can withdraw at any time." in lines
    assert first.text_en == "I agree."
    with pytest.raises(RegisterError, match="already"):
        desk.purpose("research", PurposeKind.SERVICE)


def test_a_request_counts_once_it_is_confirmed_and_its_token_confirms_once(desk):
    (token, other) = desk.ask(1, 99)
    assert desk.counted() == 1
    desk.room.clock.instant += HOUR / 2
    assert desk.confirm(token) == 2
    assert desk.counted() == 2
    with pytest.raises(RequestEndedError):
        desk.confirm(token)
    # Somebody whom nobody knows is answered alike.
    assert desk.confirm(other) == 3
    assert [row.epoch for row in desk.rows(ConsentEpochRow)] == [1, 2, 3]


def test_an_expired_request_is_not_confirmed(desk):
    (token,) = desk.ask(1)
    desk.room.clock.instant += HOUR + timedelta(seconds=1)
    with pytest.raises(RequestEndedError):
        desk.confirm(token)
    assert desk.counted() == 1


@pytest.mark.parametrize("purpose", ["advertising", ALL_PURPOSES])
def test_an_old_letter_does_not_undo_a_withdrawal(desk, purpose):
    (token,) = desk.ask(1)
    desk.room.clock.instant += HOUR / 4
    desk.room.consents.withdraw(desk.dataset, [Withdrawal("email/room", digest(1), purpose)])
    desk.room.clock.instant += HOUR / 4
    with pytest.raises(RequestEndedError):
        desk.confirm(token)
    assert desk.counted() == 1
    assert desk.rows(ConfirmationRow) == []


def test_a_letter_sent_after_a_withdrawal_is_confirmed(desk):
    desk.room.consents.withdraw(desk.dataset, [Withdrawal("email/room", digest(1))])
    desk.room.clock.instant += HOUR / 4
    (token,) = desk.ask(1)
    desk.confirm(token)
    assert desk.counted() == 2


def test_a_token_that_nobody_gave_out_confirms_nothing(desk):
    (token,) = desk.ask(1)
    changed = token[:-3] + ("A" if token[-3] != "A" else "B") + token[-2:]
    for wrong in (changed, "", "A" * 34, token + "A", token.swapcase()):
        with pytest.raises(UnknownRequestError):
            desk.confirm(wrong)
    stranger = desk.room.register(SCHEMA)
    with pytest.raises(UnknownRequestError):
        desk.requests.prepare_confirmation(stranger, token)


def test_a_confirmation_still_holds_after_a_rotation_of_keys(desk):
    (token,) = desk.ask(1)
    desk.room.rotation.rotate_token_key(desk.room.parties["provider"].workspace_id)
    desk.confirm(token)
    assert desk.counted() == 2


def test_a_version_published_meanwhile_is_looked_through_again(desk):
    (token,) = desk.ask(1)
    confirming = desk.requests.prepare_confirmation(desk.dataset, token)
    desk.version = desk.room.load(desk.dataset, FILE.replace(",no,no", ",,no"))
    with pytest.raises(StaleChangeError), desk.room.db.transaction() as tx:
        desk.requests.confirm(tx, confirming)
    assert desk.rows(ConfirmationRow) == []


def test_of_many_who_confirm_at_once_one_does(server_room):
    desk = Desk(server_room)
    (token,) = desk.ask(1)

    def confirm(_number: int) -> str:
        try:
            desk.confirm(token)
        except RequestEndedError:
            return "ended"
        return "confirmed"

    with ThreadPoolExecutor(4) as pool:
        answers = sorted(pool.map(confirm, range(4)))
    assert answers == ["confirmed", "ended", "ended", "ended"]
    assert len(desk.rows(ConsentEpochRow)) == 2


def test_sql_says_nothing_of_who_was_asked_or_confirmed(desk):
    (token,) = desk.ask(1)
    desk.confirm(token)
    (spent,) = desk.rows(ConfirmationRow)
    assert set(vars(spent)) - {"_sa_instance_state"} == {"token_sha256", "dataset_id"}
    assert token not in spent.token_sha256
    with desk.room.db.reading() as tx:
        dataset = desk.room.datasets.dataset(tx, desk.dataset)
        (asked,) = desk.room.consents.submitted(tx, dataset, 1).terms()
    # Whoever has SQL and the sealed files cannot tell which request a spent token was of.
    assert asked.confirm_sha256 != spent.token_sha256


@pytest.mark.unlogged("the workspace's caller")
def test_overlays_that_others_replaced_go_and_the_rest_stays(desk, monkeypatch):
    monkeypatch.setattr("cleanroom.consent.taking._FOLD_EPOCHS", 2)
    for number in range(12):
        desk.record(Record("email/room", digest(number), "*", ChangeState.WITHDRAWN))
    held = desk.rows(ConsentFileRow)
    assert len({row.epoch_id for row in held if row.role == 18}) <= 6
    stored = set(desk.room.objects())
    assert {row.object_key for row in held} <= stored
    assert len([key for key in stored if "/ce_" in key]) == len(held) + 12
    with desk.room.db.transaction() as tx:
        gone = desk.room.consents.forget(tx, desk.dataset)
    assert (desk.rows(ConsentFileRow), len(gone)) == ([], 12)
    assert len([key for key in desk.room.objects() if "/ce_" in key]) == 12


def test_last_days_are_recorded(desk):
    one = record(1)
    tomorrow = (desk.room.clock.now() + 24 * HOUR).date()
    desk.record(Record(one.key, one.digest, one.purpose, one.state, None, tomorrow, one.terms))
    assert desk.counted() == 2
    desk.room.clock.instant += 48 * HOUR
    assert desk.counted() == 1
