from pathlib import Path
from typing import Any

import pytest

from cleanroom.schema.codec import schema_from_dict, schema_from_yaml, schema_to_dict
from cleanroom.schema.errors import (
    HashProfileNotAllowedError,
    IdentifierAsAttributeError,
    SchemaError,
    SpecialCategoryError,
)
from cleanroom.schema.model import AttributeType, ConsentState
from cleanroom.schema.writing import schema_to_yaml

FULL = """
person_id: {column: customer_id}
match_keys:
  email: {column: email, hash_profile: room, form: raw, also_profiles: [uid2]}
  phone: {columns: [phone, phone2], default_region: RU}
  card: {column: card_no, identifier: loyalty_id}
  old: {column: ym, identifier: email, hash_profile: yandex, form: hashed, legacy_md5: true}
attributes:
  age: {type: integer, kind: descriptive, bands: [18, 25, 35, 45, 60]}
  city: {type: category, values: [Москва, 010, yes, no], null_values: ["?"], origin: direct}
  spend: {type: decimal, unit: RUB, kind: behavioural, clamp: [-1.5, 20000], bands: [0, 99.99], aggregate: sum}
  tags: {type: set, values: [a, b], max_values: 3, separator: ";"}
  since: {type: date, bands: [2020-01-01, 2024-06-30], date_format: "%d.%m.%Y", sensitivity: sensitive}
  active: {type: boolean, column: is_active}
lawful_basis: consent
consent:
  advertising:
    {column: ads, granted: [yes, 1, true], pending: [sent], withdrawn: [stop], collected_at: at, expires_at: till}
"""
KEY = "match_keys: {email: {column: email}}\n"


def test_every_key_of_the_file_is_read() -> None:
    schema = schema_from_yaml(FULL)
    assert schema.person_id == "customer_id"
    assert [key.name for key in schema.match_keys] == ["email", "phone", "card", "old"]
    assert schema.match_keys[0].qualified_names == ("email/room", "email/uid2")
    assert schema.match_keys[2].identifier == "loyalty_id"
    assert schema.attribute("city").values == ("Москва", "010", "yes", "no")
    spend = schema.attribute("spend")
    assert (spend.scale, spend.clamp, spend.bands) == (2, (-150, 2_000_000), (0, 9999))
    assert schema.attribute("active").column == "is_active"
    assert schema.consents[0].granted == ("yes", "1", "true")
    assert schema.consents[0].states()["stop"] is ConsentState.WITHDRAWN


@pytest.mark.parametrize("scale", [0, 1, 2])
def test_a_decimal_survives_plain_data_with_its_digits_after_the_point(scale: int) -> None:
    schema = schema_from_yaml(ATTRIBUTE % f"type: decimal, scale: {scale}, clamp: [0, 70]")
    assert schema.attributes[0].scale == scale
    assert schema_from_dict(schema_to_dict(schema)) == schema
    assert schema_from_yaml(schema_to_yaml(schema)) == schema


def test_a_schema_survives_plain_data_and_keeps_its_order_and_hash() -> None:
    schema = schema_from_yaml(FULL)
    again = schema_from_dict(schema_to_dict(schema))
    assert again == schema
    assert again.sha256() == schema.sha256()
    turned = schema_from_yaml("match_keys: {phone: {column: p}, email: {column: e}}")
    other = schema_from_yaml("match_keys: {email: {column: e}, phone: {column: p}}")
    assert turned.sha256() != other.sha256()
    assert (
        schema_from_yaml("match_keys: {email: {column: e, form: raw}}").sha256()
        == schema_from_dict({"match_keys": [{"name": "email", "columns": ["e"]}]}).sha256()
    )


def test_a_path_is_read_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + KEY.encode())
    assert schema_from_yaml(path).match_keys[0].columns == ("email",)
    path.write_bytes("имя: 1".encode("cp1251"))
    with pytest.raises(SchemaError, match="not UTF-8"):
        schema_from_yaml(path)
    path.write_bytes(b"#" * (8 * 2**20 + 1))
    with pytest.raises(SchemaError, match="limit of 8388608 bytes"):
        schema_from_yaml(path)


