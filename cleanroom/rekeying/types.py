"""Rotations as values."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from cleanroom.workspaces.types import Workspace


class What(StrEnum):
    """Which key is replaced."""

    TOKENS = "tokens"
    WRAPPING = "wrapping"


class RotationState(StrEnum):
    """What has become of a rotation."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    WITHDRAWN = "withdrawn"


OPEN = (RotationState.WAITING, RotationState.RUNNING)
"""States of rotations that have not ended."""


@dataclass(frozen=True)
class KeyRotation:
    """One rotation of one workspace's keys.

    Attributes:
        id: `kr_...`.
        organisation_id: whose.
        workspace_id: which workspace.
        what: which key.
        state: what has become of it.
        asked_by: who asked for it: a user's id, or `operator` on the server's own machine.
        asked_at: when.
        started_at: when it was begun last; None before.
        ended_at: when it ended; None before.
        done, total: how far it is, in rows or files; both 0 before that is known.
        failure: code of the error that it met last; None when it met none since it went on.
    """

    id: str
    organisation_id: str
    workspace_id: str
    what: What
    state: RotationState
    asked_by: str
    asked_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    done: int
    total: int
    failure: str | None

    @property
    def percent(self) -> int:
        """How much is done; the last step, which switches, is never taken for done before it is."""
        return min(99, 100 * self.done // self.total) if self.total else 0


@dataclass(frozen=True)
class Keys:
    """What there is of a workspace's keys, without any secret.

    Attributes:
        workspace: whose.
        kek_since: since when the key-encryption key is in use.
        token_since: since when the token secret is in use.
        kek_changes: whether both key-encryption keys are in use, as a rotation of it is under way.
        datasets: how many datasets and bases stand under the keys.
        under_way: the rotation that has not ended; None when there is none.
        last: the rotation that ended last; None when there was none.
    """

    workspace: Workspace
    kek_since: datetime
    token_since: datetime
    kek_changes: bool
    datasets: int
    under_way: KeyRotation | None
    last: KeyRotation | None
