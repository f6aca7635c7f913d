"""The consents of one version, evaluated without SQL: a bitmap of who has granted, and the overlay of changes."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime

import numpy as np
from numpy.typing import NDArray

from cleanroom.consent.bar_segments import read_bars
from cleanroom.consent.bars import barred, in_force
from cleanroom.consent.changes import (
    EVERY_PURPOSE,
    ChangeRows,
    ChangeState,
    microseconds,
    no_changes,
)
from cleanroom.consent.epochs import Overlays
from cleanroom.consent.found import named
from cleanroom.consent.laid import Laid, read_laid
from cleanroom.consent.overlay import entries_of
from cleanroom.datasets.cache import Arrays
from cleanroom.datasets.errors import SealedColumnError
from cleanroom.datasets.files import PlaceReader
from cleanroom.datasets.kept import KeptReader, each_chunk
from cleanroom.datasets.types import Role
from cleanroom.schema.model import NULL_DATE, Consent, ConsentState

_BLOCK = 1 << 22
Mask = NDArray[np.bool_]
Changes = Callable[[], ChangeRows]


@dataclass(frozen=True)
class ConsentView:
    """The consents of one version as of one epoch, ready to be evaluated without SQL.

    Attributes:
        reader: of the version's files.
        persons: how many there are.
        consent: the schema's declaration for the purpose; None when it declares none.
        column: the purpose's position in the schema.
        changes: reads every change up to the epoch.
        loaded_at: when the version's load began, in microseconds since 1970.
        overlays: what they come to in this version; None where that was not written down, and people are looked for
            by their tokens.
        epoch: of the last change.
        bars: sealed segments of those who are left out whatever they consented to, up to the epoch.
    """

    reader: PlaceReader | KeptReader
    persons: int
    consent: Consent | None
    column: int
    changes: Changes = no_changes
    loaded_at: int = 0
    overlays: Overlays | None = None
    epoch: int = 0
    bars: tuple[PlaceReader, ...] = ()

    def mask(self, at: datetime) -> Mask:
        """Tell who may be counted at an instant: granted, not expired, nothing newer said, not barred.

        Returns:
            (persons,) in the version's order, not to be changed; nobody, when no consent is declared for the purpose.
        """
        if self.consent is None:
            return np.zeros(self.persons, np.bool_)
        now = microseconds(at)
        granted, people, until, (latest,) = self._kept_standing()
        if latest > now:
            # Asked about the past, in which what is newer had not been said yet.
            granted, people, until, _ = self._standing(self._looked_for(until=now))
        if not (self._has_dates() or people.size):
            return granted
        allowed = granted.copy()
        today = (at.astimezone(UTC).date() - date(1970, 1, 1)).days
        if self.consent.expires_at:
            last_days = self.reader.read(Role.CONSENT_UNTIL, self.column, "<i4")
            for block in self._blocks():
                # The last day of validity still counts.
                last = last_days[block]
                allowed[block] &= (last == NULL_DATE) | (last >= today)
        if self.consent.collected_at:
            collected = self.reader.read(Role.CONSENT_AT, self.column, "<i8")
            for block in self._blocks():
                # Evidence from the future is none; it would beat every withdrawal.
                allowed[block] &= collected[block] <= now
        allowed[people[(until == NULL_DATE) | (until >= today)]] = True
        return allowed

    def _kept_standing(self) -> Arrays:
        """Return what `_standing` gives, from the cache when one is there.

        A new epoch has another batch of changes, so it is made anew for every epoch, whoever is in the batch.
        """
        if isinstance(self.reader, KeptReader):
            kept = self.reader.made(
                Role.CONSENT_STATE,
                self.column,
                f"standing {self.epoch}",
                self.persons + 8 + 8 * self._entries_at_most(),
                lambda _: self._standing(self._laid()),
            )
            if kept is not None:
                return kept
        return self._standing(self._laid())

    def _entries_at_most(self) -> int:
        if self.overlays is None:
            return self.persons
        return min(self.overlays.entries.get(self.column, 0), self.persons)

    def _has_dates(self) -> bool:
        return self.consent is not None and bool(self.consent.expires_at or self.consent.collected_at)

    def _laid(self) -> tuple[Laid, ...]:
        """Return what changes say, later ones to be laid over those before."""
        if self.overlays is None:
            return self._looked_for()
        return tuple(read_laid(each, self.column) for each in self.overlays.of(self.column))

    def _looked_for(self, until: int | None = None) -> tuple[Laid, ...]:
        """Find by their tokens whom changes name.

        Args:
            until: the instant after which changes do not count; all of them, when not given.
        """
        assert self.consent is not None
        changes = self.changes()
        counted = (changes["purpose"] == self.column) | (changes["purpose"] == EVERY_PURPOSE)
        if until is not None:
            counted &= changes["at"] <= until
        changes, reader = changes[counted], self._plain()
        # Without a single change nobody is looked for; how many there are is the owner's doing.
        if not changes.size:
            return ()
        return (
            Laid.of(
                entries_of(
                    reader,
                    changes,
                    named(reader, changes),
                    column=self.column,
                    consent=self.consent,
                    persons=self.persons,
                    loaded_at=self.loaded_at,
                )
            ),
        )

    def _standing(self, parts: tuple[Laid, ...]) -> Arrays:
        """Put changes over the version's own consents, and bars over both, whatever the day.

        Args:
            parts: later ones win.

        Returns:
            Who is counted on every day, but for the version's own dates; who counts by a change whose day has to be
            looked at, or in spite of those dates; until which day; and the instant of the latest change.
        """
        granted, has_dates = self._granted(), self._has_dates()
        people, until = np.empty(0, np.uint32), np.empty(0, np.int32)
        for part in parts:
            own, days = part.persons, part.until
            agreed = part.states == ChangeState.GRANTED
            always = agreed if days is None else agreed & (days == NULL_DATE)
            granted[own] = False if has_dates else always
            looked_at = agreed if has_dates else agreed & ~always
            kept = ~_is_in(people, own)
            added = np.full(own.size, NULL_DATE, np.int32) if days is None else days
            people = np.concatenate([people[kept], own[looked_at]])
            until = np.concatenate([until[kept], added[looked_at]])
        held = self._kept_barred()
        granted[held] = False
        free = ~_is_in(people, held)
        latest = max((part.latest for part in parts), default=0)
        return granted, people[free], until[free], np.array([latest])

    def _kept_barred(self) -> NDArray[np.uint32]:
        """Find who is barred; kept for as long as nobody is barred or let go, whatever else changes."""
        if not self.bars:
            return np.empty(0, np.uint32)
        if isinstance(self.reader, KeptReader):
            ids = " ".join(segment.file_id(Role.BARS, 0) for segment in self.bars)
            kept = self.reader.made(
                Role.CONSENT_STATE,
                self.column,
                f"barred {ids}",
                4 * self.persons,
                lambda _: (self._barred(),),
            )
            if kept is not None:
                return kept[0]
        return self._barred()

    def _barred(self) -> NDArray[np.uint32]:
        return barred(self._plain(), in_force([read_bars(segment) for segment in self.bars]))

    def _granted(self) -> Mask:
        """Tell who has granted, whatever came after."""
        granted = np.zeros(self.persons, np.bool_)

        def use(start: int, states: NDArray[np.uint8]) -> bool:
            np.equal(states, ConsentState.GRANTED, out=granted[start : start + states.size])
            return True

        with self._plain().opened(Role.CONSENT_STATE, self.column) as sealed:
            if sealed.plaintext_size != self.persons:
                raise SealedColumnError(
                    f"The consents of {sealed.plaintext_size:,} persons stand beside {self.persons:,} persons.",
                    remedy="Restore the SQL store from a backup.",
                )
            each_chunk(sealed, use)
        return granted

    def _plain(self) -> PlaceReader:
        return self.reader.plain if isinstance(self.reader, KeptReader) else self.reader

    def _blocks(self) -> Iterator[slice]:
        for start in range(0, self.persons, _BLOCK):
            yield slice(start, min(start + _BLOCK, self.persons))


def _is_in(these: NDArray[np.uint32], among: NDArray[np.uint32]) -> Mask:
    """Tell which are in a sorted array; for none or a few it takes no time, however long that is."""
    if not (these.size and among.size):
        return np.zeros(these.size, np.bool_)
    at = np.searchsorted(among, these)
    return np.equal(among.take(at, mode="clip"), these)
