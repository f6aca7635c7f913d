"""What the room tells its operator of requests: log lines of allowed fields, and counts by route; nothing of people."""

import json
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import Any, TextIO

import structlog
from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

_ALLOWED = frozenset(
    {
        *("event", "level", "timestamp", "request_id", "method", "route", "status", "seconds"),
        *("client_id", "organisation_id", "error", "code", "frames"),
    }
)
"""Whatever else a line is given is dropped: a token, a body or a query cannot be logged by mistake."""
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_FRAMES = 12
UNMATCHED = "unmatched"
SHARED_COUNTS = "PROMETHEUS_MULTIPROC_DIR"
"""Names a directory where the processes of a room count together; prometheus_client reads it when it is loaded."""

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Telemetry:
    """Log lines and counts of one application."""

    def __init__(self, *, log: TextIO | None = None) -> None:
        """Prepare.

        Args:
            log: where lines of JSON go; the process's standard error when not given.
        """
        self.registry = CollectorRegistry()
        own = self.registry
        if SHARED_COUNTS in os.environ:
            # Each process counts into files; whoever is asked adds them up.
            MultiProcessCollector(self.registry)  # type: ignore[no-untyped-call]
            own = CollectorRegistry()
        self._requests = Counter(
            "cleanroom_http_requests",
            "Requests answered, by route template.",
            ("method", "route", "status"),
            registry=own,
        )
        self._seconds = Histogram(
            "cleanroom_http_request_seconds",
            "Time until a request was answered, by route template.",
            ("method", "route"),
            buckets=_BUCKETS,
            registry=own,
        )
        self._log = structlog.wrap_logger(
            structlog.PrintLogger(log or sys.stderr),
            processors=[
                structlog.processors.add_log_level,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                allow_listed,
                structlog.processors.JSONRenderer(serializer=json.dumps),
            ],
            wrapper_class=structlog.BoundLogger,
        )

    def answered(self, scope: MutableMapping[str, Any], *, status: int, seconds: float) -> None:
        """Note that a request was answered."""
        route, method = route_of(scope), _method(scope)
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(seconds)
        self._log.info("request", status=status, seconds=round(seconds, 6), **_caller(scope))

    def failed(self, scope: MutableMapping[str, Any], error: BaseException) -> None:
        """Note a failure by its type and the lines it came through; its text may hold data, and is not written."""
        frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
        self._log.error(
            "failure",
            error=type(error).__qualname__,
            code=getattr(error, "code", None),
            frames=[f"{frame.name}:{frame.lineno}" for frame in frames],
            **_caller(scope),
        )


class DeliveryCounts(Collector):
    """Deliveries of webhooks by what has become of them, counted when somebody looks: workers have no metrics."""

    def __init__(self, count: Callable[[], Mapping[str, int]]) -> None:
        """Prepare.

        Args:
            count: gives the number of deliveries that are kept, by state.
        """
        self._count = count

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Tell the name without counting."""
        yield self._family()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Count."""
        family = self._family()
        for state, number in self._count().items():
            family.add_metric([state], number)
        yield family

    def _family(self) -> GaugeMetricFamily:
        return GaugeMetricFamily(
            "cleanroom_webhook_deliveries",
            "Deliveries of webhooks in the last week, by what has become of them.",
            labels=["state"],
        )


def allow_listed(_logger: Any, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Keep the allowed fields of a log line."""
    return {field: value for field, value in line.items() if field in _ALLOWED and value is not None}


def route_of(scope: MutableMapping[str, Any]) -> str:
    """Return the template of the route that a request met, never its address."""
    return getattr(scope.get("route"), "path", None) or UNMATCHED


def _method(scope: MutableMapping[str, Any]) -> str:
    # The method is the caller's text; as a label it could name a new series with every request.
    return scope["method"] if scope["method"] in _METHODS else "other"


def _caller(scope: MutableMapping[str, Any]) -> dict[str, Any]:
    state = scope.get("state", {})
    principal = state.get("principal")
    return {
        "request_id": state.get("request_id"),
        "method": _method(scope),
        "route": route_of(scope),
        "client_id": getattr(principal, "client_id", None),
        "organisation_id": getattr(principal, "organisation_id", None),
    }
