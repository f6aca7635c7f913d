import pytest

from policies.errors import PolicyError, QuestionError
from policies.question import Precision, Question, question_from_dict, question_to_dict

LEAF = {"attribute": "age", "op": ">", "value": 17.5}


def test_a_segments_file_becomes_a_question():
    question = question_from_dict(
        {
            "purpose": "advertising",
            "precision": "fine",
            "segments": {"adults": LEAF},
            "breakdowns": [["sex", "age"]],
        },
        dataset_id="ds_1",
        base_id="ds_2",
    )

    assert question.kind == "profile"
    assert question.precision == Precision("fine")
    assert question.breakdowns == (("sex", "age"),)
    assert question.segments[0].name == "adults"
    assert (question.labels, question.per_key, question.affinity) == (True, True, False)


@pytest.mark.parametrize(
    "precision", [{"precision": "rough"}, {"half_width": 50}, {"percent": 5, "expected": 9_999}, {}]
)
def test_a_question_survives_being_written_and_read(precision):
    question = question_from_dict(
        {
            "purpose": "p",
            "dataset_id": "d",
            "base_id": "b",
            "segments": {"s": LEAF},
            "affinity": False,
            **precision,
        }
    )

    assert question_from_dict(question_to_dict(question)) == question
    assert question.kind == "overlap"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epsilon": 3}, "Unknown key 'epsilon' in a question. Use: kind, purpose"),
        ({"purpose": ""}, "A question needs `purpose`: text of 1 to 200"),
        ({"purpose": None}, "A question needs `purpose`"),
        ({"kind": "dump"}, "Unknown kind of analysis. Use one of: match_test, overlap, profile, statistics"),
        ({"kind": "match_test", "segments": {"s": LEAF}}, "has no segments. Ask for an `overlap`"),
        ({"kind": "overlap", "breakdowns": [["age"]]}, "Only a profile and statistics have breakdowns"),
        ({"affinity": True}, "Only a profile has affinity indices"),
        ({"sums": ["spend"], "affinity": True}, "Only a profile has affinity indices"),
        (
            {"kind": "profile", "sums": ["spend"]},
            "Statistics, and nothing else, name the attributes to add up",
        ),
        ({"kind": "statistics"}, "Statistics, and nothing else, name the attributes to add up"),
        ({"sums": "spend"}, "`sums` is a list of attributes. Write sums: [spend]."),
        ({"sums": [1]}, "A name is text of 1 to 200 characters"),
        ({"sums": ["spend", "spend"]}, "`sums` lists at most 16 attributes, each once"),
        ({"sums": [f"s{number}" for number in range(17)]}, "`sums` lists at most 16 attributes"),
        ({"percent": 5}, "`percent` and `expected` go together. Give both, or neither."),
        ({"expected": 5}, "`percent` and `expected` go together"),
        ({"percent": 0, "expected": 5}, "`percent` lies between 1 and 100"),
        ({"percent": 101, "expected": 5}, "`percent` lies between 1 and 100"),
        ({"percent": 5, "expected": 0}, "`expected` lies between 1 and 1000000000 people"),
        ({"percent": 5.0, "expected": 10}, "`percent` and `expected` are whole numbers"),
        ({"percent": 5, "expected": 10, "half_width": 3}, "a precision or a half-width, and not both"),
        ({"percent": 5, "expected": 10, "precision": "fine"}, "a precision or a half-width, and not both"),
        ({"segments": [LEAF]}, "`segments` maps names to conditions. Write"),
        ({"segments": {1: LEAF}}, "A name is text of 1 to 200 characters. Put numbers in quotes"),
        ({"segments": {"e\u0301": LEAF, "\u00e9": LEAF}}, "Two segments have the same name. Rename"),
        ({"breakdowns": "age"}, "`breakdowns` is a list of lists"),
        ({"breakdowns": ["age"]}, "A breakdown is a list of attributes"),
        ({"breakdowns": [["age", "age"]]}, "at least one attribute, each once"),
        ({"breakdowns": [[]]}, "at least one attribute, each once"),
        ({"labels": "yes"}, "`labels` is true or false"),
        ({"precision": "exact"}, "Unknown precision. Use one of: rough, normal, fine"),
        ({"precision": "fine", "half_width": 3}, "a precision or a half-width, and not both"),
        ({"half_width": 0}, "between 1 and 1000000000 people"),
        ({"half_width": 2.5}, "`half_width`, `percent` and `expected` are whole numbers. Words: rough"),
        ({"half_width": True}, "`precision` is a word; `half_width`"),
    ],
)
def test_bad_questions_are_refused_with_the_limit_and_the_remedy(change, message):
    with pytest.raises(QuestionError) as caught:
        question_from_dict({"purpose": "p", "dataset_id": "d", "base_id": "b"} | change)

    assert message in str(caught.value)


