"""Every error has a deliberate status and one shape, and tells nothing that the caller did not send."""

import ast
from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import Depends
from pydantic import BaseModel
from sqlalchemy.exc import OperationalError

from advertiser_api.auth import requires
from advertiser_api.errors import UnexpectedError
from advertiser_api.idempotency import OnlyOnce
from advertiser_api.problems import MEDIA_TYPE
from advertiser_api.statuses import DEFAULT_STATUS, OUT_OF_REACH, STATUSES, status_of
from cleanroom.access.types import Principal
from crypto.errors import CryptoError
from tests.api.world import World

ROOT = Path(__file__).parents[2]
SECRET = "anna@example.org"


def codes() -> set[str]:
    """The codes of all errors of the project, read from its sources."""
    found = set()
    for package in ("cleanroom", "crypto", "policies", "provider_portal", "advertiser_api"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ClassDef) and node.name.endswith("Error"):
                    found |= {
                        ast.literal_eval(line.value)
                        for line in node.body
                        if isinstance(line, ast.Assign) and getattr(line.targets[0], "id", "") == "code"
                    }
    return found


def test_every_error_has_a_status_on_purpose() -> None:
    reachable = {code for code in codes() if code.partition(".")[0] not in OUT_OF_REACH}
    assert len(reachable) > 80
    assert reachable - set(STATUSES) == set()


def test_the_table_names_errors_that_exist() -> None:
    assert set(STATUSES) - codes() == set()
    assert status_of("unheard.of") == DEFAULT_STATUS


class Text(BaseModel):
    text: str


@pytest.fixture
def failing(world: World) -> World:
    """A world with routes that fail in all ways, called through everything that surrounds a route."""
    caller = Annotated[Principal, Depends(requires())]

    def unforeseen(_caller: caller) -> None:
        raise ValueError(SECRET)

    def damaged(_caller: caller) -> None:
        raise CryptoError(f"the key of {SECRET} is damaged")

    def busy(_caller: caller) -> None:
        raise OperationalError("SELECT ?", [SECRET], Exception(SECRET))

    def fails_in_its_transaction(caller: caller, once: OnlyOnce, body: Text) -> Any:
        def work(tx: object) -> Text:
            raise ValueError(body.text)

        return once(caller, work)

    for handler in (unforeseen, damaged, busy):
        world.app.add_api_route(f"/v1/{handler.__name__}", handler)
    world.app.add_api_route("/v1/fails", fails_in_its_transaction, methods=["POST"])
    return world


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("GET", "/v1/unforeseen", None, 500, "api.unexpected"),
        ("GET", "/v1/damaged", None, 500, "api.unexpected"),
        ("POST", "/v1/fails", {"text": SECRET}, 500, "api.unexpected"),
        ("GET", "/v1/busy", None, 503, "api.unavailable"),
        ("GET", "/v1/nowhere", None, 404, "api.not_found"),
        ("GET", f"/v1/bases/{SECRET}", None, 404, "api.not_found"),
        ("PATCH", "/v1/me", None, 405, "api.method_not_allowed"),
        ("POST", "/v1/keys", {"public_key": 5, SECRET: 1}, 422, "api.invalid"),
        ("GET", f"/v1/bases?limit=0&cursor={SECRET}", None, 422, "api.invalid"),
        ("GET", f"/v1/bases?cursor={SECRET}", None, 400, "api.bad_cursor"),
        ("GET", "/v1/events?cursor=MTphYmM", None, 400, "api.bad_cursor"),
    ],
)
def test_what_fails_is_told_in_one_shape(
    failing: World, method: str, path: str, body: Any, status: int, code: str
) -> None:
    answer = failing.call("advertiser.owner", method, path, body)
    assert answer.headers["content-type"] == MEDIA_TYPE
    content = answer.json()
    assert (answer.status_code, content["status"], content["code"]) == (status, status, code)
    assert content["type"].endswith("/" + code)
    assert content["instance"] == answer.headers["Request-Id"]
    assert content["title"]
    assert content["remedy"]
    told = {**content, "errors": [one["message"] for one in content.get("errors", [])]}
    assert SECRET not in str(told)
    assert SECRET not in failing.log.getvalue()
    assert any(line["request_id"] == content["instance"] for line in failing.lines())


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/v1/keys", {"GET", "POST"}),
        ("/v1/bases/ds_" + "0" * 32, {"GET", "DELETE"}),
        ("/v1/uploads/up_" + "0" * 32, {"HEAD", "GET", "PATCH", "DELETE"}),
    ],
)
def test_another_method_is_told_all_that_there_are(world: World, path: str, methods: set[str]) -> None:
    # RFC 9110, section 15.5.6.
    answer = world.call("advertiser.owner", "PUT", path, {})
    assert answer.status_code == 405
    assert set(answer.headers["Allow"].split(", ")) == methods


def test_a_failure_is_logged_by_where_it_came_from(failing: World) -> None:
    answer = failing.call("advertiser.owner", "GET", "/v1/unforeseen")
    [line] = [line for line in failing.lines() if line["event"] == "failure"]
    assert line["error"] == "ValueError"
    assert line["request_id"] == answer.headers["Request-Id"]
    assert any(frame.startswith("unforeseen:") for frame in line["frames"])


def test_each_part_that_does_not_fit_is_pointed_at(world: World) -> None:
    answer = world.call("advertiser.owner", "POST", "/v1/mandates", {"cap": {"minor": SECRET}})
    assert {(one["where"], one["pointer"]) for one in answer.json()["errors"]} == {
        ("body", "/agency_id"),
        ("body", "/cap/minor"),
        ("body", "/cap/currency"),
    }
    assert SECRET not in answer.text


@pytest.mark.parametrize(
    ("content", "media", "status"),
    [
        (b'{"public_key": "AAAA"', "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b'{"public_key": "AAAA"}', "text/plain", 415),
        (b"public_key=AAAA", "application/x-www-form-urlencoded", 415),
        (b'{"public_key": "\\ud800"}', "application/json", 422),
        (b'{"public_key": "A\\u0000"}', "application/json", 422),
        (b"\xff\xfe", "application/json", 400),
    ],
)
def test_bodies_that_cannot_be_read_are_told_apart(
    shared: World, content: bytes, media: str, status: int
) -> None:
    headers = {
        "Authorization": f"Bearer {shared.token('advertiser.owner')}",
        "Idempotency-Key": "k",
        "Content-Type": media,
    }
    answer = shared.http.post("/v1/keys", content=content, headers=headers)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == MEDIA_TYPE


def test_a_method_that_is_not_taken_names_those_that_are(shared: World) -> None:
    assert shared.call("advertiser.owner", "PATCH", "/v1/me").headers["Allow"] == "GET"


def test_an_unexpected_error_tells_nothing_of_itself() -> None:
    assert status_of(UnexpectedError.code) == 500
    assert status_of(CryptoError.code) == 500