@pytest.mark.parametrize(
    "body",
    [
        "race: {type: category, values: [White, Black]}",
        "feature: {type: category, column: ' race', values: [a]}",
        "patientHealth: {type: integer}",
        "национальность: {type: category, values: [a]}",
        "religious_views: {type: boolean}",
        "trade_union_member: {type: boolean}",
        "orientation: {type: category, values: [a]}",
        "group: {type: category, values: [a, Amer-Indian-Eskimo]}",
        "faith_kind: {type: category, values: [Православие]}",
        "score: {type: integer, sensitivity: special}",
    ],
)
def test_special_categories_are_refused(body: str) -> None:
    with pytest.raises(SpecialCategoryError, match=r"special category.*Leave the attribute out") as caught:
        schema_from_yaml(KEY + "attributes: {" + body + "}")
    assert caught.value.code == "schema.special_category"


@pytest.mark.parametrize(
    "body",
    ["name: {type: category, values: [a]}", "x: {type: category, column: Телефон, values: [a]}",
     "E-Mail: {type: integer}", "x: {type: integer, column: email}", "x: {type: integer, column: cid}"],
)  # fmt: skip
def test_identifiers_as_attributes_are_refused(body: str) -> None:
    text = "person_id: {column: cid}\n" + KEY + "attributes: {" + body.replace("E-Mail", "E_Mail") + "}"
    with pytest.raises(IdentifierAsAttributeError) as caught:
        schema_from_yaml(text)
    assert caught.value.code == "schema.identifier_as_attribute"


@pytest.mark.parametrize(
    "name", ["sex", "native_country", "PhoneService", "city_name", "email_opt_in", "Partner", "tariff"]
)
def test_ordinary_attributes_pass(name: str) -> None:
    assert schema_from_yaml(
        KEY + f"attributes: {{{name}: {{type: category, values: [a, White]}}}}"
    ).attribute(name)


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("email: {column: e, hash_profile: sha1}", "no such hash profile.*room, uid2, google"),
        ("email: {column: e, hash_profile: yandex}", "MD5.*legacy_md5: true"),
        ("maid: {column: e, hash_profile: uid2}", "no such hash profile for maid.*Use one of room"),
        ("email: {column: e, also_profiles: [nope]}", "no such hash profile"),
    ],
)
def test_hash_profiles_must_exist_and_fit(key: str, message: str) -> None:
    with pytest.raises(HashProfileNotAllowedError, match=message):
        schema_from_yaml(f"match_keys: {{{key}}}")


