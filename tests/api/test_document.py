"""The published document is the code's: valid, complete, and true to what is answered under any input."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import jsonschema_rs
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from advertiser_api.public import is_public
from cleanroom.access.scopes import SCOPES
from tests.api.matrix import base_id, base_version, dataset_id
from tests.api.world import World

FEW, MANY = 5, 15
"""Examples for each operation: in every run of the tests, and in the long one."""
_SUBJECTS = "/v1/datasets/{dataset_id}/subjects"
NO_KEY = {"/v1/estimates", "/v1/uploads", f"{_SUBJECTS}/lookup", f"{_SUBJECTS}/export"}
"""An estimate makes nothing; an upload is named by its package's id, and clients of tus know no keys. What is said of a
person is not kept to be said again."""
HOUSE = settings(deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
MODES = [GenerationMode.POSITIVE, GenerationMode.NEGATIVE]
PARTIES = ["advertiser.owner", "provider.owner", "operator.operator", "agency.owner"]
UNSHRUNK = settings(HOUSE, phases=[Phase.generate])
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


@pytest.fixture(scope="module")
def document(shared: World) -> dict[str, Any]:
    answer = shared.call(None, "GET", "/openapi.json")
    assert answer.status_code == 200
    content: dict[str, Any] = answer.json()
    return content


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (path, method, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
    ]


def test_the_document_says_who_may(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1.")
    flow = document["components"]["securitySchemes"]["oauth2"]["flows"]["clientCredentials"]
    assert set(flow["scopes"]) == set(SCOPES)
    assert flow["tokenUrl"] == "/oauth/token"
    for path, method, operation in operations(document):
        assert bool(operation.get("security")) != is_public(path), (path, method)
        for need in operation.get("security", ()):
            assert set(need["oauth2"]) <= set(SCOPES)


def test_every_operation_can_be_named_and_shows_what_it_takes(document: dict[str, Any]) -> None:
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(names) == len(set(names))
    order = [tag["name"] for tag in document["tags"]]
    for path, method, operation in operations(document):
        assert operation["summary"], (path, method)
        assert set(operation["tags"]) <= set(order)
        if method == "post" and operation.get("security") and path not in NO_KEY:
            headers = [one for one in operation["parameters"] if one["name"] == "Idempotency-Key"]
            assert [one["required"] for one in headers] == [True], path


def test_every_schema_in_the_document_is_one(document: dict[str, Any]) -> None:
    for name, schema in document["components"]["schemas"].items():
        whole = {**schema, "components": document["components"]}
        jsonschema_rs.meta.validate({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema})
        jsonschema_rs.validator_for(whole)
        for example in schema.get("examples", ()):
            assert jsonschema_rs.validator_for(whole).is_valid(example), name


@pytest.mark.parametrize("mode", MODES)
def test_no_input_meets_a_failure_or_an_answer_that_is_not_documented(
    shared: World, mode: GenerationMode
) -> None:
    """Every operation, as somebody who may: whoever may not is stopped at the door."""
    explore(shared, mode, lambda operation: somebody_who_may(shared, operation), examples=FEW)


@pytest.mark.long
@pytest.mark.parametrize("who", PARTIES)
@pytest.mark.parametrize("mode", MODES)
def test_no_input_of_anybody_meets_one(shared: World, who: str, mode: GenerationMode) -> None:
    explore(shared, mode, lambda _: who, examples=MANY)


def _failing(scope: Any) -> tuple[int, bytes]:
    # Only for some inputs, as real ones.
    return (
        (500, b"{}") if b"limit=" in scope["query_string"] else (200, b'{"items": [], "next_cursor": null}')
    )


SEEDS = {
    "a failure for some inputs": _failing,
    "a status that is not documented": lambda scope: (418, b"{}"),
    "a body of another shape": lambda scope: (200, b'{"items": 1}'),
}


@pytest.mark.parametrize("seed", SEEDS.values(), ids=SEEDS)
def test_what_is_seeded_is_found(shared: World, seed: Callable[[Any], tuple[int, bytes]]) -> None:
    async def faulty(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["path"] != "/v1/keys":
            await shared.app(scope, receive, send)
            return
        status, body = seed(scope)
        kind = (b"content-type", b"application/json" if status < 400 else b"application/problem+json")
        await send({"type": "http.response.start", "status": status, "headers": [kind]})
        await send({"type": "http.response.body", "body": body})

    schema = schemathesis.openapi.from_asgi("/openapi.json", faulty)
    operation = schema["/v1/keys"]["GET"]
    with pytest.raises((AssertionError, FailureGroup)):
        explored(operation, GenerationMode.POSITIVE, None, {}, Counter(), examples=FEW, house=UNSHRUNK)


def somebody_who_may(world: World, operation: APIOperation) -> str:
    needs = {
        scope for need in operation.definition.raw.get("security", ()) for scope in need.get("oauth2", ())
    }
    return next(who for who in PARTIES if needs <= set(world.clients[who].scopes))


def explore(
    shared: World, mode: GenerationMode, who: Callable[[APIOperation], str], *, examples: int
) -> None:
    schema = schemathesis.openapi.from_asgi("/openapi.json", shared.app)
    known = {"base_id": base_id(shared), "dataset_id": dataset_id(shared), "version_id": base_version(shared)}
    statuses: Counter[int] = Counter()
    operations = [found.ok() for found in schema.get_all_operations()]
    for operation in operations:
        wanted = {one.name for one in operation.path_parameters}
        # What exists is reached too, not only what a generator makes up.
        given_ids = {name: one for name, one in known.items() if name in wanted} or None

        if mode is GenerationMode.NEGATIVE:
            # Where nothing is taken, or any text will do, nothing can be wrong.
            if not operation.body and all(any_text(one["schema"]) for one in parameters(operation)):
                continue
            given_ids = None
        caller = who(operation)
        headers = {"Authorization": f"Bearer {shared.token(caller)}"}
        if caller.startswith("agency"):
            headers["Cleanroom-Advertiser"] = shared.party("advertiser").organisation_id
        explored(operation, mode, given_ids, headers, statuses, examples=examples)
    assert len(operations) > 20
    assert statuses.total() > len(operations)
    assert statuses[200 if mode is GenerationMode.POSITIVE else 422] > 0


def parameters(operation: APIOperation) -> list[dict[str, Any]]:
    return list(operation.definition.raw.get("parameters", ()))


def any_text(schema: dict[str, Any]) -> bool:
    if "anyOf" in schema:
        return all(one == {"type": "null"} or any_text(one) for one in schema["anyOf"])
    return schema.get("type") == "string" and not schema.keys() & {
        "pattern",
        "enum",
        "format",
        "maxLength",
        "minLength",
    }


def explored(
    operation: APIOperation,
    mode: GenerationMode,
    known: dict[str, str] | None,
    headers: dict[str, str],
    statuses: Counter[int],
    *,
    examples: int,
    house: settings = HOUSE,
) -> None:
    @settings(house, max_examples=examples, database=None)
    @given(data=st.data())
    def run(data: st.DataObject) -> None:
        ids = data.draw(st.sampled_from([None, known]))
        case = data.draw(operation.as_strategy(mode, path_parameters=ids))
        answer = case.call(headers=headers)
        statuses[answer.status_code] += 1
        # Its own summary can miss one.
        assert answer.status_code < 500, (case.method, case.path, answer.status_code)
        case.validate_response(answer, checks=CHECKS)

    run()
