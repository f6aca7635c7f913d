"""What a reviewer is told of two wordings: everything that differs, and nothing else."""

from cleanroom.marketplace.changes import Change, changes
from cleanroom.money import Money
from tests.market import MONTHLY, content, words


def test_the_same_wording_has_no_changes() -> None:
    assert changes(content(), content()) == ()


def test_every_part_that_differs_is_told_once() -> None:
    newer = content(
        title=words("Покупатели", "Shoppers"),
        attributes=["age", "likes"],
        segments=[],
        terms={"days": 30, "resale": False, "sectors": ["retail", "media"]},
        plans=[
            MONTHLY | {"cpm_minor": 0, "vat_bp": 1_250, "offered_to": ["org_1"]},
            {"key": "free", "currency": "RUB"},
        ],
    )
    assert set(changes(content(), newer)) == {
        Change("title", "ru", "", "Покупатели Ёлки", "Покупатели"),
        Change("attributes", "", "", "sex", None),
        Change("attributes", "", "", None, "likes"),
        Change("segments", "young", "title", "Молодые / Young", None),
        Change("segments", "young", "condition", '{"attribute": "age", "op": "<", "value": 30}', None),
        Change("terms", "", "days", "365", "30"),
        Change("terms", "", "resale", "true", "false"),
        Change("terms", "", "sectors", "", "media, retail"),
        Change("plans", "monthly", "cpm_minor", Money(150_000, "RUB"), None),
        Change("plans", "monthly", "vat_bp", 2_000, 1_250),
        Change("plans", "monthly", "offered_to", None, ("org_1",)),
        Change("plans", "free", "currency", None, "RUB"),
        Change("plans", "free", "counted", None, "overlap"),
        Change("plans", "free", "vat_bp", None, 0),
    }


def test_the_other_way_round_says_the_opposite() -> None:
    newer = content(attributes=["age", "likes"], plans=[MONTHLY | {"questions_cap_minor": 0}])
    there, back = changes(content(), newer), changes(newer, content())
    assert {(one.part, one.key, one.name, one.after, one.before) for one in back} == {
        (one.part, one.key, one.name, one.before, one.after) for one in there
    }
    assert Change("plans", "monthly", "questions_cap_minor", Money(8_000, "RUB"), Money(0, "RUB")) in there
