"""The usual room on either database, with people who can sign in."""

import pytest

from tests.integration.conftest import postgresql_copy, postgresql_template, stage
from tests.people_rooms import Person, person, quick_hashes
from tests.rooms import Stage, make_room, sqlite_template

__all__ = [
    "make_room",
    "postgresql_copy",
    "postgresql_template",
    "quick_hashes",
    "sqlite_template",
    "stage",
]


@pytest.fixture
def people(stage: Stage, quick_hashes: None) -> dict[str, Person]:
    """Two owners, a data manager and a policy manager of the provider, and an owner of the advertiser."""
    made = {}
    for name, party, role in (
        ("anna", stage.provider, "owner"),
        ("boris", stage.provider, "owner"),
        ("dasha", stage.provider, "data_manager"),
        ("petr", stage.provider, "policy_manager"),
        ("viktor", stage.provider, "viewer"),
        ("stranger", stage.advertiser, "owner"),
    ):
        made[name] = person(stage.room, party.organisation_id, role, f"{name}@example.org")
    # They have been there for a while.
    stage.clock.move(days=1)
    return made
