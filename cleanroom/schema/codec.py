"""A schema to and from YAML and plain JSON, refusing what must not be loaded before anything is read."""

from pathlib import Path
from typing import Any, Literal, cast

import phonenumbers

from cleanroom.schema.categories import is_identifying_name, is_special_name, is_special_value
from cleanroom.schema.errors import (
    HashProfileNotAllowedError,
    IdentifierAsAttributeError,
    SchemaError,
    SpecialCategoryError,
)
from cleanroom.schema.model import (
    MAX_OPEN_BYTES,
    OTHER,
    UNKNOWN,
    Attribute,
    AttributeType,
    Consent,
    Kind,
    Label,
    MatchKey,
    Origin,
    Schema,
    Sensitivity,
    schema_to_dict,
)
from cleanroom.schema.reading import Section, as_text, named, stored_day, stored_number
from cleanroom.schema.yaml_text import load_yaml
from crypto.hash_profiles import HASH_PROFILES
from crypto.normalise import IDENTIFIERS, Identifier
from policies.attributes import MAX_CLAMP

__all__ = ["schema_from_dict", "schema_from_yaml", "schema_to_dict"]

LAWFUL_BASES = (
    "consent",
    "contract",
    "legal_obligation",
    "vital_interests",
    "public_task",
    "legitimate_interests",
)
DATE_FORMATS = ("%Y-%m-%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%Y%m%d")
MAX_VALUES = 65_533
MAX_SET_VALUES = 4_095
MAX_BANDS = 250
MAX_LABELS = 255
MIN_OPEN_BYTES = 8
_NUMBERS = (AttributeType.INTEGER, AttributeType.DECIMAL)
_LISTED = (AttributeType.CATEGORY, AttributeType.SET)
_STATES = ("granted", "denied", "pending", "withdrawn", "expired")


def schema_from_yaml(source: str | Path) -> Schema:
    """Read a schema file.

    Args:
        source: the YAML text, or the path of the file.

    Raises:
        SchemaError: what is wrong, where, and what is allowed there; subclasses for special categories,
            identifiers as attributes, and hash profiles.
    """
    return schema_from_dict(load_yaml(source))


def schema_from_dict(plain: object) -> Schema:
    """Read a schema from plain data: what `schema_to_dict` wrote, or a parsed schema file.

    Raises:
        SchemaError: see `schema_from_yaml`.
    """
    top = Section(
        plain,
        "",
        ("v", "person_id", "match_keys", "label", "attributes", "lawful_basis", "consent", "consents"),
    )
    if top.text("v", "1") != "1":
        raise SchemaError("The schema is of a version other than 1.", remedy="Update this software.")
    keys = tuple(_match_key(name, body) for name, body in named(top.raw("match_keys"), "match_keys"))
    if not keys:
        raise SchemaError("The schema declares no match key.", remedy="Add `match_keys:` with at least one.")
    schema = Schema(
        match_keys=keys,
        attributes=tuple(_attribute(name, body) for name, body in named(top.raw("attributes"), "attributes")),
        consents=_consents(top),
        person_id=_person_id(top),
        label=_label(top),
        lawful_basis=top.choice("lawful_basis", LAWFUL_BASES, "consent"),
    )
    _check_columns(schema)
    return schema


def _person_id(top: Section) -> str | None:
    if "person_id" not in top:
        return None
    body = top.raw("person_id")
    if isinstance(body, str):
        return as_text(body, "person_id")
    return Section(body, "person_id", ("column",)).text("column")


def _label(top: Section) -> Label | None:
    if "label" not in top:
        return None
    section = Section(top.raw("label"), "label", ("column", "values"))
    values = section.texts("values")
    if not 1 <= len(values) <= MAX_LABELS:
        raise SchemaError(
            f"label.values needs 1 to {MAX_LABELS} values.", remedy="List every label of the base."
        )
    return Label(column=section.text("column"), values=values)


def _match_key(name: str, body: object) -> MatchKey:
    path = f"match_keys.{name}"
    section = Section(
        body,
        path,
        (
            "column",
            "columns",
            "identifier",
            "hash_profile",
            "form",
            "default_region",
            "also_profiles",
            "legacy_md5",
        ),
    )
    columns = section.texts("columns") if "columns" in section else (section.text("column"),)
    if not 1 <= len(columns) <= 16:
        raise SchemaError(f"{path}.columns lists none or more than 16 columns.", remedy="Correct it.")
    identifier = cast(Identifier, section.choice("identifier", IDENTIFIERS, name))
    form = cast(Literal["raw", "hashed"], section.choice("form", ("raw", "hashed"), "raw"))
    key = MatchKey(
        name=name,
        columns=columns,
        identifier=identifier,
        hash_profile=section.text("hash_profile", "room"),
        form=form,
        default_region=section.optional_text("default_region"),
        also_profiles=section.texts("also_profiles"),
        legacy_md5=section.truth("legacy_md5"),
    )
    for profile in key.profiles:
        _check_profile(key, profile, path)
    if len(set(key.profiles)) != len(key.profiles):
        raise SchemaError(f"{path}.also_profiles repeats a profile.", remedy="Keep one of them.")
    if key.form == "hashed" and key.also_profiles:
        raise SchemaError(
            f"{path}.also_profiles needs raw values: a hash cannot be normalised again.", remedy="Remove it."
        )
    if key.default_region and key.default_region not in phonenumbers.SUPPORTED_REGIONS:
        raise SchemaError(
            f"{path}.default_region is not a country code.", remedy="Use two capitals, such as RU."
        )
    return key


