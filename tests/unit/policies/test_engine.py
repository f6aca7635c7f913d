from dataclasses import replace
from datetime import timedelta

import pytest

import policies.request
from policies.codec import load_preset
from policies.decision import Deny, Gap, Limits, Permit, reason_to_dict
from policies.engine import decide, grant_limits
from policies.errors import QuestionError
from policies.model import PolicyDocument
from policies.question import Precision, question_from_dict
from policies.rules import (
    Analyses,
    Attributes,
    BreakdownDepth,
    Budget,
    Buyers,
    Cuts,
    Literals,
    Purposes,
    Rounding,
    Validity,
)


def ask(**parts):
    return question_from_dict({"purpose": "advertising", "dataset_id": "ds_1", "base_id": "ds_2"} | parts)


def with_rules(document, *rules):
    return PolicyDocument(document.name, (*document.rules, *rules))


def leaf(attribute):
    return {"attribute": attribute, "op": "not_null"}


def refused(documents, request, *rules):
    decision = decide(documents, request)
    assert isinstance(decision, Deny)
    assert tuple(reason.rule for reason in decision.reasons) == rules
    nearest = {str(reason.nearest) for reason in decision.reasons}
    assert len(nearest) == 1
    return decision.reasons[0]


def nearest_request(request, reason, grant=None):
    changes = {"question": question_from_dict(reason.nearest["question"])}
    if "base_persons" in reason.nearest:
        changes["base_persons"] = reason.nearest["base_persons"]
    return replace(request, **changes)


def test_every_rule_reads_the_canonical_form_that_was_found_once(standard, request_of, monkeypatch):
    found = []
    plain = policies.request.canonical_question
    monkeypatch.setattr(
        policies.request, "canonical_question", lambda *given: found.append(given) or plain(*given)
    )
    asked = ask(segments={"old": {"attribute": "age", "op": ">=", "value": 50}})
    only = Literals({"age": Cuts(step=10)})

    decide([with_rules(standard, only)], request_of(question=asked))

    assert len(found) == 1


def test_a_question_within_the_rules_is_permitted_with_its_price(standard, request_of):
    decision = decide([standard], request_of(labels=3, match_keys=2))

    assert isinstance(decision, Permit)
    assert (decision.l0, decision.rho_micro) == (3, 500)
    assert decision.limits.minimum_audience == 100
    assert decision.question.kind == "overlap"


def test_no_document_and_a_silent_one_are_gaps(standard, request_of):
    assert decide([], request_of()) == Gap(("policy",))
    silent = PolicyDocument(
        "x", tuple(rule for rule in standard.rules if not isinstance(rule, Budget | Purposes))
    )
    assert decide([standard, silent], request_of()) == Gap(("budget", "purposes"))
    assert decide([PolicyDocument("empty", ())], request_of()).missing


def test_a_question_that_cannot_be_understood_is_an_error_and_no_decision(standard, request_of):
    with pytest.raises(QuestionError, match="Unknown attribute"):
        decide([standard], request_of(ask(segments={"s": leaf("income")})))


def test_a_purpose_not_allowed_is_answered_with_one_that_is_allowed_and_granted(standard, request_of):
    request = request_of(ask(purpose="resale"))

    reason = refused([standard], request, "purposes", "grant_purpose")

    assert reason.limit == ("advertising", "analytics")
    assert reason.asked == "resale"
    assert reason.message == "The owner allows these purposes: advertising, analytics."
    assert reason.nearest["question"]["purpose"] == "advertising"
    assert isinstance(decide([standard], nearest_request(request, reason)), Permit)


def test_a_purpose_outside_the_grant_is_refused(standard, request_of):
    reason = refused([standard], request_of(ask(purpose="analytics")), "grant_purpose")

    assert reason.limit == ("advertising",)
    assert reason.nearest["question"]["purpose"] == "advertising"


def test_no_common_purpose_leaves_no_nearest_question(standard, request_of, grant):
    elsewhere = replace(grant, purposes=("research",))

    assert refused([standard], request_of(grant=elsewhere), "grant_purpose").nearest is None
    nothing = replace(grant, purposes=())
    assert refused([standard], request_of(grant=nothing), "grant_purpose").nearest is None


