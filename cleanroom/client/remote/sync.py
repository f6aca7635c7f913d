"""The client for programs that wait; `aio` has the same for those that await."""

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, Unpack

from cleanroom.client.remote.alarms_sync import Alarms
from cleanroom.client.remote.market import ListingState, StatementFormat, Verdict
from cleanroom.client.remote.options import AskOptions, Options, RequestOptions
from cleanroom.client.remote.rights_sync import Rights
from cleanroom.client.remote.session import open_session
from cleanroom.client.remote.sync_parts import (
    Bases,
    Datasets,
    Estimate,
    Events,
    Mandates,
    People,
    Result,
    Rows,
    Run,
    Webhooks,
)
from cleanroom.client.remote.values import Receipt

if TYPE_CHECKING:
    import httpx


class Client:
    """A client at a room. Without arguments it takes what `cleanroom login` has saved.

    Example:
        estimate = Client().overlap("loyalty-q3", frame, on="phone")
        result = estimate.run()
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        transport: "httpx.BaseTransport | None" = None,
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
        self.bases = Bases(self._run, self._session.bases)
        self.datasets = Datasets(self._run, self._session.datasets)
        self.mandates = Mandates(self._run)
        self.events = Events(self._run)
        self.people = People(self._run)
        self.webhooks = Webhooks(self._run, self._session.hooks)
        self.rights = Rights(self._run)
        self.alarms = Alarms(self._run)

    def me(self) -> dict[str, Any]:
        """Tell who calls, with which scopes."""
        return self._run(self._session.me())

    def listings(
        self,
        query: str | None = None,
        *,
        attribute: str | None = None,
        purpose: str | None = None,
        mine: bool = False,
    ) -> Rows:
        """Search the catalogue; or list a provider's own listings, drafts too."""
        market = self._session.market
        return self._run(market.listings(query, attribute=attribute, purpose=purpose, mine=mine))

    def listing(self, name: str) -> dict[str, Any]:
        """Find one listing by its id or its title."""
        return self._run(self._session.market.listing(name))

    def request(self, listing: str, **options: Unpack[RequestOptions]) -> dict[str, Any]:
        """Ask for an entitlement."""
        return self._run(self._session.request(listing, options))

    def requests(self) -> Rows:
        """List requests: one's own, or those to decide."""
        return self._run(self._session.market.requests())

    def decide(
        self, request_id: str, what: Literal["approve", "reject", "withdraw"], *, reason: str | None = None
    ) -> dict[str, Any]:
        """Approve, reject (with a reason) or withdraw a request."""
        return self._run(self._session.market.decide(request_id, what, reason=reason))

    def entitlements(self) -> Rows:
        """List entitlements."""
        return self._run(self._session.market.entitlements())

    def revoke(self, entitlement_id: str, *, reason: str) -> dict[str, Any]:
        """End an entitlement that one gave, with a reason for its buyer: the next question is refused."""
        return self._run(self._session.market.revoke(entitlement_id, reason=reason))

    def offer(self, dataset_id: str, content: Mapping[str, Any]) -> dict[str, Any]:
        """Write a draft listing of a dataset."""
        return self._run(self._session.market.offer(content, dataset_id=dataset_id))

    def move(self, listing_id: str, to: ListingState) -> dict[str, Any]:
        """Take one's own listing from draft to review, live, paused, live again, and at last retired."""
        return self._run(self._session.market.move(listing_id, to))

    def reviews(self) -> Rows:
        """List what waits for the operator's review."""
        return self._run(self._session.market.reviews())

    def review(self, listing_id: str, to: Verdict) -> dict[str, Any]:
        """Let a provider's listing go live, or send it back, as the operator."""
        return self._run(self._session.market.review(listing_id, to))

    def overlap(self, listing: str, data: Any = None, **options: Unpack[AskOptions]) -> Estimate:
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
        return self._estimate("overlap", listing, data, options)

    def profile(self, listing: str, data: Any = None, **options: Unpack[AskOptions]) -> Estimate:
        """Prepare to break the overlap down by `breakdowns`; arguments as of `overlap`."""
        return self._estimate("profile", listing, data, options)

    def statistics(self, listing: str, data: Any = None, **options: Unpack[AskOptions]) -> Estimate:
        """Prepare to add up `sums` over the overlap; arguments as of `overlap`."""
        return self._estimate("statistics", listing, data, options)

    def match_test(self, listing: str, data: Any = None, **options: Unpack[AskOptions]) -> Estimate:
        """Prepare to count the overlap alone, as one total; arguments as of `overlap`."""
        return self._estimate("match_test", listing, data, options)

    def result(self, analysis_id: str) -> Result:
        """Take up an analysis that was asked before."""
        return Result(self._run, analysis_id, asked={})

    def receipt(self, analysis_id: str) -> Receipt:
        """Fetch, verify and keep the receipt of an answer, or of a refusal (`Refused.analysis_id`)."""
        return self._run(self._session.receipt(analysis_id))

    def analyses(self) -> Rows:
        """List analyses."""
        return self._run(self._session.questions.all())

    def budgets(self) -> Rows:
        """List what is left of every privacy budget."""
        return self._run(self._session.market.budgets())

    def usage(self, month: str | None = None) -> Rows:
        """List what was used in a month, such as `2026-11`."""
        return self._run(self._session.market.usage(month))

    def statements(self) -> Rows:
        """List monthly statements."""
        return self._run(self._session.market.statements())

    def statement(self, statement_id: str) -> dict[str, Any]:
        """Read a statement."""
        return self._run(self._session.market.statement(statement_id))

    def save_statement(self, statement_id: str, path: str | Path, form: StatementFormat = "pdf") -> Path:
        """Write a statement to a file: csv, xlsx or pdf."""
        content = self._run(self._session.market.statement_file(statement_id, form))
        Path(path).write_bytes(content)
        return Path(path)

    def close(self) -> None:
        """Close the connections."""
        self._run.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _estimate(self, kind: str, listing: str, data: Any, options: AskOptions) -> Estimate:
        body, answer = self._run(self._session.estimate(kind, listing, data, options))
        return Estimate(self._run, body, answer)
