import pytest

from policies.attributes import MAX_CLAMP, AttributeInfo, Declared
from policies.canonical_question import canonical_question
from policies.condition import parse_condition, width_of
from policies.errors import QuestionError
from policies.l0 import disjoint_groups, l0
from policies.question import question_from_dict
from tests.tallies import calls_of


def ask(attributes, **parts):
    source = {"purpose": "p", "dataset_id": "d", "base_id": "b"} | parts
    return canonical_question(question_from_dict(source), attributes)


def age(op, value):
    return {"attribute": "age", "op": op, "value": value}


def city(value):
    return {"attribute": "city", "op": "==", "value": value}


def cells(question, attributes, *, labels=0, match_keys=1):
    return l0(question, attributes, labels=labels, match_keys=match_keys)


def test_names_order_purpose_and_precision_are_no_part_of_the_tree(attributes):
    one = ask(
        attributes,
        segments={"a": age("<", 18), "b": city("Москва"), "c": age("<=", 17)},
        breakdowns=[["city", "age"], ["adult"], ["age", "city"]],
    )
    other = ask(
        attributes,
        segments={"x": city("Москва"), "y": age("<", 18)},
        breakdowns=[["adult"], ["age", "city"]],
        precision="fine",
        purpose="q",
    )

    assert one.tree == other.tree
    assert len(one.segments) == 2
    assert one.segment_of["a"] == one.segment_of["c"] == other.segment_of["y"]
    assert list(one.segment_of) == ["a", "b", "c"]


def test_asked_breakdowns_map_onto_the_canonical_ones(attributes):
    question = ask(attributes, breakdowns=[["city", "age", "adult"], ["adult"]])

    assert question.breakdowns == (("adult",), ("adult", "age", "city"))
    asked = question.asked_breakdowns[0]
    assert asked.attributes == ("city", "age", "adult")
    assert question.breakdowns[asked.index] == ("adult", "age", "city")


def test_kinds_and_flags_are_part_of_the_tree(attributes):
    trees = [
        ask(attributes).tree,
        ask(attributes, kind="match_test").tree,
        ask(attributes, labels=False).tree,
        ask(attributes, per_key=False).tree,
        ask(attributes, kind="profile").tree,
        ask(attributes, kind="profile", affinity=True).tree,
        ask(attributes, sums=["spend"]).tree,
        ask(attributes, sums=["visits"]).tree,
    ]

    assert all(one != other for index, one in enumerate(trees) for other in trees[:index])


def test_a_match_test_counts_neither_labels_nor_keys(attributes):
    question = ask(attributes, kind="match_test")

    assert not question.labels
    assert not question.per_key
    assert cells(question, attributes, labels=3, match_keys=2) == 1


def test_breakdowns_need_declared_cells(attributes):
    with pytest.raises(QuestionError, match=r"'note' has no declared cells to break down by. Ask the owner"):
        ask(attributes, breakdowns=[["note"]])
    with pytest.raises(QuestionError, match="'since' has no declared cells"):
        ask(attributes, breakdowns=[["since"]])
    with pytest.raises(QuestionError, match="Unknown attribute 'nope'"):
        ask(attributes, breakdowns=[["nope"]])


def test_cells_are_limited():
    wide = AttributeInfo("category", values=tuple(map(str, range(400))))

    with pytest.raises(QuestionError, match=r"more than 100000 cells. Leave"):
        ask({"a": wide, "b": wide}, breakdowns=[["a", "b"]])
    third = AttributeInfo("category", values=tuple(map(str, range(148))))
    narrow = {"a": wide, "b": third, "s": AttributeInfo("integer", clamp=(0, 9))}
    assert ask(narrow, breakdowns=[["a", "b"]]).breakdowns
    with pytest.raises(QuestionError, match=r"more than 100000 cells"):
        ask(narrow, breakdowns=[["a", "b"]], sums=["s"])


