"""Slowing down who guesses: by account, by address and by second factor, for unknown accounts as for known ones."""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import delete
from sqlalchemy.dialects import postgresql, sqlite

from cleanroom.addresses import subscriber_of
from cleanroom.clock import Clock
from cleanroom.db.database import Transaction
from cleanroom.signin.models import ThrottleRow
from cleanroom.signin.secret import SignInSecret


@dataclass(frozen=True)
class Pace:
    """How often one may fail.

    Attributes:
        free: attempts before the first pause.
        pause: the first one; each failure after it doubles the next.
        longest: of all pauses.
    """

    free: int
    pause: timedelta
    longest: timedelta


FORGOTTEN_AFTER = timedelta(hours=24)
# Pauses stay short enough that nobody can lock a person out for a day by failing in their name.
PACES = {
    "account": Pace(free=5, pause=timedelta(seconds=30), longest=timedelta(minutes=15)),
    "second_factor": Pace(free=5, pause=timedelta(seconds=30), longest=timedelta(minutes=15)),
    "forgotten": Pace(free=3, pause=timedelta(minutes=10), longest=timedelta(hours=1)),
    "address": Pace(free=30, pause=timedelta(seconds=30), longest=timedelta(hours=1)),
}


class Throttle:
    """Counts an attempt before it is looked at, so that many at once are no way around it."""

    def __init__(self, secret: SignInSecret, clock: Clock) -> None:
        self._secret = secret
        self._clock = clock

    def take(self, tx: Transaction, kind: str, who: str) -> int:
        """Count an attempt.

        Args:
            tx: a writing transaction that commits before the attempt is looked at.
            kind: one of `PACES`.
            who: an e-mail address, a user's id, or where the request came from.

        Returns:
            0 when it may be looked at; else how many seconds to wait, and nothing was counted.
        """
        row, now, pace = self._row(tx, kind, who), self._clock.now(), PACES[kind]
        if row.blocked_until > now:
            return max(1, round((row.blocked_until - now).total_seconds()))
        if row.expires_at <= now:
            row.failures = 0
        row.failures += 1
        row.expires_at = now + FORGOTTEN_AFTER
        if row.failures >= pace.free:
            doublings = min(row.failures - pace.free, 16)
            row.blocked_until = now + min(pace.pause * 2**doublings, pace.longest)
        tx.session.flush()
        return 0

    def blocked(self, tx: Transaction, kind: str, who: str) -> int:
        """Return for how many seconds nothing will be looked at any more; 0 for not at all."""
        row = tx.session.get(ThrottleRow, self._digest(tx, kind, who))
        left = (row.blocked_until - self._clock.now()).total_seconds() if row else 0
        return max(0, round(left))

    def clear(self, tx: Transaction, kind: str, who: str) -> None:
        """Forget failures: the person was who they said."""
        tx.session.execute(delete(ThrottleRow).where(ThrottleRow.digest == self._digest(tx, kind, who)))

    def forgive(self, tx: Transaction, kind: str, who: str) -> None:
        """Take one attempt back that did not fail; others of the same address stay counted."""
        row = self._row(tx, kind, who)
        row.failures = max(0, row.failures - 1)
        if row.failures < PACES[kind].free:
            row.blocked_until = self._clock.now()
        tx.session.flush()

    def sweep(self, tx: Transaction) -> None:
        """Forget what is too old to count."""
        tx.session.execute(delete(ThrottleRow).where(ThrottleRow.expires_at <= self._clock.now()))

    def _row(self, tx: Transaction, kind: str, who: str) -> ThrottleRow:
        digest, now = self._digest(tx, kind, who), self._clock.now()
        dialect = sqlite if tx.connection.dialect.name == "sqlite" else postgresql
        first = dialect.insert(ThrottleRow).values(
            digest=digest, failures=0, blocked_until=now, expires_at=now + FORGOTTEN_AFTER
        )
        tx.session.execute(first.on_conflict_do_nothing())
        # Whoever tries at the same moment waits here.
        return tx.session.get_one(ThrottleRow, digest, with_for_update=True, populate_existing=True)

    def _digest(self, tx: Transaction, kind: str, who: str) -> bytes:
        return self._secret.digest(tx, f"throttle/{kind}", subscriber_of(who) if kind == "address" else who)
