"""What waits and what awaits have the same methods with the same parameters."""

import inspect

import pytest

from cleanroom.client.remote import aio, sync

PAIRS = ("Result", "Estimate", "TablesOf", "Bases", "Datasets", "Webhooks")


def public(kind: type) -> dict[str, list[str]]:
    return {
        name: [str(one) for one in inspect.signature(member).parameters.values()]
        for name, member in inspect.getmembers(kind, inspect.isfunction)
        if not name.startswith("_")
    }


@pytest.mark.parametrize("name", [*PAIRS, "Client"])
def test_both_have_the_same_methods(name: str) -> None:
    assert public(getattr(sync, name)) == public(getattr(aio, f"Async{name}"))


@pytest.mark.parametrize("name", [*PAIRS, "Client"])
def test_everything_that_asks_the_room_is_awaited(name: str) -> None:
    waits, awaits = getattr(sync, name), getattr(aio, f"Async{name}")
    shared = set(public(waits)) - set(vars(waits))
    for method in set(public(waits)) - shared - {"result"}:
        assert inspect.iscoroutinefunction(getattr(awaits, method)), method
