"""The document of the API: OpenAPI 3.1, made from the routes, with the answers that all of them can give."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from advertiser_api.idempotency import HEADER, REPLAYED
from advertiser_api.middleware import REQUEST_ID
from advertiser_api.problems import MEDIA_TYPE, Problem
from advertiser_api.v1 import TAGS

DESCRIPTION = """\
Aggregates in, aggregates out: what leaves a clean room is noisy, thresholded and signed.

Every error is a problem (RFC 9457) with a stable `code`. Every POST takes an `Idempotency-Key`. Lists come in pages.
Instants are RFC 3339 in UTC. An agency names the advertiser it acts for in the header `Cleanroom-Advertiser`.
"""
_FOR_ALL = {
    400: "Not as it should be",
    413: "Too large",
    422: "Parts of it do not fit",
    429: "Too many requests",
}
_FOR_ALL |= {500: "A failure inside the room", 503: "Not now"}
_FOR_CLIENTS = {401: "No good access token", 403: "A scope is missing", 404: "Not there, or not yours"}
_FOR_WRITERS = {409: "In conflict with what is there", 415: "Not JSON"}
_METHODS = ("get", "put", "post", "delete", "patch", "head", "options")


def document(app: FastAPI) -> dict[str, Any]:
    """Return the document, made once."""
    if app.openapi_schema is None:
        made = get_openapi(
            title=app.title,
            version=app.version,
            openapi_version=app.openapi_version,
            summary="Match your customers with a data provider's, and learn only what may be learnt.",
            description=DESCRIPTION,
            routes=app.routes,
            tags=[{"name": name, "description": text} for name, text in TAGS.items()],
        )
        schemas = made.setdefault("components", {}).setdefault("schemas", {})
        # Validation errors are problems too.
        for unused in ("HTTPValidationError", "ValidationError"):
            schemas.pop(unused, None)
        problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas |= problem.pop("$defs", {}) | {"Problem": problem}
        for item in made["paths"].values():
            for method in _METHODS:
                if method in item:
                    _complete(item[method], method)
        app.openapi_schema = made
    return app.openapi_schema


def _complete(operation: dict[str, Any], method: str) -> None:
    answers = operation["responses"]
    answers.pop("422", None)
    possible = dict(_FOR_ALL)
    if operation.get("security"):
        possible |= _FOR_CLIENTS
    if method not in ("get", "head", "options"):
        possible |= _FOR_WRITERS
    for status, text in possible.items():
        answers.setdefault(str(status), {"description": text})
    for status, answer in answers.items():
        if status < "400":
            continue
        # The authorization server has errors of its own beside.
        answer.setdefault("content", {})[MEDIA_TYPE] = {"schema": {"$ref": "#/components/schemas/Problem"}}
    only_once = False
    for parameter in operation.get("parameters", ()):
        if parameter["name"] == HEADER:
            only_once = True
            # Optional for the framework, so that a missing one is answered with a remedy.
            parameter["required"] = True
            parameter["schema"] = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$"}
    for status, answer in answers.items():
        headers = answer.setdefault("headers", {})
        headers[REQUEST_ID] = {
            "description": "Names the request in the room's log.",
            "schema": {"type": "string"},
        }
        if only_once and status.startswith("2"):
            headers[REPLAYED] = {"description": "true on a repeated answer", "schema": {"type": "string"}}
