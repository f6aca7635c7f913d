"""Other words, the same question; and a refusal's way out, said in words."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from cleanroom.demo.play import read_question
from cleanroom.demo.population import write_population
from cleanroom.demo.wording import changes, respell, respell_question
from cleanroom.matching.views import info_of
from cleanroom.schema.codec import schema_from_yaml
from policies.canonical_question import canonical_question
from policies.question import question_from_dict
from policies.text import DocumentError


def leaf(attribute: str, op: str, value: Any) -> dict[str, Any]:
    return {"attribute": attribute, "op": op, "value": value}


def test_all_segments_of_the_demo_mean_the_same_when_respelled(tmp_path: Any) -> None:
    made = write_population(tmp_path, population=100, base_size=10)
    schema = schema_from_yaml(made.provider_schema)
    infos = {attribute.name: info_of(attribute) for attribute in schema.attributes}
    plain = read_question(made.segments)
    again = respell_question(plain)
    assert yaml.safe_dump(again["segments"]) != yaml.safe_dump(plain["segments"])
    assert list(again["segments"]) == list(reversed(plain["segments"]))
    one, other = (
        canonical_question(question_from_dict(question, dataset_id="ds", base_id="b"), infos)
        for question in (plain, again)
    )
    assert one.tree == other.tree
    assert one.segment_of == other.segment_of


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("purpose: реклама".encode("cp1251"), "not UTF-8.*Save it as UTF-8"),
        (b"[advertising]", "no keys such as purpose"),
        (b"", "no keys such as purpose"),
    ],
)
def test_a_segments_file_that_is_none_is_refused_with_a_remedy(
    tmp_path: Path, content: bytes, says: str
) -> None:
    path = tmp_path / "ask.yaml"
    path.write_bytes(content)
    with pytest.raises(DocumentError, match=says):
        read_question(path)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            leaf("age", "between", [18, 30]),
            {"all": [leaf("age", "<=", 30), leaf("age", ">=", 18)]},
        ),
        (leaf("city", "==", "Омск"), leaf("city", "in", ["Омск"])),
        (leaf("city", "in", ["a", "b"]), {"not": {"not": leaf("city", "in", ["b", "a"])}}),
        (leaf("age", ">", 30), {"not": {"not": leaf("age", ">", 30)}}),
        ({"not": leaf("city", "==", "a")}, {"not": leaf("city", "in", ["a"])}),
        (
            {"any": [leaf("city", "==", "a"), leaf("city", "==", "b")]},
            {"any": [leaf("city", "in", ["b"]), leaf("city", "in", ["a"])]},
        ),
    ],
)
def test_each_form_is_respelled_in_its_own_way(before: dict[str, Any], after: dict[str, Any]) -> None:
    assert respell(before) == after


ASKED = {
    "kind": "overlap",
    "purpose": "scoring",
    "segments": {"a": 1, "b": 2},
    "breakdowns": [["sex", "age"], ["city"]],
    "labels": True,
    "precision": "fine",
}


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({}, "the same question"),
        ({"purpose": "advertising"}, "for the purpose advertising"),
        ({"kind": "match_test"}, "as a match test"),
        ({"segments": {"a": 1}}, "without b"),
        ({"segments": {}}, "without segments"),
        ({"breakdowns": [["city"]]}, "without sex × age"),
        (
            {"breakdowns": [["sex", "age"], ["city"], ["tariff"]]},
            "with the breakdowns sex × age, city, tariff",
        ),
        ({"labels": False, "precision": "rough"}, "without labels; at the precision rough"),
        ({"affinity": True, "per_key": False}, "with affinity; without shares per key"),
        ({"half_width": 1960}, "at ± 1,960 people"),
        ({"colour": "red"}, "with colour red"),
    ],
)
def test_the_way_out_says_what_to_change(changed: dict[str, Any], words: str) -> None:
    assert changes(ASKED, {"question": {**ASKED, **changed}}) == words


def test_the_way_out_names_facts_beside_the_question() -> None:
    nearest = {"question": ASKED, "base_persons": 1_000, "not_before": "2026-12-01"}
    assert changes(ASKED, nearest) == "with a base of at least 1,000 persons; not before 2026-12-01"
