"""One person asks for what nobody can take back, another one confirms, and then it is done, in one commit."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from cleanroom.db.database import Transaction
from cleanroom.foureyes.deeds import SHRED, UNSAFE_POLICY
from cleanroom.foureyes.errors import (
    AskEndedError,
    AskFormError,
    AskWaitsError,
    NotEntitledError,
    SamePersonError,
    TooNewError,
    UnknownAskError,
)
from cleanroom.foureyes.queue import queue, queued, waits_for
from cleanroom.foureyes.service import LAPSES_AFTER, MAX_WAITING
from cleanroom.foureyes.types import Ask, AskState
from cleanroom.grants.types import GrantStatus
from cleanroom.rules.errors import PolicyChangedError, UndeclaredAttributeError
from cleanroom.worker.pieces import Chores
from cleanroom.workspaces.errors import UnknownWorkspaceError, WorkspaceDestroyedError
from crypto.errors import KeyDestroyedError
from policies.codec import load_preset, policy_to_data
from policies.diff import unsafe_reason
from policies.errors import PolicyFormatError
from policies.model import PolicyDocument
from policies.rules import BaseFloor
from tests.people_rooms import Person, person
from tests.rooms import PURPOSE, Stage

# PostgreSQL with the long runs.
pytestmark = pytest.mark.slow_on("postgresql")

NEW_PASSWORD = "eleven patient otters"


def loose(**changed: Any) -> PolicyDocument:
    """Permits more than any preset: smaller bases."""
    relaxed = load_preset("relaxed", purposes=[PURPOSE], **changed)
    rules = tuple(BaseFloor(2) if isinstance(rule, BaseFloor) else rule for rule in relaxed.rules)
    return PolicyDocument("loose", rules, relaxed.v)


def ask(stage: Stage, who: Person, deed: str = SHRED, subject: str | None = None, **changed: Any) -> Ask:
    about = subject or (stage.provider.workspace_id if deed == SHRED else stage.dataset_id)
    details = {"document": policy_to_data(loose())} if deed == UNSAFE_POLICY else None
    options: dict[str, Any] = {"reason": "the pilot is over", "details": details} | changed
    with stage.room.db.transaction() as tx:
        return stage.room.four_eyes.ask(tx, deed, about, by=who.user.id, **options)


def decide(stage: Stage, what: str, one: Ask, who: Person, **options: Any) -> Ask:
    with stage.room.db.transaction() as tx:
        act: Callable[..., Ask] = getattr(stage.room.four_eyes, what)
        own = who.user.organisation_id
        return act(tx, one.id, organisation_id=own, by=who.user.id, **options)


def look(stage: Stage, one: Ask) -> Ask:
    with stage.room.db.reading() as tx:
        return queued(tx, stage.room.four_eyes, one.id, organisation_id=one.organisation_id).ask


def readable(stage: Stage) -> bool:
    try:
        with stage.room.db.reading() as tx:
            return bool(stage.room.workspaces.secrets(tx, stage.provider.workspace_id))
    except (WorkspaceDestroyedError, KeyDestroyedError):
        return False


def test_two_people_shred_a_workspace(stage: Stage, people: dict[str, Person]) -> None:
    with stage.room.db.reading() as tx:
        kek = stage.room.workspaces.secrets(tx, stage.provider.workspace_id).kek
    sealed = kek.wrap(b"k" * 32, context=b"c")
    grant = stage.grant()
    one = ask(stage, people["dasha"])
    assert (one.state, one.lapses_at - one.asked_at) == (AskState.WAITING, LAPSES_AFTER)
    assert readable(stage)
    done = decide(stage, "confirm", one, people["boris"])
    assert (done.state, done.ended_by) == (AskState.DONE, people["boris"].user.id)
    assert not readable(stage)
    with pytest.raises(KeyDestroyedError):
        kek.unwrap(sealed, context=b"c")
    with stage.room.db.reading() as tx:
        assert stage.room.rules.stopped(tx, stage.dataset_id)
        assert stage.room.grants.status(tx, grant.id).status is GrantStatus.REVOKED
    told = stage.events(
        "foureyes.asked", "foureyes.confirmed", "workspaces.destroyed", "rules.dataset_stopped"
    )
    assert [event["kind"] for event in told] == [
        "foureyes.asked",
        "rules.dataset_stopped",
        "workspaces.destroyed",
        "foureyes.confirmed",
    ]
    confirmed = told[-1]["body"]
    assert (confirmed["asked_by"], confirmed["by"]) == (people["dasha"].user.id, people["boris"].user.id)
    assert "@" not in str(told)
    with pytest.raises(AskEndedError):
        decide(stage, "confirm", one, people["anna"])
    with pytest.raises(WorkspaceDestroyedError):
        ask(stage, people["anna"])


def test_whoever_asked_never_confirms_whatever_role_they_have_by_then(
    stage: Stage, people: dict[str, Person]
) -> None:
    one, users = ask(stage, people["dasha"]), stage.room.access.users
    with stage.room.db.transaction() as tx:
        users.change_role(tx, people["dasha"].user.id, "owner")
    for what in ("confirm", "reject"):
        with pytest.raises(SamePersonError):
            decide(stage, what, one, people["dasha"])
    for name in ("petr", "viktor"):
        with pytest.raises(NotEntitledError):
            decide(stage, "confirm", one, people[name])
    with pytest.raises(UnknownAskError):
        decide(stage, "confirm", one, people["stranger"])
    assert readable(stage)
    assert look(stage, one).state is AskState.WAITING


def test_no_second_person_is_made_after_the_ask(stage: Stage, people: dict[str, Person]) -> None:
    invited = stage.room.access.users
    with stage.room.db.transaction() as tx:
        early = invited.invite(
            tx, organisation_id=stage.provider.organisation_id, email="early@example.org", role="owner"
        )
    one = ask(stage, people["anna"])
    late = person(stage.room, stage.provider.organisation_id, "owner", "late@example.org")
    stage.room.signin.accept(early.invitation, NEW_PASSWORD, agent="x")
    # Nor does whoever asked take over a colleague's account by a link for a new password.
    with stage.room.db.transaction() as tx:
        link = stage.room.signin.links.reset(tx, people["boris"].user.id, by=people["anna"].user.id)
    stage.room.signin.reset(link.token, NEW_PASSWORD)
    for who in (late, Person(stage.room, early.user), people["boris"]):
        with pytest.raises(TooNewError):
            decide(stage, "confirm", one, who)
    assert readable(stage)
    assert decide(stage, "reject", one, people["boris"], reason="Not yet").end_reason == "Not yet"
    stage.clock.move(minutes=1)
    assert decide(stage, "confirm", ask(stage, people["anna"]), late).state is AskState.DONE


@pytest.mark.parametrize("way", ["invitation", "reset"])
def test_nobody_is_a_second_person_for_whoever_let_them_in_during_the_week_before(
    stage: Stage, people: dict[str, Person], way: str
) -> None:
    room, anna = stage.room, people["anna"]
    with room.db.transaction() as tx:
        if way == "invitation":
            made = room.access.users.invite(
                tx,
                organisation_id=stage.provider.organisation_id,
                email="second@example.org",
                role="owner",
                by=anna.user.id,
            )
        else:
            link = room.signin.links.reset(tx, people["boris"].user.id, by=anna.user.id)
    if way == "invitation":
        room.signin.accept(made.invitation, NEW_PASSWORD, agent="x")
        second = Person(room, made.user, password=NEW_PASSWORD)
    else:
        room.signin.reset(link.token, NEW_PASSWORD)
        second = Person(room, people["boris"].user, password=NEW_PASSWORD)
    stage.clock.move(days=6)
    # Another password of their own proves no more than the link did.
    member = second.member()
    room.signin.change_password(member, NEW_PASSWORD, "another phrase to be let in by")
    stage.clock.move(minutes=1)
    one = ask(stage, anna)
    stage.clock.move(days=1)
    with pytest.raises(TooNewError, match="7 days"):
        decide(stage, "confirm", one, second)
    decide(stage, "reject", one, second)
    # For what somebody else asks, and later on, they count like everybody.
    theirs = ask(stage, people["dasha"])
    assert decide(stage, "confirm", theirs, second).state is AskState.DONE


def let_in(stage: Stage, email: str, by: Person) -> Person:
    """Somebody whom another person has invited just now."""
    with stage.room.db.transaction() as tx:
        made = stage.room.access.users.invite(
            tx, organisation_id=stage.provider.organisation_id, email=email, role="owner", by=by.user.id
        )
    stage.room.signin.accept(made.invitation, NEW_PASSWORD, agent="x")
    return Person(stage.room, made.user, password=NEW_PASSWORD)


@pytest.mark.parametrize("case", ["asks_itself", "takes_over", "chain", "siblings"])
def test_one_person_is_not_two_by_links_of_whatever_order(
    stage: Stage, people: dict[str, Person], case: str
) -> None:
    anna, boris = people["anna"], people["boris"]
    if case == "takes_over":
        with stage.room.db.transaction() as tx:
            link = stage.room.signin.links.reset(tx, boris.user.id, by=anna.user.id, drop_second_factor=True)
        stage.room.signin.reset(link.token, NEW_PASSWORD)
        asks, confirms = Person(stage.room, boris.user, password=NEW_PASSWORD), anna
    else:
        puppet = let_in(stage, "puppet@example.org", anna)
        asks, confirms = puppet, anna
        if case == "chain":
            asks, confirms = anna, let_in(stage, "second@example.org", puppet)
        elif case == "siblings":
            confirms = let_in(stage, "second@example.org", anna)
    stage.clock.move(minutes=1)
    one = ask(stage, asks)
    with pytest.raises(TooNewError, match="one person let in both"):
        decide(stage, "confirm", one, confirms)
    assert readable(stage)
    decide(stage, "reject", one, confirms)
    # A week later everybody knows the new people, and they count.
    stage.clock.move(days=8)
    assert decide(stage, "confirm", ask(stage, asks), confirms).state is AskState.DONE


@pytest.mark.parametrize("lost", ["access", "role", "organisation"])
def test_what_somebody_asked_for_lapses_with_their_right_to(
    stage: Stage, people: dict[str, Person], lost: str
) -> None:
    one, dasha = ask(stage, people["dasha"]), people["dasha"].user.id
    with stage.room.db.transaction() as tx:
        if lost == "access":
            stage.room.access.users.retire(tx, dasha)
        elif lost == "role":
            stage.room.access.users.change_role(tx, dasha, "viewer")
        else:
            stage.room.offboarding.leave(tx, stage.provider.organisation_id)
    if lost == "organisation":
        with pytest.raises(NotEntitledError):
            decide(stage, "confirm", one, people["boris"])
        Chores(stage.room)()
    else:
        assert decide(stage, "confirm", one, people["boris"]).state is AskState.LAPSED
    assert readable(stage)
    ended = look(stage, one)
    assert (ended.state, ended.end_reason, ended.ended_by) == (AskState.LAPSED, "asker", None)
    assert [event["body"]["why"] for event in stage.events("foureyes.lapsed")] == ["asker"]


def test_what_nobody_decides_lapses_by_itself(stage: Stage, people: dict[str, Person]) -> None:
    one = ask(stage, people["anna"])
    stage.clock.move(days=6, hours=23)
    Chores(stage.room)()
    assert look(stage, one).state is AskState.WAITING
    stage.clock.move(hours=2)
    # Even before a worker has come by.
    assert decide(stage, "confirm", one, people["boris"]).end_reason == "time"
    again = ask(stage, people["anna"])
    stage.clock.instant += timedelta(days=8)
    Chores(stage.room)()
    assert look(stage, again).state is AskState.LAPSED
    assert readable(stage)


def test_it_is_taken_back_by_who_asked_alone(stage: Stage, people: dict[str, Person]) -> None:
    one = ask(stage, people["anna"])
    with pytest.raises(NotEntitledError):
        decide(stage, "withdraw", one, people["boris"])
    assert decide(stage, "withdraw", one, people["anna"]).state is AskState.WITHDRAWN
    with pytest.raises(AskEndedError):
        decide(stage, "confirm", one, people["boris"])
    assert readable(stage)


def test_who_may_not_ask_and_what_is_nothing_to_ask_for_is_refused(
    stage: Stage, people: dict[str, Person]
) -> None:
    anna, petr = people["anna"], people["petr"]
    for who, error, changed in (
        (people["viktor"], NotEntitledError, {}),
        (petr, NotEntitledError, {}),
        (people["dasha"], NotEntitledError, {"deed": UNSAFE_POLICY}),
        (people["stranger"], UnknownWorkspaceError, {}),
        (anna, AskFormError, {"reason": "  "}),
        (anna, AskFormError, {"reason": "x" * 501}),
        (anna, AskFormError, {"deed": "another"}),
        (anna, UnknownWorkspaceError, {"subject": "ws_0"}),
        (petr, PolicyFormatError, {"deed": UNSAFE_POLICY, "details": {"document": {"v": 1}}}),
        (petr, PolicyFormatError, {"deed": UNSAFE_POLICY, "details": None}),
    ):
        with pytest.raises(error):
            ask(stage, who, **changed)
    standard = policy_to_data(load_preset("standard", purposes=[PURPOSE]))
    with pytest.raises(AskFormError, match="no more than a preset"):
        ask(stage, petr, UNSAFE_POLICY, details={"document": standard})
    ask(stage, anna)
    with pytest.raises(AskWaitsError):
        ask(stage, people["boris"])
    assert len(stage.events("foureyes.asked")) == 1


def test_only_so_much_waits_at_a_time(stage: Stage, people: dict[str, Person]) -> None:
    ids = []
    for number in range(MAX_WAITING + 1):
        with stage.room.db.transaction() as tx:
            ids.append(
                stage.room.workspaces.create_workspace(
                    tx, organisation_id=stage.provider.organisation_id, name=f"w{number}"
                ).id
            )
    for workspace_id in ids[:-1]:
        ask(stage, people["anna"], subject=workspace_id)
        # Ids carry the time to the millisecond.
        stage.clock.move(milliseconds=1)
    with pytest.raises(AskWaitsError):
        ask(stage, people["anna"], subject=ids[-1])
    with stage.room.db.reading() as tx:
        page, total = queue(tx, stage.room.four_eyes, stage.provider.organisation_id, limit=5, offset=5)
        assert ([one.subject for one in page], total) == ([f"w{number}" for number in range(5, 10)], 20)
        member = people["boris"].member()
        assert waits_for(tx, stage.room.four_eyes, member) == MAX_WAITING
        assert waits_for(tx, stage.room.four_eyes, people["anna"].member()) == 0
        assert waits_for(tx, stage.room.four_eyes, people["petr"].member()) == 0


def test_two_people_put_an_override_in_force(stage: Stage, people: dict[str, Person]) -> None:
    one = ask(stage, people["petr"], UNSAFE_POLICY)
    with stage.room.db.reading() as tx:
        before = stage.room.rules.current(tx, stage.dataset_id)
    assert before is not None
    assert before.preset == "standard"
    decide(stage, "confirm", one, people["anna"])
    with stage.room.db.reading() as tx:
        after = stage.room.rules.current(tx, stage.dataset_id)
    assert after is not None
    assert (after.preset, after.unsafe, after.number) == (None, "the pilot is over", before.number + 1)
    assert unsafe_reason(after.document) == "the pilot is over"
    assert stage.events("rules.policy_set")[-1]["body"]["confirmed"] == one.id


def test_an_override_does_not_undo_a_rule_that_came_after_it_was_asked_for(
    stage: Stage, people: dict[str, Person]
) -> None:
    one = ask(stage, people["petr"], UNSAFE_POLICY)
    strict = load_preset("strict", purposes=[PURPOSE])
    stage.rule(strict)
    with pytest.raises(PolicyChangedError):
        decide(stage, "confirm", one, people["anna"])
    with stage.room.db.reading() as tx:
        current = stage.room.rules.current(tx, stage.dataset_id)
    assert current is not None
    assert current.document == strict
    assert look(stage, one).state is AskState.WAITING


def test_an_override_for_what_the_dataset_does_not_declare_is_not_asked_for(
    stage: Stage, people: dict[str, Person]
) -> None:
    document = policy_to_data(loose(blocked=["no_such"]))
    with pytest.raises(UndeclaredAttributeError):
        ask(stage, people["petr"], UNSAFE_POLICY, details={"document": document})


def test_a_deed_that_fails_confirms_nothing(
    stage: Stage, people: dict[str, Person], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = ask(stage, people["anna"])
    destroy = type(stage.room.workspaces).destroy

    def half(self: Any, tx: Transaction, workspace_id: str) -> None:
        destroy(self, tx, workspace_id)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(type(stage.room.workspaces), "destroy", half)
        with pytest.raises(KeyboardInterrupt):
            decide(stage, "confirm", one, people["boris"])
    assert readable(stage)
    assert look(stage, one).state is AskState.WAITING
    with stage.room.db.reading() as tx:
        assert not stage.room.rules.stopped(tx, stage.dataset_id)
    assert decide(stage, "confirm", one, people["boris"]).state is AskState.DONE
