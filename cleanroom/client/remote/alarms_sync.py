"""What `Client` has for alarms."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from cleanroom.client.remote.alarms import AlarmState

if TYPE_CHECKING:
    from cleanroom.client.remote.sync_parts import Run

Rows = list[dict[str, Any]]


class Alarms:
    """Patterns that the room has seen in its log, and who has looked at them."""

    def __init__(self, run: "Run") -> None:
        self._run = run

    def list(self, *, state: AlarmState | None = None, kinds: Sequence[str] = ()) -> Rows:
        """List one's own alarms, the newest first; an operator's client sees everybody's, and the room's own.

        Args:
            state: only open ones, or only those that somebody has acknowledged.
            kinds: of these alone, such as `refusals`.
        """
        return self._run(self._run.session.alarms.all(state, kinds))

    def get(self, alarm_id: str) -> dict[str, Any]:
        """Read one: what was seen, how often, and what somebody has found."""
        return self._run(self._run.session.alarms.get(alarm_id))

    def acknowledge(self, alarm_id: str, *, note: str) -> dict[str, Any]:
        """Say what was found, in 1 to 500 characters for the log; the same pattern raises a new alarm then."""
        return self._run(self._run.session.alarms.acknowledge(alarm_id, note))
