"""The rights slice put together."""

from dataclasses import dataclass
from datetime import timedelta

from cleanroom.accounts.service import Accounts
from cleanroom.analyses.removing import Removing
from cleanroom.audit.log import AuditLog
from cleanroom.clock import Clock
from cleanroom.consent.erased_people import ErasedPeople
from cleanroom.consent.service import Consents
from cleanroom.datasets.cache import ColumnCache
from cleanroom.datasets.service import Datasets
from cleanroom.db.database import Database
from cleanroom.rights.act_facts import ActFacts
from cleanroom.rights.acts import Acts
from cleanroom.rights.compacting import Compactions
from cleanroom.rights.erasures import Erasures
from cleanroom.rights.one_pass import OnePass
from cleanroom.rights.processing import ProcessingRecords
from cleanroom.rights.retention import Periods
from cleanroom.storage import ObjectStore
from cleanroom.storage.leases import Leases
from cleanroom.workspaces.service import Workspaces
from crypto.keys import KeyProvider


@dataclass(frozen=True)
class Rights:
    """The services of the rights slice.

    Attributes:
        erasures: requests to erase, and their certificates.
        compactions: passes over files.
        periods: of retention.
        acts: of destruction.
        processing: the record of processing.
    """

    erasures: Erasures
    compactions: Compactions
    periods: Periods
    acts: Acts
    processing: ProcessingRecords


def make_rights(
    *,
    db: Database,
    clock: Clock,
    accounts: Accounts,
    workspaces: Workspaces,
    datasets: Datasets,
    consents: Consents,
    removing: Removing,
    log: AuditLog,
    store: ObjectStore,
    cache: ColumnCache,
    leases: Leases,
    keys: KeyProvider,
    origin: str,
    erasure_hours: int,
) -> Rights:
    """Wire the slice.

    Args:
        db, clock, accounts, workspaces, datasets, consents, removing, log, store, cache, leases, keys: of the room.
        origin: the room's name.
        erasure_hours: how long requests over a dataset are gathered before its files are written anew.
    """
    wait = timedelta(hours=erasure_hours)
    erased = ErasedPeople(workspaces, datasets, consents, store, clock)
    one_pass = OnePass(db, clock, workspaces, datasets, erased, store, cache, leases)
    periods = Periods(db, clock, workspaces, datasets, removing)
    facts = ActFacts(db, clock, accounts, workspaces, datasets, log, store, keys, origin)
    return Rights(
        erasures=Erasures(db, clock, datasets, consents, log, wait),
        compactions=Compactions(db, clock, one_pass, leases, wait),
        periods=periods,
        acts=Acts(db, clock, log, facts),
        processing=ProcessingRecords(clock, accounts, workspaces, datasets, periods, origin),
    )
