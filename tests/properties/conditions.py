"""Conditions, what they mean in plain words, and other spellings of them."""

from datetime import date, timedelta

from hypothesis import strategies as st

from policies.attributes import AttributeInfo
from policies.canonical import canonical_condition
from policies.condition import All, Any_, Condition, Leaf, Not
from policies.nodes import CAll, CAny, CHasAny, CLeaf

CITIES = ("a", "b", "c")
ATTRIBUTES = {
    "age": AttributeInfo("integer"),
    "city": AttributeInfo("category", values=CITIES),
    "adult": AttributeInfo("boolean"),
    "bought": AttributeInfo("set", values=("x", "y", "z"), max_values=3),
    "since": AttributeInfo("date"),
}
NUMBERS = st.integers(-3, 6)
NEW_YEAR, FIRST_DAY = date(2026, 1, 1), date.min.isoformat()
DAYS = st.integers(-4, 4).map(lambda days: (NEW_YEAR + timedelta(days)).isoformat())

ages = st.one_of(
    st.builds(lambda op, n: Leaf("age", op, n), st.sampled_from(("==", "!=", "<", "<=", ">", ">=")), NUMBERS),
    st.builds(lambda low, high: Leaf("age", "between", (low, high)), NUMBERS, NUMBERS),
    st.builds(
        lambda op, ns: Leaf("age", op, tuple(ns)),
        st.sampled_from(("in", "not_in")),
        st.lists(NUMBERS, min_size=1, max_size=3),
    ),
    st.builds(lambda op: Leaf("age", op), st.sampled_from(("is_null", "not_null"))),
)
names = st.sampled_from((*CITIES, "other", "undeclared"))
cities = st.one_of(
    st.builds(lambda op, name: Leaf("city", op, name), st.sampled_from(("==", "!=")), names),
    st.builds(
        lambda op, some: Leaf("city", op, tuple(some)),
        st.sampled_from(("in", "not_in")),
        st.lists(names, min_size=1, max_size=3),
    ),
    st.just(Leaf("city", "is_null")),
)
adults = st.builds(lambda op, value: Leaf("adult", op, value), st.sampled_from(("==", "!=")), st.booleans())
baskets = st.one_of(
    st.builds(
        lambda some: Leaf("bought", "has_any", tuple(some)),
        st.lists(st.sampled_from(("x", "y", "z", "other", "undeclared")), min_size=1, max_size=3),
    ),
    st.builds(lambda op: Leaf("bought", op), st.sampled_from(("is_null", "not_null"))),
)
dates = st.one_of(
    st.builds(
        lambda op, day: Leaf("since", op, day), st.sampled_from(("==", "!=", "<", "<=", ">", ">=")), DAYS
    ),
    st.builds(lambda low, high: Leaf("since", "between", (low, high)), DAYS, DAYS),
    st.builds(lambda op: Leaf("since", op), st.sampled_from(("is_null", "not_null"))),
)
leaves = st.one_of(ages, cities, adults, baskets, dates)
conditions = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(lambda items: All(tuple(items)), st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda items: Any_(tuple(items)), st.lists(inner, min_size=1, max_size=3)),
    ),
    max_leaves=8,
)
people = st.fixed_dictionaries(
    {
        "age": st.one_of(st.none(), st.integers(-5, 8)),
        "city": st.sampled_from((None, *CITIES, "elsewhere")),
        "adult": st.sampled_from((None, False, True)),
        "bought": st.frozensets(st.sampled_from(("x", "y", "z", "w"))),
        "since": st.none() | DAYS,
    }
)


def naive(condition: Condition, person) -> bool:
    """The meaning of a condition, straight from its words."""
    match condition:
        case Not(item):
            return not naive(item, person)
        case All(items):
            return all(naive(item, person) for item in items)
        case Any_(items):
            return any(naive(item, person) for item in items)
    value = person[condition.attribute]
    literals = condition.value if isinstance(condition.value, tuple) else (condition.value,)
    if condition.attribute == "bought":
        held = {"other" if item == "w" else item for item in value}
        return {"is_null": not held, "not_null": bool(held), "has_any": bool(held & set(literals))}[
            condition.op
        ]
    if condition.op in ("is_null", "not_null"):
        return (value is None) == (condition.op == "is_null")
    if value is None:
        return False
    value = "other" if value == "elsewhere" else value
    match condition.op:
        case "==" | "in":
            return value in literals
        case "!=" | "not_in":
            return value not in literals
        case "<":
            return value < literals[0]
        case "<=":
            return value <= literals[0]
        case ">":
            return value > literals[0]
        case ">=":
            return value >= literals[0]
    return literals[0] <= value <= literals[1]


