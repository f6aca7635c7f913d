"""What a bundle does not show: subtrees of the log, as hashes, between the events that it shows."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import select, tuple_

from cleanroom.audit.models import AuditEvent, AuditNode
from cleanroom.audit.tree import closed_by
from cleanroom.db.database import Transaction
from cleanroom.evidence.selecting import Shown
from crypto.spine import covering

# Each takes two of the 32,766 parameters that SQLite and PostgreSQL allow at least.
_KEYS_AT_ONCE = 500


@dataclass(frozen=True)
class Hidden:
    """A complete subtree whose leaves are not shown.

    Attributes:
        level: the subtree has 2^level leaves.
        position: its place in its level.
    """

    level: int
    position: int

    @property
    def start(self) -> int:
        """The index of its first leaf."""
        return self.position << self.level

    @property
    def leaves(self) -> int:
        """How many leaves it has."""
        return 1 << self.level


def laid_out(events: Iterable[Shown], size: int, cuts: Iterable[int]) -> Iterator[Shown | Hidden]:
    """Fill the gaps between events with the fewest subtrees, none of which reaches over a cut.

    Args:
        events: in the order of the log.
        size: of the log.
        cuts: sizes in their order, at which the root of all before can be told.
    """
    at, ahead = 0, iter(cuts)
    cut = next(ahead, size)

    def hide(stop: int) -> Iterator[Hidden]:
        nonlocal at, cut
        while at < stop:
            while cut <= at:
                cut = next(ahead, size)
            to = min(stop, cut)
            yield from (Hidden(level, position) for level, position in covering(at, to))
            at = to

    for event in events:
        yield from hide(event.index)
        yield event
        at += 1
    yield from hide(size)


def read_hashes(tx: Transaction, hidden: Sequence[Hidden]) -> dict[Hidden, bytes]:
    """Read the hashes of subtrees, many at a time."""
    found: dict[Hidden, bytes] = {}
    leaves = [one for one in hidden if one.level == 0]
    for first in range(0, len(leaves), _KEYS_AT_ONCE):
        at = [one.position for one in leaves[first : first + _KEYS_AT_ONCE]]
        rows = select(AuditEvent.index, AuditEvent.leaf_hash).where(AuditEvent.index.in_(at))
        found |= {Hidden(0, index): leaf for index, leaf in tx.session.execute(rows)}
    inner = [one for one in hidden if one.level]
    key = tuple_(AuditNode.closed_by, AuditNode.level)
    for first in range(0, len(inner), _KEYS_AT_ONCE):
        some = inner[first : first + _KEYS_AT_ONCE]
        wanted = [(closed_by(one.level, one.position), one.level) for one in some]
        nodes = select(AuditNode.closed_by, AuditNode.level, AuditNode.hash).where(key.in_(wanted))
        found |= {Hidden(level, last >> level): node for last, level, node in tx.session.execute(nodes)}
    return found
