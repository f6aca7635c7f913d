"""The rules on sums, literals, the overlap, sectors, pace and approval, each through the engine."""

from dataclasses import replace
from datetime import timedelta

import pytest

from policies.decision import Deny, Limits, Permit
from policies.engine import decide, grant_limits
from policies.model import PolicyDocument
from policies.question import question_from_dict
from policies.request import ApprovalState, Ruling
from policies.rules import (
    Analyses,
    Approval,
    Attributes,
    Cuts,
    Literals,
    MinimumAudience,
    OverlapRequired,
    Rate,
    Sectors,
)
from policies.templates import QUESTION, TEMPLATE, approval_key, approval_subject

ADULT = {"attribute": "age", "op": ">=", "value": 20}


def ask(**parts):
    return question_from_dict({"purpose": "advertising", "dataset_id": "ds_1", "base_id": "ds_2"} | parts)


def leaf(attribute, op, value=None):
    return {"attribute": attribute, "op": op} | ({} if value is None else {"value": value})


def with_rules(document, *rules):
    return PolicyDocument(document.name, (*document.rules, *rules))


def refused(document, request, rule):
    decision = decide([document], request)
    assert isinstance(decision, Deny)
    assert [reason.rule for reason in decision.reasons] == [rule]
    return decision.reasons[0]


def permitted(document, request):
    return isinstance(decide([document], request), Permit)


def offered(document, request, reason):
    """The nearest question, asked: it must be permitted."""
    nearest = replace(request, question=question_from_dict(reason.nearest["question"]))
    assert permitted(document, nearest)
    return nearest.question


def test_sums_are_a_permission_of_their_own(standard, request_of):
    document = with_rules(standard, Attributes(None, None, frozenset(), frozenset({"age"})))
    request = request_of(ask(sums=["spend"], segments={"s": ADULT}))

    reason = refused(document, request, "attributes")

    assert reason.asked == ("spend",)
    assert reason.limit == ("age",)
    nearest = offered(document, request, reason)
    assert (nearest.kind, nearest.sums) == ("profile", ())
    assert [segment.name for segment in nearest.segments] == ["s"]
    assert permitted(standard, request)


def test_a_rule_that_is_silent_about_sums_allows_none(standard, request_of):
    document = with_rules(standard, Attributes(None, None))

    refused(document, request_of(ask(sums=["spend"])), "attributes")


@pytest.mark.parametrize(
    ("condition", "passes"),
    [
        (leaf("age", ">=", 20), True),
        (leaf("age", "between", [20, 24]), True),
        (leaf("age", ">=", 18), False),
        (leaf("age", "between", [20, 25]), False),
        ({"not": leaf("age", "<", 20)}, True),
        ({"all": [leaf("age", ">=", 20), {"not": leaf("age", ">", 29)}]}, True),
        (leaf("age", "==", 20), False),
        (leaf("age", "is_null"), True),
        (leaf("city", "==", "Москва"), True),
        (leaf("city", "!=", "Москва"), True),
        (leaf("city", "==", "Казань"), False),
        (leaf("city", "in", ["Казань", "Пермь", "other"]), True),
        (leaf("city", "==", "Атлантида"), True),
        (leaf("bought", "has_any", ["tea"]), True),
        (leaf("bought", "has_any", ["tea", "milk"]), False),
        (leaf("bought", "not_null"), True),
        (leaf("adult", "==", True), False),
        (leaf("adult", "is_null"), True),
        (leaf("spend", ">", 50), True),
        (leaf("spend", ">=", "50.01"), True),
        (leaf("spend", ">=", "50.00"), False),
        (leaf("since", ">=", "2026-01-01"), True),
        (leaf("since", ">=", "2026-01-02"), False),
        (leaf("note", "==", "anything"), True),
        ({"any": [leaf("city", "==", "Москва"), leaf("age", ">", 60)]}, False),
    ],
)
def test_conditions_tell_apart_only_what_the_literals_allow(standard, request_of, condition, passes):
    rule = Literals(
        {
            "age": Cuts(None, 5),
            "city": Cuts(frozenset({"Москва"})),
            "bought": Cuts(frozenset({"tea"})),
            "adult": Cuts(frozenset()),
            "spend": Cuts(frozenset({"50.01", "soon"})),
            "since": Cuts(frozenset({"2026-01-01"}), None),
        }
    )
    document = with_rules(standard, rule)
    request = request_of(ask(segments={"kept": leaf("age", "not_null"), "tried": condition}))

    if passes:
        assert permitted(document, request)
        return
    reason = refused(document, request, "literals")
    assert len(reason.asked) == 1
    assert [segment.name for segment in offered(document, request, reason).segments] == ["kept"]


