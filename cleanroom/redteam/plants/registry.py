"""The list of faults, and how a function is swapped for a faulty one and back."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

Swap = Callable[[], AbstractContextManager[None]]


@dataclass(frozen=True)
class Plant:
    """A fault.

    Attributes:
        name: for the command line.
        says: what is wrong, in one sentence.
        swap: puts it in place, and takes it away again.
    """

    name: str
    says: str
    swap: Swap


PLANTS: dict[str, Plant] = {}


def plant(says: str) -> Callable[[Callable[[], Iterator[None]]], Swap]:
    """Register a generator function as a fault under its own name; it swaps, yields once, and swaps back."""

    def register(function: Callable[[], Iterator[None]]) -> Swap:
        swap = contextmanager(function)
        assert function.__name__ not in PLANTS
        PLANTS[function.__name__] = Plant(function.__name__, says, swap)
        return swap

    return register


@contextmanager
def swapped(owner: Any, name: str, make: Callable[[Any], Any]) -> Iterator[None]:
    """Replace an attribute of a module or class for a while.

    Args:
        owner: the module or class.
        name: of the function, as `owner` knows it.
        make: from the sound function to the faulty one.
    """
    sound = getattr(owner, name)
    setattr(owner, name, make(sound))
    try:
        yield
    finally:
        setattr(owner, name, sound)
