"""The consents of one version, evaluated without SQL."""

from dataclasses import dataclass
from datetime import UTC, date, datetime

import numpy as np
from numpy.typing import NDArray

from cleanroom.consent.binding import named
from cleanroom.consent.withdrawals import EVERY_PURPOSE, WITHDRAWAL_DTYPE, microseconds
from cleanroom.datasets.files import PlaceReader
from cleanroom.datasets.types import Role
from cleanroom.schema.model import NULL_DATE, Consent, ConsentState

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

    reader: PlaceReader
    persons: int
    consent: Consent | None
    column: int
    withdrawals: tuple[PlaceReader, ...]

    def mask(self, at: datetime) -> Mask:
        """Tell who may be counted at an instant: granted, not expired, not withdrawn since it was collected.

        Returns:
            (persons,) in the version's order; nobody, when the schema has no consent for the purpose.
        """
        if self.consent is None:
            return np.zeros(self.persons, np.bool_)
        allowed: Mask = self.reader.read(Role.CONSENT_STATE, self.column, np.uint8) == ConsentState.GRANTED
        if self.consent.expires_at:
            until = self.reader.read(Role.CONSENT_UNTIL, self.column, "<i4")
            # The last day of validity still counts.
            allowed &= (until == NULL_DATE) | (until >= (at.astimezone(UTC).date() - date(1970, 1, 1)).days)
        now = microseconds(at)
        persons, instants = self._withdrawn(now)
        if self.consent.collected_at:
            collected = self.reader.read(Role.CONSENT_AT, self.column, "<i8")
            # Evidence from the future is none; it would beat every withdrawal.
            allowed &= collected <= now
            persons = persons[collected[persons] <= instants]
        allowed[persons] = False
        return allowed

    def _withdrawn(self, now: int) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
        """Return persons and the instant of their latest withdrawal."""
        if not self.withdrawals:
            return np.empty(0, np.uint32), np.empty(0, np.int64)
        withdrawals = np.concatenate(
            [
                np.empty(0, WITHDRAWAL_DTYPE),
                *(reader.read(Role.WITHDRAWALS, 0, WITHDRAWAL_DTYPE) for reader in self.withdrawals),
            ]
        )
        for_purpose = (withdrawals["purpose"] == self.column) | (withdrawals["purpose"] == EVERY_PURPOSE)
        return named(self.reader, withdrawals[for_purpose & (withdrawals["at"] <= now)])
