"""From what happens to what people are told: by role, once, in the pages and by mail."""

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

import cleanroom
from cleanroom.access.scopes import CLIENTS_WRITE, POLICIES_WRITE, ROLES
from cleanroom.accounts.types import OrganisationKind
from cleanroom.audit.models import AuditEvent
from cleanroom.bootstrap import open_room
from cleanroom.mail.models import MailMessageRow
from cleanroom.mail.types import MailKind
from cleanroom.notices.errors import UnknownNoticeError
from cleanroom.notices.models import NoticeRow, NoticeStateRow
from cleanroom.notices.outbox import KEPT
from cleanroom.notices.types import MAILED, Notice, NoticeType
from cleanroom.settings.mail import MailSettings
from cleanroom.signin.types import Member
from tests.market import Market
from tests.people_rooms import Person, person, quick_hashes
from tests.rooms import DATASET_HEADER, MakeRoom, Stage
from tests.rooms import person as row

__all__ = ["quick_hashes"]
pytestmark = pytest.mark.usefixtures("quick_hashes")
RELAY = MailSettings("127.0.0.1", 9, "none", None, None, "room@example.org")


@dataclass
class Scene:
    stage: Stage
    people: dict[str, Person] = field(default_factory=dict)
    members: dict[str, Member] = field(default_factory=dict)

    @property
    def room(self) -> Any:
        return self.stage.room

    def with_mail(self) -> None:
        self.room.close()
        self.stage.room = open_room(replace(self.room.settings, mail=RELAY), clock=self.stage.clock)

    def person(self, role: str, party: str = "provider") -> Person:
        organisation_id = self.stage.parties[party].organisation_id
        who = person(self.room, organisation_id, role, f"{role.replace('_', '-')}@{party}.example.org")
        self.people[f"{party}.{role}"] = who
        self.members[f"{party}.{role}"] = who.member()
        return who

    def everybody(self) -> None:
        for party, kind in (("provider", "provider"), ("advertiser", "advertiser")):
            for role in ROLES[OrganisationKind(kind)]:
                self.person(role, party)
        # What signing in has told stands on another page.
        self.tell()

    def tell(self) -> None:
        self.room.notices.outbox.catch_up(self.room.db)

    def told(self, who: str, **asked: Any) -> list[Notice]:
        self.tell()
        with self.room.db.reading() as tx:
            return list(self.room.notices.reading.page(tx, self.members[who], **asked)[0])

    def types(self, who: str) -> set[NoticeType]:
        return {one.type for one in self.told(who)} - {NoticeType.NEW_DEVICE}

    def who_is_told(self, type_: NoticeType) -> set[str]:
        return {who for who in self.members if type_ in self.types(who)}

    def unread(self, who: str) -> int:
        self.tell()
        with self.room.db.reading() as tx:
            return int(self.room.notices.reading.unread(tx, self.members[who]))

    def letters(self) -> list[str]:
        """To whom letters about notices wait."""
        self.tell()
        with self.room.db.reading() as tx:
            rows = select(MailMessageRow.user_id).where(MailMessageRow.kind == MailKind.NOTICE.value)
            names = {one.user.id: name for name, one in self.people.items()}
            return sorted(names[user_id] for user_id in tx.session.scalars(rows))

    def audit(self, event: str, subject: str, organisation_id: str | None, **body: Any) -> None:
        with self.room.db.transaction() as tx:
            tx.audit(event, subject_id=subject, organisation_id=organisation_id, body=body)


@pytest.fixture
def scene(make_room: MakeRoom) -> Scene:
    return Scene(make_room())


@pytest.fixture(scope="module")
def furnished(
    sqlite_template: Stage, tmp_path_factory: pytest.TempPathFactory, quick_hashes: None
) -> Iterator[tuple[Scene, Market]]:
    """One room, everybody in it, and most that can happen."""
    from tests.rooms import copied

    made = Scene(copied(sqlite_template, tmp_path_factory.mktemp("notices") / "home"))
    made.everybody()
    yield made, Market(made.stage)
    made.room.close()


Furnished = tuple[Scene, Market]
DECIDES = {"provider.owner", "provider.policy_manager"}
LISTS = {"provider.owner", "provider.data_manager"}
SEES_DATA = {f"provider.{role}" for role in ("owner", "policy_manager", "data_manager", "officer", "viewer")}
BUYS = {"advertiser.owner", "advertiser.buyer"}


