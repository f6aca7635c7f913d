from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.attributes import AttributeInfo
from policies.codec import PRESETS, load_preset, policy_from_data, policy_to_data
from policies.condition import parse_condition
from policies.decision import Permit
from policies.diff import permits_no_more
from policies.engine import decide
from policies.model import PolicyDocument
from policies.question import KINDS, LEVELS, TABLES, question_from_dict
from policies.request import ApprovalState, GrantFacts, Request, Ruling
from policies.rules import (
    REGISTRY,
    Analyses,
    Approval,
    Attributes,
    BaseFloor,
    BreakdownDepth,
    Budget,
    Buyers,
    Cuts,
    DifferenceAlarm,
    Direct,
    Literals,
    MinimumAudience,
    OverlapRequired,
    Purposes,
    Quota,
    Rate,
    ReadyMade,
    Rounding,
    Sectors,
    Unsafe,
    Validity,
)
from policies.rules.sizes import OUTPUTS
from policies.templates import QUESTION, TEMPLATE, approval_key
from tests.examples import up_to

NOW = datetime(2026, 11, 22, tzinfo=UTC)
NAMES = ("age", "city", "tariff", "likes")
ATTRIBUTES = {
    "age": AttributeInfo("integer", bands=(18, 35), clamp=(0, 100)),
    "city": AttributeInfo("category", values=("x", "y", "z")),
    "tariff": AttributeInfo("boolean"),
    "likes": AttributeInfo("set", values=("x", "y"), max_values=2),
    "spend": AttributeInfo("decimal", scale=2, clamp=(0, 1_000)),
}
SUMS = ("age", "spend")
AGO = [
    timedelta(seconds=9),
    timedelta(seconds=50),
    timedelta(minutes=30),
    timedelta(hours=5),
    timedelta(days=2),
]
LEAVES = (
    ("age", "not_null", None),
    ("age", "between", (18, 24)),
    ("age", ">=", 18),
    ("age", ">=", 20),
    ("city", "in", ("x", "z")),
    ("city", "!=", "x"),
    ("tariff", "==", True),
    ("likes", "has_any", ("y",)),
    ("likes", "is_null", None),
)


def leaf_of(name, op, value):
    return parse_condition({"attribute": name, "op": op} | ({} if value is None else {"value": value}))


some = st.frozensets(st.sampled_from((*NAMES, "spend")))
few = st.none() | st.integers(1, 4)
instants = st.sampled_from((None, NOW - timedelta(days=1), NOW, NOW + timedelta(days=1)))
budgets = st.builds(
    lambda cap, agency, total, percent: Budget(
        cap, cap + agency, cap + agency + total, question_max_percent=percent
    ),
    st.integers(1, 200_000),
    st.integers(0, 10),
    st.integers(0, 10),
    st.integers(1, 25),
)
values = st.frozensets(st.sampled_from(("x", "y", "18", "20", "25", "true")))
steps = st.sampled_from((2, 5))
cuts = st.one_of(st.builds(Cuts, values), st.builds(Cuts, st.none(), steps), st.builds(Cuts, values, steps))
RULES = {
    Purposes: st.builds(Purposes, st.frozensets(st.sampled_from(("p", "q", "r")))),
    Analyses: st.builds(Analyses, st.frozensets(st.sampled_from(KINDS))),
    Attributes: st.builds(Attributes, st.none() | some, st.none() | some, some, st.none() | some),
    BreakdownDepth: st.builds(BreakdownDepth, st.integers(0, 3)),
    OverlapRequired: st.just(OverlapRequired()),
    Literals: st.builds(
        Literals,
        st.dictionaries(
            st.sampled_from(NAMES),
            cuts,
            max_size=3,
        ),
    ),
    BaseFloor: st.builds(BaseFloor, st.integers(0, 10_000)),
    MinimumAudience: st.builds(
        MinimumAudience,
        st.integers(0, 1_000),
        st.dictionaries(st.sampled_from(OUTPUTS), st.integers(1_001, 2_000), max_size=3),
    ),
    Rounding: st.builds(Rounding, st.sampled_from((1, 5, 100))),
    Validity: st.builds(Validity, instants, instants),
    Buyers: st.builds(
        Buyers,
        st.none() | st.frozensets(st.sampled_from(("org_a", "org_b"))),
        st.frozensets(st.just("org_b")),
    ),
    Sectors: st.builds(
        Sectors,
        st.none() | st.frozensets(st.sampled_from(("retail", "travel"))),
        st.frozensets(st.just("travel")),
    ),
    Rate: st.builds(Rate, st.integers(1, 4), few, few),
    Approval: st.builds(
        Approval, st.sampled_from((QUESTION, TEMPLATE)), st.frozensets(st.sampled_from(KINDS))
    ),
    Quota: st.builds(Quota, st.integers(0, 4)),
    Direct: st.just(Direct()),
    ReadyMade: st.builds(ReadyMade, st.frozensets(st.sampled_from([leaf_of(*leaf) for leaf in LEAVES]))),
    Budget: budgets,
    DifferenceAlarm: st.builds(DifferenceAlarm, st.integers(1, 90)),
    Unsafe: st.builds(Unsafe, st.sampled_from(("one", "two"))),
}
rules = st.one_of(*RULES.values())
documents = st.builds(
    lambda preset, extra: replace(preset, rules=(*preset.rules, *extra)),
    st.sampled_from([load_preset(name, purposes=["p", "q"]) for name in PRESETS]),
    st.lists(rules, max_size=3),
)


