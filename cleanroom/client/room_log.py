"""What a room shows of its log to everybody: the newest published checkpoint, and proofs that the log only grew."""

import base64
import binascii

import httpx

from cleanroom.client.gossip import GossipError, Seen, see
from crypto.limits import MAX_NOTE_BYTES

_SECONDS = 20.0


class RoomLog:
    """The public pages of one room's log."""

    def __init__(self, url: str, client: httpx.Client) -> None:
        self._url = url.rstrip("/")
        self._client = client

    def newest(self, verifier_key: str) -> Seen:
        """Return the newest published checkpoint; raises GossipError."""
        return see(self._url, fetch(self._client, f"{self._url}/log/checkpoint"), verifier_key)

    def prove(self, old: int, new: int) -> list[bytes]:
        """Return the proof from a size to a published one; raises GossipError."""
        text = fetch(self._client, f"{self._url}/log/consistency?old={old}&new={new}").decode(
            errors="replace"
        )
        try:
            return [base64.b64decode(line, validate=True) for line in text.split()]
        except binascii.Error:
            raise GossipError("The room's proof is malformed.", remedy="Check its address.") from None


def http_client(agent: str = "Cleanroom-Gossip/1") -> httpx.Client:
    """Make what sends requests: without redirects, and not for long."""
    return httpx.Client(timeout=_SECONDS, follow_redirects=False, headers={"User-Agent": agent})


def fetch(client: httpx.Client, url: str) -> bytes:
    """Fetch something small; raises GossipError."""
    try:
        with client.stream("GET", url) as answer:
            if answer.status_code != 200:
                raise GossipError(
                    f"{answer.url.host} answers {answer.status_code}.",
                    remedy="Check the address, or try later.",
                )
            data = b""
            for part in answer.iter_bytes():
                data += part
                if len(data) > MAX_NOTE_BYTES:
                    raise GossipError(
                        f"{answer.url.host} answers with too much.", remedy="Check the address."
                    )
            return data
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise GossipError(
            f"An address cannot be reached ({type(error).__name__}).", remedy="Check it, or try later."
        ) from None
