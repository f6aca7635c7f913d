"""What a visitor's organisation owns: its datasets, and whose names stand behind ids."""

from cleanroom.datasets.types import Dataset, DatasetKind
from cleanroom.db.database import Transaction
from provider_portal.visits import Visit


def owned(visit: Visit, tx: Transaction, dataset_id: str) -> Dataset:
    """Return a dataset of the visitor's own organisation; raises as if there was none for a foreign one."""
    return visit.room.datasets.owned(
        tx, dataset_id, organisation_id=visit.who.organisation_id, kind=DatasetKind.DATASET
    )


def people_of(visit: Visit, tx: Transaction, organisation_id: str) -> dict[str, str]:
    """Return whose names stand behind ids: the organisation's people, those included who left."""
    return {user.id: user.email for user in visit.room.access.users.of(tx, organisation_id)}
