"""What left the room: answers about one's own data, each with the rule that permitted it, and no figure of it."""

from fastapi import APIRouter, Response

from cleanroom.analyses.noticing import Wanted, answered
from cleanroom.oversight.releases import released
from policies.question import KINDS
from provider_portal.compliance.looking import Owning, day
from provider_portal.policy_shown import rules_shown
from provider_portal.questions import in_words
from provider_portal.tables import PER_PAGE, asked
from provider_portal.ui import page

router = APIRouter(prefix="/compliance/releases")


@router.get("")
def list_releases(visit: Owning) -> Response:
    """Show which answers left the room, the newest first."""
    table = asked(visit, ("asked",), default="asked", descending=True)
    kind = visit.asked("kind")
    wanted = Wanted(
        buyer=table.text,
        dataset=visit.asked("dataset").strip(),
        kind=kind if kind in KINDS else None,
        start=day(visit, visit.asked("since")),
        end=day(visit, visit.asked("until"), after=True),
    )
    with visit.room.db.reading() as tx:
        found, total = answered(tx, visit.who.organisation_id, wanted, offset=table.offset, limit=PER_PAGE)
    return page(
        visit,
        "compliance/releases.html",
        found=found,
        total=total,
        wanted=table,
        asked=wanted,
        since=visit.asked("since"),
        until=visit.asked("until"),
        kinds=KINDS,
    )


@router.get("/{analysis_id}")
def show_release(visit: Owning, analysis_id: str) -> Response:
    """Show one answer: the question, the rule in force, the consents it honoured, and where the log proves it."""
    room = visit.room
    with room.db.reading() as tx:
        found = released(tx, room.rules, visit.who.organisation_id, analysis_id)
    tree = found.question
    return page(
        visit,
        "compliance/release.html",
        found=found,
        noticed=found.noticed,
        question=None if tree is None else in_words(tree, visit.writing),
        shown=rules_shown(found.policy.document, visit.writing) if found.policy else (),
    )