def test_a_grid_of_a_decimal_counts_whole_units(standard, request_of):
    document = with_rules(standard, Literals({"spend": Cuts(None, 100)}))

    assert permitted(document, request_of(ask(segments={"s": leaf("spend", ">=", 200)})))
    reason = refused(document, request_of(ask(segments={"s": leaf("spend", ">=", "200.01")})), "literals")
    assert reason.limit == ("spend: step 100",)


def test_literals_meet_in_what_both_allow():
    one = Literals({"age": Cuts(None, 4), "city": Cuts(frozenset("ab"))})
    other = Literals({"age": Cuts(None, 6), "city": Cuts(frozenset("bc")), "x": Cuts(frozenset())})

    assert one.meet(other) == Literals(
        {"age": Cuts(None, 12), "city": Cuts(frozenset("b")), "x": Cuts(frozenset())}
    )
    assert one.named == {"age", "city"}


def test_the_overlap_alone_leaves_affinity_out(standard, request_of):
    document = with_rules(standard, OverlapRequired())
    request = request_of(ask(kind="profile", breakdowns=[["age"]], affinity=True))

    reason = refused(document, request, "overlap_required")

    nearest = offered(document, request, reason)
    assert (nearest.affinity, nearest.breakdowns) == (False, (("age",),))


def test_sectors_are_allowed_and_blocked_and_an_unknown_one_is_refused(standard, request_of):
    listed = with_rules(standard, Sectors(frozenset({"retail", "travel"}), frozenset({"travel"})))
    blocking = with_rules(standard, Sectors(None, frozenset({"gambling"})))

    assert permitted(listed, request_of(sector="retail"))
    assert refused(listed, request_of(sector="travel"), "sectors").limit == ("retail",)
    assert refused(listed, request_of(sector="banking"), "sectors").nearest is None
    assert permitted(blocking, request_of(sector="banking"))
    assert refused(blocking, request_of(sector="gambling"), "sectors").asked == "gambling"
    assert refused(blocking, request_of(), "sectors").asked == "not declared"
    assert permitted(with_rules(standard, Sectors(None)), request_of())


def test_no_grant_for_a_sector_that_is_not_served(standard, request_of):
    document = with_rules(standard, Sectors(frozenset({"retail"})))

    def limits(sector):
        parties = {"advertiser_id": "org_a", "agency_id": None, "sector": sector}
        return grant_limits([document], purposes=["advertising"], at=request_of().at, **parties)

    assert isinstance(limits("retail"), Limits)
    assert [reason.rule for reason in limits("banking").reasons] == ["sectors"]
    assert isinstance(limits(None), Deny)


def test_a_question_too_many_waits_until_its_window_is_free(standard, request_of):
    document = with_rules(standard, Rate(per_minute=2, per_day=4))
    now = request_of().at
    asked = [now - timedelta(seconds=back, microseconds=1) for back in (10, 50, 70, 3_700)]

    reason = refused(document, request_of(recent=tuple(asked[:2])), "rate")
    assert (reason.limit, reason.asked) == (2, 3)
    assert reason.message == "The owner answers 2 questions per minute."
    # The refusal itself is the second in its minute until the youngest has left it.
    assert reason.nearest["not_before"] == "2026-11-22T12:00:50Z"
    assert permitted(document, request_of(recent=tuple(asked[1:3])))
    day = refused(document, request_of(recent=tuple(asked)), "rate")
    assert (day.limit, day.nearest["not_before"]) == (4, "2026-11-23T11:58:50Z")


def test_the_instant_told_is_never_too_early(standard, request_of):
    document = with_rules(standard, Rate(per_minute=1))
    now = request_of().at
    refused_at = now + timedelta(seconds=9, microseconds=500_000)
    request = request_of(at=refused_at, recent=(now,))

    assert refused(document, request, "rate").nearest["not_before"] == "2026-11-22T12:01:10Z"
    counted = replace(request, recent=(refused_at, now))
    assert not permitted(document, replace(counted, at=now + timedelta(seconds=69)))
    assert permitted(document, replace(counted, at=now + timedelta(seconds=70)))


def test_rates_meet_in_the_smaller_numbers():
    assert Rate(5, None, 9).meet(Rate(7, 3, None)) == Rate(5, 3, 9)
    assert Rate(5, None, 9).looks_back == 9


def ruled(request, of, state, reason=""):
    key = approval_key(request.question, request.attributes, of=of)
    return replace(request, rulings={**request.rulings, key: Ruling(state, reason)})