def test_a_request_is_told_to_those_who_decide_and_its_outcome_to_those_who_buy(
    furnished: Furnished,
) -> None:
    scene, market = furnished
    asked = market.ask(size="S")
    assert scene.who_is_told(NoticeType.REQUEST_WAITS) == DECIDES
    newest = scene.told("provider.owner")[0]
    assert newest.data["request_id"] == asked.request.id
    assert newest.about == ("advertiser",)
    market.approve(asked)
    assert scene.who_is_told(NoticeType.REQUEST_DECIDED) == BUYS
    (decided,) = scene.told("advertiser.buyer", only=NoticeType.REQUEST_DECIDED)
    assert decided.data["decision"] == "approved"


def test_a_review_is_told_to_those_who_write_listings(furnished: Furnished) -> None:
    scene, _ = furnished
    assert scene.who_is_told(NoticeType.LISTING_WAITS) == LISTS
    (reviewed, *_) = scene.told("provider.data_manager", only=NoticeType.LISTING_REVIEWED)
    assert reviewed.data["decision"] == "live"


def test_a_load_is_told_with_what_it_needs(furnished: Furnished) -> None:
    scene, _ = furnished
    stage = scene.stage
    good = stage.load(stage.dataset_id, DATASET_HEADER, [row(one) for one in range(200)], publish=False)
    assert scene.who_is_told(NoticeType.VERSION_READY) == SEES_DATA
    newest = scene.told("provider.viewer", only=NoticeType.VERSION_READY)[0]
    assert newest.data == {"dataset_id": stage.dataset_id, "version_id": good}
    assert newest.about == ("people",)
    # An upload and the version that was made of it fail together.
    provider = stage.provider.organisation_id
    body = {"dataset_id": stage.dataset_id, "package_id": "pk_1", "failure": "ingestion.skew"}
    scene.audit("ingestion.failed", "dv_1", provider, **body)
    scene.audit("uploads.failed", "up_1", provider, **body)
    assert len(scene.told("provider.owner", only=NoticeType.VERSION_REFUSED)) == 1
    body = {"dataset_id": stage.dataset_id, "package_id": "pk_2", "over_shared": 3}
    scene.audit("ingestion.loaded", "dv_2", provider, **body)
    assert scene.who_is_told(NoticeType.VERSION_DECISION) == SEES_DATA
    # A buyer's base is its own business.
    buyer = stage.advertiser.organisation_id
    scene.audit("ingestion.loaded", "dv_3", buyer, dataset_id=stage.base_id, package_id="pk_3", over_shared=0)
    told = {who for who in scene.who_is_told(NoticeType.VERSION_READY) if who.startswith("advertiser")}
    assert told == {f"advertiser.{role}" for role in ("viewer", "analyst", "buyer", "officer", "owner")}
    assert all(
        one.data["version_id"] != "dv_3"
        for one in scene.told("provider.owner", limit=100)
        if "version_id" in one.data
    )


