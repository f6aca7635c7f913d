"""What a mirrored batch says: changes of a dataset, or entries of an opt-out list, as they were submitted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any

from cleanroom.clock import rfc3339
from cleanroom.consent.changes import ChangeState
from cleanroom.consent.errors import MirrorError
from cleanroom.consent.mirror import Sheet
from cleanroom.consent.optout_types import Named, OptOut, OptOutAction, OptOutKind, OptOutReason
from cleanroom.consent.terms import Terms
from cleanroom.consent.types import Change


@dataclass(frozen=True)
class MirroredChanges:
    """Changes that hold people of a dataset back.

    Attributes:
        kind: what their epoch is called in the log.
        changes: each with its instant.
        beside: what a request needs to be taken again beside its changes; empty for changes alone.
    """

    kind: str
    changes: tuple[Change, ...]
    beside: Mapping[str, Any] = field(default_factory=dict)

    def to_sheet(self) -> Sheet:
        """Write them."""
        changes = [
            {
                "key": one.key,
                "state": int(one.state),
                "purpose": one.purpose,
                "at": None if one.at is None else rfc3339(one.at),
                "until": None if one.until is None else one.until.isoformat(),
                "terms": [terms.to_dict() for terms in one.terms],
            }
            for one in self.changes
        ]
        says = {"kind": self.kind, "changes": changes, "beside": dict(self.beside)}
        return Sheet(says, tuple(one.digests for one in self.changes))

    @classmethod
    def from_sheet(cls, sheet: Sheet) -> "MirroredChanges":
        """Read what `to_sheet` wrote; raises MirrorError."""
        try:
            changes = tuple(
                Change(
                    key=str(one["key"]),
                    digests=digests,
                    state=ChangeState(one["state"]),
                    purpose=str(one["purpose"]),
                    at=None if one["at"] is None else datetime.fromisoformat(one["at"]),
                    until=None if one["until"] is None else date.fromisoformat(one["until"]),
                    terms=tuple(Terms.from_dict(terms) for terms in one["terms"]),
                )
                for one, digests in zip(sheet.says["changes"], sheet.digests, strict=True)
            )
            return cls(str(sheet.says["kind"]), changes, dict(sheet.says["beside"]))
        except (ValueError, KeyError, TypeError) as error:
            raise _unreadable() from error


def restraining(changes: Sequence[Change], now: datetime) -> tuple[Change, ...]:
    """Return the changes that hold people back, each with its instant.

    A grant that a backup does not know may be lost: then somebody is not counted who could be.
    """
    return tuple(
        replace(change, at=min(change.at or now, now))
        for change in changes
        if change.state is not ChangeState.GRANTED
    )


def opt_out_sheet(asked: OptOut) -> Sheet:
    """Write entries of a list."""
    says = {
        "kind": asked.kind.value,
        "reason": asked.reason.value,
        "reference": asked.reference,
        "dataset_id": asked.dataset_id,
        "named": [[one.identifier, one.profile] for one in asked.named],
    }
    return Sheet(says, tuple(one.digests for one in asked.named))


def opt_out_of(sheet: Sheet) -> OptOut:
    """Read what `opt_out_sheet` wrote; raises MirrorError."""
    says = sheet.says
    try:
        named = zip(says["named"], sheet.digests, strict=True)
        return OptOut(
            kind=OptOutKind(says["kind"]),
            action=OptOutAction.ADD,
            named=tuple(
                Named(str(identifier), str(profile), digests) for (identifier, profile), digests in named
            ),
            reason=OptOutReason(says["reason"]),
            reference=str(says["reference"]),
            dataset_id=None if says["dataset_id"] is None else str(says["dataset_id"]),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise _unreadable() from error


def _unreadable() -> MirrorError:
    return MirrorError(
        "A mirrored batch is of another form.", remedy="Reconcile with the version of the room that wrote it."
    )
