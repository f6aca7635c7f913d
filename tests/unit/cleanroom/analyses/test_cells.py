"""Cells reach the gate under canonical names and come back under the asker's own."""

import numpy as np

from cleanroom.analyses.cells import Layout, exact_cells
from cleanroom.matching.types import ExactCounts, SideCounts
from policies.attributes import AttributeInfo
from policies.canonical_question import canonical_question
from policies.question import question_from_dict

ATTRIBUTES = {
    "sex": AttributeInfo("category", values=("F", "M")),
    "age": AttributeInfo("integer", bands=(18,)),
}
LABELS = {"sex": ("F", "M", "other", "unknown"), "age": ("<18", "18+", "unknown")}
YOUNG = {"attribute": "age", "op": "<", "value": 18}


def layout(*, affinity: bool = False) -> Layout:
    question = question_from_dict(
        {
            "purpose": "ads",
            "kind": "profile",
            "affinity": affinity,
            "segments": {
                "young": YOUNG,
                "minors": {"not": {"attribute": "age", "op": "not_in", "value": list(range(18))}},
            }
            | {"kids": YOUNG},
            "breakdowns": [["sex", "age"]],
        },
        dataset_id="ds",
        base_id="ba",
    )
    return Layout(canonical_question(question, ATTRIBUTES), ("email/room",), ("vip",), LABELS)


def test_one_condition_under_two_names_is_one_cell() -> None:
    names = layout().asked_names()

    assert ("segment:young", "segment:kids") in names.values()


def test_breakdown_cells_keep_their_place_when_the_asker_orders_attributes_otherwise() -> None:
    # Stored by name: age, then sex; asked as sex, then age.
    names = layout().asked_names()

    assert names["breakdown:0:0"] == ("breakdown:sex=F,age=<18",)
    assert names["breakdown:0:1"] == ("breakdown:sex=M,age=<18",)
    assert names["breakdown:0:4"] == ("breakdown:sex=F,age=18+",)
    assert list(names)[-12:][1] == "breakdown:0:4"


def test_every_exact_count_has_a_cell_and_every_cell_a_name() -> None:
    asked = layout(affinity=True)
    segments = len(asked.question.segments)
    side = SideCounts(50, tuple(range(segments)), (np.arange(12),))
    counts = ExactCounts(9, {"email/room": 9}, (4,), tuple(range(segments)), (np.arange(12),), side)

    cells = exact_cells(asked, counts)

    assert [cell.name for cell in cells if cell.within is None] == ["overlap", "dataset"]
    assert {cell.name for cell in cells} == set(asked.asked_names())
    assert {cell.within for cell in cells if cell.name.startswith("dataset:")} == {"dataset"}
    by_name = {cell.name: cell.exact for cell in cells}
    assert by_name["label:vip"] == 4
    assert by_name["dataset:breakdown:0:7"] == 7
