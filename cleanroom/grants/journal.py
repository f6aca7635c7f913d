"""All budget ever given out, listed outside the database: what a restored backup does not know of still counts."""

import fcntl
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from cleanroom.canonical import canonical_json
from cleanroom.grants.types import AccountKind, Amount, Grant

_VERSION = 1


@dataclass(frozen=True)
class Allocation:
    """One line: a grant, or a release to everyone.

    Attributes:
        subject_id: the grant, or the release.
        population_id: whose budget it is.
        accounts: the enclosing accounts, as kind and party.
        rho_micro: how much.
        delta_pico: how much delta.
    """

    subject_id: str
    population_id: str
    accounts: tuple[tuple[str, str], ...]
    rho_micro: int
    delta_pico: int

    @property
    def amount(self) -> Amount:
        """Both budgets."""
        return Amount(self.rho_micro, self.delta_pico)


def allocation_of(grant: Grant, accounts: list[tuple[AccountKind, str]]) -> Allocation:
    """Describe a grant that is about to be given."""
    named = tuple((kind.value, party) for kind, party in accounts)
    return Allocation(grant.id, grant.population_id, named, grant.rho_micro, grant.delta_pico)


class Journal:
    """A file of JSON lines that only grows; all processes of a room share it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def add(self, allocation: Allocation) -> None:
        """Write a line, durably, before the transaction that gives the budget out commits.

        After a crash in between, the line tells of budget that nobody has: too much, and never too little.
        """
        line = canonical_json({"v": _VERSION, **asdict(allocation)}) + b"\n"
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            size = os.fstat(descriptor).st_size
            torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
            os.write(descriptor, b"\n" + line if torn else line)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def read(self) -> tuple[Allocation, ...]:
        """Return all lines; one that a crash cut short was never committed, and is left out."""
        try:
            lines = self._path.read_bytes().splitlines()
        except FileNotFoundError:
            return ()
        return tuple(found for line in lines if (found := _parse(line)) is not None)


def _parse(line: bytes) -> Allocation | None:
    try:
        plain = json.loads(line)
        return Allocation(
            subject_id=str(plain["subject_id"]),
            population_id=str(plain["population_id"]),
            accounts=tuple((AccountKind(kind).value, str(party)) for kind, party in plain["accounts"]),
            rho_micro=int(plain["rho_micro"]),
            delta_pico=int(plain["delta_pico"]),
        )
    except (ValueError, KeyError, TypeError):
        return None