@pytest.mark.parametrize(
    ("allowed", "asked", "nearest"),
    [
        (("match_test",), "profile", "match_test"),
        (("match_test", "overlap"), "profile", "overlap"),
        (("profile",), "match_test", "profile"),
        (("overlap", "profile"), "match_test", "overlap"),
    ],
)
def test_an_analysis_not_allowed_is_answered_with_the_closest_kind(
    standard, request_of, allowed, asked, nearest
):
    document = with_rules(standard, Analyses(frozenset(allowed)))
    parts = (
        {}
        if asked != "profile"
        else {"breakdowns": [["age"]], "segments": {"s": leaf("age")}, "affinity": True}
    )
    request = request_of(ask(kind=asked, **parts))

    reason = refused([document], request, "analyses")

    assert reason.limit == allowed
    assert reason.nearest["question"]["kind"] == nearest
    assert isinstance(decide([document], nearest_request(request, reason)), Permit)


def test_no_analysis_allowed_leaves_no_nearest_question(standard, request_of):
    document = with_rules(standard, Analyses(frozenset()))

    assert refused([document], request_of(), "analyses").nearest is None


def test_blocked_attributes_are_left_out_of_the_nearest_question(standard, request_of):
    rule = Attributes(
        filter=frozenset({"age", "city"}), breakdown=frozenset({"age", "city"}), blocked=frozenset({"city"})
    )
    document = with_rules(standard, rule)
    request = request_of(
        ask(
            segments={"good": leaf("age"), "bad": {"all": [leaf("age"), {"not": leaf("city")}]}},
            breakdowns=[["age", "adult"], ["city"]],
        )
    )

    reason = refused([document], request, "attributes")

    assert reason.limit == ("age",)
    assert reason.asked == ("adult", "city")
    assert list(reason.nearest["question"]["segments"]) == ["good"]
    assert reason.nearest["question"]["breakdowns"] == [["age"]]
    assert isinstance(decide([document], nearest_request(request, reason)), Permit)


def test_a_deep_breakdown_is_cut(standard, request_of):
    request = request_of(ask(breakdowns=[["age", "city", "adult", "bought"]]))

    reason = refused([standard], request, "breakdown_depth")

    assert (reason.limit, reason.asked) == (3, 4)
    assert reason.nearest["question"]["breakdowns"] == [["age", "city", "adult"]]


def test_a_depth_of_zero_leaves_no_breakdown(standard, request_of):
    document = with_rules(standard, BreakdownDepth(0))

    reason = refused([document], request_of(ask(breakdowns=[["age"]])), "breakdown_depth")
    assert reason.nearest["question"]["breakdowns"] == []


def test_a_small_base_is_told_the_floor(standard, request_of):
    request = request_of(base_persons=999)

    reason = refused([standard], request, "base_floor")

    assert (reason.limit, reason.asked) == (1_000, 999)
    assert reason.nearest["base_persons"] == 1_000
    assert isinstance(decide([standard], nearest_request(request, reason)), Permit)


def test_a_price_above_a_quarter_of_the_cap_is_answered_with_the_narrowest_half_width(
    standard, request_of, grant
):
    request = request_of(ask(half_width=5), grant=replace(grant, left_micro=95_000))

    reason = refused([standard], request, "budget_question")

    assert reason.limit == 25_000
    assert reason.asked > 25_000
    decision = decide([standard], nearest_request(request, reason))
    assert isinstance(decision, Permit)
    narrower = nearest_request(request, reason).question.precision.half_width - 1
    finer = replace(request, question=replace(request.question, precision=Precision(None, narrower)))
    assert isinstance(decide([standard], finer), Deny)