def evaluate(node, person) -> bool:
    """The meaning of a canonical node on stored codes and values."""
    match node:
        case CAll(items):
            return all(evaluate(item, person) for item in items)
        case CAny(items):
            return any(evaluate(item, person) for item in items)
        case CHasAny(attribute, codes, negated):
            held = {{"x": 1, "y": 2, "z": 3, "w": 4}[item] for item in person[attribute]}
            return bool(held & set(codes)) != negated
    assert isinstance(node, CLeaf)
    value = person[node.attribute]
    if node.attribute == "since" and value is not None:
        value = (date.fromisoformat(value) - date(1970, 1, 1)).days
    if node.coded and value is not None:
        value = {"a": 1, "b": 2, "c": 3, "elsewhere": 4, False: 1, True: 2}[value]
    return value in node.values


def canonical(condition):
    return canonical_condition(condition, ATTRIBUTES)


def respell(draw, condition):
    """Write the same condition in other words."""
    match condition:
        case Not(item):
            condition = Not(respell(draw, item))
        case All(items) | Any_(items):
            parts = [respell(draw, item) for item in draw(st.permutations(items))]
            parts += draw(st.lists(st.sampled_from(parts), max_size=2))
            if len(parts) > 2 and draw(st.booleans()):
                parts = [type(condition)(tuple(parts[:2])), *parts[2:]]
            condition = type(condition)(tuple(parts))
        case Leaf():
            condition = draw(st.sampled_from(spellings(condition)))
    how = draw(st.sampled_from(("as is", "double negation", "single", "De Morgan")))
    if how == "double negation":
        return Not(Not(condition))
    if how == "single":
        return draw(st.sampled_from((All, Any_)))((condition,))
    if how == "De Morgan" and isinstance(condition, All | Any_):
        other = Any_ if isinstance(condition, All) else All
        return Not(other(tuple(Not(item) for item in condition.items)))
    return condition


def day_before(day):
    return (date.fromisoformat(day) - timedelta(1)).isoformat()


def spellings(leaf):
    name, op, value = leaf.attribute, leaf.op, leaf.value
    known = Leaf(name, "not_null")
    match op:
        case "==":
            more = [
                Leaf(name, "in", (value,)),
                Leaf(name, "in", (value, value)),
                All((Not(Leaf(name, "!=", value)), known)),
            ]
            if name == "age":
                more += [Leaf(name, "between", (value, value)), Leaf(name, "==", f"{value}.0")]
        case "!=":
            more = [Leaf(name, "not_in", (value,)), All((known, Not(Leaf(name, "==", value))))]
        case "<" if name == "since":
            more = [
                Leaf(name, "<=", day_before(value)),
                Leaf(name, "between", (FIRST_DAY, day_before(value))),
            ]
        case ">=" if name == "since":
            more = [Leaf(name, ">", day_before(value)), All((known, Not(Leaf(name, "<", value))))]
        case "<":
            more = [Leaf(name, "<=", value - 1), Leaf(name, "<", f"{value - 1}.5" if value > 0 else value)]
        case ">=":
            more = [Leaf(name, ">", value - 1), All((known, Not(Leaf(name, "<", value))))]
        case "between":
            more = [All((Leaf(name, "<=", value[1]), Leaf(name, ">=", value[0])))]
        case "in":
            more = [Any_(tuple(Leaf(name, "==", item) for item in value)), Leaf(name, "in", value[::-1])]
        case "not_in":
            more = [All(tuple(Leaf(name, "!=", item) for item in value))]
        case "has_any":
            more = [Any_(tuple(Leaf(name, "has_any", (item,)) for item in value))]
        case "is_null":
            more = [Not(known)]
        case _:
            more = []
    return [leaf, *more]
