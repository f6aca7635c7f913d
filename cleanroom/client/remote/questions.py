"""Questions: what one costs, asking it, and following it to its result and receipt."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from cleanroom.client.remote.connection import Connection
from cleanroom.client.remote.effects import Flow, Pause
from cleanroom.client.remote.problems import AnalysisFailed, ConfigurationError, StillRunning, refusal_of

_FIRST_PAUSE, _MOST_PAUSE = 0.1, 5.0
ENDED = frozenset({"released", "stored", "refused"})
BROKEN = frozenset({"lost", "cancelled"})


def question_body(
    kind: str,
    *,
    entitlement_id: str,
    base_id: str,
    purpose: str,
    segments: Mapping[str, Any] | None,
    breakdowns: Sequence[Sequence[str]],
    sums: Sequence[str],
    precision: str | None,
    half_width: int | None,
    percent: int | None,
    expected: int | None,
    labels: bool,
    per_key: bool,
    affinity: bool,
) -> dict[str, Any]:
    """Write a question as the room reads it; what is not said is left to the room."""
    said = {
        "segments": dict(segments or {}),
        "breakdowns": [list(group) for group in breakdowns],
        "sums": list(sums),
        "precision": precision,
        "half_width": half_width,
        "percent": percent,
        "expected": expected,
    }
    flags = {"labels": (labels, True), "per_key": (per_key, True), "affinity": (affinity, False)}
    return {
        "entitlement_id": entitlement_id,
        "base_id": base_id,
        "kind": kind,
        "purpose": purpose,
        **{name: value for name, value in said.items() if value not in (None, [], {})},
        **{name: value for name, (value, usual) in flags.items() if value != usual},
    }


class Questions:
    """Conversations about estimates and analyses."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def purpose_of(self, listing: Mapping[str, Any], given: str | None) -> str:
        """Return the purpose to ask for: the given one, or the only one there is.

        Raises:
            ConfigurationError: there are several.
        """
        found = listing["content"]["terms"]["purposes"]
        if given is not None or len(found) == 1:
            return str(given or found[0])
        raise ConfigurationError(
            "It is not clear for which purpose to ask.",
            remedy=f"Name one: {', '.join(found) or 'purpose=...'}.",
        )

    def estimate(
        self, body: Mapping[str, Any], *, sizes: Sequence[int] = (), expected: Mapping[str, int] | None = None
    ) -> Flow[dict[str, Any]]:
        """Ask what a question would cost and bring; nothing is spent."""
        named = ({"sizes": list(sizes)} if sizes else {}) | (
            {"expected_sizes": dict(expected)} if expected else {}
        )
        return self._connection.post("/v1/estimates", {**body, **named})

    def ask(self, body: Mapping[str, Any]) -> Flow[dict[str, Any]]:
        """Ask a question, once however often it is sent.

        Returns:
            Its state.

        Raises:
            Refused: the owner's rules do not permit it.
        """
        state = yield from self._connection.post("/v1/analyses", body)
        if state["state"] == "refused":
            raise refusal_of(state["result"], analysis_id=state["id"])
        return state

    def all(self) -> Flow[list[dict[str, Any]]]:
        """List analyses."""
        return self._connection.pages("/v1/analyses")

    def state(self, analysis_id: str) -> Flow[dict[str, Any]]:
        """Tell how far one is."""
        return self._connection.get(_path(analysis_id))

    def cancel(self, analysis_id: str) -> Flow[dict[str, Any]]:
        """Give one up; what it has reserved may stay spent."""
        return self._connection.post(_path(analysis_id) + "/cancel")

    def finish(self, analysis_id: str, *, timeout: float) -> Flow[dict[str, Any]]:
        """Wait for a result.

        Args:
            analysis_id: whose.
            timeout: seconds to wait at most.

        Returns:
            The result.

        Raises:
            StillRunning: it is not there after that time; waiting again goes on.
            AnalysisFailed: it did not come to an end.
            Refused: the owner's rules do not permit it.
        """
        waited, pause = 0.0, _FIRST_PAUSE
        while True:
            state = yield from self.state(analysis_id)
            if state["state"] in ENDED:
                break
            if state["state"] in BROKEN:
                raise AnalysisFailed(
                    f"The analysis did not come to an end ({state['state']}).",
                    remedy="Ask the question again; what was released is answered from the store for nothing.",
                )
            if waited >= timeout:
                raise StillRunning(
                    f"The analysis {analysis_id} is not complete yet.",
                    remedy="Wait again; it goes on in the room. A room needs a running worker.",
                )
            yield Pause(min(pause, timeout - waited))
            waited, pause = waited + pause, min(pause * 1.5, _MOST_PAUSE)
        result = yield from self._connection.get(_path(analysis_id) + "/result")
        if result["outcome"] == "refused":
            raise refusal_of(result, analysis_id=analysis_id)
        return result

    def receipt(self, analysis_id: str) -> Flow[bytes]:
        """Read the receipt of an answer or a refusal, as it is."""
        return self._connection.get_bytes(_path(analysis_id) + "/receipt")


def _path(analysis_id: str) -> str:
    return f"/v1/analyses/{quote(analysis_id, safe='')}"