ATTRIBUTE = KEY + "attributes: {a: {%s}}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "not a mapping"),
        ("a: [", "Line .* is not YAML"),
        ("a: \x07", "characters that YAML does not allow"),
        ("a: &x 1\nb: *x", "alias"),
        ("a: 1\na: 2", "twice on line 2"),
        ("[" * 10_000, "deeper than 16"),
        ("v: 2", "version other than 1"),
        ("nope: 1", "Unknown key `nope`.*Allowed: v, person_id"),
        ("person_id: x", "no match key"),
        ("match_keys: 5", "not a mapping of names"),
        ("match_keys: {email: 5}", "match_keys.email is not a mapping"),
        ("match_keys: {email: {}}", "match_keys.email.column is missing"),
        ("match_keys: {a b: {column: x}}", "letters, digits and _"),
        (
            "match_keys: {login: {column: x}}",
            "match_keys.login.identifier is not an allowed value.*email, phone",
        ),
        ("match_keys: {email: {column: x, also_profiles: [room]}}", "repeats a profile"),
        (
            "match_keys: {email: {column: x, form: hashed, also_profiles: [uid2]}}",
            "cannot be normalised again",
        ),
        ("match_keys: {phone: {column: x, default_region: Russia}}", "country code.*RU"),
        (f"match_keys: {{email: {{columns: {list(map(str, range(17)))}}}}}", "more than 16"),
        ("match_keys: {email: {columns: x}}", "not a list"),
        ("match_keys: [{name: email, column: a}, {name: email, column: b}]", "a name twice"),
        (KEY + "lawful_basis: because", "lawful_basis is not an allowed value.*consent, contract"),
        (KEY + "label: {column: s}", "label.values needs 1 to 255"),
        (KEY + "person_id: {col: s}", "person_id: unknown key `col`"),
        (KEY + "consent: {ads: {column: c}}", "consent.ads.granted lists no value"),
        (KEY + "consent: {ads: {column: c, granted: [Yes], denied: [yes]}}", "a value twice"),
        (KEY + "consents: {ads: 1}", "not a list of mappings"),
        (ATTRIBUTE % "type: text", "attributes.a.type is not an allowed value.*integer, decimal"),
        (ATTRIBUTE % "type: integer, bands: [18, 18]", "lists a value twice"),
        (ATTRIBUTE % "type: integer, bands: [25, 18]", "ascending"),
        (ATTRIBUTE % "type: integer, bands: [1.5]", "at most 15 digits with at most 0 after"),
        (ATTRIBUTE % "type: date, bands: [18]", "not a date"),
        (ATTRIBUTE % "type: integer, clamp: [5]", "lower and a higher"),
        (ATTRIBUTE % "type: integer, clamp: [5, 1]", "lower and a higher"),
        (
            ATTRIBUTE % "type: integer, clamp: [-1000000001, 1]",
            "passes 1000000000 stored units.*lower `scale:`",
        ),
        (ATTRIBUTE % "type: decimal, clamp: [0, 10000000.01]", "passes 1000000000 stored units"),
        (ATTRIBUTE % "type: integer, values: [a]", "does not apply to the type integer"),
        (ATTRIBUTE % "type: boolean, bands: [1]", "does not apply to the type boolean|not a number"),
        (ATTRIBUTE % "type: decimal, scale: 12", "whole number from 0 to 9"),
        (ATTRIBUTE % "type: category", "values needs 1 to 65533"),
        (ATTRIBUTE % "type: category, open: false", "values needs 1 to 65533.*open: true"),
        (ATTRIBUTE % "type: category, open: true, values: [x]", "values stands beside `open: true`"),
        (ATTRIBUTE % "type: set, open: true, max_values: 1", "open does not apply to the type set.*category"),
        (ATTRIBUTE % "type: category, open: maybe", "open is not an allowed value.*true, false"),
        (ATTRIBUTE % "type: category, open: true, max_bytes: 65", "whole number from 8 to 64"),
        (ATTRIBUTE % "type: category, open: true, max_bytes: 7", "whole number from 8 to 64"),
        (ATTRIBUTE % "type: category, values: [x], max_bytes: 9", "for open categories.*open: true"),
        (ATTRIBUTE % "type: category, values: [other]", "name cells of their own.*null_values"),
        (ATTRIBUTE % "type: category, values: [x], null_values: [x]", "repeats a declared value"),
        (ATTRIBUTE % "type: set, values: [x, y]", "max_values is missing"),
        (ATTRIBUTE % "type: set, values: ['x|y'], max_values: 1", "stands inside a value"),
        (ATTRIBUTE % ("type: category, values: [" + "x" * 257 + "]"), "over 256 characters"),
    ],
)
def test_mistakes_are_named_with_place_and_remedy(text: str, message: str) -> None:
    with pytest.raises(SchemaError, match=message):
        schema_from_yaml(text)


@pytest.mark.parametrize("value", [1.5, None, ["x"], {"a": 1}])
def test_values_that_are_no_texts_are_refused(value: Any) -> None:
    plain = {
        "match_keys": {"email": {"column": "e"}},
        "attributes": {"a": {"type": "category", "values": [value]}},
    }
    with pytest.raises(SchemaError, match="not a text"):
        schema_from_dict(plain)


def test_typed_plain_data_is_understood() -> None:
    schema = schema_from_dict(
        {
            "match_keys": {"email": {"column": "e", "legacy_md5": False}},
            "attributes": {"a": {"type": "integer", "bands": [-5, 18]}},
            "consent": {"ads": {"column": "c", "granted": [True, 1]}},
        }
    )
    assert schema.attribute("a").bands == (-5, 18)
    assert schema.consents[0].granted == ("true", "1")
    assert schema.attribute("a").type is AttributeType.INTEGER


def test_five_hundred_attributes_are_fine() -> None:
    body = "".join(f"  a{i}: {{type: integer}}\n" for i in range(500))
    assert len(schema_from_yaml(KEY + "attributes:\n" + body).attributes) == 500