def _check_profile(key: MatchKey, name: str, path: str) -> None:
    fitting = [one.name for one in HASH_PROFILES.values() if key.identifier in one.identifiers]
    if name not in fitting:
        raise HashProfileNotAllowedError(
            f"{path}: no such hash profile for {key.identifier}.", remedy=f"Use one of {', '.join(fitting)}."
        )
    if HASH_PROFILES[name].legacy and not key.legacy_md5:
        raise HashProfileNotAllowedError(
            f"{path}: profile {name} rests on MD5, which is refused by default.",
            remedy="Use another profile, or add `legacy_md5: true` to accept it for this key.",
        )


def _attribute(name: str, body: object) -> Attribute:
    path = f"attributes.{name}"
    section = Section(
        body,
        path,
        (
            *("type", "kind", "column", "origin", "sensitivity", "values", "bands", "clamp", "unit", "scale"),
            *("aggregate", "max_values", "separator", "null_values", "decimal_mark", "date_format"),
            *("open", "max_bytes"),
        ),
    )
    column = section.text("column", name)
    values = section.texts("values")
    sensitivity = Sensitivity(section.choice("sensitivity", tuple(Sensitivity), "normal"))
    _refuse(path, name, column, values, sensitivity)
    kind = AttributeType(section.choice("type", tuple(AttributeType)))
    scale = section.whole("scale", 0, 9, 2) if kind is AttributeType.DECIMAL else 0
    bands = tuple(_edge(text, kind, scale, section.at("bands")) for text in section.texts("bands"))
    clamp = tuple(_edge(text, kind, scale, section.at("clamp")) for text in section.texts("clamp"))
    attribute = Attribute(
        name=name,
        column=column,
        type=kind,
        kind=Kind(section.choice("kind", tuple(Kind), "descriptive")),
        origin=Origin(section.choice("origin", tuple(Origin), "indirect")),
        sensitivity=sensitivity,
        values=values,
        bands=bands,
        clamp=(clamp[0], clamp[1]) if len(clamp) == 2 else None,
        unit=section.optional_text("unit"),
        scale=scale,
        aggregate=cast(Literal["last", "sum"], section.choice("aggregate", ("last", "sum"), "last")),
        max_values=section.whole("max_values", 1, len(values) + 1, None if kind is AttributeType.SET else 1),
        separator=section.text("separator", "|"),
        null_values=section.texts("null_values"),
        decimal_mark=cast(Literal[".", ","], section.choice("decimal_mark", (".", ","), ".")),
        date_format=section.choice("date_format", DATE_FORMATS, "%Y-%m-%d"),
        open=section.truth("open"),
        max_bytes=section.whole("max_bytes", MIN_OPEN_BYTES, MAX_OPEN_BYTES, MAX_OPEN_BYTES),
    )
    _check_fit(attribute, section, clamp)
    return attribute


def _edge(text: str, kind: AttributeType, scale: int, path: str) -> int:
    if kind is AttributeType.DATE:
        return stored_day(text, path=path)
    return stored_number(text, scale=scale, path=path)


def _refuse(path: str, name: str, column: str, values: tuple[str, ...], sensitivity: Sensitivity) -> None:
    special = sensitivity is Sensitivity.SPECIAL or any(map(is_special_name, (name, column)))
    if special or any(map(is_special_value, values)):
        raise SpecialCategoryError(
            f"{path} is a special category of personal data (health, ethnicity, religion, politics, sexual"
            " life, biometrics, convictions), which is refused.",
            remedy="Leave the attribute out of the schema; its column may stay in the file and is not read.",
        )
    if any(map(is_identifying_name, (name, column))):
        raise IdentifierAsAttributeError(
            f"{path} identifies a person directly.", remedy="Declare it under `match_keys:` or leave it out."
        )


