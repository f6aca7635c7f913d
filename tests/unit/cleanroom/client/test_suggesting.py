from pathlib import Path

import pytest

from cleanroom.client.errors import FileError
from cleanroom.client.suggesting import suggest_schema
from cleanroom.schema.codec import schema_from_yaml
from cleanroom.schema.model import AttributeType
from tests.rooms import DATASET_HEADER, people


def write(folder: Path, *lines: str) -> Path:
    path = folder / "crm.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_a_usual_file_gets_a_whole_schema(tmp_path: Path) -> None:
    text = suggest_schema(write(tmp_path, DATASET_HEADER, *people(500)))
    schema = schema_from_yaml(text)
    assert schema.person_id == "id"
    assert {key.name: key.columns for key in schema.match_keys} == {"email": ("email",), "phone": ("phone",)}
    types = {attribute.name: attribute.type for attribute in schema.attributes}
    assert types["sex"] is AttributeType.CATEGORY
    assert types["age"] is AttributeType.INTEGER
    assert types["likes"] is AttributeType.SET
    assert len(schema.attribute("age").bands) >= 2
    (consent,) = schema.consents
    assert (consent.column, consent.granted, consent.withdrawn) == ("ads", ("yes",), ("stop",))
    assert text.count("CHECK") >= 4


def test_what_may_not_be_an_attribute_is_left_out_and_named(tmp_path: Path) -> None:
    rows = [f"a{n}@example.org;diabetes;Ivan;note {n};{n % 3}0.5;2020-01-{1 + n % 28:02}" for n in range(100)]
    text = suggest_schema(write(tmp_path, "mail;diagnosis;first_name;note;spend;since", *rows))
    schema = schema_from_yaml(text)
    assert {attribute.name for attribute in schema.attributes} == {"spend", "since"}
    for name in ("diagnosis", "first_name", "note"):
        assert f'# "{name}":' in text
    assert "no column looks like a consent" in text


def test_values_of_few_people_are_not_proposed(tmp_path: Path) -> None:
    rows = [f"a{n}@example.org,{'Rare street 7' if n == 0 else 'AB'[n % 2] + ' town'}" for n in range(100)]
    text = suggest_schema(write(tmp_path, "email,town", *rows))
    assert schema_from_yaml(text).attribute("town").values == ("B town", "A town")
    assert "Rare" not in text


def test_a_file_without_identifiers_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="identifier"):
        suggest_schema(write(tmp_path, "a,b", "1,2"))


def test_a_file_from_a_russian_office_gets_a_whole_schema(tmp_path: Path) -> None:
    path = tmp_path / "crm.csv"
    rows = [
        f"{n};8 (9{n % 100:02}) {n % 1000:03}-{n % 100:02}-01;{'МЖ'[n % 2]};{18 + n % 60};{n * 7},{n % 100:02};да"
        for n in range(500)
    ]
    header = "ид;Телефон;Пол;Возраст;Сумма покупок;Согласие на рекламу"
    path.write_text("\n".join((header, *rows)) + "\n", encoding="cp1251")
    schema = schema_from_yaml(suggest_schema(path))
    assert schema.person_id == "ид"
    assert [key.columns for key in schema.match_keys] == [("Телефон",)]
    spend = schema.attribute("Сумма_покупок")
    assert (spend.type, spend.decimal_mark, spend.column) == (AttributeType.DECIMAL, ",", "Сумма покупок")
    assert schema.consents[0].granted == ("да",)


def test_numbers_are_read_as_they_are_written(tmp_path: Path) -> None:
    rows = [f"a{n}@example.org;{n + 1},{n % 1000:03};{n % 9}.{n:04};{10**6 + n}" for n in range(100)]
    text = suggest_schema(write(tmp_path, "email;thousands;rate;contract", *rows))
    schema = schema_from_yaml(text)
    assert schema.attribute("rate").scale == 4
    # `1,200` may be twelve hundred, and what differs in every row is somebody's number.
    assert [one.name for one in schema.attributes] == ["rate"]
    assert '# "contract": a number of its own in every row' in text