def test_an_alarm_and_a_question_that_waits_are_told_to_those_who_act_on_them(furnished: Furnished) -> None:
    scene, _ = furnished
    provider = scene.stage.provider.organisation_id
    ids = {"dataset_id": scene.stage.dataset_id, "advertiser_id": scene.stage.advertiser.organisation_id}
    about = {"dataset_id": ids["dataset_id"], "party_id": ids["advertiser_id"]}
    scene.audit("alarms.raised", "al_1", provider, alarm="difference", **about)
    scene.audit("rules.approval_requested", "apr_1", provider, **ids)
    assert scene.who_is_told(NoticeType.ALARM) == DECIDES | {"provider.officer"}
    assert scene.who_is_told(NoticeType.QUESTION_WAITS) == DECIDES
    scene.audit("foureyes.asked", "fe_1", provider, deed="shred_workspace", confirms=CLIENTS_WRITE)
    assert scene.who_is_told(NoticeType.DEED_WAITS) == {"provider.owner"}
    scene.audit("foureyes.asked", "fe_2", provider, deed="unsafe_policy", confirms=POLICIES_WRITE)
    assert scene.who_is_told(NoticeType.DEED_WAITS) == DECIDES
    # In the log of a room before this one nothing says who confirms.
    scene.audit("foureyes.asked", "fe_3", provider, deed="unsafe_policy")
    assert {one.data["ask_id"] for one in scene.told("provider.owner", only=NoticeType.DEED_WAITS)} == {
        "fe_1",
        "fe_2",
    }
    scene.audit("rules.trial_done", "tr_1", provider, dataset_id=scene.stage.dataset_id)
    scene.audit("rules.trial_failed", "tr_2", provider, dataset_id=scene.stage.dataset_id)
    assert scene.who_is_told(NoticeType.TRIAL_ENDED) == DECIDES
    assert len(scene.told("provider.owner", only=NoticeType.TRIAL_ENDED)) == 2
    scene.audit("rekeying.failed", "kr_1", provider, failure="storage.full")
    assert scene.who_is_told(NoticeType.ROTATION_FAILED) == LISTS
    scene.audit("consent.epoch_begun", "ce_1", provider, dataset_id=ids["dataset_id"], epoch=1)
    scene.audit("consent.epoch_begun", "ce_2", provider, dataset_id=ids["dataset_id"], epoch=2)
    assert scene.who_is_told(NoticeType.CONSENT_EPOCH) == LISTS | {"provider.officer"}
    assert len(scene.told("provider.officer", only=NoticeType.CONSENT_EPOCH)) == 1
    scene.audit("webhooks.disabled", "wh_1", provider)
    assert scene.who_is_told(NoticeType.WEBHOOK_DISABLED) == {"provider.owner"}
    for number in range(2):
        scene.audit("mail.given_up", f"ml_{number}", provider, kind="reset", failure="later", user_id="us_1")
    assert scene.who_is_told(NoticeType.MAIL_GIVEN_UP) == {"provider.owner"}
    assert len(scene.told("provider.owner", only=NoticeType.MAIL_GIVEN_UP)) == 1


def test_a_new_device_is_told_to_its_person_alone(furnished: Furnished) -> None:
    scene, _ = furnished
    signin, owner = scene.room.signin, scene.people["provider.owner"]
    before = len(scene.told("provider.owner", only=NoticeType.NEW_DEVICE))

    def enter(device: str) -> str:
        entered = signin.sign_in(
            owner.user.email, owner.password, address="192.0.2.1", agent="Firefox", device=device
        )
        return str(entered.device)

    device = enter("")
    assert len(scene.told("provider.owner", only=NoticeType.NEW_DEVICE)) == before + 1
    assert enter(device) == device
    assert len(scene.told("provider.owner", only=NoticeType.NEW_DEVICE)) == before + 1
    others = [one for who in scene.members for one in scene.told(who) if who != "provider.owner"]
    sessions = {one.data["session_id"] for one in scene.told("provider.owner", only=NoticeType.NEW_DEVICE)}
    assert not sessions & {one.data.get("session_id") for one in others}


def test_marking_counts_for_one_person_and_up_to_what_was_seen(furnished: Furnished) -> None:
    scene, market = furnished
    reading, room = scene.room.notices.reading, scene.room
    owner, manager = scene.members["provider.owner"], scene.members["provider.policy_manager"]
    market.ask(size="S", days=30)
    newest = scene.told("provider.owner")[0]
    before, theirs = scene.unread("provider.owner"), scene.unread("provider.policy_manager")
    with room.db.transaction() as tx:
        reading.mark(tx, owner, newest.id)
        reading.mark(tx, owner, newest.id)
    assert scene.unread("provider.owner") == before - 1
    assert scene.unread("provider.policy_manager") == theirs
    market.ask(size="S", days=31)
    scene.tell()
    with room.db.transaction() as tx:
        reading.mark_all(tx, owner, through=newest.number)
    assert scene.unread("provider.owner") == 1
    assert [one.unread for one in scene.told("provider.owner")[:2]] == [True, False]
    assert len(scene.told("provider.owner", unread=True)) == 1
    mine = scene.told("provider.owner", only=NoticeType.NEW_DEVICE)[0]
    for stranger in (manager, scene.members["advertiser.owner"], scene.members["provider.finance"]):
        with pytest.raises(UnknownNoticeError), room.db.transaction() as tx:
            reading.mark(tx, stranger, mine.id)


def test_what_somebody_hides_is_neither_shown_nor_counted(furnished: Furnished) -> None:
    scene, market = furnished
    reading, who = scene.room.notices.reading, "provider.policy_manager"
    market.ask(size="S", days=32)
    assert NoticeType.REQUEST_WAITS in scene.types(who)
    shown = [one.type for one in reading_choices(scene, who) if one.type is not NoticeType.REQUEST_WAITS]
    with scene.room.db.transaction() as tx:
        reading.choose(tx, scene.members[who], page=shown, mail=())
    assert NoticeType.REQUEST_WAITS not in scene.types(who)
    assert NoticeType.REQUEST_WAITS in scene.types("provider.owner")
    assert {one.type for one in reading_choices(scene, who) if not one.page} == {NoticeType.REQUEST_WAITS}
    assert not any(one.mail for one in reading_choices(scene, who))


