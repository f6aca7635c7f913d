"""Names for ids: one's own, and of others nothing but what their organisations are called."""

import pytest

from cleanroom.oversight.names import names_of
from tests.rooms import Stage

pytestmark = pytest.mark.slow_on("postgresql")


def test_what_others_call_their_tables_and_workspaces_is_not_told(stage: Stage) -> None:
    # A right to ask does not tell what the owner calls the dataset.
    stage.grant()
    provider, advertiser = stage.provider, stage.advertiser
    organisations = {provider.organisation_id, advertiser.organisation_id}
    theirs = {stage.dataset_id, provider.workspace_id}
    mine = {stage.base_id, advertiser.workspace_id}
    ids = {*organisations, *theirs, *mine, "ds_nobody", "no id", "17"}
    with stage.room.db.reading() as tx:
        told = [
            names_of(tx, ids, organisation_id=who)
            for who in (provider.organisation_id, advertiser.organisation_id, None)
        ]
    assert [set(one) for one in told] == [
        organisations | theirs,
        organisations | mine,
        organisations | theirs | mine,
    ]
    assert all(all(one.values()) for one in told)
