"""Rules: every version of every rule with what changed in it, and questions that were let through one by one."""

from fastapi import APIRouter, Response

from cleanroom.analyses import docket
from cleanroom.oversight.rulings import SORTS, rulings
from cleanroom.rules.errors import UnknownPolicyError
from policies.codec import policy_to_yaml
from policies.diff import diff
from provider_portal.compliance.looking import Owning
from provider_portal.lists import approvals_page
from provider_portal.own import owned, people_of
from provider_portal.questions import in_words
from provider_portal.tables import PER_PAGE, asked
from provider_portal.ui import page

router = APIRouter(prefix="/compliance")


@router.get("/policies")
def list_policies(visit: Owning) -> Response:
    """Show every version of every rule, the newest first."""
    wanted = asked(visit, SORTS, default="since", descending=True)
    with visit.room.db.reading() as tx:
        found, total = rulings(
            tx,
            visit.who.organisation_id,
            dataset=wanted.text,
            sort=wanted.sort,
            descending=wanted.descending,
            offset=wanted.offset,
            limit=PER_PAGE,
        )
    return page(visit, "compliance/policies.html", found=found, total=total, wanted=wanted)


@router.get("/policies/{dataset_id}/{number}")
def show_policy(visit: Owning, dataset_id: str, number: str) -> Response:
    """Show a version, and what changed in it against the one before or another."""
    with visit.room.db.reading() as tx:
        dataset = owned(visit, tx, dataset_id)
        history = visit.room.rules.history(tx, dataset_id)
        people = people_of(visit, tx, visit.who.organisation_id)
    by_number = {str(one.number): one for one in history}
    if number not in by_number:
        raise UnknownPolicyError("There is no such version.", remedy="Look at the list.")
    version = by_number[number]
    other = by_number.get(visit.asked("against") or str(version.number - 1))
    followed = by_number.get(str(version.number + 1))
    return page(
        visit,
        "compliance/policy.html",
        dataset=dataset,
        version=version,
        followed=followed,
        other=other,
        others=[one.number for one in history if one.number != version.number],
        changes=diff(other.document, version.document) if other else (),
        text=policy_to_yaml(version.document),
        people=people,
    )


@router.get("/approvals")
def list_approvals(visit: Owning) -> Response:
    """Show which questions needed the owner's word, and what became of them."""
    return approvals_page(visit, "compliance/approvals.html")


@router.get("/approvals/{approval_id}")
def show_approval(visit: Owning, approval_id: str) -> Response:
    """Show one: the question in words, who ruled on it when, and why."""
    room, organisation_id = visit.room, visit.who.organisation_id
    with room.db.reading() as tx:
        approval = room.approvals.approval(tx, approval_id, organisation_id=organisation_id)
        entry = docket.docket_entry(tx, approval)
        people = people_of(visit, tx, organisation_id)
    return page(
        visit,
        "compliance/approval.html",
        entry=entry,
        question=in_words(approval.question, visit.writing),
        people=people,
    )
