"""A policy document: a name and a list of rules."""

from dataclasses import dataclass

from policies.rules import Rule

VERSION = 1


@dataclass(frozen=True)
class PolicyDocument:
    """An owner's limits on analyses of one dataset.

    Attributes:
        name: for people.
        rules: in the order of the document; rules of the same tag add up to the strictest.
        v: version of the format.
    """

    name: str
    rules: tuple[Rule, ...]
    v: int = VERSION
