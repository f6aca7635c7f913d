"""One attempt over HTTP: to an address that was checked, without redirects, within a time, the answer's body unread."""

import asyncio
import ssl
from collections import Counter
from collections.abc import Callable, Sequence
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
_LOOK_SECONDS = 0.1
"""So often, while receivers are slow, what has become due meanwhile is sent in the places that are free."""
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

    def send_due(self, goes_on: Callable[[], bool], report: Callable[[str, Exception], None]) -> bool:
        """Send deliveries that are due, and while some are slow, those that become due meanwhile.

        Args:
            goes_on: whether to begin with more; those under way are always finished.
            report: is told of failures that nobody foresaw; what failed is noted as any attempt in vain.

        Returns:
            Whether there were any.
        """
        claimed = self._claim(Counter())
        if claimed:
            asyncio.run(self._send_all(claimed, goes_on, report))
        return bool(claimed)

    def close(self) -> None:
        """Let go of the threads that resolve names."""
        self._resolvers.shutdown(wait=False, cancel_futures=True)

    def _claim(self, under_way: Counter[str]) -> tuple[Claimed, ...]:
        with self.db.reading() as tx:
            due = self.deliveries.due(tx, under_way)
        if not due:
            return ()
        with self.db.transaction() as tx:
            return self.deliveries.claim(tx, due)

    async def _send_all(
        self,
        claimed: Sequence[Claimed],
        goes_on: Callable[[], bool],
        report: Callable[[str, Exception], None],
    ) -> None:
        trusted = _trusted()
        under_way: dict[asyncio.Task[None], str] = {}
        failures: list[BaseException] = []
        while claimed or under_way:
            for each in claimed:
                sent = asyncio.create_task(self._send(each, trusted, report))
                under_way[sent] = each.organisation_id
            done, slow = await asyncio.wait(under_way, timeout=_LOOK_SECONDS)
            failures += [failure for each in done if (failure := each.exception()) is not None]
            under_way, claimed = {each: under_way[each] for each in slow}, ()
            # With the database away nothing more is begun; when all are sent, whoever called looks for more.
            if under_way and not failures:
                try:
                    claimed = await asyncio.to_thread(self._more, Counter(under_way.values()), goes_on)
                except Exception as failure:  # noqa: BLE001 - raised below: it does not end those under way
                    failures.append(failure)
        if failures:
            raise failures[0]

    def _more(self, under_way: Counter[str], goes_on: Callable[[], bool]) -> tuple[Claimed, ...]:
        return self._claim(under_way) if goes_on() else ()

    async def _send(
        self, claimed: Claimed, trusted: ssl.SSLContext, report: Callable[[str, Exception], None]
    ) -> None:
        try:
            attempt = await self._attempt(claimed, trusted)
        except Exception as error:  # noqa: BLE001 - one receiver's doing holds up no other
            report("worker.webhook_failed", error)
            attempt = Attempt(failure=Failure.UNREACHABLE)
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
