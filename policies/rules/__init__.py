"""The rules that a policy document may hold, one class per permanent tag."""

from policies.rules.base import REGISTRY, Rule
from policies.rules.budget import Budget
from policies.rules.parties import Buyers, Validity
from policies.rules.scope import Analyses, Attributes, BreakdownDepth, Purposes
from policies.rules.sizes import BaseFloor, MinimumAudience, Rounding

__all__ = [
    "REGISTRY",
    "Analyses",
    "Attributes",
    "BaseFloor",
    "BreakdownDepth",
    "Budget",
    "Buyers",
    "MinimumAudience",
    "Purposes",
    "Rounding",
    "Rule",
    "Validity",
]
