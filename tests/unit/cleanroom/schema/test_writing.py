"""What is written as YAML is read as the same schema."""

from cleanroom.schema.codec import schema_from_dict, schema_from_yaml
from cleanroom.schema.model import Schema
from cleanroom.schema.writing import schema_to_yaml
from tests.portal.awkward import SCHEMA
from tests.rooms import BASE_SCHEMA, DATASET_SCHEMA


def test_a_written_schema_is_read_as_it_was() -> None:
    texts = (SCHEMA, DATASET_SCHEMA, BASE_SCHEMA)
    schemas: list[Schema] = [schema_from_yaml(text) for text in texts]
    awkward = {
        "match_keys": {"email": {"columns": ["да", "no", "010"]}},
        "attributes": {
            "a": {"type": "decimal", "scale": 0, "bands": ["1", "2"], "clamp": ["-5", "5"]},
            "b": {
                "type": "category",
                "values": ["yes", "2026-01-01", "1e3", "null", "~", "é: #"],
                "column": "x: y",
            },
            "c": {"type": "date", "date_format": "%d.%m.%Y", "bands": ["2020-01-01"]},
            "d": {"type": "decimal", "scale": 3, "decimal_mark": ",", "bands": ["0.125"]},
        },
        "consents": [{"purpose": "ads", "column": "c", "granted": ["on", "true"], "expires_at": "until"}],
        "lawful_basis": "public_task",
    }
    schemas.append(schema_from_dict(awkward))
    for schema in schemas:
        assert schema_from_yaml(schema_to_yaml(schema)) == schema
