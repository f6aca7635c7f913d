from datetime import UTC, datetime

import pytest

from cleanroom.accounts.models import OrganisationRow
from cleanroom.audit.log import AuditLog
from cleanroom.datasets.models import DatasetRow
from cleanroom.db.database import Database
from cleanroom.schema.codec import schema_from_yaml
from cleanroom.schema.model import schema_to_dict
from cleanroom.workspaces.models import PopulationRow, WorkspaceRow

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


class Noon:
    def now(self):
        return NOW


@pytest.fixture
def noon():
    return Noon()


@pytest.fixture
def db(sqlite_engine, noon):
    """Two organisations; the first owns the datasets ds_1 and ds_2, the second none."""
    made = Database(sqlite_engine, AuditLog(origin="room.test/cleanroom", seed=bytes(32), clock=noon))
    schema = schema_from_yaml(
        "match_keys: {email: {column: e}}\nattributes: {age: {type: integer}, край: {type: date}}\n"
    )
    with made.transaction() as tx:
        for organisation_id in ("org_1", "org_2"):
            tx.session.add(OrganisationRow(id=organisation_id, name="x", kind="provider", created_at=NOW))
        tx.session.flush()
        tx.session.add(PopulationRow(id="pop_1", organisation_id="org_1", name="x", created_at=NOW))
        tx.session.flush()
        tx.session.add(
            WorkspaceRow(
                id="ws_1",
                organisation_id="org_1",
                population_id="pop_1",
                name="x",
                kek_id="kek",
                next_kek_id=None,
                token_key_version=1,
                recipient="age1x",
                created_at=NOW,
                destroyed_at=None,
            )
        )
        for dataset_id in ("ds_1", "ds_2"):
            tx.session.add(
                DatasetRow(
                    id=dataset_id,
                    workspace_id="ws_1",
                    kind="dataset",
                    name=dataset_id,
                    schema=schema_to_dict(schema),
                    schema_sha256=schema.sha256(),
                    current_version_id=None,
                    created_at=NOW,
                )
            )
    return made