def test_the_same_breakdown_again_counts_again(attributes):
    group, other = ["age", "city"], ["city", "age"]
    most = 100_000 // 25
    assert len(ask(attributes, breakdowns=[group, other] * (most // 2)).breakdowns) == 1
    with pytest.raises(QuestionError, match=r"more than 100000 cells. Leave"):
        ask(attributes, breakdowns=[*[group, other] * (most // 2), group])


def test_cells_count_other_and_unknown(attributes):
    assert attributes["age"].cells == 5
    assert attributes["city"].cells == 5
    assert attributes["adult"].cells == 3
    assert attributes["bought"].cells == 5
    assert attributes["bought"].touched == 2
    assert attributes["city"].touched == 1


def test_l0_counts_what_one_person_can_touch(attributes):
    segments = {"young": age("<", 18), "old": age(">=", 60), "moscow": city("Москва")}
    question = ask(attributes, segments=segments, breakdowns=[["city", "adult"], ["bought"]])

    # overlap 1, segments 2 (young and old are disjoint), sex x city 1, a set of two values 2
    assert cells(question, attributes) == 6
    assert cells(question, attributes, labels=3, match_keys=2) == 8
    assert cells(ask(attributes, labels=False, per_key=False), attributes, labels=3, match_keys=2) == 1


def test_each_sum_adds_the_overlap_segments_and_breakdowns_once_more(attributes):
    segments = {"young": age("<", 18), "old": age(">=", 60), "moscow": city("Москва")}
    parts = {"segments": segments, "breakdowns": [["city", "adult"], ["bought"]]}

    counted = cells(ask(attributes, **parts), attributes, labels=3, match_keys=2)

    assert counted == 8
    assert cells(ask(attributes, **parts, sums=["spend"]), attributes, labels=3, match_keys=2) == 8 + 6
    both = ask(attributes, **parts, sums=["visits", "spend"])
    assert cells(both, attributes, labels=3, match_keys=2) == 8 + 12
    assert both.tree == ask(attributes, **parts, sums=["spend", "visits"]).tree
    assert both.tree["sums"] == ["spend", "visits"]


def test_only_numbers_with_a_clamp_that_cannot_overflow_are_added_up(attributes):
    with pytest.raises(QuestionError, match=r"'age' cannot be added up: it is no number with a declared"):
        ask(attributes, sums=["age"])
    with pytest.raises(QuestionError, match=r"Unknown attribute 'nope'"):
        ask(attributes, sums=["nope"])
    wide = {"spend": AttributeInfo("decimal", scale=2, clamp=(-MAX_CLAMP - 1, 5))}
    with pytest.raises(QuestionError, match=r"its clamp passes 1000000000 stored units. Ask the owner"):
        ask(wide, sums=["spend"])
    assert 2**32 * MAX_CLAMP < 2**62


def test_the_unit_of_a_sum_is_the_bound_further_from_zero():
    assert AttributeInfo("integer", clamp=(-7, 5)).largest == 7
    assert AttributeInfo("integer", clamp=(2, 5)).largest == 5
    assert AttributeInfo("integer").largest == 0


def test_affinity_adds_the_datasets_side(attributes):
    question = ask(attributes, segments={"young": age("<", 18)}, breakdowns=[["city"]], affinity=True)

    assert cells(question, attributes) == 6


def test_twelve_overlapping_segments_and_a_breakdown_make_fourteen(attributes):
    segments = {f"s{n}": age(">=", n) for n in range(12)}

    assert cells(ask(attributes, segments=segments, breakdowns=[["city", "age"]]), attributes) == 14


def test_a_segment_for_nobody_and_a_repeated_one_cost_nothing(attributes):
    segments = {"none": {"all": [age("<", 1), age(">", 1)]}, "a": age("<", 9), "b": age("<=", 8)}

    assert cells(ask(attributes, segments=segments), attributes) == 2


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (age("<", 18), age(">=", 18), True),
        (age("<", 18), age(">=", 17), False),
        (city("Москва"), {"not": city("Москва")}, True),
        ({"all": [city("Москва"), age("<", 30)]}, {"any": [city("Казань"), age(">", 30)]}, False),
        ({"all": [city("Москва"), age("<", 30)]}, {"all": [city("Казань"), age("<", 30)]}, True),
        ({"any": [city("Москва"), {"all": [city("Пермь"), age("<", 30)]}]}, city("Казань"), True),
        ({"not": age("<", 18)}, {"attribute": "age", "op": "is_null"}, False),
        ({"any": [city("Казань"), {"all": [city("Пермь"), age("<", 30)]}]}, city("Пермь"), False),
        (age("<", 18), city("Москва"), False),
        ({"attribute": "bought", "op": "has_any", "value": ["tea"]}, age("<", 1), False),
        (city("Тверь"), city("Москва"), True),
        (
            {"attribute": "age", "op": "in", "value": [1, 5, 9]},
            {"attribute": "age", "op": "in", "value": [3, 7]},
            True,
        ),
    ],
)
def test_disjointness_is_claimed_only_when_proven(attributes, one, other, expected):
    question = ask(attributes, segments={"one": one, "other": other})
    nodes = [question.segments[question.segment_of[name]] for name in ("one", "other")]

    for pair in (nodes, nodes[::-1]):
        assert (len(disjoint_groups(pair, attributes)) < 2) is expected


def test_impossible_pieces_are_left_out_of_groups(attributes):
    # Two conditions that contradict each other only across a nested group.
    never = {
        "all": [
            age("<", 18),
            {"any": [{"all": [age(">", 20), city("Москва")]}, {"all": [age(">", 30), city("Пермь")]}]},
        ]
    }
    question = ask(attributes, segments={"never": never})

    assert disjoint_groups(question.segments, attributes) == ()


def test_twice_as_wide_a_question_is_twice_the_work(attributes):
    def absorbing(width):
        either = [{"any": [age("<", -at), city("Москва")]} for at in range(1, width)]
        ask(attributes, segments={"a": {"all": [{"attribute": "age", "op": "in", "value": [0, 2]}, *either]}})

    def beside(width):
        sets = [
            {"attribute": "age", "op": "in", "value": list(range(2 * at, 20 * width, 2 * width))}
            for at in range(width)
        ]
        question = ask(attributes, segments={str(at): condition for at, condition in enumerate(sets)})
        assert cells(question, attributes) == 2

    for question in (absorbing, beside):
        assert calls_of(lambda question=question: question(500)) < 2.5 * calls_of(
            lambda question=question: question(250)
        )


def test_without_effort_left_conditions_count_as_not_disjoint(attributes, monkeypatch):
    # No attribute parts all three at once.
    question = ask(
        attributes,
        segments={
            "a": {"all": [age("<", 10), city("Москва")]},
            "b": {"all": [age(">", 10), city("Москва")]},
            "c": {"all": [age("<", 20), city("other")]},
        },
    )
    assert len(disjoint_groups(question.segments, attributes)) == 1
    monkeypatch.setattr("policies.l0._EFFORT", 0)
    assert len(disjoint_groups(question.segments, attributes)) == 2


def test_of_too_many_groups_none_is_absorbed(attributes, monkeypatch):
    plain = [age("<", 10), city("Москва")]
    more = {"any": [{"all": plain}, {"all": [*plain, {"attribute": "adult", "op": "==", "value": True}]}]}
    assert (
        ask(attributes, segments={"a": more}).tree["segments"]
        == ask(attributes, segments={"a": {"all": plain}}).tree["segments"]
    )
    monkeypatch.setattr("policies.canonical._MOST_COMPARED", 0)
    # Another object: questions about the same one are remembered.
    assert len(ask(dict(attributes), segments={"a": more}).tree["segments"][0]["any"]) == 2


def test_a_question_is_remembered_unless_it_is_large(attributes):
    declared = Declared(attributes)
    small = {"segments": {str(number): age("<", number) for number in range(1_000)}}
    assert ask(declared, **small) is ask(declared, **small)
    large = {"segments": {"many": age("in", list(range(0, 100_000, 2)))}}
    assert ask(declared, **large) is not ask(declared, **large)
    assert ask(declared, **large) == ask(declared, **large)


@pytest.mark.parametrize(
    ("condition", "width"),
    [
        (age("<", 18), 1),
        (age("in", [1, 2, 3]), 4),
        ({"not": {"all": [age("<", 18), {"any": [age("between", [1, 2]), city("x")]}]}}, 8),
    ],
)
def test_a_condition_is_as_wide_as_what_it_lists(condition, width):
    assert width_of(parse_condition(condition)) == width