def reading_choices(scene: Scene, who: str) -> tuple[Any, ...]:
    with scene.room.db.reading() as tx:
        return tuple(scene.room.notices.reading.choices(tx, scene.members[who]))


def test_a_role_that_is_taken_away_shows_nothing_more(scene: Scene) -> None:
    manager = scene.person("policy_manager")
    Market(scene.stage).ask()
    assert NoticeType.REQUEST_WAITS in scene.types("provider.policy_manager")
    with scene.room.db.transaction() as tx:
        scene.room.access.users.change_role(tx, manager.user.id, "viewer")
    scene.members["provider.policy_manager"] = manager.member()
    assert NoticeType.REQUEST_WAITS not in scene.types("provider.policy_manager")
    assert NoticeType.REQUEST_WAITS not in {
        one.type for one in reading_choices(scene, "provider.policy_manager")
    }


def test_what_happened_before_somebody_came_is_not_told(scene: Scene) -> None:
    Market(scene.stage).ask()
    scene.stage.clock.move(minutes=1)
    scene.person("owner")
    assert scene.types("provider.owner") == set()


def test_budget_that_is_nearly_given_out_is_told_once(scene: Scene) -> None:
    scene.person("viewer")
    market = Market(scene.stage)
    given = 0
    while not scene.types("provider.viewer") & {NoticeType.BUDGET_NEARLY_SPENT}:
        given += 1
        assert given < 40
        party = scene.stage.party(f"buyer{given}")
        market.bought(advertiser=party.organisation_id, size="L")
    (told,) = scene.told("provider.viewer", only=NoticeType.BUDGET_NEARLY_SPENT)
    assert 80 <= int(told.data["percent"]) <= 100
    assert told.about == ("provider",)
    scene.room.notices.outbox.catch_up(scene.room.db)
    assert len(scene.told("provider.viewer", only=NoticeType.BUDGET_NEARLY_SPENT)) == 1


def test_statements_of_a_month_are_told_when_nothing_in_it_changes_any_more(scene: Scene) -> None:
    for role, party in (("finance", "provider"), ("owner", "advertiser")):
        scene.person(role, party)
    market = Market(scene.stage)
    market.question(market.bought())
    ready = scene.room.marketplace.statements_ready
    ready.announce(scene.room.db)
    assert scene.who_is_told(NoticeType.STATEMENT_READY) == set()
    market.next_month()
    # The question's usage is not minted yet: the statement may still grow.
    ready.announce(scene.room.db)
    assert scene.who_is_told(NoticeType.STATEMENT_READY) == set()
    market.mint()
    for _ in range(2):
        ready.announce(scene.room.db)
    for who in ("provider.finance", "advertiser.owner"):
        scene.members[who] = scene.people[who].member()
        (told,) = scene.told(who, only=NoticeType.STATEMENT_READY)
        assert told.data == {"month": "2026-11"}
    assert market.statement(market.provider).complete


def test_every_event_is_told_once_whoever_reads_the_log_and_wherever_it_stops(stage: Stage) -> None:
    scene = Scene(stage)
    scene.person("owner")
    market = Market(stage)
    for days in range(30, 36):
        market.ask(days=days)
    outbox = scene.room.notices.outbox
    with scene.room.db.rehearsing() as tx:
        outbox.tell(tx)
        assert tx.session.scalar(select(func.count()).select_from(NoticeRow))
    with scene.room.db.reading() as tx:
        assert tx.session.scalar(select(func.count()).select_from(NoticeRow)) == 0

    def read() -> None:
        for _ in range(40):
            with scene.room.db.transaction() as tx:
                outbox.tell(tx, limit=2)

    with ThreadPoolExecutor(2) as both:
        for done in [both.submit(read) for _ in range(2)]:
            done.result()
    assert len(scene.told("provider.owner", only=NoticeType.REQUEST_WAITS)) == 6
    # Read again from the start, as a database restored from a backup would.
    with scene.room.db.transaction() as tx:
        tx.session.get_one(NoticeStateRow, 1).next_index = 0
    assert len(scene.told("provider.owner", only=NoticeType.REQUEST_WAITS)) == 6


