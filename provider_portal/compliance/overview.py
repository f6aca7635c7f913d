"""The four questions of compliance, where each is answered with proof, and what needs a look now."""

from datetime import timedelta

from fastapi import APIRouter, Response

from cleanroom.alarms.reading import alarms, open_alarms
from cleanroom.foureyes.queue import queue
from cleanroom.foureyes.types import AskState
from cleanroom.rights.browsing import asked_before
from provider_portal.compliance.alarms import whose_alarms
from provider_portal.compliance.looking import Looking, whose
from provider_portal.i18n import N_
from provider_portal.ui import PLACES, page
from provider_portal.visits import Visit

router = APIRouter(prefix="/compliance/overview")
_FEW = 5
QUESTIONS: tuple[tuple[str, str, tuple[tuple[str, str], ...]], ...] = (
    (
        N_("Who agreed to what, when and how?"),
        N_(
            "Each record of consent names its purpose, the text that the person saw, the channel and the instant."
        ),
        (
            ("/compliance/lookup", N_("One person")),
            ("/compliance/purposes", N_("Purposes and notices")),
            ("/compliance/processing", N_("Record of processing")),
        ),
    ),
    (
        N_("What left the room, under which rule?"),
        N_(
            "Each answer names the question, the buyer, the version of the rule and the consents that it honoured."
        ),
        (
            ("/compliance/releases", N_("What left the room")),
            ("/compliance/policies", N_("Versions of rules")),
            ("/compliance/budgets", N_("Budget by party")),
        ),
    ),
    (
        N_("What happened after a withdrawal?"),
        N_(
            "A withdrawal begins a new epoch of its dataset. Nothing is answered under the old one from then on."
        ),
        (
            ("/compliance/epochs", N_("Withdrawals")),
            ("/compliance/events?kind=consent.", N_("Consent epochs in the timeline")),
            ("/compliance/erasures", N_("Erasures and acts")),
        ),
    ),
    (
        N_("Did nobody alter the record?"),
        N_(
            "Every event is hashed into a tree whose head the room signs; anyone can recompute it without the room."
        ),
        (
            ("/compliance/events", N_("Timeline")),
            ("/compliance/events/checks", N_("Is the record whole?")),
            ("/compliance/evidence", N_("Evidence")),
        ),
    ),
)
"""What each question is answered by: pages, of which those are shown that the person may open."""


@router.get("")
def show_overview(visit: Looking) -> Response:
    """Show how the log stands, what needs a look, and where the four questions are answered."""
    room, who = visit.room, visit.who
    with room.db.reading() as tx:
        badge = room.checks.badge(tx)
        size = room.audit.size(tx)
        open_now = open_alarms(tx, whose_alarms(who))
        newest, _ = alarms(tx, whose_alarms(who), only_open=True, limit=_FEW)
        # A request that waits a day longer than its pass was to is one that somebody has to look at.
        due = room.clock.now() - room.rights.erasures.wait - timedelta(days=1)
        late = asked_before(tx, whose(who), due)
        waiting = queue(tx, room.four_eyes, whose(who), state=AskState.WAITING, limit=0)[1]
    return page(
        visit,
        "compliance/overview.html",
        badge=badge,
        size=size,
        open_now=open_now,
        newest=newest,
        waiting=waiting,
        late=late,
        questions=_answered(visit),
    )


def _answered(visit: Visit) -> list[tuple[str, str, list[tuple[str, str]]]]:
    """Return the questions with the pages that the person may open."""
    # Purposes and epochs are opened by whoever looks people up.
    closed = {place.path for place in PLACES if not place.open_to(visit.who)}
    closed |= {"/compliance/purposes", "/compliance/epochs"} if "/compliance/lookup" in closed else set()
    write = visit.writing
    return [
        (
            write.gettext(title),
            write.gettext(text),
            [(path, write.gettext(name)) for path, name in pages if path not in closed],
        )
        for title, text, pages in QUESTIONS
    ]
