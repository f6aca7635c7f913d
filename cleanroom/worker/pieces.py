"""What a worker does, one piece at a time; every piece may be done by any worker, and again if one was killed."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Event, Lock

from cleanroom.analyses.queue import Counted, Waiting
from cleanroom.room import Room

Report = Callable[[str, Exception], None]
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
MOST_HELD = 16
"""Counted questions that wait for their ticks at a time."""


def pause_after(failures: int) -> float:
    """Return how long to wait after so many failures in a row, in seconds: twice as long each time."""
    return min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** min(failures - 1, 16))


def in_turn(waiting: Sequence[Waiting], served: Sequence[str]) -> list[Waiting]:
    """Order questions so that advertisers take turns: those served longest ago first, one of each before the second.

    Args:
        waiting: each advertiser's in their order.
        served: advertisers, the one served last at the end; others were never served.
    """
    place = {advertiser_id: at for at, advertiser_id in enumerate(served)}
    ranks: dict[str, int] = {}
    keyed = []
    for at, question in enumerate(waiting):
        rank = ranks[question.advertiser_id] = ranks.get(question.advertiser_id, -1) + 1
        keyed.append((rank, place.get(question.advertiser_id, -1), at, question))
    return [question for *_, question in sorted(keyed, key=lambda each: each[:3])]


class Counting:
    """Counts questions, each advertiser in turn, and lets their answers out at their ticks.

    A question that was counted waits for its tick in a thread of its own while the next one is counted.
    """

    def __init__(self, room: Room, report: Report) -> None:
        self._room = room
        self._report = report
        self._served: list[str] = []
        self._releases = ThreadPoolExecutor(MOST_HELD, thread_name_prefix="release")
        self._guard = Lock()
        self._held: set[str] = set()
        self._failures: dict[str, int] = {}
        self._not_before: dict[str, float] = {}

    def __call__(self) -> bool:
        """Count one question; returns whether there was one."""
        with self._guard:
            if len(self._held) >= MOST_HELD:
                return False
        waiting = self._room.analyses.queue.waiting()
        for question in in_turn(waiting, self._served):
            if self._may_try(question.id) and self._count(question):
                return True
        self._forget({question.id for question in waiting})
        return False

    def close(self) -> None:
        """Come back when all that was counted is released."""
        self._releases.shutdown()

    def _may_try(self, question_id: str) -> bool:
        with self._guard:
            return (
                question_id not in self._held and self._not_before.get(question_id, 0.0) <= time.monotonic()
            )

    def _count(self, question: Waiting) -> bool:
        try:
            counted = self._room.analyses.queue.count(question.id)
        except Exception as error:  # noqa: BLE001 - whatever one question meets, the others are counted
            self._failed(question.id, error)
        else:
            if counted is None:
                return False
            if isinstance(counted, Counted):
                with self._guard:
                    self._held.add(question.id)
                self._releases.submit(self._release, counted)
        if question.advertiser_id in self._served:
            self._served.remove(question.advertiser_id)
        self._served.append(question.advertiser_id)
        return True

    def _release(self, counted: Counted) -> None:
        try:
            self._room.analyses.queue.release(counted)
        except Exception as error:  # noqa: BLE001 - as above; it is counted again
            self._failed(counted.id, error)
        finally:
            with self._guard:
                self._held.discard(counted.id)

    def _failed(self, question_id: str, error: Exception) -> None:
        self._report("worker.question_failed", error)
        with self._guard:
            failures = self._failures[question_id] = self._failures.get(question_id, 0) + 1
            self._not_before[question_id] = time.monotonic() + pause_after(failures)

    def _forget(self, waiting: set[str]) -> None:
        with self._guard:
            for forgotten in self._failures.keys() - waiting - self._held:
                del self._failures[forgotten], self._not_before[forgotten]


@dataclass
class Loading:
    """Makes versions of uploads."""

    room: Room

    def __call__(self) -> bool:
        """Ingest one upload; returns whether there was one."""
        # A restored database does not know the files that came after it.
        return not restored(self.room) and self.room.uploads.ingest_next() is not None


@dataclass
class Rekeying:
    """Rotates keys of workspaces."""

    room: Room

    def __call__(self) -> bool:
        """Do one rotation that is due; returns whether there was one."""
        # A restored database does not know which files stand under which key since.
        return not restored(self.room) and self.room.rekeying.work()


@dataclass
class Compacting:
    """Writes files anew without people who are erased."""

    room: Room

    def __call__(self) -> bool:
        """Do one pass that is due; returns whether there was one."""
        # A restored database does not know the files that came after it.
        return not restored(self.room) and self.room.rights.compactions.work()


@dataclass
class Announcing:
    """Sends webhooks, until told to end."""

    room: Room
    report: Report
    ending: Event = field(default_factory=Event)

    def __call__(self) -> bool:
        """Send what is due; returns whether there was anything."""
        return self._goes_on() and self.room.webhooks.sending.send_due(self._goes_on, self.report)

    def _goes_on(self) -> bool:
        # A restored database would announce again what was announced since its backup.
        return not self.ending.is_set() and not restored(self.room)


@dataclass
class Mailing:
    """Sends letters."""

    room: Room

    def __call__(self) -> bool:
        """Send what is due; returns whether anything was sent."""
        # A restored database would write again to people who got its letters before.
        room = self.room
        return room.mail.set_up and not restored(room) and room.mail.sending.send_due()


@dataclass
class Checking:
    """Recomputes the log, when it is due or asked for."""

    room: Room

    def __call__(self) -> bool:
        """Do one check; returns whether there was one."""
        # Whether a restored database is whole is for its operator to find out, who reconciles it.
        room = self.room
        return not restored(room) and room.checks.run_due(room.db, room.settings.database_url)


@dataclass
class Witnessing:
    """Publishes the log's head and has it vouched for."""

    room: Room

    def __call__(self) -> bool:
        """Do what is due; returns False, as the next tick is some time away."""
        # A restored database would publish a log that contradicts what strangers have seen.
        if not restored(self.room):
            self.room.witnessing.run_due()
        return False


