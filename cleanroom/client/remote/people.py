"""People who opt out, and one person at a time."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, TypedDict
from urllib.parse import quote

from cleanroom.client.remote.connection import Connection
from cleanroom.client.remote.effects import Flow

MOST_DIGESTS = 10_000
PATH = "/v1/opt-outs"


class OptOutOptions(TypedDict, total=False):
    """How people opt out.

    Attributes:
        kind: `suppression` by default; `restriction`, or `withdrawal` of consents in all datasets there are.
        action: `add` by default; `lift` takes people off a list.
        dataset_id: one dataset alone; all that there are and will be, when not given.
        purpose: of a withdrawal; `*` by default, for all.
        reason: `request` by default.
        reference: of the case in one's own books.
    """

    kind: Literal["suppression", "restriction", "withdrawal"]
    action: Literal["add", "lift"]
    dataset_id: str | None
    purpose: str
    reason: str
    reference: str


class PeopleFlows:
    """Conversations about people."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def opt_out(
        self, named: Sequence[Mapping[str, Any]], options: OptOutOptions
    ) -> Flow[list[dict[str, Any]]]:
        """Send people in as many requests as it takes; each counts as a whole."""
        given = {"kind": "suppression", "action": "add", "reason": "request", **options}
        answers = []
        for batch in batches(named, MOST_DIGESTS):
            answers.append((yield from self._connection.post(PATH, {**given, "named": batch})))
        return answers

    def opt_outs(self) -> Flow[list[dict[str, Any]]]:
        """List accepted batches."""
        return self._connection.pages(PATH)

    def propagation(self, opt_out_id: str) -> Flow[list[dict[str, Any]]]:
        """Report how a batch took effect."""
        found = yield from self._connection.get(f"{PATH}/{quote(opt_out_id, safe='')}/propagation")
        items: list[dict[str, Any]] = found["items"]
        return items

    def epoch(self, dataset_id: str, epoch: int) -> Flow[dict[str, Any]]:
        """Report how an epoch took effect."""
        return self._connection.get(f"{_of(dataset_id)}/consent-epochs/{epoch}/propagation")

    def look_up(
        self, dataset_id: str, named: Mapping[str, str], *, reason: str, reference: str
    ) -> Flow[dict[str, Any]]:
        """Look up one person."""
        return self._ask(dataset_id, "lookup", named, reason, reference)

    def export(
        self, dataset_id: str, named: Mapping[str, str], *, reason: str, reference: str
    ) -> Flow[dict[str, Any]]:
        """Give everything about one person."""
        found = yield from self._ask(dataset_id, "export", named, reason, reference)
        document: dict[str, Any] = found["document"]
        return document

    def _ask(
        self, dataset_id: str, what: str, named: Mapping[str, str], reason: str, reference: str
    ) -> Flow[dict[str, Any]]:
        body = {**named, "reason": reason, "reference": reference}
        return self._connection.post(f"{_of(dataset_id)}/subjects/{what}", body)


def batches(named: Sequence[Mapping[str, Any]], most: int) -> Iterable[list[dict[str, Any]]]:
    """Split people into requests of at most `most` digests each."""
    people = max((len(one["digests"]) for one in named), default=0)
    step = max(most // max(len(named), 1), 1)
    for start in range(0, people, step):
        parts = ({**one, "digests": one["digests"][start : start + step]} for one in named)
        yield [one for one in parts if one["digests"]]


def _of(dataset_id: str) -> str:
    return f"/v1/datasets/{quote(dataset_id, safe='')}"
