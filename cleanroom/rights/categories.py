"""Categories of personal data, as a schema declares them: never a value."""

from collections.abc import Iterable
from typing import Any

from cleanroom.schema.model import Schema


def categories_of(schemas: Iterable[Schema]) -> dict[str, Any]:
    """Say which kinds of data some tables hold.

    Args:
        schemas: of the tables.

    Returns:
        Identifiers with their hash profiles (pseudonymous personal data), attributes by kind, purposes of consents,
        and whether people are marked with labels.
    """
    identifiers: dict[str, None] = {}
    attributes: dict[str, dict[str, dict[str, Any]]] = {}
    purposes: dict[str, None] = {}
    labelled = False
    for schema in schemas:
        if schema.person_id:
            identifiers["person_id/sha256"] = None
        identifiers.update(dict.fromkeys(schema.key_names))
        for attribute in schema.attributes:
            attributes.setdefault(attribute.kind.value, {})[attribute.name] = {
                "name": attribute.name,
                "type": attribute.type.value,
                "origin": attribute.origin.value,
                "sensitivity": attribute.sensitivity.value,
            }
        purposes.update(dict.fromkeys(consent.purpose for consent in schema.consents))
        labelled = labelled or schema.label is not None
    return {
        "identifiers": list(identifiers),
        "attributes": {kind: list(named.values()) for kind, named in sorted(attributes.items())},
        "consents": list(purposes),
        "labels": labelled,
    }
