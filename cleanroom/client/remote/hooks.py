"""Webhooks of one's own: registered, looked after, and their messages verified."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal
from urllib.parse import quote

from cleanroom.client.remote.connection import Connection
from cleanroom.client.remote.effects import Flow
from cleanroom.client.webhooks import TOLERANCE_SECONDS, WebhookEvent, verify

PATH = "/v1/webhooks"
OVERLAP_HOURS = 24


class HookFlows:
    """Conversations about webhooks."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def create(self, url: str, types: Sequence[str], description: str) -> Flow[dict[str, Any]]:
        """Register one; its secret is in the answer."""
        body = {"url": url, "types": list(types), "description": description}
        made = yield from self._connection.post(PATH, body)
        if made["secret"] is None:
            # The first answer was lost, and nobody has what stood in it.
            made = yield from self.rotate(made["id"], 0)
        return made

    def all(self) -> Flow[list[dict[str, Any]]]:
        """List them."""
        return self._connection.pages(PATH)

    def get(self, webhook_id: str) -> Flow[dict[str, Any]]:
        """Read one."""
        return self._connection.get(_of(webhook_id))

    def change(self, webhook_id: str, changes: Mapping[str, Any]) -> Flow[dict[str, Any]]:
        """Change what is not None."""
        given = {name: value for name, value in changes.items() if value is not None}
        return self._connection.patch(_of(webhook_id), given)

    def delete(self, webhook_id: str) -> Flow[None]:
        """Delete one."""
        return self._connection.delete(_of(webhook_id))

    def rotate(self, webhook_id: str, overlap_hours: int) -> Flow[dict[str, Any]]:
        """Replace its secret; the new one is in the answer, null if the first answer was lost on its way."""
        return self._connection.post(f"{_of(webhook_id)}/secret", {"overlap_hours": overlap_hours})

    def ping(self, webhook_id: str) -> Flow[dict[str, Any]]:
        """Have a test message sent."""
        return self._connection.post(f"{_of(webhook_id)}/ping")

    def deliveries(self, webhook_id: str) -> Flow[list[dict[str, Any]]]:
        """List what was sent in the last week."""
        return self._connection.pages(f"{_of(webhook_id)}/deliveries")

    def redeliver(self, webhook_id: str, delivery_id: str) -> Flow[dict[str, Any]]:
        """Have a message sent again."""
        return self._connection.post(f"{_of(webhook_id)}/deliveries/{quote(delivery_id, safe='')}/redeliver")


class Verifying:
    """What needs no room: messages are verified where they arrive."""

    @staticmethod
    def verify(
        secret: str | Sequence[str],
        headers: Mapping[str, str],
        body: bytes,
        *,
        tolerance: float = TOLERANCE_SECONDS,
    ) -> WebhookEvent:
        """Check a message that came to a webhook, and read it; see `cleanroom.client.webhooks.verify`.

        Args:
            secret: the webhook's, or several while one is replaced by another.
            headers: of the request.
            body: of the request, the very bytes that came.
            tolerance: by how many seconds the message's instant may differ from now.

        Raises:
            WebhookSignatureError: it is not to be believed.
        """
        return verify(secret, headers, body, tolerance=tolerance)


HookState = Literal["active", "paused"]


def _of(webhook_id: str) -> str:
    return f"{PATH}/{quote(webhook_id, safe='')}"
