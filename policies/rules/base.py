"""What a rule is, and the registry of tags: a tag keeps its meaning for good, as old documents name it."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Self, TypeVar

from policies.decision import Reason
from policies.errors import PolicyFormatError
from policies.request import Request
from policies.text import nfc


class Rule(ABC):
    """One limit of a policy document, as a frozen value."""

    tag: ClassVar[str]
    decides: ClassVar[bool] = True
    """Whether the rule can change a decision or an answer."""

    @property
    def named(self) -> frozenset[str]:
        """Every attribute of the dataset that the rule names."""
        return frozenset()

    @abstractmethod
    def meet(self, other: Self) -> Self:
        """Return the rule that permits only what both permit."""

    @abstractmethod
    def to_data(self) -> dict[str, Any]:
        """Return the rule's limits as plain data."""

    @classmethod
    @abstractmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        """Read the limits; raises PolicyFormatError."""

    def check(self, request: Request) -> Reason | None:  # noqa: ARG002 - a rule may only carry numbers
        """Return the reason for which the request is forbidden, or None."""
        return None

    def repair(self, request: Request) -> Request | None:
        """Return the nearest request that this rule lets pass, or None when there is none."""
        return request


_R = TypeVar("_R", bound=Rule)


class Registry:
    """The tags in use, each with its rule."""

    def __init__(self) -> None:
        self._rules: dict[str, type[Rule]] = {}

    @property
    def tags(self) -> tuple[str, ...]:
        """Every tag that has a rule."""
        return tuple(self._rules)

    def register(self, rule: type[_R]) -> type[_R]:
        """Give a tag to a rule; as a class decorator.

        Raises:
            ValueError: the tag has a rule already; a new meaning needs a new tag.
        """
        if rule.tag in self._rules:
            raise ValueError(f"the tag {rule.tag!r} is taken for good")
        self._rules[rule.tag] = rule
        return rule

    def find(self, tag: object) -> type[Rule]:
        """Return the rule of a tag; raises PolicyFormatError when there is none."""
        if isinstance(tag, str) and tag in self._rules:
            return self._rules[tag]
        raise PolicyFormatError(
            f"Unknown rule {str(tag)[:80]!r}; an unknown rule refuses the whole document.",
            remedy=f"Use: {', '.join(self._rules)}.",
        )


REGISTRY = Registry()


def only_keys(data: Mapping[str, Any], tag: str, keys: tuple[str, ...]) -> None:
    """Refuse a rule with a key it does not know: a limit that is not understood must not be dropped."""
    unknown = sorted(str(key) for key in data if key not in keys)
    if unknown:
        raise PolicyFormatError(
            f"Unknown key {unknown[0][:80]!r} in the rule {tag!r}.",
            remedy=f"Use: {', '.join(keys)}." if keys else "The rule has no keys.",
        )


def whole_number(data: Mapping[str, Any], tag: str, key: str, *, low: int, high: int) -> int:
    """Read a whole number between two limits."""
    value = data.get(key)
    if type(value) is not int or not low <= value <= high:
        raise PolicyFormatError(f"`{key}` of the rule {tag!r} is a whole number from {low} to {high}.")
    return value


def text(data: Mapping[str, Any], tag: str, key: str, *, most: int) -> str:
    """Read a text that is not empty."""
    value = data.get(key)
    if not isinstance(value, str) or not 0 < len(value.strip()) <= most:
        raise PolicyFormatError(f"`{key}` of the rule {tag!r} is text of 1 to {most} characters.")
    return nfc(value.strip())


def names(data: Mapping[str, Any], tag: str, key: str) -> frozenset[str]:
    """Read a list of names."""
    value = data.get(key, ())
    if not isinstance(value, list | tuple) or not all(isinstance(item, str) and item for item in value):
        raise PolicyFormatError(
            f"`{key}` of the rule {tag!r} is a list of names.", remedy="Put numbers in quotes."
        )
    return frozenset(nfc(item) for item in value)


def names_or_all(data: Mapping[str, Any], tag: str, key: str) -> frozenset[str] | None:
    """Read a list of names, or "*" for all of them, which is None."""
    return None if data.get(key) == "*" else names(data, tag, key)


def both(one: frozenset[str] | None, other: frozenset[str] | None) -> frozenset[str] | None:
    """Return the names that both sides allow; None allows all."""
    if one is None or other is None:
        return one if other is None else other
    return one & other


def listed(allowed: frozenset[str] | None) -> list[str] | str:
    """Write names as plain data; the inverse of `names_or_all`."""
    return "*" if allowed is None else sorted(allowed)
