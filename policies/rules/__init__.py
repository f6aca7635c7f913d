"""The rules that a policy document may hold, one class per permanent tag."""

from policies.rules.approval import Approval
from policies.rules.base import REGISTRY, Rule
from policies.rules.budget import Budget
from policies.rules.licence import Direct, Quota, ReadyMade
from policies.rules.literals import Cuts, Literals
from policies.rules.pace import Rate
from policies.rules.parties import Buyers, Sectors, Validity
from policies.rules.scope import Analyses, Attributes, BreakdownDepth, OverlapRequired, Purposes
from policies.rules.sizes import BaseFloor, MinimumAudience, Rounding
from policies.rules.watch import DifferenceAlarm, Unsafe

__all__ = [
    "REGISTRY",
    "Analyses",
    "Approval",
    "Attributes",
    "BaseFloor",
    "BreakdownDepth",
    "Budget",
    "Buyers",
    "Cuts",
    "DifferenceAlarm",
    "Direct",
    "Literals",
    "MinimumAudience",
    "OverlapRequired",
    "Purposes",
    "Quota",
    "Rate",
    "ReadyMade",
    "Rounding",
    "Rule",
    "Sectors",
    "Unsafe",
    "Validity",
]