def test_sums_make_a_question_a_matter_of_statistics():
    source = {"purpose": "p", "dataset_id": "d", "base_id": "b", "sums": ["spend"], "breakdowns": [["age"]]}

    question = question_from_dict(source)

    assert (question.kind, question.sums) == ("statistics", ("spend",))
    assert question_from_dict(question_to_dict(question)) == question


@pytest.mark.parametrize(
    ("percent", "expected", "people"), [(5, 10_000, 500), (1, 1, 1), (10, 105, 11), (100, 7, 7)]
)
def test_percent_of_an_expected_size_is_a_half_width_in_people_rounded_up(percent, expected, people):
    precision = Precision(None, percent=percent, expected=expected)

    assert precision.people == people
    assert Precision(None, 40).people == 40
    assert Precision("fine").people is None


def test_a_question_of_another_kind_keeps_what_that_kind_has():
    statistics = question_from_dict(
        {"purpose": "p", "segments": {"s": LEAF}, "breakdowns": [["age"]], "sums": ["spend"]},
        dataset_id="ds",
        base_id="ba",
    )

    profile, overlap, test = (statistics.as_kind(kind) for kind in ("profile", "overlap", "match_test"))
    assert (profile.breakdowns, profile.sums) == ((("age",),), ())
    assert (overlap.segments, overlap.breakdowns) == (statistics.segments, ())
    assert test.segments == ()
    assert statistics.as_kind("statistics") == statistics
    assert profile.as_kind("statistics") is None


def test_a_question_is_a_mapping():
    with pytest.raises(QuestionError, match="A question is a mapping"):
        question_from_dict([])


def test_a_question_needs_a_precision_or_a_half_width():
    with pytest.raises(QuestionError, match="a precision or a half-width"):
        Question("overlap", "p", "d", "b", precision=Precision(None, None))


def test_a_question_has_at_most_a_thousand_segments():
    leaf = {"attribute": "age", "op": ">", "value": 1}
    segments = {f"s{number}": leaf for number in range(1001)}

    with pytest.raises(QuestionError, match=r"at most 1000 segments, not 1001.*another question"):
        question_from_dict({"purpose": "ads", "segments": segments}, dataset_id="ds", base_id="ba")


def test_half_a_surrogate_pair_is_refused_before_anything_is_recorded():
    for source in (
        {"purpose": "ads", "segments": {"\ud800": {"attribute": "age", "op": "is_null"}}},
        {"purpose": "\ud800"},
        {"purpose": "ads", "segments": {"s": {"attribute": "a\udfff", "op": "is_null"}}},
        {"purpose": "ads", "segments": {"s": {"attribute": "a", "op": "==", "value": "\ud800"}}},
    ):
        with pytest.raises(PolicyError, match="half a surrogate pair"):
            question_from_dict(source, dataset_id="ds", base_id="ba")


def test_numbers_beyond_canonical_json_become_text_and_endless_ones_are_refused():
    def parsed(value):
        leaf = {"attribute": "age", "op": "==", "value": value}
        return question_from_dict({"purpose": "ads", "segments": {"s": leaf}}, dataset_id="ds", base_id="ba")

    assert parsed((1 << 53) - 1).segments[0].condition.value == (1 << 53) - 1
    assert parsed(1 << 53).segments[0].condition.value == str(1 << 53)
    assert parsed(-(1 << 60)).segments[0].condition.value == str(-(1 << 60))
    with pytest.raises(QuestionError, match="passes 1024 bits"):
        parsed(1 << 1024)