LOOSEST = load_preset("relaxed", purposes=["p", "q", "r"])
# A rule is tried best where little else refuses, and combined with others all the same.
around = st.one_of(st.just(LOOSEST), st.just(LOOSEST), documents)


@st.composite
def requests(draw):
    ready = draw(st.booleans())
    kind = draw(st.sampled_from(KINDS))
    source = {
        "kind": kind,
        "purpose": draw(st.sampled_from(("p", "q", "r"))),
        "dataset_id": "d",
        "base_id": "b",
    }
    if kind != "match_test":
        leaves = draw(st.lists(st.sampled_from(LEAVES), max_size=3))
        source["segments"] = {
            f"s{i}": {"attribute": name, "op": op} | ({} if value is None else {"value": value})
            for i, (name, op, value) in enumerate(leaves)
        }
    if kind in TABLES:
        source["breakdowns"] = draw(
            st.lists(st.lists(st.sampled_from(NAMES), min_size=1, unique=True), max_size=2)
        )
    if kind == "profile":
        source["affinity"] = draw(st.booleans())
    if kind == "statistics":
        source["sums"] = draw(st.lists(st.sampled_from(SUMS), min_size=1, unique=True))
    if not ready and draw(st.booleans()):
        source["half_width"] = draw(st.integers(1, 500))
    else:
        source["precision"] = draw(st.sampled_from(LEVELS))
    question = question_from_dict(source)
    ruled = draw(st.lists(st.sampled_from((QUESTION, TEMPLATE)), unique=True))
    asked = draw(st.lists(st.sampled_from(AGO), max_size=6))
    left = 95_000 if ready else draw(st.sampled_from((0, 5, 300, 20_000)))
    return Request(
        question=question,
        attributes=ATTRIBUTES,
        advertiser_id=draw(st.sampled_from(("org_a", "org_b"))),
        agency_id=draw(st.sampled_from((None, "org_b"))),
        at=NOW,
        base_persons=50_000 if ready else draw(st.sampled_from((0, 300, 2_000))),
        grant=GrantFacts(("p", "q", "r"), NOW - timedelta(days=1), NOW + timedelta(days=1), left),
        sector=draw(st.sampled_from((None, "retail", "travel"))),
        asked=draw(st.integers(0, 4)),
        recent=tuple(NOW - back for back in sorted(asked)),
        rulings={
            approval_key(question, ATTRIBUTES, of=of): Ruling(draw(st.sampled_from(ApprovalState)), "why")
            for of in ruled
        },
    )


