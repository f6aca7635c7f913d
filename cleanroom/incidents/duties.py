"""What laws say about telling of incidents, as terms that run from the instant of discovery.

Sources: Federal law 152-FZ of 27 July 2006, article 21, part 3.1: the authority (Roskomnadzor) is told within 24 hours
of what happened, the supposed causes and harm, what was done, and whom to ask; within 72 hours of what an inner inquiry
found, and who caused it. Regulation (EU) 2016/679, article 33, paragraph 1: the supervisory authority is told within 72
hours of having become aware, unless a risk to people is unlikely. Whether one of them applies is counsel's to say. A
term is counted to the second, which is the strictest reading.
"""

from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType

from cleanroom.incidents.types import Duty

TERMS: Mapping[Duty, timedelta] = MappingProxyType(
    {
        Duty.RU_NOTICE: timedelta(hours=24),
        Duty.RU_RESULTS: timedelta(hours=72),
        Duty.EU_NOTICE: timedelta(hours=72),
    }
)
_NEAR_PART = 4


def near(duty: Duty) -> timedelta:
    """Return how long before its end people are reminded of a duty: when a quarter of its term is left."""
    return TERMS[duty] / _NEAR_PART
