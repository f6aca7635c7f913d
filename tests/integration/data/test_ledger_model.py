"""Any sequence of loads, changes, lists and days against a reference of a few lines that keeps records in a list."""

import hashlib
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from cleanroom.consent import taking
from cleanroom.consent.changes import ChangeState
from cleanroom.consent.optout_types import Named, OptOut, OptOutAction, OptOutKind, OptOutReason
from cleanroom.consent.optouts import OptOuts
from cleanroom.consent.types import Change
from cleanroom.datasets.tokens import PERSON_KEY

MAPPING = """\
match_keys:
  email: {column: email}
  phone: {column: phone, default_region: RU}
lawful_basis: consent
consent:
  ads: {column: ads, granted: ["yes"], pending: [sent], collected_at: seen}
  lab: {column: lab, granted: ["yes"]}
"""
BY_ID = "person_id: {column: id}\n" + MAPPING
HOUR, BEGINNING = timedelta(hours=1), datetime(1970, 1, 1, tzinfo=UTC)
STRICT = (ChangeState.PENDING, ChangeState.EXPIRED, ChangeState.DENIED, ChangeState.WITHDRAWN)
KEYS = {"id": PERSON_KEY, "email": "email/room", "phone": "phone/room"}


@dataclass(frozen=True)
class Person:
    """A row of a file; days count back from the load."""

    id: int
    email: int
    phone: int
    ads: str
    seen: int | None


@dataclass(frozen=True)
class Said:
    """One record of the reference."""

    token: tuple[str, int]
    purpose: str
    state: ChangeState
    at: datetime
    until: date | None

    @property
    def rank(self) -> tuple[datetime, int, int]:
        return self.at, self.state, -(self.until or date.max).toordinal()


@dataclass
class Entry:
    """One entry of a list, which holds until it is lifted: whom it names, and what was bound to it since."""

    kind: OptOutKind
    token: tuple[str, int]
    tokens: set[tuple[str, int]]


@dataclass
class Reference:
    """What the documents say, as a list of records and a loop."""

    by_id: bool
    said: list[Said] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    people: list[Person] = field(default_factory=list)
    loaded_at: datetime = BEGINNING

    def tokens(self, person: Person) -> set[tuple[str, int]]:
        own = {("id", person.id)} if self.by_id else set()
        return own | {("email", person.email), ("phone", person.phone)}

    def bind(self, batch: list[Said]) -> None:
        added = []
        for purpose in {one.purpose for one in batch}:
            group = [one for one in batch if one.purpose == purpose]
            for person in self.people:
                naming = [one for one in group if one.token in self.tokens(person)]
                if not naming:
                    continue
                best = max(naming, key=lambda one: one.rank)
                bound = [one.rank for one in naming if one.token[0] == "id"]
                if bound and max(bound) == best.rank:
                    continue
                own = self.own(person)
                if best.state is ChangeState.GRANTED:
                    own = {token for token in own if token[0] == "id"}
                added += [replace(best, token=token) for token in own]
        self.said += [*(one for one in batch if one not in self.said), *added]

    def own(self, person: Person) -> set[tuple[str, int]]:
        """What stands for a person alone."""
        return {
            token
            for token in self.tokens(person)
            if token[0] == "id" or sum(token in self.tokens(other) for other in self.people) == 1
        }

    def bar(self, entries: list[Entry]) -> None:
        for entry in entries:
            named = [person for person in self.people if self.tokens(person) & entry.tokens]
            known = {token for token in entry.tokens if token[0] == "id"}
            fresh = [person for person in named if not self.tokens(person) & known]
            entry.tokens = entry.tokens.union(*(self.own(person) for person in fresh))

    def take(self, kind: OptOutKind, action: OptOutAction, tokens: list[tuple[str, int]]) -> None:
        if action is OptOutAction.LIFT:
            self.entries = [one for one in self.entries if one.kind is not kind or one.token not in tokens]
            return
        made = [Entry(kind, token, {token}) for token in tokens]
        self.bar(made)
        self.entries += made

    def counted(self, now: datetime) -> int:
        return sum(self._counts(person, now) for person in self.people)

    def _counts(self, person: Person, now: datetime) -> bool:
        naming = [
            one for one in self.said if one.token in self.tokens(person) and one.purpose in {"ads", "*"}
        ]
        if any(self.tokens(person) & entry.tokens for entry in self.entries):
            return False
        consent = max(naming, key=lambda each: each.rank, default=None)
        seen = BEGINNING if person.seen is None else at_midnight(self.loaded_at, person.seen)
        since = {"yes": seen, "sent": BEGINNING}.get(person.ads, self.loaded_at)
        if consent and (consent.at, consent.state is not ChangeState.GRANTED) > (since, False):
            return consent.state is ChangeState.GRANTED and (consent.until or date.max) >= now.date()
        return person.ads == "yes" and seen <= now


def at_midnight(loaded_at: datetime, days: int) -> datetime:
    day = loaded_at - timedelta(days=days)
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


