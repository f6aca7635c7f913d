"""What of an event is counted by which detector: a reader for each kind of event."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from sqlalchemy import select

from cleanroom.alarms.types import AlarmKind, Seen, Sighting
from cleanroom.audit.checks import DAMAGED
from cleanroom.audit.witnessing import AWAY
from cleanroom.client.receipts import REFUSED
from cleanroom.datasets.models import DatasetRow
from cleanroom.db.database import Transaction
from cleanroom.evidence.types import ASKED
from cleanroom.grants.models import GrantRow
from cleanroom.workspaces.models import WorkspaceRow

NEARLY_SPENT_PERCENT = 10
"""A grant with no more left than this share of what it was given is nearly spent."""
BULK_KINDS = (
    "subjects.looked_up",
    "subjects.exported",
    ASKED,
)
"""Reading about single people, and carrying evidence away; each is one event in the log."""
WITNESS_KINDS = ("audit.witness_refuses",)
_SPENT = frozenset({"budget_left", "delta_left"})
_Reader = Callable[[Transaction, Seen], Iterable[Sighting]]


@dataclass(frozen=True)
class Granted:
    """What is known of a grant: whose data, which dataset, who buys, how much."""

    owner_id: str
    dataset_id: str
    advertiser_id: str
    rho_micro: int


def sightings(tx: Transaction, event: Seen) -> tuple[Sighting, ...]:
    """Return what detectors count of an event; nothing when what it is about is gone.

    Args:
        tx: any transaction.
        event: of one of `KINDS`.
    """
    return tuple(_READERS[event.kind](tx, event))


def _difference(_tx: Transaction, event: Seen) -> Iterable[Sighting]:
    yield Sighting(
        AlarmKind.DIFFERENCE,
        f"difference:{event.index}",
        event.organisation_id,
        event.body["advertiser_id"],
        event.body["dataset_id"],
    )


def _asked(_tx: Transaction, event: Seen) -> Iterable[Sighting]:
    if event.organisation_id is not None:
        yield _hour(event.organisation_id, event.body["advertiser_id"])


def _refused(tx: Transaction, event: Seen) -> Iterable[Sighting]:
    dataset_id, party = event.body["dataset_id"], event.body["advertiser_id"]
    owner = _owner(tx, dataset_id)
    if owner is None:
        return
    yield _hour(owner, party)
    yield Sighting(AlarmKind.REFUSALS, f"refusals:{owner}:{party}", owner, party)
    if any(reason["rule"] in _SPENT for reason in event.body.get("reasons", ())):
        grant_id = event.body["grant_id"]
        yield Sighting(AlarmKind.BUDGET_RACE, f"race:{grant_id}", owner, party, dataset_id)


def _reserved(tx: Transaction, event: Seen) -> Iterable[Sighting]:
    grant_id = event.body["grant_id"]
    grant = _grant(tx, grant_id)
    if grant is None or event.body["left_micro"] * 100 > grant.rho_micro * NEARLY_SPENT_PERCENT:
        return
    yield Sighting(
        AlarmKind.BUDGET_RACE, f"race:{grant_id}", grant.owner_id, grant.advertiser_id, grant.dataset_id
    )


def _failed(_tx: Transaction, event: Seen) -> Iterable[Sighting]:
    owner = event.organisation_id
    yield Sighting(AlarmKind.SIGN_IN, f"sign_in:{owner or 'room'}", owner)


def _bulk(_tx: Transaction, event: Seen) -> Iterable[Sighting]:
    owner = event.organisation_id
    yield Sighting(AlarmKind.BULK, f"bulk:{owner or 'room'}", owner)


def _witness(_tx: Transaction, event: Seen) -> Iterable[Sighting]:
    yield Sighting(AlarmKind.WITNESS, f"witness:{event.index}", event.organisation_id)


def _away(_tx: Transaction, event: Seen) -> Iterable[Sighting]:
    yield Sighting(AlarmKind.WITNESS_AWAY, f"away:{event.index}", event.organisation_id)


def _damaged(_tx: Transaction, event: Seen) -> Iterable[Sighting]:
    # Whoever asked for the check, it is the room's log.
    for owner in dict.fromkeys((None, event.organisation_id)):
        yield Sighting(AlarmKind.DAMAGED, f"damaged:{event.index}", owner)


def _hour(owner_id: str, party_id: str) -> Sighting:
    return Sighting(AlarmKind.ODD_HOURS, f"hours:{owner_id}:{party_id}", owner_id, party_id)


def _owner(tx: Transaction, dataset_id: str) -> str | None:
    known = tx.held.get(("alarms owner", dataset_id))
    if known is None:
        found = (
            select(WorkspaceRow.organisation_id)
            .join(DatasetRow, DatasetRow.workspace_id == WorkspaceRow.id)
            .where(DatasetRow.id == dataset_id)
        )
        known = tx.held["alarms owner", dataset_id] = tx.session.scalar(found) or ""
    return known or None


def _grant(tx: Transaction, grant_id: str) -> Granted | None:
    known: Granted | None = tx.held.get(("alarms grant", grant_id))
    if known is None:
        row = tx.session.get(GrantRow, grant_id)
        owner = None if row is None else _owner(tx, row.dataset_id)
        if row is None or owner is None:
            return None
        known = tx.held["alarms grant", grant_id] = Granted(
            owner, row.dataset_id, row.advertiser_id, row.rho_micro
        )
    return known


_READERS: Mapping[str, _Reader] = MappingProxyType(
    {
        "analyses.difference_alarm": _difference,
        "analyses.asked": _asked,
        REFUSED: _refused,
        "grants.budget_reserved": _reserved,
        "signin.failed": _failed,
        **dict.fromkeys(BULK_KINDS, _bulk),
        **dict.fromkeys(WITNESS_KINDS, _witness),
        AWAY: _away,
        DAMAGED: _damaged,
    }
)
KINDS = tuple(_READERS)
"""Of the log's events, those that detectors read."""
