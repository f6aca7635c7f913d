"""A schema as the YAML that people keep beside their file."""

from typing import Any

import yaml

from cleanroom.schema.model import Schema, schema_to_dict


def schema_to_yaml(schema: Schema) -> str:
    """Write a schema as YAML; `schema_from_yaml` reads the same schema from it.

    Args:
        schema: a valid one.
    """
    plain = schema_to_dict(schema)
    body: dict[str, Any] = {}
    if schema.person_id:
        body["person_id"] = {"column": schema.person_id}
    body["match_keys"] = _by_name(plain["match_keys"], "name")
    attributes = _by_name(plain.get("attributes", []), "name")
    for attribute in schema.attributes:
        one = attributes[attribute.name]
        if attribute.column == attribute.name:
            del one["column"]
    if attributes:
        body["attributes"] = attributes
    if schema.label:
        body["label"] = plain["label"]
    body["lawful_basis"] = schema.lawful_basis
    if schema.consents:
        body["consent"] = _by_name(plain["consents"], "purpose")
    return yaml.safe_dump(body, allow_unicode=True, sort_keys=False, width=110, default_flow_style=None)


def _by_name(entries: list[dict[str, Any]], key: str) -> dict[str, dict[str, Any]]:
    return {one[key]: {name: value for name, value in one.items() if name != key} for one in entries}
