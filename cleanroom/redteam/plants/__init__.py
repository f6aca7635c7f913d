"""Faults to plant: an attack that cannot tell a faulty room from a sound one proves nothing.

A fault replaces functions in this process, for as long as a `with` block lasts. Nothing but the red team's command
and the tests imports this package, so no server can reach it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module

from cleanroom.redteam.errors import UnknownPlantError
from cleanroom.redteam.plants.registry import PLANTS, Plant

# Each registers its faults when it is imported.
for _name in ("noise", "accounts", "people", "oracles"):
    import_module(f"{__name__}.{_name}")


def plant_names() -> tuple[str, ...]:
    """Return the names of all faults, sorted."""
    return tuple(sorted(PLANTS))


def plant_says(name: str) -> str:
    """Return what a fault does, in one sentence; raises UnknownPlantError."""
    return _find(name).says


@contextmanager
def planted(name: str) -> Iterator[None]:
    """Let this process have a fault for as long as the block lasts; raises UnknownPlantError."""
    with _find(name).swap():
        yield


def _find(name: str) -> Plant:
    if name not in PLANTS:
        raise UnknownPlantError(
            f"There is no fault {name[:80]!r}.", remedy=f"Use: {', '.join(plant_names())}."
        )
    return PLANTS[name]
