from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from policies.attributes import AttributeInfo
from policies.codec import PRESETS, load_preset, policy_from_data, policy_to_data
from policies.decision import Permit
from policies.engine import decide
from policies.model import PolicyDocument
from policies.question import KINDS, LEVELS, question_from_dict
from policies.request import GrantFacts, Request
from policies.rules import (
    Analyses,
    Attributes,
    BaseFloor,
    BreakdownDepth,
    Budget,
    Buyers,
    MinimumAudience,
    Purposes,
    Rounding,
    Validity,
)

NOW = datetime(2026, 11, 22, tzinfo=UTC)
NAMES = ("age", "city", "tariff")
ATTRIBUTES = {name: AttributeInfo("category", values=("x", "y")) for name in NAMES}

some = st.frozensets(st.sampled_from(NAMES))
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
rules = st.one_of(
    st.builds(Purposes, st.frozensets(st.sampled_from(("p", "q", "r")))),
    st.builds(Analyses, st.frozensets(st.sampled_from(KINDS))),
    st.builds(Attributes, st.none() | some, st.none() | some, some),
    st.builds(BreakdownDepth, st.integers(0, 3)),
    st.builds(BaseFloor, st.integers(0, 10_000)),
    st.builds(MinimumAudience, st.integers(0, 1_000)),
    st.builds(Rounding, st.sampled_from((1, 5, 100))),
    st.builds(Validity, instants, instants),
    st.builds(
        Buyers,
        st.none() | st.frozensets(st.sampled_from(("org_a", "org_b"))),
        st.frozensets(st.just("org_b")),
    ),
    budgets,
)
documents = st.builds(
    lambda preset, extra: replace(preset, rules=(*preset.rules, *extra)),
    st.sampled_from([load_preset(name, purposes=["p", "q"]) for name in PRESETS]),
    st.lists(rules, max_size=3),
)


@st.composite
def requests(draw):
    kind = draw(st.sampled_from(KINDS))
    source = {
        "kind": kind,
        "purpose": draw(st.sampled_from(("p", "q", "r"))),
        "dataset_id": "d",
        "base_id": "b",
    }
    if kind != "match_test":
        filtered = draw(st.lists(st.sampled_from(NAMES), max_size=3))
        source["segments"] = {
            f"s{i}": {"attribute": name, "op": "not_null"} for i, name in enumerate(filtered)
        }
    if kind == "profile":
        source["breakdowns"] = draw(
            st.lists(st.lists(st.sampled_from(NAMES), min_size=1, unique=True), max_size=2)
        )
    if draw(st.booleans()):
        source["half_width"] = draw(st.integers(1, 500))
    else:
        source["precision"] = draw(st.sampled_from(LEVELS))
    left = draw(st.sampled_from((0, 5, 300, 20_000, 95_000)))
    return Request(
        question=question_from_dict(source),
        attributes=ATTRIBUTES,
        advertiser_id=draw(st.sampled_from(("org_a", "org_b"))),
        agency_id=draw(st.sampled_from((None, "org_b"))),
        at=NOW,
        base_persons=draw(st.sampled_from((0, 300, 2_000, 50_000))),
        grant=GrantFacts(("p", "q", "r"), NOW - timedelta(days=1), NOW + timedelta(days=1), left),
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
    for name in ("cap_rho_micro", "agency_rho_micro", "total_rho_micro", "question_max_rho_micro"):
        assert getattr(tighter, name) <= getattr(looser, name)
    for size in "SML":
        assert tighter.grant_rho_micro(size) <= looser.grant_rho_micro(size)


@settings(max_examples=500, deadline=None)
@given(documents, rules, requests())
def test_adding_a_rule_never_permits_more(document, rule, request):
    more = replace(document, rules=(*document.rules, rule))

    assert_no_more_is_permitted(decide([document], request), decide([more], request))


@settings(max_examples=500, deadline=None)
@given(documents, documents, requests())
def test_another_owner_never_permits_more(one, other, request):
    assert_no_more_is_permitted(decide([one], request), decide([one, other], request))


@settings(max_examples=300, deadline=None)
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


@settings(max_examples=500, deadline=None)
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


@settings(max_examples=200, deadline=None)
@given(documents)
def test_documents_survive_being_written(document):
    assert policy_from_data(policy_to_data(document)) == document
    assert isinstance(document, PolicyDocument)
