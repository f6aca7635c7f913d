"""The published document is the code's: valid, complete, and true to what is answered under any input."""

from collections import Counter
from typing import Any

import jsonschema_rs
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
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

EXAMPLES = 6
NO_KEY = {"/v1/estimates", "/v1/uploads"}
"""An estimate makes nothing; an upload is named by its package's id, and clients of tus know no keys."""
HOUSE = settings(deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
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


@pytest.mark.parametrize("who", ["advertiser.owner", "agency.owner", "provider.owner", "operator.operator"])
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_no_input_meets_a_failure_or_an_answer_that_is_not_documented(
    shared: World, who: str, mode: GenerationMode
) -> None:
    schema = schemathesis.openapi.from_asgi("/openapi.json", shared.app)
    headers = {"Authorization": f"Bearer {shared.token(who)}"}
    if who.startswith("agency"):
        headers["Cleanroom-Advertiser"] = shared.party("advertiser").organisation_id
    known = {"base_id": base_id(shared), "dataset_id": dataset_id(shared), "version_id": base_version(shared)}
    statuses: Counter[int] = Counter()
    operations = [found.ok() for found in schema.get_all_operations()]
    for operation in operations:
        wanted = {one.name for one in operation.path_parameters}
        # What exists is reached too, not only what a generator makes up.
        given_ids = {name: one for name, one in known.items() if name in wanted} or None

        if mode is GenerationMode.NEGATIVE:
            # Where nothing is taken, nothing can be wrong.
            if not operation.body and not list(operation.iter_parameters()):
                continue
            given_ids = None
        explored(operation, mode, given_ids, headers, statuses)
    assert len(operations) > 20
    assert statuses.total() > len(operations)
    assert statuses[200 if mode is GenerationMode.POSITIVE else 422] > 0


def explored(
    operation: APIOperation,
    mode: GenerationMode,
    known: dict[str, str] | None,
    headers: dict[str, str],
    statuses: Counter[int],
) -> None:
    @settings(HOUSE, max_examples=EXAMPLES, database=None)
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