@pytest.mark.parametrize("of", [QUESTION, TEMPLATE])
def test_what_needs_approval_waits_for_it(standard, request_of, of):
    document = with_rules(standard, Approval(of, frozenset({"match_test"})))
    request = request_of(ask(segments={"s": ADULT}))

    reason = refused(document, request, "approval")

    assert (reason.limit, reason.asked) == ("approved", "pending")
    assert offered(document, request, reason).kind == "match_test"
    refused(document, ruled(request, of, ApprovalState.PENDING), "approval")
    assert permitted(document, ruled(request, of, ApprovalState.APPROVED))
    rejected = refused(document, ruled(request, of, ApprovalState.REJECTED, "too narrow"), "approval")
    assert rejected.asked == "rejected"
    assert "too narrow" in rejected.message


def test_without_exempt_kinds_no_question_is_near(standard, request_of):
    document = with_rules(standard, Approval(QUESTION))

    assert refused(document, request_of(), "approval").nearest is None


def test_a_word_on_the_question_goes_before_one_on_its_template(standard, request_of):
    template = with_rules(standard, Approval(TEMPLATE))
    question = with_rules(standard, Approval(QUESTION))
    request = request_of(ask(segments={"s": ADULT}))
    both = ruled(ruled(request, TEMPLATE, ApprovalState.APPROVED), QUESTION, ApprovalState.REJECTED, "no")

    refused(template, both, "approval")
    other = ruled(ruled(request, TEMPLATE, ApprovalState.REJECTED, "no"), QUESTION, ApprovalState.APPROVED)
    assert permitted(template, other)
    refused(question, ruled(request, TEMPLATE, ApprovalState.APPROVED), "approval")


def test_a_template_is_the_question_without_its_literals(attributes):
    def key(of, **parts):
        return approval_key(ask(**parts), attributes, of=of)

    narrow = {"segments": {"s": {"all": [ADULT, leaf("city", "==", "Москва")]}}}
    renamed = {"segments": {"t": {"all": [leaf("city", "==", "Пермь"), leaf("age", "<", 30)]}}}
    swapped = {"segments": {"t": {"any": [leaf("city", "==", "Пермь"), leaf("age", "<", 30)]}}}

    assert key(TEMPLATE, **narrow) == key(TEMPLATE, **renamed) != key(TEMPLATE, **swapped)
    assert key(TEMPLATE, **narrow) == key(TEMPLATE, **narrow, base_id="ds_9", precision="fine")
    assert key(TEMPLATE, **narrow) != key(TEMPLATE, **narrow, purpose="analytics")
    assert key(TEMPLATE, **narrow) != key(TEMPLATE, **narrow, labels=False)
    exact = key(QUESTION, **narrow)
    assert exact == key(QUESTION, segments={"u": {"all": [leaf("city", "in", ["Москва"]), ADULT]}})
    others = [renamed, {**narrow, "base_id": "ds_9"}, {**narrow, "precision": "fine"}, {"purpose": "x"}]
    assert exact not in {key(QUESTION, **parts) for parts in others}
    assert "Москва" not in str(approval_subject(ask(**narrow), attributes, of=TEMPLATE))
    assert "20" not in str(approval_subject(ask(**narrow), attributes, of=TEMPLATE))


def test_a_template_keeps_how_many_conditions_there_are_and_of_which_form(attributes):
    def key(*conditions):
        return approval_key(
            ask(segments={f"s{i}": condition for i, condition in enumerate(conditions)}),
            attributes,
            of=TEMPLATE,
        )

    tea, milk = leaf("bought", "has_any", ["tea"]), leaf("bought", "has_any", ["milk"])
    assert key(tea) == key(milk) != key(tea, milk)
    assert key(tea) != key({"not": tea})
    # Sorted anew once the literals are gone, as these decide which of two groups comes first.
    pairs = [
        key({"all": [leaf("age", ">=", n), tea]}, {"all": [leaf("age", "<", n), leaf("city", "==", "Пермь")]})
        for n in range(20, 30)
    ]
    assert len(set(pairs)) == 1


def test_outputs_may_need_more_people(standard, request_of):
    document = with_rules(
        standard, MinimumAudience(50, {"segment": 200}), MinimumAudience(80, {"segment": 150, "sum": 90})
    )
    limits = decide([document], request_of()).limits

    assert limits.minimum_audience == 100
    assert limits.minimum_audience_of("segment") == 200
    assert limits.minimum_audience_of("sum") == limits.minimum_audience_of("overlap") == 100


def test_statistics_are_offered_by_standard_and_not_by_strict(standard, request_of):
    request = request_of(ask(sums=["spend"]))
    document = with_rules(standard, Analyses(frozenset({"match_test", "overlap", "profile"})))

    assert permitted(standard, request)
    assert offered(document, request, refused(document, request, "analyses")).kind == "profile"