def assert_no_more_is_permitted(before, after):
    if not isinstance(after, Permit):
        return
    if not isinstance(before, Permit):
        # The one way to turn a refusal round: a smaller cap makes levels of precision coarser, hence cheaper.
        assert {reason.rule for reason in before.reasons} <= {"budget_left", "budget_question"}
        assert after.rho_micro < max(reason.asked for reason in before.reasons)
        return
    assert after.rho_micro <= before.rho_micro
    tighter, looser = after.limits, before.limits
    assert tighter.minimum_audience >= looser.minimum_audience
    assert tighter.base_floor >= looser.base_floor
    assert tighter.round_to >= looser.round_to
    for output in OUTPUTS:
        assert tighter.minimum_audience_of(output) >= looser.minimum_audience_of(output)
    for name in ("cap_rho_micro", "agency_rho_micro", "total_rho_micro", "question_max_rho_micro"):
        assert getattr(tighter, name) <= getattr(looser, name)
    for size in "SML":
        assert tighter.grant_rho_micro(size) <= looser.grant_rho_micro(size)


def test_every_rule_is_among_those_tried():
    assert {kind.tag for kind in RULES} == set(REGISTRY.tags)


@pytest.mark.parametrize("kind", RULES, ids=lambda kind: kind.tag)
@settings(max_examples=40, deadline=None)
@given(data=st.data(), document=around, request=requests())
def test_adding_a_rule_never_permits_more(kind, data, document, request):
    more = replace(document, rules=(*document.rules, data.draw(RULES[kind])))

    assert_no_more_is_permitted(decide([document], request), decide([more], request))


@pytest.mark.parametrize("kind", RULES, ids=lambda kind: kind.tag)
@settings(max_examples=40, deadline=None)
@given(data=st.data(), document=around, request=requests())
def test_tightening_a_rule_never_permits_more(kind, data, document, request):
    loose = data.draw(RULES[kind])
    tight = loose.meet(data.draw(RULES[kind]))
    before, after = (replace(document, rules=(*document.rules, rule)) for rule in (loose, tight))

    assert permits_no_more(after, before)
    assert_no_more_is_permitted(decide([before], request), decide([after], request))


@pytest.mark.parametrize("kind", RULES, ids=lambda kind: kind.tag)
@settings(max_examples=up_to(150), deadline=None)
@given(data=st.data(), request=requests())
def test_what_a_rule_refuses_a_tighter_one_refuses_too(kind, data, request):
    rule, other = data.draw(RULES[kind]), data.draw(RULES[kind])

    if rule.check(request) is not None:
        assert rule.meet(other).check(request) is not None


@pytest.mark.parametrize("kind", RULES, ids=lambda kind: kind.tag)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_meeting_is_commutative_associative_and_idempotent(kind, data):
    one, other, third = (data.draw(RULES[kind]) for _ in range(3))

    assert one.meet(other) == other.meet(one)
    assert one.meet(one) == one.meet(one).meet(one)
    if kind is not Unsafe:
        assert one.meet(other).meet(third) == one.meet(other.meet(third))


@settings(max_examples=up_to(300), deadline=None)
@given(documents, documents, requests())
def test_another_owner_never_permits_more(one, other, request):
    assert_no_more_is_permitted(decide([one], request), decide([one, other], request))


@settings(max_examples=up_to(300), deadline=None)
@given(st.lists(documents, min_size=1, max_size=3), st.data(), requests())
def test_the_order_of_documents_and_rules_changes_nothing(owners, data, request):
    shuffled = [replace(item, rules=tuple(data.draw(st.permutations(item.rules)))) for item in owners]
    shuffled = data.draw(st.permutations(shuffled))
    one, other = decide(owners, request), decide(shuffled, request)

    assert type(one) is type(other)
    if isinstance(one, Permit):
        assert one == other
    else:
        assert {reason.rule for reason in one.reasons} == {reason.rule for reason in other.reasons}


@settings(max_examples=up_to(300), deadline=None)
@given(documents, requests())
def test_the_nearest_question_is_truly_permitted(document, request):
    decision = decide([document], request)
    if isinstance(decision, Permit) or decision.reasons[0].nearest is None:
        return
    nearest = decision.reasons[0].nearest
    moved = replace(
        request,
        question=question_from_dict(nearest["question"]),
        base_persons=nearest.get("base_persons", request.base_persons),
        at=datetime.fromisoformat(nearest["not_before"]) if "not_before" in nearest else request.at,
    )

    assert isinstance(decide([document], moved), Permit)


@settings(max_examples=up_to(200), deadline=None)
@given(documents)
def test_documents_survive_being_written(document):
    assert policy_from_data(policy_to_data(document)) == document
    assert isinstance(document, PolicyDocument)
