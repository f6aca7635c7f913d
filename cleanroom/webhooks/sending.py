"""One attempt over HTTP: to an address that was checked, without redirects, within a time, the answer's body unread."""

import asyncio
import ssl
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import httpx

from cleanroom.client.webhooks import ID, SIGNATURE, TIMESTAMP, sign
from cleanroom.clock import Clock
from cleanroom.db.database import Database
from cleanroom.webhooks.addresses import Address, Guard, Target
from cleanroom.webhooks.deliveries import AT_ONCE, Attempt, Claimed, Deliveries
from cleanroom.webhooks.errors import AddressError
from cleanroom.webhooks.types import Failure

ATTEMPT_SECONDS = 20.0
"""For the whole of an attempt, the name's resolution included, however slowly an answer trickles in."""
_CONNECT_SECONDS = 5.0
_MOST_ADDRESSES = 3
_USER_AGENT = "Cleanroom-Webhooks/1"
_TRY_NEXT = (httpx.ConnectError, httpx.ConnectTimeout)


@dataclass(frozen=True)
class Sending:
    """Sends what is due; a worker's thread runs it, and no transaction is open while it waits for a receiver."""

    db: Database
    clock: Clock
    deliveries: Deliveries
    guard: Guard
    seconds: float = ATTEMPT_SECONDS
    # Of their own: a resolver that hangs must not hold up the end of an event loop.
    _resolvers: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(AT_ONCE, thread_name_prefix="webhook-names")
    )

    def send_due(self) -> bool:
        """Send some deliveries that are due; returns whether there were any."""
        with self.db.reading() as tx:
            due = self.deliveries.due(tx)
        if not due:
            return False
        with self.db.transaction() as tx:
            claimed = self.deliveries.claim(tx, due)
        asyncio.run(self._send_all(claimed))
        return bool(claimed)

    def close(self) -> None:
        """Let go of the threads that resolve names."""
        self._resolvers.shutdown(wait=False, cancel_futures=True)

    async def _send_all(self, claimed: Sequence[Claimed]) -> None:
        trusted = _trusted()
        sent = (self._send(each, trusted) for each in claimed)
        # What one meets does not end the others.
        for failure in await asyncio.gather(*sent, return_exceptions=True):
            if failure is not None:
                raise failure

    async def _send(self, claimed: Claimed, trusted: ssl.SSLContext) -> None:
        attempt = Attempt(failure=Failure.UNREACHABLE)
        try:
            attempt = await self._attempt(claimed, trusted)
        finally:
            # Also of an attempt that nobody foresaw, or it would be tried for ever.
            await asyncio.to_thread(self._record, claimed, attempt)

    def _record(self, claimed: Claimed, attempt: Attempt) -> None:
        with self.db.transaction() as tx:
            self.deliveries.record(tx, claimed, attempt)

    async def _attempt(self, claimed: Claimed, trusted: ssl.SSLContext) -> Attempt:
        if not claimed.keys:
            return Attempt(failure=Failure.SECRET)
        try:
            async with asyncio.timeout(self.seconds):
                loop = asyncio.get_running_loop()
                target = await loop.run_in_executor(self._resolvers, self.guard.target, claimed.url)
                return await self._call(claimed, target, trusted)
        except AddressError:
            return Attempt(failure=Failure.ADDRESS)
        except (TimeoutError, httpx.TimeoutException):
            return Attempt(failure=Failure.TIMEOUT)
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ssl.SSLError):
            return Attempt(failure=Failure.UNREACHABLE)

    async def _call(self, claimed: Claimed, target: Target, trusted: ssl.SSLContext) -> Attempt:
        addresses = target.addresses[:_MOST_ADDRESSES]
        for address in addresses[:-1]:
            try:
                return await self._post(claimed, target, address, trusted)
            except _TRY_NEXT:
                continue
        return await self._post(claimed, target, addresses[-1], trusted)

    async def _post(
        self, claimed: Claimed, target: Target, address: Address, trusted: ssl.SSLContext
    ) -> Attempt:
        at = int(self.clock.now().timestamp())
        url = httpx.URL(claimed.url)
        headers = {
            "Host": url.netloc.decode("ascii"),
            "Content-Type": "application/json",
            "User-Agent": _USER_AGENT,
            "Connection": "close",
            ID: claimed.id,
            TIMESTAMP: str(at),
            SIGNATURE: sign(claimed.keys, message_id=claimed.id, timestamp=at, body=claimed.body),
        }
        # A client for each: a connection must not be shared by two names at one address. No proxies of the environment.
        async with (
            httpx.AsyncClient(
                verify=trusted,
                trust_env=False,
                follow_redirects=False,
                timeout=httpx.Timeout(self.seconds, connect=_CONNECT_SECONDS),
            ) as http,
            http.stream(
                "POST",
                url.copy_with(host=str(address)),
                content=claimed.body,
                headers=headers,
                # The certificate is checked against the name, not the address.
                extensions={"sni_hostname": target.host},
            ) as answer,
        ):
            return _attempt_of(answer, self.clock.now())


def _attempt_of(answer: httpx.Response, now: datetime) -> Attempt:
    if answer.is_success:
        return Attempt(answer.status_code)
    return Attempt(
        answer.status_code, Failure.STATUS, _retry_after(answer.headers.get("Retry-After", ""), now)
    )


def _retry_after(text: str, now: datetime) -> timedelta | None:
    """Read seconds or an HTTP date; None for anything else (RFC 9110, section 10.2.3)."""
    if text.isascii() and text.isdecimal():
        return timedelta(seconds=int(text[:9]))
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return max((at if at.tzinfo else at.replace(tzinfo=UTC)) - now, timedelta(0))


def _trusted() -> ssl.SSLContext:
    """Trust the authorities that come with the library, and those of the machine (SSL_CERT_FILE included)."""
    context = httpx.create_ssl_context(trust_env=False)
    context.load_default_certs()
    return context
