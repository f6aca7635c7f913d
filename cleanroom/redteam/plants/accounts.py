"""Faults in the accounts: on what a budget hangs, and when it is charged."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import update

from cleanroom.analyses.service import Analyses
from cleanroom.datasets.models import DatasetVersionRow
from cleanroom.db.database import Database
from cleanroom.grants import allocation, ending
from cleanroom.grants import service as grants_service
from cleanroom.grants.models import GrantRow
from cleanroom.grants.service import Grants
from cleanroom.grants.types import AccountKind, Grant, Reservation
from cleanroom.ingestion.service import Ingestion
from cleanroom.redteam.plants.registry import plant, swapped
from cleanroom.release.receipts import Receipts

Keys = list[tuple[AccountKind, str]]
_sound: Callable[[Grant], Keys] = allocation.enclosing


@contextmanager
def _enclosing(faulty: Callable[[Grant], Keys]) -> Iterator[None]:
    with (
        swapped(allocation, "enclosing", lambda _sound: faulty),
        swapped(ending, "enclosing", lambda _sound: faulty),
        swapped(grants_service, "enclosing", lambda _sound: faulty),
    ):
        yield


def _reset(tx: Any, *grants: Any) -> None:
    tx.session.execute(update(GrantRow).where(*grants).values(spent_micro=0))


@plant("Every purchase opens an account of its own, as if budget were part of a contract.")
def budget_per_entitlement() -> Iterator[None]:
    """Charge the purchase alone."""
    with _enclosing(lambda grant: [(AccountKind.ADVERTISER, grant.id)]):
        yield


@plant("Every purpose has an account of its own.")
def budget_per_purpose() -> Iterator[None]:
    """Charge the purposes that were bought."""
    with _enclosing(lambda grant: [(kind, f"{party}/{grant.purposes}") for kind, party in _sound(grant)]):
        yield


@plant("A dataset that is registered again has accounts of its own.")
def budget_per_dataset() -> Iterator[None]:
    """Charge the file, and not the people."""
    with _enclosing(lambda grant: [(kind, f"{party}/{grant.dataset_id}") for kind, party in _sound(grant)]):
        yield


@plant("What is bought through an agency is charged to the agency alone.")
def budget_per_agency() -> Iterator[None]:
    """Let a second agency open a second account."""

    def faulty(grant: Grant) -> Keys:
        own = AccountKind.AGENCY if grant.agency_id else AccountKind.ADVERTISER
        return [key for key in _sound(grant) if key[0] in (AccountKind.TOTAL, own)]

    with _enclosing(faulty):
        yield


@plant("Affiliates have a cap each.")
def affiliates_apart() -> Iterator[None]:
    """Forget that they belong together."""
    with _enclosing(lambda grant: [key for key in _sound(grant) if key[0] is not AccountKind.AFFILIATES]):
        yield


@plant("Nothing is charged to an agency: each of its clients has a cap of its own.")
def agencies_uncapped() -> Iterator[None]:
    """Forget that an agency sees all its clients' answers."""
    with _enclosing(lambda grant: [key for key in _sound(grant) if key[0] is not AccountKind.AGENCY]):
        yield


@plant("There is no total over everyone.")
def no_total() -> Iterator[None]:
    """Forget that buyers may talk to each other."""
    with _enclosing(lambda grant: [key for key in _sound(grant) if key[0] is not AccountKind.TOTAL]):
        yield


@plant("What a grant has spent comes back when it ends.")
def renewal_refunds_all() -> Iterator[None]:
    """Return the whole grant instead of its rest."""
    sound = ending.end

    def faulty(tx: Any, grant_id: str, *how: Any) -> Grant | None:
        _reset(tx, GrantRow.id == grant_id)
        return sound(tx, grant_id, *how)

    with swapped(grants_service, "end", lambda _sound: faulty):
        yield


@plant("A new version of a dataset gives every grant on it its budget back.")
def budget_by_version() -> Iterator[None]:
    """Count spending per version."""
    sound = Ingestion.publish

    def faulty(self: Ingestion, tx: Any, version_id: str) -> None:
        sound(self, tx, version_id)
        _reset(tx, GrantRow.dataset_id == tx.session.get_one(DatasetVersionRow, version_id).dataset_id)

    with swapped(Ingestion, "publish", lambda _sound: faulty):
        yield


@plant("A question is charged when its receipt is written, after its answer was kept.")
def settle_at_release() -> Iterator[None]:
    """Reserve nothing; charge in a transaction of its own, to which a crash may never come."""
    ask, reserve, write = Analyses.ask, Grants.reserve, Receipts.write
    rooms: list[Database] = []
    due: list[tuple[Grants, str, dict[str, Any]]] = []

    def asking(self: Analyses, *question: Any, **how: Any) -> Any:
        rooms[:] = [self._db]
        due.clear()
        return ask(self, *question, **how)

    def reserving(self: Grants, tx: Any, grant_id: str, **cost: Any) -> Reservation:
        due.append((self, grant_id, cost))
        left, rho_micro = self.status(tx, grant_id).left_micro, cost["rho_micro"]
        return Reservation(cost["analysis_id"], grant_id, rho_micro, left, left - rho_micro, 0, 0, 0)

    def writing(self: Receipts, *record: Any) -> Any:
        with rooms[0].transaction() as tx:
            for grants, grant_id, cost in due:
                reserve(grants, tx, grant_id, **cost)
        due.clear()
        return write(self, *record)

    with (
        swapped(Analyses, "ask", lambda _sound: asking),
        swapped(Grants, "reserve", lambda _sound: reserving),
        swapped(Grants, "settle", lambda _sound: lambda *_question: None),
        swapped(Receipts, "write", lambda _sound: writing),
    ):
        yield