def test_old_ones_are_forgotten_and_never_made(scene: Scene) -> None:
    scene.person("owner")
    market = Market(scene.stage)
    market.ask()
    scene.tell()
    with scene.room.db.transaction() as tx:
        scene.room.notices.reading.mark(
            tx, scene.members["provider.owner"], scene.told("provider.owner")[0].id
        )
    market.ask(days=30)
    scene.stage.clock.instant += KEPT + timedelta(days=1)
    scene.tell()
    with scene.room.db.transaction() as tx:
        scene.room.notices.outbox.sweep(tx)
        assert tx.session.scalars(select(NoticeRow)).all() == []


def test_letters_go_to_those_whose_role_opens_it_and_who_want_them(scene: Scene) -> None:
    scene.with_mail()
    for role in ("owner", "policy_manager", "finance"):
        scene.person(role)
    reading, owner = scene.room.notices.reading, scene.members["provider.owner"]
    scene.tell()
    before = scene.letters()
    with scene.room.db.transaction() as tx:
        reading.choose(tx, owner, page=list(NoticeType), mail=[NoticeType.ALARM])
    Market(scene.stage).ask()
    assert scene.letters() == sorted([*before, "provider.policy_manager"])
    with scene.room.db.transaction() as tx:
        row = tx.session.scalars(select(MailMessageRow).order_by(MailMessageRow.id.desc())).first()
        assert row is not None
        scene.room.access.users.change_role(tx, row.user_id, "finance")
        # Whoever has lost the role meanwhile gets nothing.
        assert scene.room.mail.outbox.claim(tx, row.id) is None
        assert row.state == "dropped"


def test_a_letter_tells_that_and_not_about_whom(scene: Scene) -> None:
    scene.with_mail()
    scene.person("owner")
    Market(scene.stage).ask()
    scene.tell()
    with scene.room.db.transaction() as tx:
        ids = tx.session.scalars(select(MailMessageRow.id).where(MailMessageRow.kind == "notice")).all()
        letters = [scene.room.mail.outbox.claim(tx, one) for one in ids]
    subjects = {one.letter.subject for one in letters if one}
    assert "A request waits for you" in subjects
    for one in letters:
        assert one is not None
        written = " ".join((one.letter.subject, *one.letter.paragraphs))
        assert not re.search(r"advertiser|people|@|_[0-9a-f]{8}", written)


def test_what_is_long_past_is_not_mailed(scene: Scene) -> None:
    scene.with_mail()
    scene.person("owner")
    scene.tell()
    before = len(scene.letters())
    Market(scene.stage).ask()
    scene.stage.clock.move(days=2)
    assert len(scene.letters()) == before
    assert {NoticeType.REQUEST_WAITS} <= MAILED


def test_every_kind_that_is_read_is_one_that_is_written(furnished: Furnished) -> None:
    """A kind that is renamed would end its notices without a word."""
    scene, _ = furnished
    sources = "\n".join(
        path.read_text()
        for path in Path(cleanroom.__file__).parent.rglob("*.py")
        if "notices" not in path.parts
    )
    with scene.room.db.reading() as tx:
        seen = set(tx.session.scalars(select(AuditEvent.kind)))
    composed: dict[str, Callable[[str], str]] = {
        "marketplace.request_": lambda what: f'"{what}"',
        "webhooks.": lambda what: f'"{what}"',
    }
    for kind in scene.room.notices.outbox.events.kinds:
        stem = next((one for one in composed if kind.startswith(one)), None)
        written = f'"{kind}"' in sources or (
            stem is not None and composed[stem](kind.removeprefix(stem)) in sources
        )
        assert written or kind in seen, kind


def test_many_events_that_tell_nothing_are_passed_over_for_good(scene: Scene) -> None:
    scene.tell()
    with scene.room.db.transaction() as tx:
        for number in range(1100):
            tx.audit("test.nothing", subject_id=str(number))
    scene.tell()
    with scene.room.db.reading() as tx:
        assert tx.session.get_one(NoticeStateRow, 1).next_index == scene.room.audit.size(tx)


def test_a_letter_about_a_new_device_goes_to_its_person_alone(scene: Scene) -> None:
    scene.with_mail()
    for role in ("owner", "viewer"):
        scene.person(role)
    before = scene.letters()
    scene.people["provider.viewer"].sign_in()
    assert scene.letters() == sorted([*before, "provider.viewer"])
