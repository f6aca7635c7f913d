"""A question has one key however it is spelled, and no other question has it."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from cleanroom.release.answers import Asked
from policies.canonical_question import canonical_question
from policies.question import Precision, Question, Segment
from tests.examples import up_to
from tests.properties.conditions import ATTRIBUTES, conditions, naive, people, respell

INFOS = ATTRIBUTES | {
    name: replace(ATTRIBUTES["age"], clamp=(0, 9), bands=(18,)) for name in ("age", "visits", "spend")
}
GROUPS = (("age",), ("city", "age"), ("age", "city"), ("adult",), ("bought", "adult", "city"))
precisions = st.one_of(
    st.builds(Precision, st.sampled_from(("rough", "normal", "fine"))),
    st.builds(lambda people: Precision(None, people), st.integers(1, 500)),
    st.builds(lambda percent: Precision(None, None, percent, 1_000), st.integers(1, 100)),
)


@st.composite
def questions(draw) -> Question:
    sums = draw(st.lists(st.sampled_from(("age", "visits", "spend")), max_size=2, unique=True))
    kind = "statistics" if sums else draw(st.sampled_from(("match_test", "overlap", "profile")))
    tables = kind in ("statistics", "profile")
    asked = draw(st.lists(conditions, max_size=0 if kind == "match_test" else 3))
    return Question(
        kind=kind,
        purpose="ads",
        dataset_id="ds",
        base_id="ba",
        segments=tuple(Segment(f"s{at}", condition) for at, condition in enumerate(asked)),
        breakdowns=tuple(draw(st.lists(st.sampled_from(GROUPS), max_size=2))) if tables else (),
        labels=draw(st.booleans()),
        per_key=draw(st.booleans()),
        affinity=kind == "profile" and draw(st.booleans()),
        sums=tuple(sums),
    )


def spelled_otherwise(draw, question: Question) -> Question:
    """Ask the same in another order, under other names, some of it twice, at another precision."""
    segments = [replace(segment, condition=respell(draw, segment.condition)) for segment in question.segments]
    segments += draw(st.lists(st.sampled_from(segments), max_size=2)) if segments else []
    groups = [tuple(draw(st.permutations(group))) for group in question.breakdowns]
    groups += draw(st.lists(st.sampled_from(groups), max_size=1)) if groups else []
    return replace(
        question,
        segments=tuple(
            Segment(f"other{at}", segment.condition)
            for at, segment in enumerate(draw(st.permutations(segments)))
        ),
        breakdowns=tuple(draw(st.permutations(groups))),
        sums=tuple(draw(st.permutations(question.sums))),
        precision=draw(precisions),
    )


def key(question: Question) -> str:
    tree = canonical_question(question, INFOS).tree
    return Asked("gr", "dv", "pol", question.purpose, b"base", tree).key


def meaning(question: Question, rows) -> tuple:
    """What is counted, as far as these people tell."""
    single = question.kind == "match_test"
    return (
        question.kind,
        frozenset(tuple(naive(part.condition, person) for person in rows) for part in question.segments),
        frozenset(frozenset(group) for group in question.breakdowns),
        question.labels and not single,
        question.per_key and not single,
        question.affinity,
        frozenset(question.sums),
    )


@settings(max_examples=up_to(120), deadline=None)
@given(st.data(), questions())
def test_any_respelling_of_a_question_has_its_key(data, question):
    assert key(spelled_otherwise(data.draw, question)) == key(question)


@settings(max_examples=up_to(120), deadline=None)
@given(questions(), questions(), st.lists(people, min_size=1, max_size=10))
def test_any_other_question_has_another_key(one, other, rows):
    if meaning(one, rows) != meaning(other, rows):
        assert key(one) != key(other)


@settings(max_examples=up_to(120), deadline=None)
@given(st.data(), questions(), st.lists(people, min_size=1, max_size=10))
def test_a_question_that_differs_in_one_thing_has_another_key(data, question, rows):
    changes = [{"labels": not question.labels}, {"per_key": not question.per_key}]
    changes += [{"segments": question.segments[1:]}] if question.segments else []
    changes += [{"breakdowns": question.breakdowns[1:]}] if question.breakdowns else []
    changes += [{"sums": question.sums[1:]}] if len(question.sums) > 1 else []
    changes += [{"affinity": not question.affinity}] if question.kind == "profile" else []
    changed = replace(question, **data.draw(st.sampled_from(changes)))

    if meaning(changed, rows) != meaning(question, rows):
        assert key(changed) != key(question)
