"""Describing a new dataset: from a file's columns to a schema, which only its names have to leave the browser for."""

import json
import re
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from cleanroom.access.scopes import DATASETS_WRITE
from cleanroom.datasets.errors import DatasetNameError
from cleanroom.datasets.types import DatasetKind
from cleanroom.errors import CleanroomError
from cleanroom.schema.categories import special_value_keys
from cleanroom.schema.codec import DATE_FORMATS, LAWFUL_BASES, schema_from_dict
from cleanroom.schema.errors import SchemaError
from cleanroom.schema.model import Schema, schema_to_dict
from cleanroom.schema.naming import suggest_columns
from cleanroom.schema.writing import schema_to_yaml
from cleanroom.schema.yaml_text import load_yaml
from cleanroom.workspaces.first_use import workspace_for
from provider_portal.cabinet.wizard_words import PURPOSES, wizard_words
from provider_portal.error_words import error_words
from provider_portal.ui import PROVIDERS, go, page
from provider_portal.visits import Visit, needs, read_json

router = APIRouter(prefix="/datasets/new")
Writing = Annotated[Visit, Depends(needs(DATASETS_WRITE, kinds=PROVIDERS))]
MAX_COLUMNS = 16_384
MAX_SCHEMA_CHARACTERS = 1 << 20
# YAML is read a hundred times slower than JSON, and by a person's hand: more than this nobody types.
MAX_YAML_CHARACTERS = 128 << 10
_FOR_FILES = re.compile(r"[^\w.-]+")


@router.get("")
def describe(visit: Writing) -> Response:
    """Show the wizard: empty, or with the description of another dataset."""
    like, schema = visit.asked("like"), ""
    if like:
        with visit.room.db.reading() as tx:
            other = visit.room.datasets.owned(
                tx, like, organisation_id=visit.who.organisation_id, kind=DatasetKind.DATASET
            )
        schema = json.dumps(schema_to_dict(other.schema), ensure_ascii=False)
    return _wizard(visit, schema=schema, name="")


@router.post("")
def register(visit: Writing) -> Response:
    """Register the dataset, and go on to the two ways in."""
    name, text = visit.typed("name", longest=400), _schema_text(visit)
    room, organisation_id = visit.room, visit.who.organisation_id
    try:
        schema = read_schema(text)
        with room.db.transaction() as tx:
            workspace = workspace_for(
                tx, accounts=room.accounts, workspaces=room.workspaces, organisation_id=organisation_id
            )
            made = room.datasets.register(
                tx, workspace_id=workspace.id, kind=DatasetKind.DATASET, name=name, schema=schema
            )
    except CleanroomError as error:
        unnamed = isinstance(error, DatasetNameError)
        return _wizard(visit, schema=text, name=name, error=error_words(error), unnamed=unnamed, status=409)
    return go(visit, f"/datasets/{made.id}/load")


@router.post("/suggest")
def suggest(visit: Writing) -> Response:
    """Suggest what columns are, by their names: nothing else of a file comes here."""
    try:
        names: Any = read_json(visit.typed("columns", longest=MAX_SCHEMA_CHARACTERS))
    except ValueError:
        names = None
    if (
        not isinstance(names, list)
        or len(names) > MAX_COLUMNS
        or not all(isinstance(one, str) for one in names)
    ):
        raise HTTPException(400)
    return JSONResponse([vars(one) for one in suggest_columns([name[:256] for name in names])])


@router.post("/check")
def check(visit: Writing) -> Response:
    """Tell whether a description is accepted, and how it reads as a file."""
    try:
        schema = read_schema(_schema_text(visit))
    except SchemaError as error:
        return JSONResponse({"error": error_words(error)})
    return JSONResponse({"yaml": schema_to_yaml(schema), "schema": schema_to_dict(schema)})


@router.post("/schema.yaml")
def download(visit: Writing) -> Response:
    """Send the description as a file."""
    name, text = visit.typed("name", longest=400), _schema_text(visit)
    try:
        yaml = schema_to_yaml(read_schema(text))
    except SchemaError as error:
        return _wizard(visit, schema=text, name=name, error=error_words(error), status=409)
    return attachment(yaml, "schema.yaml", "application/yaml")


def read_schema(text: str) -> Schema:
    """Read what was typed or put together: JSON or YAML; raises SchemaError."""
    if text.lstrip().startswith("{"):
        try:
            plain = read_json(text)
        except ValueError:
            plain = None
        if plain is not None:
            return _for_dataset(schema_from_dict(plain))
    if len(text) > MAX_YAML_CHARACTERS:
        raise SchemaError(
            f"The description is longer than {MAX_YAML_CHARACTERS} characters.", remedy="Write it as JSON."
        )
    return _for_dataset(schema_from_dict(load_yaml(text)))


def attachment(text: str, name: str, media_type: str) -> Response:
    """Answer with a file to be saved."""
    safe = _FOR_FILES.sub("-", name).encode("ascii", "ignore").decode()
    headers = {"Content-Disposition": f'attachment; filename="{safe}"'}
    return Response(text, media_type=f"{media_type}; charset=utf-8", headers=headers)


def _for_dataset(schema: Schema) -> Schema:
    if schema.label:
        raise SchemaError("Only a base has a label.", remedy="Declare the column as an attribute.")
    return schema


def _schema_text(visit: Visit) -> str:
    return visit.typed("schema", longest=MAX_SCHEMA_CHARACTERS)


def _wizard(
    visit: Visit,
    *,
    schema: str,
    name: str,
    error: str | None = None,
    unnamed: bool = False,
    status: int = 200,
) -> Response:
    return page(
        visit,
        "cabinet/describe.html",
        status=status,
        schema=schema,
        name=name,
        error=error,
        unnamed=unnamed,
        public_url=visit.request.app.state.public_url,
        data={
            "words": wizard_words(visit.writing),
            "language": visit.writing.language,
            "bases": LAWFUL_BASES,
            "purposes": PURPOSES,
            "date_formats": DATE_FORMATS,
            "special_values": sorted(special_value_keys()),
            "url": visit.request.app.state.public_url,
        },
    )
