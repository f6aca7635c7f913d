"""Heads that strangers may read: published at ticks, with the lines of the witnesses that vouched for them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.dialects import postgresql, sqlite

from cleanroom.audit.models import AuditHead
from cleanroom.audit.published_models import AuditCosignature, AuditPublished
from cleanroom.clock import Clock
from cleanroom.db.database import Transaction

MAX_PUBLISHED_PAGE = 1_000
# Among these is one that the witnesses vouched for, however far apart the others are taken.
_NEWEST = 20


@dataclass(frozen=True)
class Published:
    """A head that was published.

    Attributes:
        size: events of the log.
        note: the head as the room signed it, with a line of each witness that vouched for it.
        published_at: when.
        witnesses: names of those witnesses.
    """

    size: int
    note: str
    published_at: datetime
    witnesses: tuple[str, ...]


def publish(tx: Transaction, clock: Clock, *, every: timedelta) -> bool:
    """Publish the head if the tick has come and the log has grown; returns whether a head was published.

    At ticks alone: a head tells how many events there are, and one at every moment would tell how busy each is.

    Args:
        tx: the caller's transaction.
        clock: tells the time.
        every: the time from tick to tick, counted from the epoch, so that all processes have the same ones.
    """
    head = tx.session.execute(select(AuditHead.size, AuditHead.note)).one_or_none()
    newest = tx.session.execute(
        select(AuditPublished.size, AuditPublished.published_at).order_by(AuditPublished.size.desc()).limit(1)
    ).one_or_none()
    now = clock.now()
    if head is None:
        return False
    if newest is not None and (
        newest.size >= head.size or _tick(newest.published_at, every) >= _tick(now, every)
    ):
        return False
    dialect = postgresql if tx.session.get_bind().dialect.name == "postgresql" else sqlite
    row = dialect.insert(AuditPublished).values(size=head.size, note=head.note, published_at=now)
    tx.session.execute(row.on_conflict_do_nothing())
    return True


def newest_published(tx: Transaction) -> Published | None:
    """Return the newest head that was published; None while there is none."""
    found = published_page(tx, limit=1)
    return found[0] if found else None


def published_at_size(tx: Transaction, size: int) -> Published | None:
    """Return the head that was published at a size; None when none was."""
    found = published_page(tx, before=size + 1, limit=1)
    return found[0] if found and found[0].size == size else None


def published_page(tx: Transaction, *, before: int | None = None, limit: int = 50) -> tuple[Published, ...]:
    """Return heads that were published, the newest first.

    Args:
        tx: any transaction.
        before: only those of smaller logs.
        limit: how many at most, up to `MAX_PUBLISHED_PAGE`.
    """
    rows = select(AuditPublished)
    if before is not None:
        rows = rows.where(AuditPublished.size < before)
    page = rows.order_by(AuditPublished.size.desc()).limit(max(1, min(limit, MAX_PUBLISHED_PAGE)))
    return _cosigned(tx, tx.session.scalars(page).all())


def published_sizes(tx: Transaction, *, up_to: int, most: int) -> list[int]:
    """Return sizes of published heads in their order: the newest always, of the others some spread over all.

    Args:
        tx: any transaction.
        up_to: the largest size.
        most: how many besides the newest.
    """
    count = tx.session.scalar(select(func.count()).where(AuditPublished.size <= up_to)) or 0
    step = max(1, -(-int(count) // most))
    sizes = (
        select(AuditPublished.size).where(AuditPublished.size <= up_to).order_by(AuditPublished.size.desc())
    )
    return [size for at, size in enumerate(tx.session.scalars(sizes)) if at < _NEWEST or at % step == 0][::-1]


def published_of_sizes(tx: Transaction, sizes: Sequence[int]) -> Iterator[Published]:
    """Yield the heads that were published at these sizes, in their order."""
    for first in range(0, len(sizes), MAX_PUBLISHED_PAGE):
        some = sizes[first : first + MAX_PUBLISHED_PAGE]
        rows = select(AuditPublished).where(AuditPublished.size.in_(some)).order_by(AuditPublished.size)
        yield from _cosigned(tx, tx.session.scalars(rows).all())


def _cosigned(tx: Transaction, rows: Sequence[AuditPublished]) -> tuple[Published, ...]:
    sizes = [row.size for row in rows]
    lines: dict[int, list[tuple[str, str]]] = {}
    cosigned = select(AuditCosignature).where(AuditCosignature.size.in_(sizes))
    for one in tx.session.scalars(cosigned.order_by(AuditCosignature.size, AuditCosignature.witness)):
        lines.setdefault(one.size, []).append((one.witness, one.line))
    return tuple(
        Published(
            size=row.size,
            note=row.note + "".join(line for _, line in lines.get(row.size, ())),
            published_at=row.published_at,
            witnesses=tuple(name for name, _ in lines.get(row.size, ())),
        )
        for row in rows
    )


def _tick(instant: datetime, every: timedelta) -> int:
    return int(instant.timestamp() // every.total_seconds())
