"""The owner's queue: what is in it, who rules, and what the rulings say."""

import pytest

from cleanroom.rules.approvals import Approvals
from cleanroom.rules.errors import ApprovalReasonError, NotYourDatasetError, UnknownApprovalError
from policies.request import ApprovalState, Ruling


@pytest.fixture
def approvals(noon):
    return Approvals(noon)


def put(approvals, tx, **changed):
    facts = {
        "dataset_id": "ds_1",
        "grant_id": "gr_1",
        "advertiser_id": "org_3",
        "agency_id": None,
        "of": "question",
        "key": "k1",
        "subject": {"purpose": "advertising"},
        "question": {"kind": "overlap"},
        "policy_id": "pol_1",
        "rho_micro": 500,
        "owner_id": "org_1",
    }
    approvals.request(tx, **facts | changed)


def only(approvals, tx, **kept):
    (found,) = approvals.queue(tx, "ds_1", organisation_id="org_1", **kept)
    return found


def test_a_question_is_put_once_per_grant(db, approvals):
    with db.transaction() as tx:
        put(approvals, tx)
        put(approvals, tx)
        put(approvals, tx, grant_id="gr_2")
        put(approvals, tx, key="k2")
        assert [event.kind for event in tx.events] == ["rules.approval_requested"] * 3
        queue = approvals.queue(tx, "ds_1", organisation_id="org_1")

    assert sorted((item.grant_id, item.key) for item in queue) == [
        ("gr_1", "k1"),
        ("gr_1", "k2"),
        ("gr_2", "k1"),
    ]
    assert {item.state for item in queue} == {ApprovalState.PENDING}
    assert (queue[0].subject, queue[0].rho_micro) == ({"purpose": "advertising"}, 500)


def test_a_ruling_holds_until_another_and_is_logged(db, approvals, noon):
    with db.transaction() as tx:
        put(approvals, tx)
        asked = only(approvals, tx)
        assert approvals.rulings(tx, "gr_1") == {"k1": Ruling(ApprovalState.PENDING)}

        approved = approvals.approve(tx, asked.id, organisation_id="org_1")
        assert (approved.state, approved.decided_at) == (ApprovalState.APPROVED, noon.now())
        approvals.approve(tx, asked.id, organisation_id="org_1")
        # Asking again does not take the ruling back.
        put(approvals, tx)
        assert approvals.rulings(tx, "gr_1") == {"k1": Ruling(ApprovalState.APPROVED)}

        approvals.reject(tx, asked.id, organisation_id="org_1", reason=" too narrow ")
        assert approvals.rulings(tx, "gr_1") == {"k1": Ruling(ApprovalState.REJECTED, "too narrow")}
        assert approvals.rulings(tx, "gr_2") == {}
        kinds = [(event.kind, event.body.get("before")) for event in tx.events]

    assert kinds == [
        ("rules.approval_requested", None),
        ("rules.approval_approved", "pending"),
        ("rules.approval_rejected", "approved"),
    ]


def test_the_queue_shows_one_state_when_asked(db, approvals):
    with db.transaction() as tx:
        put(approvals, tx)
        put(approvals, tx, key="k2")
        both = approvals.queue(tx, "ds_1", organisation_id="org_1")
        first = next(item for item in both if item.key == "k1")
        approvals.approve(tx, first.id, organisation_id="org_1", reason="fine")
        assert only(approvals, tx, state=ApprovalState.PENDING).key == "k2"
        assert only(approvals, tx, state=ApprovalState.APPROVED).reason == "fine"
        assert approvals.queue(tx, "ds_2", organisation_id="org_1") == ()


def test_only_the_owner_sees_the_queue_and_rules(db, approvals):
    with db.transaction() as tx:
        put(approvals, tx)
        asked = only(approvals, tx)
        for act in (
            lambda: approvals.queue(tx, "ds_1", organisation_id="org_2"),
            lambda: approvals.approve(tx, asked.id, organisation_id="org_2"),
            lambda: approvals.reject(tx, asked.id, organisation_id="org_2", reason="no"),
        ):
            with pytest.raises(NotYourDatasetError):
                act()
        assert only(approvals, tx).state is ApprovalState.PENDING


def test_a_rejection_needs_a_reason_and_an_id_that_exists(db, approvals):
    with db.transaction() as tx:
        put(approvals, tx)
        asked = only(approvals, tx)
        with pytest.raises(ApprovalReasonError, match="has a reason"):
            approvals.reject(tx, asked.id, organisation_id="org_1", reason="  ")
        with pytest.raises(ApprovalReasonError, match="at most 500 characters"):
            approvals.approve(tx, asked.id, organisation_id="org_1", reason="x" * 501)
        with pytest.raises(UnknownApprovalError, match="no request for approval"):
            approvals.approve(tx, "apr_none", organisation_id="org_1")