def _check_fit(attribute: Attribute, section: Section, clamp: tuple[int, ...]) -> None:
    # Which options make sense for which types.
    fits = {
        "values": _LISTED,
        "bands": (*_NUMBERS, AttributeType.DATE),
        "clamp": _NUMBERS,
        "scale": (AttributeType.DECIMAL,),
        "decimal_mark": (AttributeType.DECIMAL,),
        "aggregate": _NUMBERS,
        "max_values": (AttributeType.SET,),
        "separator": (AttributeType.SET,),
        "date_format": (AttributeType.DATE,),
        "open": (AttributeType.CATEGORY,),
        "max_bytes": (AttributeType.CATEGORY,),
    }
    for key, types in fits.items():
        if key in section and attribute.type not in types:
            raise SchemaError(
                f"{section.at(key)} does not apply to the type {attribute.type}.",
                remedy=f"Remove it; it is for {', '.join(types)}.",
            )
    _check_open(attribute, section)
    if attribute.type in _LISTED and not attribute.open:
        _check_values(attribute, section)
    if list(attribute.bands) != sorted(set(attribute.bands)) or len(attribute.bands) > MAX_BANDS:
        raise SchemaError(
            f"{section.at('bands')} is not at most {MAX_BANDS} ascending edges.", remedy="Sort them."
        )
    if clamp and (len(clamp) != 2 or clamp[0] >= clamp[1]):
        raise SchemaError(
            f"{section.at('clamp')} is not a lower and a higher bound.", remedy="Write [low, high]."
        )
    if max(map(abs, clamp), default=0) > MAX_CLAMP:
        raise SchemaError(
            f"{section.at('clamp')} passes {MAX_CLAMP} stored units from zero, where sums could overflow.",
            remedy="Narrow it, or lower `scale:`.",
        )


def _check_open(attribute: Attribute, section: Section) -> None:
    if attribute.open and attribute.values:
        raise SchemaError(
            f"{section.at('values')} stands beside `open: true`, which is for values that nobody can list.",
            remedy="Keep one of them.",
        )
    if "max_bytes" in section and not attribute.open:
        raise SchemaError(
            f"{section.at('max_bytes')} is for open categories.", remedy="Remove it, or add `open: true`."
        )


def _check_values(attribute: Attribute, section: Section) -> None:
    limit = MAX_VALUES if attribute.type is AttributeType.CATEGORY else MAX_SET_VALUES
    if not 1 <= len(attribute.values) <= limit:
        raise SchemaError(
            f"{section.at('values')} needs 1 to {limit} values.",
            remedy="List those to tell apart, others are `other`; or write `open: true` on a category.",
        )
    if {OTHER, UNKNOWN} & set(attribute.values):
        raise SchemaError(
            f"{section.at('values')} uses `{OTHER}` or `{UNKNOWN}`, which name cells of their own.",
            remedy="Leave it out, or list it under `null_values:` if it means that nothing is known.",
        )
    if set(attribute.values) & set(attribute.null_values):
        raise SchemaError(
            f"{section.at('null_values')} repeats a declared value.", remedy="Keep one of them."
        )
    if attribute.type is AttributeType.SET and any(
        attribute.separator in value for value in attribute.values
    ):
        raise SchemaError(
            f"{section.at('separator')} stands inside a value.", remedy="Choose another separator."
        )


def _consents(top: Section) -> tuple[Consent, ...]:
    entries: list[tuple[str, Any]]
    listed = top.raw("consents")
    if listed:
        # The plain form keeps order in a list and calls the name what it is.
        if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
            raise SchemaError(
                "consents is not a list of mappings.", remedy="Write `consent:` with one entry per purpose."
            )
        listed = [
            {"name": one.get("purpose"), **{k: v for k, v in one.items() if k != "purpose"}} for one in listed
        ]
        entries = named(listed, "consents")
    else:
        entries = named(top.raw("consent"), "consent")
    return tuple(_consent(purpose, body) for purpose, body in entries)


def _consent(purpose: str, body: object) -> Consent:
    path = f"consent.{purpose}"
    section = Section(body, path, ("column", *_STATES, "collected_at", "expires_at"))
    states = {state: section.texts(state) for state in _STATES}
    if not states["granted"]:
        raise SchemaError(
            f"{path}.granted lists no value, so nobody could consent.", remedy="Add `granted: [...]`."
        )
    folded = [value.lower() for values in states.values() for value in values]
    if len(set(folded)) != len(folded):
        raise SchemaError(
            f"{path} lists a value twice (case does not count).", remedy="Keep it under one state."
        )
    return Consent(
        purpose=purpose,
        column=section.text("column"),
        collected_at=section.optional_text("collected_at"),
        expires_at=section.optional_text("expires_at"),
        **states,
    )


def _check_columns(schema: Schema) -> None:
    identifying = {column for key in schema.match_keys for column in key.columns} | {schema.person_id}
    for attribute in schema.attributes:
        if attribute.column in identifying:
            raise IdentifierAsAttributeError(
                f"attributes.{attribute.name} reads a column of a match key or of person_id.",
                remedy="Remove the attribute.",
            )
