"""The notices of a room, put together."""

from dataclasses import dataclass

from cleanroom.audit.log import AuditLog
from cleanroom.clock import Clock
from cleanroom.grants.service import Grants
from cleanroom.mail.service import Mail
from cleanroom.notices.events import Events
from cleanroom.notices.outbox import NoticeOutbox
from cleanroom.notices.reading import NoticeReading
from cleanroom.rules.service import Rules


@dataclass(frozen=True)
class Notices:
    """The services of the slice.

    Attributes:
        outbox: makes notices of the log's events.
        reading: shows them.
    """

    outbox: NoticeOutbox
    reading: NoticeReading


def make_notices(
    clock: Clock, log: AuditLog, grants: Grants, rules: Rules, mail: Mail, *, public_url: str
) -> Notices:
    """Put the services together.

    Args:
        clock, log, grants, rules, mail: of the room.
        public_url: where its pages are.
    """
    events = Events(clock, grants, rules)
    return Notices(NoticeOutbox(clock, log, events, mail, public_url), NoticeReading())