@dataclass
class Bundling:
    """Writes bundles of evidence."""

    room: Room

    def __call__(self) -> bool:
        """Write one; returns whether there was one."""
        # A restored database would sign a log that is not the newest.
        return not restored(self.room) and self.room.bundles.make_next()


@dataclass
class Chores:
    """What is due now and then; each is done when its time has come, whoever else does it too."""

    room: Room
    _done: dict[str, float] = field(default_factory=dict)

    def __call__(self) -> bool:
        """Do what is due; returns False, as nothing waits behind it."""
        room = self.room
        room.settings.heartbeat_path.touch(mode=0o600)
        if restored(room):
            return False
        for name, every, chore in (
            ("usage", 1.0, self._mint),
            ("webhooks", 1.0, self._announce),
            # Before notices: what it raises is told at once.
            ("alarms", 1.0, self._look),
            ("notices", 1.0, self._tell),
            ("statements", 30.0, self._statements),
            ("terms", 30.0, self._expire),
            ("second people", 30.0, self._lapse),
            ("incidents", 30.0, self._remind),
            ("passes", 30.0, self.room.rights.compactions.cover),
            ("periods", 60.0, self.room.rights.periods.keep),
            ("acts", 30.0, self.room.rights.acts.catch_up),
            ("leftovers", 600.0, self._sweep),
        ):
            if time.monotonic() - self._done.get(name, float("-inf")) >= every:
                chore()
                self._done[name] = time.monotonic()
        return False

    def _mint(self) -> None:
        with self.room.db.reading() as tx:
            behind = self.room.marketplace.usage.behind(tx)
        while behind:
            with self.room.db.transaction() as tx:
                behind = self.room.marketplace.usage.mint(tx) > 0

    def _announce(self) -> None:
        self.room.webhooks.outbox.catch_up(self.room.db)

    def _look(self) -> None:
        self.room.alarms.detecting.catch_up(self.room.db)

    def _tell(self) -> None:
        self.room.notices.outbox.catch_up(self.room.db)

    def _statements(self) -> None:
        self.room.marketplace.statements_ready.announce(self.room.db)

    def _expire(self) -> None:
        with self.room.db.transaction() as tx:
            self.room.marketplace.entitlements.expire(tx)

    def _remind(self) -> None:
        self.room.incidents.reminding.catch_up(self.room.db)

    def _lapse(self) -> None:
        with self.room.db.reading() as tx:
            waiting = self.room.four_eyes.waiting(tx)
        if waiting:
            with self.room.db.transaction() as tx:
                self.room.four_eyes.lapse(tx)

    def _sweep(self) -> None:
        self.room.uploads.sweep()
        self.room.bundles.sweep()
        # Nobody may have signed in for long, and whoever comes by an identity provider clears nothing away.
        self.room.signin.sweep()
        with self.room.db.transaction() as tx:
            self.room.access.sweep(tx)
            # What a process that was killed just after a commit did not come to.
            self.room.workspaces.recover(tx)
            self.room.webhooks.outbox.sweep(tx)
            self.room.notices.outbox.sweep(tx)
            self.room.mail.outbox.sweep(tx)
            self.room.alarms.detecting.sweep(tx)


def restored(room: Room) -> bool:
    """Tell whether the room's database is a backup that was not reconciled yet."""
    with room.db.reading() as tx:
        return room.grants.restored(tx) is not None
