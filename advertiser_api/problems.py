"""Every error as a problem (RFC 9457): one shape, stable types, and nothing that the caller did not send."""

import inspect
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.routing import Match

from advertiser_api.errors import (
    BodyTooLargeError,
    InvalidRequestError,
    MalformedRequestError,
    MediaTypeError,
    MethodNotAllowedError,
    RouteNotFoundError,
    UnexpectedError,
)
from advertiser_api.statuses import status_of
from advertiser_api.telemetry import Telemetry
from cleanroom.errors import KNOWN_ERRORS, CleanroomError

PROBLEM_TYPES = "https://cleanroom.invalid/problems/"
MEDIA_TYPE = "application/problem+json"
MAX_POINTERS = 50
_METHODS = ("DELETE", "GET", "HEAD", "PATCH", "POST", "PUT")
_UNEXPECTED = UnexpectedError(
    "Something failed inside the room.", remedy="Try again; if it stays, tell the operator the instance."
)
_BY_STATUS: dict[int, CleanroomError] = {
    404: RouteNotFoundError("There is nothing at this address.", remedy="See /openapi.json."),
    405: MethodNotAllowedError("This address does not take this method.", remedy="See the Allow header."),
    413: BodyTooLargeError("The body is larger than 1 MiB.", remedy="Send less, or upload a file."),
}


class Fault(BaseModel):
    """One part of a request that does not fit; its value is not repeated."""

    where: Annotated[str, Field(description="body, path, query or header", examples=["body"])]
    pointer: Annotated[str, Field(description="JSON pointer (RFC 6901)", examples=["/name"])]
    message: str


class ReasonOut(BaseModel):
    """One rule or account that refuses, and the nearest that it permits."""

    rule: Annotated[str, Field(examples=["budget_advertiser"])]
    message: str
    limit: int | str | list[str]
    asked: int | str | list[str]
    nearest: Annotated[dict[str, Any] | None, Field(description="what would fit; null when nothing does")] = (
        None
    )


class Problem(BaseModel):
    """What went wrong and what to do (RFC 9457)."""

    type: Annotated[str, Field(examples=[PROBLEM_TYPES + "datasets.not_found"])]
    title: str
    status: int
    detail: str
    remedy: str
    code: Annotated[str, Field(description="stable", examples=["datasets.not_found"])]
    instance: Annotated[str, Field(description="the request's id, as in the header Request-Id")]
    errors: list[Fault] | None = None
    reasons: Annotated[
        list[ReasonOut] | None, Field(description="why a rule or the privacy budget refuses")
    ] = None
    missing: Annotated[
        list[str] | None, Field(description="what would have to exist before it can be decided")
    ] = None


def problem(
    request: Request,
    error: Exception,
    *,
    status: int | None = None,
    faults: list[Fault] | None = None,
    headers: dict[str, str] | None = None,
) -> JSONResponse:
    """Write an error with a code as a response.

    Args:
        request: which failed.
        error: one of `KNOWN_ERRORS`.
        status: by the table of statuses when not given; from 500 on the error is not shown.
        faults: single parts that do not fit.
        headers: besides those that the error brings.
    """
    code = getattr(error, "code", CleanroomError.code)
    status = status_of(code) if status is None else status
    if status == 500 and not isinstance(error, UnexpectedError):
        telemetry_of(request).failed(request.scope, error)
        error, code = _UNEXPECTED, _UNEXPECTED.code
    content = Problem(
        type=PROBLEM_TYPES + code,
        title=_title(error, status),
        status=status,
        detail=getattr(error, "message", ""),
        remedy=getattr(error, "remedy", ""),
        code=code,
        instance=getattr(request.state, "request_id", ""),
        errors=faults,
    )
    sent = dict(headers or {})
    challenge: str = getattr(request.state, "challenge", "")
    if status in (401, 403) and challenge:
        sent["WWW-Authenticate"] = challenge
    if hasattr(error, "retry_after"):
        sent["Retry-After"] = str(error.retry_after)
    return JSONResponse(
        content.model_dump(exclude_none=True), status_code=status, headers=sent, media_type=MEDIA_TYPE
    )


def unexpected(request: Request) -> JSONResponse:
    """Answer a failure that nobody foresaw, without a word on what it was."""
    return problem(request, _UNEXPECTED)


def telemetry_of(request: Request) -> Telemetry:
    """Return where the application's log lines and counts go."""
    telemetry: Telemetry = request.app.state.telemetry
    return telemetry


def install(app: FastAPI) -> None:
    """Make an application answer every error as a problem."""
    for known in KNOWN_ERRORS:
        app.add_exception_handler(known, _known)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)


async def _known(request: Request, error: Exception) -> JSONResponse:
    return problem(request, error)


async def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    known = _BY_STATUS.get(error.status_code)
    if known is None:
        # FastAPI's only other one: a body that is no JSON at all, or nested too deeply to be read.
        known = MalformedRequestError("The request cannot be read.", remedy="Send valid JSON.")
    headers = dict(error.headers or {})
    if error.status_code == 405:
        headers["Allow"] = ", ".join(_methods_at(request))
    return problem(request, known, headers=headers)


def _methods_at(request: Request) -> list[str]:
    """Return every method of the request's address: the framework names those of the first route alone."""
    return [
        method
        for method in _METHODS
        if any(
            route.matches({**request.scope, "method": method})[0] is Match.FULL
            for route in request.app.routes
        )
    ]


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    found = error.errors()
    if any(fault["loc"][0] == "path" for fault in found):
        # No id has this form, so nothing can be there.
        return problem(request, _BY_STATUS[404])
    if any(fault["loc"][0] == "body" for fault in found) and not _is_json(request):
        return problem(
            request, MediaTypeError("The body is not JSON.", remedy="Send Content-Type: application/json.")
        )
    if any(fault["type"] == "json_invalid" for fault in found):
        return problem(
            request, MalformedRequestError("The body is not valid JSON.", remedy="Send valid JSON.")
        )
    faults = [_fault(fault) for fault in found[:MAX_POINTERS]]
    return problem(
        request,
        InvalidRequestError("Parts of the request do not fit.", remedy="Correct what `errors` lists."),
        faults=faults,
    )


def _is_json(request: Request) -> bool:
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return media == "application/json" or (media.startswith("application/") and media.endswith("+json"))


def _fault(fault: dict[str, Any]) -> Fault:
    where, *path = fault["loc"]
    pointer = "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)
    return Fault(where=str(where), pointer=pointer, message=str(fault["msg"]).removeprefix("Value error, "))


def _title(error: Exception, status: int) -> str:
    # The first line of an error's docstring says what it means, whichever occurrence it is.
    return (inspect.getdoc(type(error)) or HTTPStatus(status).phrase).splitlines()[0]
