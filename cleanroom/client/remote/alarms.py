"""Alarms: what the room has seen in its log, and who has looked at it."""

from collections.abc import Sequence
from typing import Any, Literal
from urllib.parse import quote

from cleanroom.client.remote.connection import Connection
from cleanroom.client.remote.effects import Flow

AlarmState = Literal["open", "acknowledged"]


class AlarmFlows:
    """Conversations about alarms."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def all(self, state: AlarmState | None, kinds: Sequence[str]) -> Flow[list[dict[str, Any]]]:
        """List alarms, the newest first."""
        return self._connection.pages("/v1/alarms", state=state, kind=tuple(kinds))

    def get(self, alarm_id: str) -> Flow[dict[str, Any]]:
        """Read one."""
        return self._connection.get(_path(alarm_id))

    def acknowledge(self, alarm_id: str, note: str) -> Flow[dict[str, Any]]:
        """Note what was found."""
        return self._connection.post(f"{_path(alarm_id)}/acknowledge", {"note": note})


def _path(alarm_id: str) -> str:
    return f"/v1/alarms/{quote(alarm_id, safe='')}"
