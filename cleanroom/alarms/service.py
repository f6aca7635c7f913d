"""The alarms of a room: what raises them, and what acknowledges them."""

from dataclasses import dataclass

from cleanroom.alarms.detecting import Detecting
from cleanroom.alarms.errors import AcknowledgedError, AlarmNoteError, UnknownAlarmError
from cleanroom.alarms.models import AlarmRow
from cleanroom.alarms.types import Whose
from cleanroom.audit.log import AuditLog
from cleanroom.clock import Clock
from cleanroom.db.database import Transaction
from cleanroom.settings.alarms import AlarmSettings

MAX_NOTE = 500
ACKNOWLEDGED = "alarms.acknowledged"


@dataclass(frozen=True)
class Alarms:
    """The services of the slice; `cleanroom.alarms.reading` shows what there is.

    Attributes:
        clock: tells when an alarm is acknowledged.
        detecting: raises them.
    """

    clock: Clock
    detecting: Detecting

    def acknowledge(self, tx: Transaction, alarm_id: str, whose: Whose, *, by: str, note: str) -> None:
        """Note that somebody has looked at an alarm; whatever shows the same pattern later raises a new one.

        Args:
            tx: the caller's transaction.
            alarm_id: which.
            whose: alarms of whoever has looked; others' that they only read are none of them.
            by: id of the user or the API client who has looked.
            note: what was found, for the log; 1 to 500 characters.

        Raises:
            UnknownAlarmError: there is no such alarm that is theirs to acknowledge.
            AlarmNoteError: the note says nothing, or too much.
            AcknowledgedError: somebody was faster.
        """
        text = note.strip()
        row = tx.session.get(AlarmRow, alarm_id, with_for_update=True, populate_existing=True)
        if row is None or not whose.answers_for(row.organisation_id):
            raise UnknownAlarmError("There is no alarm with this id.", remedy="List the alarms.")
        if not 1 <= len(text) <= MAX_NOTE:
            raise AlarmNoteError(
                f"The note has no text, or more than {MAX_NOTE} characters.",
                remedy="Write in a sentence what was found.",
            )
        if row.acknowledged_at is not None:
            raise AcknowledgedError("The alarm was acknowledged before.", remedy="Look at its note.")
        row.acknowledged_at, row.acknowledged_by, row.note = self.clock.now(), by, text
        tx.session.flush()
        tx.audit(
            ACKNOWLEDGED,
            subject_id=row.id,
            organisation_id=row.organisation_id,
            body={"by": by, "note": text, "occurrences": row.occurrences, "last": row.last_index},
        )


def make_alarms(clock: Clock, log: AuditLog, settings: AlarmSettings) -> Alarms:
    """Put the services together.

    Args:
        clock, log: of the room.
        settings: when to raise alarms.
    """
    return Alarms(clock, Detecting(clock, log, settings))
