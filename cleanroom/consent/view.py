"""The consents of one version, evaluated without SQL."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime

import numpy as np
from numpy.typing import NDArray

from cleanroom.consent.binding import named
from cleanroom.consent.withdrawals import EVERY_PURPOSE, WITHDRAWAL_DTYPE, microseconds
from cleanroom.datasets.cache import Arrays
from cleanroom.datasets.errors import SealedColumnError
from cleanroom.datasets.files import PlaceReader
from cleanroom.datasets.kept import KeptReader, each_chunk
from cleanroom.datasets.types import Role
from cleanroom.schema.model import NULL_DATE, Consent, ConsentState

_BLOCK = 1 << 22
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class ConsentView:
    """The consents of one version as of one epoch, ready to be evaluated without SQL.

    Attributes:
        reader: of the version's files.
        persons: how many there are.
        consent: the schema's declaration for the purpose; None when it declares none.
        column: the purpose's position in the schema.
        withdrawals: sealed batches of them up to the epoch.
    """

    reader: PlaceReader | KeptReader
    persons: int
    consent: Consent | None
    column: int
    withdrawals: tuple[PlaceReader, ...]

    def mask(self, at: datetime) -> Mask:
        """Tell who may be counted at an instant: granted, not expired, not withdrawn since it was collected.

        Returns:
            (persons,) in the version's order, not to be changed; nobody, when no consent is declared for the purpose.
        """
        if self.consent is None:
            return np.zeros(self.persons, np.bool_)
        now = microseconds(at)
        standing, (latest,) = self._kept_standing()
        if latest > now:
            standing, _ = self._standing(until=now)
        if not self.consent.expires_at and not self.consent.collected_at:
            return standing
        allowed = standing.copy()
        if self.consent.expires_at:
            until = self.reader.read(Role.CONSENT_UNTIL, self.column, "<i4")
            today = (at.astimezone(UTC).date() - date(1970, 1, 1)).days
            for block in self._blocks():
                last = until[block]
                # The last day of validity still counts.
                allowed[block] &= (last == NULL_DATE) | (last >= today)
        if self.consent.collected_at:
            collected = self.reader.read(Role.CONSENT_AT, self.column, "<i8")
            for block in self._blocks():
                # Evidence from the future is none; it would beat every withdrawal.
                allowed[block] &= collected[block] <= now
        return allowed

    def _kept_standing(self) -> Arrays:
        """Return what `_standing` gives, from the cache when one is there.

        A new epoch has another batch of withdrawals, so it is made anew for every epoch, whoever is in the batch.
        """
        if isinstance(self.reader, KeptReader):
            batches = (batch.file_id(Role.WITHDRAWALS, 0) for batch in self.withdrawals)
            kept = self.reader.made(
                Role.CONSENT_STATE,
                self.column,
                " ".join(("standing", *batches)),
                self.persons + 8,
                lambda _: self._standing(),
            )
            if kept is not None:
                return kept
        return self._standing()

    def _standing(self, until: int | None = None) -> Arrays:
        """Tell who has granted and not withdrawn since, whatever the day; and the instant of the latest withdrawal.

        Args:
            until: the instant after which withdrawals do not count; all of them, when not given.
        """
        reader = self.reader.plain if isinstance(self.reader, KeptReader) else self.reader
        batches = [batch.read(Role.WITHDRAWALS, 0, WITHDRAWAL_DTYPE) for batch in self.withdrawals]
        withdrawals = np.concatenate([np.empty(0, WITHDRAWAL_DTYPE), *batches])
        counted = (withdrawals["purpose"] == self.column) | (withdrawals["purpose"] == EVERY_PURPOSE)
        latest = withdrawals["at"].max(initial=0)
        if until is not None:
            counted &= withdrawals["at"] <= until
        persons, instants = np.empty(0, np.uint32), np.empty(0, np.int64)
        if self.withdrawals:
            persons, instants = named(reader, withdrawals[counted])
        allowed = self._granted(reader)
        for block in self._blocks():
            first, last = np.searchsorted(persons, [block.start, block.stop])
            own = persons[first:last] - block.start
            if self.consent and self.consent.collected_at:
                collected = reader.read_rows(Role.CONSENT_AT, self.column, "<i8", block.start, block.stop)
                own = own[collected[own] <= instants[first:last]]
            allowed[block][own] = False
        return allowed, np.array([latest])

    def _granted(self, reader: PlaceReader) -> Mask:
        """Tell who has granted, whatever came after."""
        granted = np.zeros(self.persons, np.bool_)

        def use(start: int, states: NDArray[np.uint8]) -> bool:
            np.equal(states, ConsentState.GRANTED, out=granted[start : start + states.size])
            return True

        with reader.opened(Role.CONSENT_STATE, self.column) as sealed:
            if sealed.plaintext_size != self.persons:
                raise SealedColumnError(
                    f"The consents of {sealed.plaintext_size:,} persons stand beside {self.persons:,} persons.",
                    remedy="Restore the SQL store from a backup.",
                )
            each_chunk(sealed, use)
        return granted

    def _blocks(self) -> Iterator[slice]:
        for start in range(0, self.persons, _BLOCK):
            yield slice(start, min(start + _BLOCK, self.persons))
