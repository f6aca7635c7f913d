"""Who may act for whom, and the log as far as it is one's own."""

import base64
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote

from cleanroom.client.remote.connection import Connection
from cleanroom.client.remote.effects import Flow
from cleanroom.client.remote.problems import ConfigurationError, UnprovenEvent
from cleanroom.money import Money


class Oversight:
    """Conversations about mandates and audit events."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def mandates(self) -> Flow[list[dict[str, Any]]]:
        """List the mandates that one granted, or was granted."""
        return self._connection.pages("/v1/mandates")

    def grant_mandate(
        self,
        agency_id: str,
        *,
        until: datetime | None,
        purposes: Sequence[str] | None,
        actions: Sequence[str] | None,
        cap: Money | None,
    ) -> Flow[dict[str, Any]]:
        """Let an agency act, within limits; None does not limit."""
        if until is not None and until.utcoffset() is None:
            raise ConfigurationError(
                "The end of the mandate has no time zone.", remedy="Give one: datetime(..., tzinfo=UTC)."
            )
        limits: Mapping[str, Any] = {
            "valid_until": None if until is None else until.isoformat(),
            "purposes": None if purposes is None else list(purposes),
            "actions": None if actions is None else list(actions),
            "cap": None if cap is None else {"minor": cap.minor, "currency": cap.currency},
        }
        return self._connection.post("/v1/mandates", {"agency_id": agency_id, **limits})

    def revoke_mandate(self, mandate_id: str) -> Flow[None]:
        """End a mandate: the agency's next call is refused."""
        return self._connection.delete(f"/v1/mandates/{quote(mandate_id, safe='')}")

    def events(self, kinds: Sequence[str] = ()) -> Flow[list[dict[str, Any]]]:
        """List the events of one's own organisation: each record, with its `index` in the log."""
        rows = yield from self._connection.pages("/v1/events", kind=tuple(kinds))
        return [{**json.loads(one["record"]), "index": one["index"]} for one in rows]

    def proven_event(self, index: int, *, verifier_key: str) -> Flow[dict[str, Any]]:
        """Read an event with its proof, and prove it.

        Args:
            index: its place in the log.
            verifier_key: of the room, from elsewhere.

        Raises:
            UnprovenEvent: the proof does not lead from the event to the signed head.

        Source: RFC 6962, section 2.1.1.
        """
        plain = yield from self._connection.get(f"/v1/events/{index}/proof")
        # Not needed for questions.
        from crypto.checkpoint import open_note  # noqa: PLC0415 - only proofs need cryptography
        from crypto.errors import CryptoError  # noqa: PLC0415
        from crypto.merkle import leaf_hash, verify_inclusion  # noqa: PLC0415

        try:
            head = open_note(plain["checkpoint"], verifier_key)
            proof = [base64.b64decode(node, validate=True) for node in plain["proof"]]
            verify_inclusion(leaf_hash(plain["record"].encode()), index, head.size, proof, head.root)
        except (CryptoError, ValueError) as error:
            raise UnprovenEvent(
                f"The room does not prove its event {index}: {error}",
                remedy="Compare your verifier key with the operator's; if it is right, keep this answer as evidence.",
            ) from None
        record: dict[str, Any] = json.loads(plain["record"])
        return record
