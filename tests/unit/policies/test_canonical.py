import pytest

from policies.canonical import canonical_condition
from policies.condition import parse_condition
from policies.errors import QuestionError
from policies.nodes import EVERYONE, NOBODY, CAll, CAny, CHasAny, CLeaf, node_to_data
from policies.values import ValueSet


def leaf(attribute, op, *value):
    data = {"attribute": attribute, "op": op}
    return data | {"value": value[0]} if value else data


YOUNG = leaf("age", "<", 30)
MOSCOW = leaf("city", "==", "Москва")
KAZAN = leaf("city", "==", "Казань")
TEA = leaf("bought", "has_any", ["tea"])
MILK = leaf("bought", "has_any", ["milk"])
TEA_OR_MILK = leaf("bought", "has_any", ["tea", "milk"])
ADULT = leaf("adult", "==", True)


@pytest.fixture
def canonical(attributes):
    return lambda data: canonical_condition(parse_condition(data), attributes)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"any": [MOSCOW, KAZAN]}, leaf("city", "in", ["Казань", "Москва", "Москва"])),
        ({"not": leaf("city", "!=", "Москва")}, {"any": [MOSCOW, leaf("city", "is_null")]}),
        ({"all": [leaf("age", ">=", 18), leaf("age", "<", 31)]}, leaf("age", "between", [18, 30])),
        ({"all": [YOUNG, {"any": [YOUNG, MOSCOW]}]}, YOUNG),
        ({"any": [YOUNG, {"all": [YOUNG, MOSCOW]}]}, YOUNG),
        ({"all": [leaf("age", "<", 20), {"any": [YOUNG, MOSCOW]}]}, leaf("age", "<", 20)),
        ({"all": [{"any": [YOUNG, MOSCOW]}, {"any": [YOUNG, MOSCOW, ADULT]}]}, {"any": [MOSCOW, YOUNG]}),
        ({"any": [{"all": [YOUNG, MOSCOW]}, {"all": [YOUNG, MOSCOW, ADULT]}]}, {"all": [MOSCOW, YOUNG]}),
        ({"not": {"all": [YOUNG, MOSCOW]}}, {"any": [{"not": MOSCOW}, {"not": YOUNG}]}),
        ({"any": [TEA, MILK]}, TEA_OR_MILK),
        ({"all": [TEA, TEA_OR_MILK]}, TEA),
        ({"all": [{"not": TEA}, {"not": MILK}]}, {"not": TEA_OR_MILK}),
        ({"all": [TEA_OR_MILK, {"not": TEA}]}, {"all": [MILK, {"not": TEA}]}),
        ({"any": [{"not": TEA_OR_MILK}, {"not": TEA}]}, {"not": TEA}),
        ({"any": [TEA_OR_MILK, {"all": [TEA, MOSCOW]}]}, TEA_OR_MILK),
        ({"all": [{"not": TEA_OR_MILK}, {"any": [{"not": TEA}, MOSCOW]}]}, {"not": TEA_OR_MILK}),
        ({"any": [{"all": [MOSCOW, {"any": [YOUNG]}]}]}, {"all": [YOUNG, MOSCOW]}),
        ({"all": [leaf("bought", "not_null"), TEA]}, TEA),
    ],
)
def test_spellings_of_one_thing_meet(canonical, one, other):
    assert canonical(one) == canonical(other)


@pytest.mark.parametrize(
    ("data", "node"),
    [
        ({"all": [MOSCOW, KAZAN]}, NOBODY),
        ({"all": [TEA, {"not": TEA_OR_MILK}]}, NOBODY),
        ({"all": [YOUNG, leaf("city", "==", "Тверь")]}, NOBODY),
        ({"any": [YOUNG, {"not": YOUNG}, MOSCOW]}, EVERYONE),
        ({"any": [TEA_OR_MILK, {"not": TEA}]}, EVERYONE),
        ({"not": leaf("bought", "has_any", ["caviar"])}, EVERYONE),
        ({"all": [{"any": [YOUNG, {"not": YOUNG}]}, {"any": [ADULT, {"not": ADULT}]}]}, EVERYONE),
        ({"any": [leaf("city", "==", "Тверь")]}, NOBODY),
        ({"any": [MOSCOW, {"any": [leaf("age", "is_null"), leaf("age", "not_null")]}]}, EVERYONE),
    ],
)
def test_what_holds_for_nobody_or_everyone_says_so(canonical, data, node):
    assert canonical(data) == node


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (YOUNG, leaf("age", "<=", 30)),
        (YOUNG, {"not": {"not": {"not": YOUNG}}}),
        (leaf("city", "!=", "Москва"), {"not": MOSCOW}),
        ({"all": [YOUNG, MOSCOW]}, {"any": [YOUNG, MOSCOW]}),
        (TEA, {"not": TEA}),
        (leaf("age", "in", [1, 5]), leaf("age", "in", [1, 7])),
        ({"all": [TEA, MILK]}, TEA_OR_MILK),
    ],
)
def test_different_things_differ(canonical, one, other):
    assert canonical(one) != canonical(other)
    assert canonical(one).key != canonical(other).key


def test_the_nodes_are_ready_to_evaluate(canonical):
    assert canonical(MOSCOW) == CLeaf("city", ValueSet(((1, 1),)), coded=True)
    assert canonical({"not": MOSCOW}).codes == (0, 2, 3, 4)
    assert canonical({"not": TEA}) == CHasAny("bought", (1,), negated=True)
    assert isinstance(canonical({"all": [YOUNG, MOSCOW]}), CAll)
    assert isinstance(canonical({"any": [YOUNG, MOSCOW]}), CAny)


def test_a_tree_is_written_so_that_a_receipt_can_be_read(canonical, attributes):
    tree = canonical({"all": [YOUNG, {"not": MOSCOW}, {"any": [{"not": TEA}, ADULT]}]})

    assert node_to_data(tree, attributes) == {
        "all": [
            {"attribute": "age", "null": False, "ranges": [[None, "29"]]},
            {"attribute": "city", "null": True, "in": ["Казань", "Пермь"], "other": True},
            {
                "any": [
                    {"attribute": "adult", "null": False, "in": ["true"], "other": False},
                    {"attribute": "bought", "has_none": ["tea"], "other": False},
                ]
            },
        ]
    }


def test_an_unknown_attribute_is_refused_with_those_offered(attributes):
    with pytest.raises(QuestionError) as caught:
        canonical_condition(parse_condition(leaf("income", "<", 3)), attributes)

    assert str(caught.value).startswith("Unknown attribute 'income'. Offered: adult, age, bought")


def test_a_long_list_of_attributes_is_cut_and_an_empty_one_says_so(attributes):
    many = {f"a{number:03}": attributes["age"] for number in range(500)}

    with pytest.raises(QuestionError, match=r"a019, \.\.\."):
        canonical_condition(parse_condition(YOUNG), many)
    with pytest.raises(QuestionError, match="Offered: none"):
        canonical_condition(parse_condition(YOUNG), {})


def test_a_wide_condition_stays_quick(canonical):
    groups = [{"all": [leaf("age", "==", n), leaf("spend", "==", n)]} for n in range(5_000)]

    assert len(canonical({"any": groups}).items) == 5_000
