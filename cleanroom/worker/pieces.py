"""What a worker does, one piece at a time; every piece may be done by any worker, and again if one was killed."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from cleanroom.analyses.queue import Waiting
from cleanroom.bootstrap import Room

Report = Callable[[str, Exception], None]
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0


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


@dataclass
class Counting:
    """Completes questions, each advertiser in turn."""

    room: Room
    report: Report
    served: list[str] = field(default_factory=list)
    _failures: dict[str, int] = field(default_factory=dict)
    _not_before: dict[str, float] = field(default_factory=dict)

    def __call__(self) -> bool:
        """Complete one question; returns whether there was one."""
        waiting = self.room.analyses.queue.waiting()
        known = {question.id for question in waiting}
        for forgotten in self._failures.keys() - known:
            del self._failures[forgotten], self._not_before[forgotten]
        now = time.monotonic()
        for question in in_turn(waiting, self.served):
            if self._not_before.get(question.id, now) > now:
                continue
            if self._complete(question):
                return True
        return False

    def _complete(self, question: Waiting) -> bool:
        try:
            outcome = self.room.analyses.complete(question.id)
        except Exception as error:  # noqa: BLE001 - whatever one question meets, the others are counted
            self.report("worker.question_failed", error)
            failures = self._failures[question.id] = self._failures.get(question.id, 0) + 1
            self._not_before[question.id] = time.monotonic() + pause_after(failures)
            outcome = None
        else:
            if outcome is None:
                return False
        if question.advertiser_id in self.served:
            self.served.remove(question.advertiser_id)
        self.served.append(question.advertiser_id)
        return True


@dataclass
class Loading:
    """Makes versions of uploads."""

    room: Room

    def __call__(self) -> bool:
        """Ingest one upload; returns whether there was one."""
        # A restored database does not know the files that came after it.
        return not restored(self.room) and self.room.uploads.ingest_next() is not None


@dataclass
class Announcing:
    """Sends webhooks."""

    room: Room

    def __call__(self) -> bool:
        """Send what is due; returns whether there was anything."""
        # A restored database would announce again what was announced since its backup.
        return not restored(self.room) and self.room.webhooks.sending.send_due()


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
            ("terms", 30.0, self._expire),
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

    def _expire(self) -> None:
        with self.room.db.transaction() as tx:
            self.room.marketplace.entitlements.expire(tx)

    def _sweep(self) -> None:
        self.room.uploads.sweep()
        with self.room.db.transaction() as tx:
            self.room.access.sweep(tx)
            self.room.webhooks.outbox.sweep(tx)


def restored(room: Room) -> bool:
    """Tell whether the room's database is a backup that was not reconciled yet."""
    with room.db.reading() as tx:
        return room.grants.restored(tx) is not None
