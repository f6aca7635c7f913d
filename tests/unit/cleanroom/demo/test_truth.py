"""The yardstick is checked by hand: a few people, every rule of the room once."""

from pathlib import Path
from typing import Any

import pytest

from cleanroom.demo.truth import Truth, true_counts

HEADER = (
    "customer_id,full_name,email,phone,phone2,sex,age,city,tariff,tenure_months,spend,churn_score,purchases,"
    "ads_consent"
)
PEOPLE = (
    "1,A,Ann.A@Gmail.com ,,,F,17,Москва,Basic,3,100.50,5,books|travel,yes",
    "2,B,,8 (900) 000-00-02,,M,18,Казань,Plus,60,200,95,,confirmed",
    "3,C,c@mail.ru,+79000000003,,F,60,Томск,Plus,60,,95,kids,sent",
    "4,D,d@mail.ru,+79000000004,,M,,Москва,Plus,6,200,20,kids,yes",
    "4,D,,+79000000014,,F,30,Москва,Family,6,200,20,pets,yes",
    "5,E,e@mail.ru,,,F,30,Москва,Plus,6,200,20,kids,yes",
    "5,E,e@mail.ru,,,F,30,Москва,Plus,6,200,20,kids,stop",
    "6,F,f_mail.ru,+79000000006,+79000000066,M,34,Москва,Plus,6,200,20,kids,yes",
    "7,G,g@mail.ru,,,M,н/д,Москва,Plus,6,200,20,kids,yes",
    ",H,h@mail.ru,,,M,40,Москва,Plus,6,200,20,kids,yes",
    "9,I,,,,M,40,Москва,Plus,6,200,20,kids,yes",
    *(f"1{n},J,,+74950000001,,M,40,Уфа,Plus,6,200,20,kids,yes" for n in range(6)),
)
BASE = (
    "anna@gmail.com;;lapsed",
    "ANNA+x@gmail.com;;vip",
    ";89000000002;active",
    "c@mail.ru;;vip",
    "d@mail.ru;;active",
    ";+7 900 000-00-14;vip",
    "e@mail.ru;;vip",
    ";8 900 000 00 66;lapsed",
    "g@mail.ru;;vip",
    "h@mail.ru;;vip",
    ";84950000001;active",
    "other@mail.ru;;???",
)


def leaf(attribute: str, op: str, value: Any = None) -> dict[str, Any]:
    return {"attribute": attribute, "op": op, "value": value}


@pytest.fixture
def count(tmp_path: Path) -> Any:
    provider, base = tmp_path / "p.csv", tmp_path / "b.csv"
    provider.write_text("\n".join((HEADER, *PEOPLE)), encoding="utf-8")
    base.write_text("\n".join(("e_mail;mobile;status", *BASE)), encoding="utf-8")

    def counted(**changes: Any) -> Truth:
        return true_counts(provider, base, **{"segments": {}, **changes})

    return counted


def test_only_people_who_agreed_in_all_their_rows_and_hold_a_key_of_the_base_are_matched(count: Any) -> None:
    truth = count()
    assert truth.matched["customer_id"].to_list() == ["1", "2", "4", "6"]
    assert truth.counts["overlap"] == 4


def test_a_phone_held_by_more_than_five_people_matches_nobody_but_they_stay_in_the_dataset(
    count: Any,
) -> None:
    assert count().counts["dataset"] == 4 + 6


def test_a_person_counts_at_the_first_key_that_hits(count: Any) -> None:
    counts = count().counts
    assert (counts["key:email/room"], counts["key:phone/room"]) == (2, 2)


def test_a_person_counts_at_the_first_declared_label_of_all_hits(count: Any) -> None:
    counts = count().counts
    assert (counts["label:vip"], counts["label:active"], counts["label:lapsed"]) == (2, 1, 1)


def test_people_who_hold_an_identifier_with_somebody_else_are_marked(count: Any, tmp_path: Path) -> None:
    assert count().matched["shared"].to_list() == [False] * 4
    provider = tmp_path / "p.csv"
    relative = "\n8,K,,+79000000066,,M,34,Уфа,Plus,6,200,20,kids,no"
    provider.write_text(provider.read_text(encoding="utf-8") + relative, encoding="utf-8")
    marked = dict(count().matched.select("customer_id", "shared").iter_rows())
    assert marked == {"1": False, "2": False, "4": False, "6": True}


def test_a_withdrawal_takes_its_person_out(count: Any) -> None:
    truth = count(withdrawn=["2"])
    assert (truth.counts["overlap"], truth.counts["dataset"]) == (3, 9)


def test_bands_are_half_open_and_the_last_row_of_a_person_wins(count: Any) -> None:
    counts = count(breakdowns=[["sex", "age"]]).counts
    cells = {name: value for name, value in counts.items() if name.startswith("breakdown:")}
    assert cells == {
        "breakdown:sex=F,age=<18": 1,
        "breakdown:sex=M,age=18-24": 1,
        "breakdown:sex=F,age=25-34": 1,
        "breakdown:sex=M,age=25-34": 1,
    }


@pytest.mark.parametrize(
    ("condition", "matched"),
    [
        (leaf("age", "between", [17, 18]), 2),
        (leaf("age", "==", 17), 1),
        (leaf("age", "!=", 17), 3),
        (leaf("age", "<", 30), 2),
        (leaf("age", "<=", 30), 3),
        (leaf("age", ">", 30), 1),
        (leaf("age", ">=", 30), 2),
        (leaf("spend", "==", 100.5), 1),
        (leaf("city", "in", ["Москва"]), 3),
        (leaf("city", "not_in", ["Москва"]), 1),
        (leaf("purchases", "has_any", ["travel", "kids"]), 2),
        (leaf("purchases", "is_null"), 1),
        (leaf("purchases", "not_null"), 3),
        ({"not": leaf("purchases", "has_any", ["travel", "kids"])}, 2),
        ({"all": [leaf("sex", "==", "F"), leaf("age", "<", 18)]}, 1),
        ({"any": [leaf("sex", "==", "F"), leaf("age", "==", 18)]}, 3),
    ],
)
def test_each_operator_counts_as_documented(count: Any, condition: dict[str, Any], matched: int) -> None:
    assert count(segments={"s": condition}).counts["segment:s"] == matched


def test_the_dataset_side_counts_people_who_are_not_in_the_base_too(count: Any) -> None:
    counts = count(segments={"s": leaf("age", "==", 40)}, breakdowns=[["sex"]]).counts
    assert counts["segment:s"] == 0
    assert counts["dataset:segment:s"] == 6
    assert counts["dataset:breakdown:sex=M"] == 8