@pytest.mark.parametrize(
    ("left", "precision"),
    [(4_999, {"precision": "normal"}), (499, {"precision": "rough"}), (99, {"half_width": 140})],
)
def test_a_grant_that_is_nearly_spent_pays_for_less_precision(standard, request_of, grant, left, precision):
    request = request_of(ask(precision="fine"), grant=replace(grant, left_micro=left))

    reason = refused([standard], request, "budget_left")

    assert (reason.limit, reason.asked) == (left, 5_000)
    assert {key: reason.nearest["question"].get(key) for key in precision} == precision
    assert isinstance(decide([standard], nearest_request(request, reason)), Permit)


def test_a_spent_grant_has_no_nearest_question(standard, request_of, grant):
    assert refused([standard], request_of(grant=replace(grant, left_micro=0)), "budget_left").nearest is None


def test_the_last_micro_rho_still_buys_something(standard, request_of, grant):
    wide = ask(segments={f"s{n}": {"attribute": "age", "op": ">", "value": n} for n in range(600)})
    request = request_of(wide, grant=replace(grant, left_micro=1))

    reason = refused([standard], request, "budget_left")
    assert reason.nearest["question"]["half_width"] == 33_976


def test_rounding_changes_no_price(standard, request_of):
    request = request_of(ask(half_width=50))
    rounded = decide([with_rules(standard, Rounding(20), Rounding(10))], request)

    assert rounded.limits.round_to == 20
    assert rounded.rho_micro == decide([standard], request).rho_micro


def test_the_kill_switch_stops_everything(standard, request_of):
    assert refused([standard], request_of(stopped=True), "kill_switch").nearest is None


def test_a_grant_outside_its_term_is_refused(standard, request_of, grant):
    early = request_of(at=grant.valid_from - timedelta(hours=1))
    reason = refused([standard], early, "grant_term")
    assert reason.nearest["not_before"] == "2026-11-21T12:00:00Z"
    assert "valid 2026-11-21T12:00:00Z .. 2026-12-22T12:00:00Z" in reason.message

    assert refused([standard], request_of(at=grant.expires_at), "grant_term").nearest is None
    closed = refused([standard], request_of(grant=replace(grant, active=False)), "grant_term")
    assert closed.message == "The grant was closed."


def test_blocked_and_unlisted_buyers_are_refused(standard, request_of):
    listed = with_rules(standard, Buyers(allowed=frozenset({"org_a"}), blocked=frozenset({"org_bad"})))

    assert isinstance(decide([listed], request_of(agency_id="org_agency")), Permit)
    assert refused([listed], request_of(advertiser_id="org_b"), "buyers").asked == "org_b"
    assert refused([listed], request_of(agency_id="org_bad"), "buyers").nearest is None
    open_to_all = with_rules(standard, Buyers(allowed=None, blocked=frozenset({"org_a"})))
    refused([open_to_all], request_of(), "buyers")


def test_a_policy_is_valid_within_its_dates(standard, request_of):
    now = request_of().at
    later = with_rules(standard, Validity(now + timedelta(days=1), now + timedelta(days=2)))
    over = with_rules(standard, Validity(None, now))
    never = with_rules(standard, Validity(now + timedelta(days=2), now + timedelta(days=1)))

    reason = refused([later], request_of(), "validity")
    assert reason.nearest["not_before"] == "2026-11-23T12:00:00Z"
    assert refused([over], request_of(), "validity").nearest is None
    assert refused([never], request_of(), "validity").nearest is None
    assert isinstance(decide([with_rules(standard, Validity(now, None))], request_of()), Permit)


def test_several_broken_rules_are_repaired_together(standard, request_of):
    document = with_rules(standard, Attributes(None, None, frozenset({"city"})), BreakdownDepth(1))
    request = request_of(ask(breakdowns=[["city", "age", "adult"]], half_width=1), base_persons=3)

    reason = refused([document], request, "attributes", "breakdown_depth", "base_floor", "budget_question")

    assert reason.nearest["question"]["breakdowns"] == [["age"]]
    assert isinstance(decide([document], nearest_request(request, reason)), Permit)


