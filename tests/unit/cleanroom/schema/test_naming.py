"""What names of columns suggest, and what they never do."""

import pytest

from cleanroom.schema.codec import schema_from_dict
from cleanroom.schema.naming import attribute_name, suggest_columns


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        ("client_id", {"role": "person"}),
        ("код клиента", {"role": "person"}),
        ("E-mail", {"role": "key", "identifier": "email", "form": "raw", "hash_profile": "room"}),
        ("Электронная почта", {"role": "key", "identifier": "email"}),
        ("mobile_phone", {"role": "key", "identifier": "phone"}),
        ("idfa", {"role": "key", "identifier": "maid"}),
        ("loyalty_card_no", {"role": "key", "identifier": "loyalty_id"}),
        ("email_sha256", {"role": "key", "identifier": "email", "form": "hashed", "hash_profile": "room"}),
        ("uid2_email_hash", {"role": "key", "form": "hashed", "hash_profile": "uid2"}),
        ("phone_md5", {"role": "key", "identifier": "phone", "form": "hashed", "hash_profile": "yandex"}),
        ("phone_service", {"role": "attribute", "type": "category"}),
        ("full name", {"role": "left_out", "refused": "identifying"}),
        ("Религия", {"role": "left_out", "refused": "special", "sensitivity": "special"}),
        ("blood_type", {"role": "left_out", "refused": "special"}),
        ("ads_consent", {"role": "consent"}),
        ("age", {"role": "attribute", "type": "integer", "origin": "direct"}),
        ("Доход", {"type": "integer", "sensitivity": "sensitive"}),
        ("last_visit_date", {"type": "date", "kind": "behavioural", "origin": "indirect"}),
        ("total_amount", {"type": "decimal"}),
        ("is_subscriber", {"type": "boolean"}),
        ("Интересы", {"type": "set", "kind": "qualitative"}),
        ("b17", {"role": "attribute", "type": "category", "kind": "descriptive"}),
    ],
)
def test_names_suggest(column: str, expected: dict[str, str]) -> None:
    (found,) = suggest_columns([column])
    assert {name: getattr(found, name) for name in expected} == expected


def test_one_column_says_who_a_row_is_about_and_names_stay_apart() -> None:
    found = suggest_columns(["id", "user_id", "X Y", "X-Y", "x y", "1st", "!"])
    assert [one.role for one in found].count("person") == 1
    assert [one.name for one in found[2:]] == ["X_Y", "X_Y_2", "x_y", "a_1st", "a"]


@pytest.mark.parametrize("column", ["Сумма, руб.", "a" * 300, "9", "_", "été (2025)", "a b\tc"])
def test_a_name_for_questions_is_one_that_schemas_take(column: str) -> None:
    name = attribute_name(column)
    plain = {
        "match_keys": {"email": {"column": "e"}},
        "attributes": {name: {"type": "boolean", "column": "x"}},
    }
    assert schema_from_dict(plain).attributes[0].name == name
