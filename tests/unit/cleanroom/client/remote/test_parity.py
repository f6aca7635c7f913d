"""What waits and what awaits have the same methods with the same parameters."""

import inspect

import pytest

from cleanroom.client.remote import (
    aio,
    aio_parts,
    alarms_aio,
    alarms_sync,
    rights_aio,
    rights_sync,
    sync,
    sync_parts,
)

PAIRS = ("Result", "Estimate", "TablesOf", "Bases", "Datasets", "Mandates", "Events", "Webhooks")


APART = {"Client": (sync, aio), "Rights": (rights_sync, rights_aio), "Alarms": (alarms_sync, alarms_aio)}


def pair(name: str) -> tuple[type, type]:
    waits, awaits = APART.get(name, (sync_parts, aio_parts))
    return getattr(waits, name), getattr(awaits, f"Async{name}")


def public(kind: type) -> dict[str, list[str]]:
    return {
        name: [str(one) for one in inspect.signature(member).parameters.values()]
        for name, member in inspect.getmembers(kind, inspect.isfunction)
        if not name.startswith("_")
    }


@pytest.mark.parametrize("name", [*PAIRS, *APART])
def test_both_have_the_same_methods(name: str) -> None:
    waits, awaits = pair(name)
    assert public(waits) == public(awaits)


@pytest.mark.parametrize("name", [*PAIRS, *APART])
def test_everything_that_asks_the_room_is_awaited(name: str) -> None:
    waits, awaits = pair(name)
    shared = set(public(waits)) - set(vars(waits))
    for method in set(public(waits)) - shared - {"result", "verify"}:
        assert inspect.iscoroutinefunction(getattr(awaits, method)), method
