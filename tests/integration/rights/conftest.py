"""The usual room on either database, and short words for what its people ask for."""

from tests.integration.analyses.conftest import while_counting
from tests.integration.conftest import postgresql_copy, postgresql_template, stage
from tests.rooms import make_room, sqlite_template

__all__ = [
    "make_room",
    "postgresql_copy",
    "postgresql_template",
    "sqlite_template",
    "stage",
    "while_counting",
]
