"""The client for programs that await; `sync` has the same for those that wait."""

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, Unpack

from cleanroom.client.remote.aio_parts import (
    AsyncBases,
    AsyncDatasets,
    AsyncEstimate,
    AsyncEvents,
    AsyncMandates,
    AsyncPeople,
    AsyncResult,
    AsyncWebhooks,
    Rows,
    Run,
)
from cleanroom.client.remote.alarms_aio import AsyncAlarms
from cleanroom.client.remote.market import ListingState, StatementFormat, Verdict
from cleanroom.client.remote.options import AskOptions, Options, RequestOptions
from cleanroom.client.remote.rights_aio import AsyncRights
from cleanroom.client.remote.session import open_session
from cleanroom.client.remote.values import Receipt

if TYPE_CHECKING:
    import httpx


class AsyncClient:
    """A client at a room. Without arguments it takes what `cleanroom login` has saved.

    Example:
        async with AsyncClient() as room:
            estimate = await room.overlap("loyalty-q3", frame, on="phone")
            result = await (await estimate.run()).wait()
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        transport: "httpx.AsyncBaseTransport | None" = None,
        **options: Unpack[Options],
    ) -> None:
        """Say who calls which room; nothing is sent yet.

        Args:
            url: the room's public address; from the environment or the profile when not given.
            transport: instead of the network.
            options: see Options; they win over the environment, which wins over the profile.

        Raises:
            ConfigurationError: no room or no credential is known, or one cannot be used.
        """
        self._session = open_session(url, options)
        self._run = Run(self._session, transport)
        self.bases = AsyncBases(self._run, self._session.bases)
        self.datasets = AsyncDatasets(self._run, self._session.datasets)
        self.mandates = AsyncMandates(self._run)
        self.events = AsyncEvents(self._run)
        self.people = AsyncPeople(self._run)
        self.webhooks = AsyncWebhooks(self._run, self._session.hooks)
        self.rights = AsyncRights(self._run)
        self.alarms = AsyncAlarms(self._run)

    async def me(self) -> dict[str, Any]:
        """Tell who calls, with which scopes."""
        return await self._run(self._session.me())

    async def listings(
        self,
        query: str | None = None,
        *,
        attribute: str | None = None,
        purpose: str | None = None,
        mine: bool = False,
    ) -> Rows:
        """Search the catalogue; or list a provider's own listings, drafts too."""
        market = self._session.market
        return await self._run(market.listings(query, attribute=attribute, purpose=purpose, mine=mine))

    async def listing(self, name: str) -> dict[str, Any]:
        """Find one listing by its id or its title."""
        return await self._run(self._session.market.listing(name))

    async def request(self, listing: str, **options: Unpack[RequestOptions]) -> dict[str, Any]:
        """Ask for an entitlement."""
        return await self._run(self._session.request(listing, options))

    async def requests(self) -> Rows:
        """List requests: one's own, or those to decide."""
        return await self._run(self._session.market.requests())

    async def decide(
        self, request_id: str, what: Literal["approve", "reject", "withdraw"], *, reason: str | None = None
    ) -> dict[str, Any]:
        """Approve, reject (with a reason) or withdraw a request."""
        return await self._run(self._session.market.decide(request_id, what, reason=reason))

    async def entitlements(self) -> Rows:
        """List entitlements."""
        return await self._run(self._session.market.entitlements())

    async def revoke(self, entitlement_id: str, *, reason: str) -> dict[str, Any]:
        """End an entitlement that one gave, with a reason for its buyer: the next question is refused."""
        return await self._run(self._session.market.revoke(entitlement_id, reason=reason))

    async def offer(self, dataset_id: str, content: Mapping[str, Any]) -> dict[str, Any]:
        """Write a draft listing of a dataset."""
        return await self._run(self._session.market.offer(content, dataset_id=dataset_id))

    async def move(self, listing_id: str, to: ListingState) -> dict[str, Any]:
        """Take one's own listing from draft to review, live, paused, live again, and at last retired."""
        return await self._run(self._session.market.move(listing_id, to))

    async def reviews(self) -> Rows:
        """List what waits for the operator's review."""
        return await self._run(self._session.market.reviews())

    async def review(self, listing_id: str, to: Verdict) -> dict[str, Any]:
        """Let a provider's listing go live, or send it back, as the operator."""
        return await self._run(self._session.market.review(listing_id, to))

    async def overlap(self, listing: str, data: Any = None, **options: Unpack[AskOptions]) -> AsyncEstimate:
        """Prepare to count how many people of a base are in a listing's dataset.

        Args:
            listing: its title or id.
            data: the base: a frame or a file, uploaded once; or `base=` names one that is there.
            options: see AskOptions.

        Raises:
            EntitlementMissing, ApprovalPending: there is no entitlement to ask under.
            FileError, PrepareError: the data cannot be prepared.
            ApiError: see there.
        """
        return await self._estimate("overlap", listing, data, options)

    async def profile(self, listing: str, data: Any = None, **options: Unpack[AskOptions]) -> AsyncEstimate:
        """Prepare to break the overlap down by `breakdowns`; arguments as of `overlap`."""
        return await self._estimate("profile", listing, data, options)

    async def statistics(
        self, listing: str, data: Any = None, **options: Unpack[AskOptions]
    ) -> AsyncEstimate:
        """Prepare to add up `sums` over the overlap; arguments as of `overlap`."""
        return await self._estimate("statistics", listing, data, options)

    async def match_test(
        self, listing: str, data: Any = None, **options: Unpack[AskOptions]
    ) -> AsyncEstimate:
        """Prepare to count the overlap alone, as one total; arguments as of `overlap`."""
        return await self._estimate("match_test", listing, data, options)

    def result(self, analysis_id: str) -> AsyncResult:
        """Take up an analysis that was asked before."""
        return AsyncResult(self._run, analysis_id, asked={})

    async def receipt(self, analysis_id: str) -> Receipt:
        """Fetch, verify and keep the receipt of an answer, or of a refusal (`Refused.analysis_id`)."""
        return await self._run(self._session.receipt(analysis_id))

    async def analyses(self) -> Rows:
        """List analyses."""
        return await self._run(self._session.questions.all())

    async def budgets(self) -> Rows:
        """List what is left of every privacy budget."""
        return await self._run(self._session.market.budgets())

    async def usage(self, month: str | None = None) -> Rows:
        """List what was used in a month, such as `2026-11`."""
        return await self._run(self._session.market.usage(month))

    async def statements(self) -> Rows:
        """List monthly statements."""
        return await self._run(self._session.market.statements())

    async def statement(self, statement_id: str) -> dict[str, Any]:
        """Read a statement."""
        return await self._run(self._session.market.statement(statement_id))

    async def save_statement(
        self, statement_id: str, path: str | Path, form: StatementFormat = "pdf"
    ) -> Path:
        """Write a statement to a file: csv, xlsx or pdf."""
        content = await self._run(self._session.market.statement_file(statement_id, form))
        Path(path).write_bytes(content)
        return Path(path)

    async def close(self) -> None:
        """Close the connections."""
        await self._run.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _estimate(self, kind: str, listing: str, data: Any, options: AskOptions) -> AsyncEstimate:
        body, answer = await self._run(self._session.estimate(kind, listing, data, options))
        return AsyncEstimate(self._run, body, answer)
