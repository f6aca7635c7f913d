"""Workspaces and populations between values and rows."""

from typing import Any

from cleanroom.workspaces.models import PopulationRow
from cleanroom.workspaces.types import Population, Workspace


def population_of(row: PopulationRow) -> Population:
    """Return a population as SQL has it."""
    return Population(
        id=row.id, organisation_id=row.organisation_id, name=row.name, created_at=row.created_at
    )


def workspace_of(row: Any) -> Workspace:
    """Return a row of the table as a value."""
    return Workspace(
        id=row.id,
        organisation_id=row.organisation_id,
        population_id=row.population_id,
        name=row.name,
        kek_id=row.kek_id,
        token_key_version=row.token_key_version,
        recipient=row.recipient,
        created_at=row.created_at,
        destroyed_at=row.destroyed_at,
    )
