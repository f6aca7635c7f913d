"""The rule language described: which keys each rule takes, of which form, within which limits; for forms and help.

What a key may hold is decided by the rules themselves, when they read a document. This says the same to whoever writes
one, and the tests compare the two at every limit.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from policies.combine import REQUIRED
from policies.question import KINDS
from policies.rules import Budget
from policies.rules.licence import MOST_QUESTIONS
from policies.rules.sizes import OUTPUTS
from policies.sectors import SECTORS
from policies.templates import QUESTION, TEMPLATE

_MANY = 1_000_000_000
_RHO = 1_000_000_000_000
_DELTA = 10_000_000_000


class Form(StrEnum):
    """What a key holds."""

    NUMBER = "number"
    NAMES = "names"
    NAMES_OR_ALL = "names_or_all"
    CHOICE = "choice"
    TEXT = "text"
    INSTANT = "instant"
    NUMBERS = "numbers"
    TREE = "tree"


@dataclass(frozen=True)
class Key:
    """One key of a rule.

    Attributes:
        name: as it stands in a document.
        form: what it holds.
        low: the smallest number.
        high: the largest number, or the most characters of a text.
        options: the only names that it may hold, or the names of its numbers; empty for any.
        needed: whether the rule must have it.
        usual: what counts when it is absent; None for nothing.
        attributes: whether its names are attributes of the dataset.
        parties: whether its names are organisations.
    """

    name: str
    form: Form
    low: int = 0
    high: int = 0
    options: tuple[str, ...] = ()
    needed: bool = False
    usual: Any = None
    attributes: bool = False
    parties: bool = False


def _number(name: str, low: int, high: int, *, needed: bool = False, usual: int | None = None) -> Key:
    return Key(name, Form.NUMBER, low, high, needed=needed, usual=usual)


def _budget() -> tuple[Key, ...]:
    rule = Budget(1, 1, 1)
    caps = [
        _number(name, 1, _RHO, needed=True)
        for name in ("cap_rho_micro", "agency_rho_micro", "total_rho_micro")
    ]
    percents = [
        _number(name, 1, 25 if name == "question_max_percent" else 100, usual=int(getattr(rule, name)))
        for name in (
            "public_percent",
            "question_max_percent",
            "small_percent",
            "medium_percent",
            "large_percent",
        )
    ]
    deltas = [
        _number(name, 0, _DELTA * times, usual=int(getattr(rule, name)))
        for name, times in (("cap_delta_pico", 1), ("agency_delta_pico", 10), ("total_delta_pico", 10))
    ]
    return (*caps, *percents, *deltas, _number("window_days", 30, 3_650))


def _names(name: str, *, every: bool = True, options: tuple[str, ...] = (), **about: bool) -> Key:
    return Key(name, Form.NAMES_OR_ALL if every else Form.NAMES, options=options, **about)


DESCRIBED: Mapping[str, tuple[Key, ...]] = MappingProxyType(
    {
        "purposes": (_names("allowed", every=False, needed=True),),
        "analyses": (_names("allowed", every=False, options=KINDS, needed=True),),
        "attributes": (
            *(_names(name, attributes=True) for name in ("filter", "breakdown", "sum")),
            _names("blocked", every=False, attributes=True),
        ),
        "base_floor": (_number("min", 0, _MANY, needed=True),),
        "minimum_audience": (
            _number("min", 0, _MANY, needed=True),
            Key("outputs", Form.NUMBERS, 0, _MANY, options=OUTPUTS),
        ),
        "budget": _budget(),
        "breakdown_depth": (_number("max", 0, 16, needed=True),),
        "rounding": (_number("to", 1, 1_000_000, needed=True),),
        "overlap_required": (),
        "literals": (Key("allowed", Form.TREE, needed=True),),
        "validity": (Key("from", Form.INSTANT), Key("until", Form.INSTANT)),
        "buyers": (
            _names("allowed", parties=True),
            _names("blocked", every=False, parties=True),
        ),
        "sectors": (
            _names("allowed", options=tuple(SECTORS)),
            _names("blocked", every=False, options=tuple(SECTORS)),
        ),
        "rate": tuple(_number(name, 1, 10_000) for name in ("per_minute", "per_hour", "per_day")),
        "approval": (
            Key("of", Form.CHOICE, options=(QUESTION, TEMPLATE), needed=True),
            _names("except", every=False, options=KINDS),
        ),
        "difference_alarm": (_number("days", 1, 3_650, needed=True),),
        "quota": (_number("max", 0, MOST_QUESTIONS, needed=True),),
        "direct": (),
        "ready_made": (Key("segments", Form.TREE, needed=True),),
        "unsafe": (Key("reason", Form.TEXT, 1, 500, needed=True),),
    }
)
"""Every rule by its tag, in the order in which people meet them."""

NEEDED = tuple(rule.tag for rule in REQUIRED)
"""The tags that a document must have."""
