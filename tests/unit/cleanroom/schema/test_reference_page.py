"""The reference page is true: its examples are schemas, and every key and value that exists is on it."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from cleanroom.schema.codec import DATE_FORMATS, LAWFUL_BASES, schema_from_yaml
from cleanroom.schema.layout import reasons
from cleanroom.schema.model import Attribute, AttributeType, Consent, Kind, MatchKey
from crypto.hash_profiles import HASH_PROFILES
from crypto.normalise import IDENTIFIERS

PAGE = (Path(__file__).parents[4] / "docs" / "reference" / "schema.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```yaml\n(.*?)```", PAGE, flags=re.DOTALL)


@pytest.mark.parametrize(("index", "kind"), [(0, "dataset"), (1, "base")])
def test_the_examples_are_schemas(index: int, kind: str) -> None:
    assert schema_from_yaml(EXAMPLES[index]).kind == kind


def test_the_large_example_shows_every_type() -> None:
    assert {attribute.type for attribute in schema_from_yaml(EXAMPLES[0]).attributes} == set(AttributeType)


@pytest.mark.parametrize(
    "word",
    [
        *(
            f.name
            for part in (Attribute, MatchKey, Consent)
            for f in fields(part)
            if f.name not in ("name", "purpose")
        ),
        *HASH_PROFILES,
        *IDENTIFIERS,
        *LAWFUL_BASES,
        *DATE_FORMATS,
        *AttributeType,
        *Kind,
        *(reason.partition(":")[0] for reason in reasons(schema_from_yaml(EXAMPLES[0]))),
    ],
)
def test_every_key_value_and_reason_is_on_the_page(word: str) -> None:
    assert f"`{word}" in PAGE