people = st.builds(
    Person,
    id=st.integers(1, 3),
    email=st.integers(1, 3),
    phone=st.integers(1, 3),
    ads=st.sampled_from(["yes", "no", "sent"]),
    seen=st.sampled_from([None, 0, 1, 3]),
)
loads = st.tuples(
    st.just("load"), st.lists(people, min_size=2, max_size=3, unique_by=lambda person: person.id)
)
changes = st.tuples(
    st.just("change"),
    st.lists(
        st.tuples(
            st.sampled_from(["id", "email", "phone"]),
            st.integers(1, 3),
            st.sampled_from([ChangeState.GRANTED, ChangeState.GRANTED, *STRICT]),
            st.sampled_from(["ads", "ads", "*", "lab"]),
            # Two hours ago is before the load that came last, and equal to an earlier change.
            st.sampled_from([0, 0, 1, 2, 30]),
            st.sampled_from([None, None, 0, 2]),
        ),
        min_size=1,
        max_size=3,
    ),
)
days = st.tuples(st.just("days"), st.integers(1, 2))
steps = st.tuples(changes, st.one_of(changes, days, loads), changes, loads, st.one_of(changes, days))
histories = st.tuples(loads, steps, steps).map(lambda parts: [parts[0], *parts[1], *parts[2]])
kinds = st.sampled_from([OptOutKind.SUPPRESSION, OptOutKind.RESTRICTION])
tokens = st.tuples(st.sampled_from(["email", "phone"]), st.integers(1, 3))
added = st.tuples(kinds, st.just(OptOutAction.ADD), st.lists(tokens, min_size=1, max_size=2))
# All values of a key: what is on no list cannot be lifted from it.
lifted = st.tuples(
    kinds,
    st.just(OptOutAction.LIFT),
    st.sampled_from([[(key, value) for value in (1, 2, 3)] for key in ("email", "phone")]),
)
agreed = people.map(lambda person: replace(person, ads="yes", seen=3))
agreeing = st.tuples(
    st.just("load"), st.lists(agreed, min_size=2, max_size=3, unique_by=lambda person: person.id)
)
lists = st.tuples(st.just("list"), st.one_of(added, lifted))
listed_steps = st.tuples(st.tuples(st.just("list"), added), st.one_of(lists, changes), agreeing, lists)
listed_histories = st.tuples(agreeing, listed_steps, listed_steps).map(
    lambda parts: [parts[0], *parts[1], *parts[2]]
)


def digest(kind: str, value: int) -> bytes:
    text = {"id": f"p{value}", "email": f"u{value}@example.org", "phone": f"+7916{value:07}"}[kind]
    return hashlib.sha256(text.encode()).digest()


def check(room, history, *, by_id: bool) -> None:
    """Do everything in a room and in the reference, and count after each step, with the overlay and without."""
    reference = Reference(by_id)
    dataset, version = room.register(BY_ID if by_id else MAPPING), None
    for kind, content in history:
        room.clock.instant += HOUR
        now = room.clock.now()
        if kind == "load":
            reference.people, reference.loaded_at = content, now
            lines = [
                f"p{one.id},u{one.email}@example.org,+7916{one.phone:07},{one.ads},"
                f"{'' if one.seen is None else at_midnight(now, one.seen).date()},no"
                for one in content
            ]
            version = room.load(dataset, "\n".join(["id,email,phone,ads,seen,lab", *lines]) + "\n")
            reference.bind(reference.said)
            reference.bar(reference.entries)
        elif kind == "list":
            listed(room, dataset, *content)
            reference.take(*content)
        elif kind == "change":
            batch = []
            for key, value, state, about, hours, until in content:
                purpose = "ads" if state is ChangeState.GRANTED and about == "*" else about
                last = None if until is None else (now + timedelta(days=until)).date()
                last = last if state is ChangeState.GRANTED else None
                if by_id or key != "id":
                    batch.append(Said((key, value), purpose, state, now - hours * HOUR, last))
            sent = [
                Change(
                    KEYS[one.token[0]], digest(*one.token), one.state, one.purpose, at=one.at, until=one.until
                )
                for one in batch
            ]
            room.consents.change(dataset, sent)
            reference.bind(batch)
        else:
            room.clock.instant += timedelta(days=content)
        if version is not None:
            compare(room, dataset, version, reference.counted(room.clock.now()))


def listed(room, dataset: str, kind: OptOutKind, action: OptOutAction, tokens: list[tuple[str, int]]) -> None:
    """Put people on a list of the dataset, or take them off it."""
    named = tuple(Named(key, "room", digest(key, value)) for key, value in tokens)
    opt_outs = OptOuts(
        db=room.db,
        workspaces=room.workspaces,
        datasets=room.datasets,
        consents=room.consents,
        clock=room.clock,
    )
    opt_outs.accept(
        OptOut(kind, action, named, OptOutReason.REQUEST, dataset_id=dataset),
        organisation_id=room.party("provider").organisation_id,
    )


def compare(room, dataset: str, version: str, expected: int) -> None:
    with room.db.reading() as tx:
        epoch = room.consents.epoch(tx, dataset)
        view = room.consents.view(tx, version, purpose="ads", epoch=epoch)
    assert view.overlays is not None
    now = room.clock.now()
    assert int(view.mask(now).sum()) == expected
    assert int(replace(view, overlays=None).mask(now).sum()) == expected


# A history that fails is short enough to be read as it is; to shrink it takes minutes.
HOUSE = settings(
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
    database=None,
    phases=[Phase.generate],
)


@pytest.mark.parametrize("by_id", [True, False])
@pytest.mark.parametrize(
    ("what", "examples"), [(histories, 4), (listed_histories, 4)], ids=["said", "listed"]
)
def test_a_few_histories_end_as_the_documents_say(room, monkeypatch, what, examples, by_id):
    monkeypatch.setattr(taking, "_FOLD_EPOCHS", 3)
    settings(HOUSE, max_examples=examples)(given(what)(lambda history: check(room, history, by_id=by_id)))()


@pytest.mark.long
@pytest.mark.parametrize("by_id", [True, False])
@pytest.mark.parametrize("what", [histories, listed_histories], ids=["said", "listed"])
def test_many_histories_end_as_the_documents_say(any_room, monkeypatch, what, by_id):
    monkeypatch.setattr(taking, "_FOLD_EPOCHS", 3)
    settings(HOUSE, max_examples=40)(given(what)(lambda history: check(any_room, history, by_id=by_id)))()