def test_the_strictest_of_several_documents_wins(standard, request_of):
    strict = load_preset("strict", purposes=["advertising"])

    decision = decide([standard, strict], request_of())

    assert isinstance(decision, Permit)
    assert decision.rho_micro == 150
    assert decision.limits == decide([strict], request_of()).limits


def test_a_reason_is_written_for_receipts(standard, request_of):
    reason = refused([standard], request_of(base_persons=5), "base_floor")

    assert reason_to_dict(reason) | {"nearest": None} == {
        "rule": "base_floor",
        "message": "A base needs at least 1000 persons.",
        "limit": 1_000,
        "asked": 5,
        "nearest": None,
    }
    purpose = refused([standard], request_of(ask(purpose="x")), "purposes", "grant_purpose")
    assert reason_to_dict(purpose)["limit"] == ["advertising", "analytics"]
    assert reason_to_dict(purpose)["nearest"] == purpose.nearest


def test_grants_are_given_within_the_policy(standard, request_of):
    now = request_of().at

    def limits(*rules, purposes=("advertising",), documents=None):
        documents = [with_rules(standard, *rules)] if documents is None else documents
        return grant_limits(documents, purposes=purposes, advertiser_id="org_a", agency_id=None, at=now)

    assert isinstance(limits(), Limits)
    assert limits(documents=[]) == Gap(("policy",))
    assert limits(purposes=()) == Gap(("purposes",))
    denied = limits(Buyers(None, frozenset({"org_a"})), Validity(None, now), purposes=("resale",))
    assert [reason.rule for reason in denied.reasons] == ["purposes", "buyers", "validity"]


def test_caps_are_divided_as_designed(standard, request_of):
    limits = decide([standard], request_of()).limits

    assert {size: limits.grant_rho_micro(size) for size in "SML"} == {"S": 2_000, "M": 20_000, "L": 95_000}
    assert limits.public_rho_micro == 5_000
    assert limits.allocatable(limits.total_rho_micro) == 950_000
    assert limits.question_max_rho_micro == 25_000
    assert (limits.agency_rho_micro, limits.total_rho_micro) == (300_000, 1_000_000)


def test_parties_and_dates_combine_to_the_strictest(standard, request_of):
    now = request_of().at
    one = with_rules(standard, Buyers(frozenset({"org_a", "org_b"})), Validity(now, None))
    other = with_rules(standard, Buyers(None, frozenset({"org_b"})), Validity(None, now + timedelta(days=1)))

    assert isinstance(decide([one, other], request_of()), Permit)
    refused([one, other], request_of(advertiser_id="org_b"), "buyers")
    refused([one, other], request_of(at=now + timedelta(days=1)), "validity")


def test_an_unsolvable_repair_ends(standard, request_of):
    # The policy starts only after the grant has ended: waiting for one breaks the other.
    request = request_of()
    late = with_rules(standard, Validity(request.grant.expires_at, None))

    assert refused([late], request, "validity").nearest is None


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        (Purposes(frozenset("ab")), Purposes(frozenset("bc")), Purposes(frozenset("b"))),
        (Analyses(frozenset("ab")), Analyses(frozenset("bc")), Analyses(frozenset("b"))),
        (BreakdownDepth(1), BreakdownDepth(2), BreakdownDepth(1)),
        (Rounding(10), Rounding(5), Rounding(10)),
        (
            Attributes(None, frozenset("ab"), frozenset("x")),
            Attributes(frozenset("cd"), frozenset("bc"), frozenset("y")),
            Attributes(frozenset("cd"), frozenset("b"), frozenset("xy")),
        ),
        (
            Buyers(frozenset("ab"), frozenset("x")),
            Buyers(frozenset("bc"), frozenset("y")),
            Buyers(frozenset("b"), frozenset("xy")),
        ),
        (
            Budget(10, 20, 30, 5, 25, 2, 20, 95),
            Budget(11, 19, 31, 6, 24, 3, 19, 96),
            Budget(10, 19, 30, 6, 24, 2, 19, 95),
        ),
    ],
)
def test_two_rules_meet_in_what_both_permit(one, other, both):
    assert one.meet(other) == other.meet(one) == both
