"""The client for programs that await; `sync` has the same for those that wait."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, Unpack

from cleanroom.client.remote.answers import EstimateValue, ResultValue
from cleanroom.client.remote.effects import Flow
from cleanroom.client.remote.hooks import OVERLAP_HOURS, HookFlows, HookState, Verifying
from cleanroom.client.remote.market import StatementFormat
from cleanroom.client.remote.options import (
    AskOptions,
    BaseOptions,
    LoadOptions,
    Options,
    RequestOptions,
)
from cleanroom.client.remote.session import Session, open_session
from cleanroom.client.remote.tables import Table, Tables

if TYPE_CHECKING:
    import httpx

    from cleanroom.client.remote.drivers import AsyncDriver
    from cleanroom.client.remote.effects import Result as _Result

Rows = list[dict[str, Any]]
WAIT_SECONDS = 600.0


class _Run:
    """Runs conversations; the transport is opened with the first."""

    def __init__(self, session: Session, transport: "httpx.AsyncBaseTransport | None") -> None:
        self.session = session
        self._transport = transport
        self._driver: AsyncDriver | None = None

    async def __call__(self, flow: "Flow[_Result]") -> "_Result":
        if self._driver is None:
            # Heavy; a program that only prepares files needs no transport.
            from cleanroom.client.remote.drivers import AsyncDriver  # noqa: PLC0415

            self._driver = AsyncDriver(self.session.connection.url, transport=self._transport)
        return await self._driver.run(flow)

    async def close(self) -> None:
        if self._driver is not None:
            await self._driver.close()


class AsyncResult(ResultValue):
    """A released answer; `await result.wait()` before it is read."""

    def __init__(self, run: _Run, analysis_id: str, *, asked: Mapping[str, Any]) -> None:
        super().__init__(analysis_id, asked=asked)
        self._run = run

    async def wait(self, timeout: float = WAIT_SECONDS) -> Self:
        """Wait until it is here; its receipt is verified and kept first.

        Args:
            timeout: seconds to wait at most.

        Raises:
            StillRunning: it is not here after that time; wait again.
            AnalysisFailed: it did not come to an end.
            Refused: the owner's rules do not permit the question.
            ReceiptError: the receipt does not verify.
        """
        if self._answer is None:
            flow = self._run.session.finish(self.analysis_id, timeout=timeout)
            self._answer, self._receipt = await self._run(flow)
        return self

    async def cancel(self) -> None:
        """Give the question up; what it has reserved may stay spent."""
        await self._run(self._run.session.questions.cancel(self.analysis_id))


class AsyncEstimate(EstimateValue):
    """What asking would bring now, and the way to ask."""

    def __init__(self, run: _Run, question: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
        super().__init__(question, answer)
        self._run = run

    async def run(self) -> AsyncResult:
        """Ask the question; it costs what the estimate says.

        Raises:
            Refused: the owner's rules do not permit it: PrivacyBudgetExceeded, AudienceTooSmall, ApprovalPending.
            ApiError: see there.
        """
        state = await self._run(self._run.session.questions.ask(self.question))
        return AsyncResult(self._run, state["id"], asked=state)


class AsyncTablesOf:
    """One's own bases, or one's own datasets."""

    def __init__(self, run: _Run, tables: Tables) -> None:
        self._run = run
        self._tables = tables

    async def list(self) -> Rows:
        """List them."""
        return await self._run(self._tables.all())

    async def get(self, table_id: str) -> dict[str, Any]:
        """Read one."""
        return await self._run(self._tables.get(table_id))

    async def versions(self, table_id: str) -> Rows:
        """List its loads."""
        return await self._run(self._tables.versions(table_id))

    async def report(self, table_id: str, version_id: str) -> dict[str, Any]:
        """Read the quality report of a load: exact, and for its owner alone."""
        return await self._run(self._tables.report(table_id, version_id))

    async def upload(self, table_id: str, data: Any, **options: Unpack[LoadOptions]) -> Table:
        """Hash, encrypt and load data into a registered one; called again after an error, it goes on.

        Args:
            table_id: `ds_...`.
            data: a frame of pandas, polars or Arrow, or the path of a CSV or Parquet file.
            options: see LoadOptions.
        """
        return await self._run(self._run.session.upload_table(self._tables, table_id, data, options))

    async def delete(self, table_id: str) -> None:
        """Delete one for good."""
        await self._run(self._tables.delete(table_id))


class AsyncBases(AsyncTablesOf):
    """One's own bases."""

    async def create(self, data: Any, **options: Unpack[BaseOptions]) -> Table:
        """Hash and encrypt data here, and load them as a base; the same content is uploaded once.

        Args:
            data: a frame of pandas, polars or Arrow, or the path of a CSV or Parquet file.
            options: see BaseOptions; `on` or `schema` is needed.
        """
        return await self._run(self._run.session.create_base(data, options))


class AsyncDatasets(AsyncTablesOf):
    """One's own datasets."""

    async def create(
        self, data: Any, *, schema: Mapping[str, Any], name: str, **options: Unpack[LoadOptions]
    ) -> Table:
        """Hash and encrypt data here, and load them as a dataset; the same content is uploaded once.

        Args:
            data: as for a base.
            schema: as plain data.
            name: for people.
            options: see LoadOptions.
        """
        session = self._run.session
        return await self._run(session.create_table(self._tables, data, schema, name, options))

    async def set_policy(self, table_id: str, policy: Mapping[str, Any]) -> dict[str, Any]:
        """Put an analysis rule in force."""
        return await self._run(self._tables.set_policy(table_id, policy))


class AsyncWebhooks(Verifying):
    """Addresses of one's own at which the room announces what has happened."""

    def __init__(self, run: _Run, hooks: HookFlows) -> None:
        self._run = run
        self._hooks = hooks

    async def create(self, url: str, types: Sequence[str], *, description: str = "") -> dict[str, Any]:
        """Register one; the answer's `secret` verifies its messages, and is not shown again.

        Args:
            url: of https.
            types: of events, such as `analysis.answered`.
            description: for people.
        """
        return await self._run(self._hooks.create(url, types, description))

    async def list(self) -> Rows:
        """List them."""
        return await self._run(self._hooks.all())

    async def get(self, webhook_id: str) -> dict[str, Any]:
        """Read one, and whether it works."""
        return await self._run(self._hooks.get(webhook_id))

    async def change(
        self,
        webhook_id: str,
        *,
        url: str | None = None,
        types: Sequence[str] | None = None,
        description: str | None = None,
        state: HookState | None = None,
    ) -> dict[str, Any]:
        """Change what is given; `paused` keeps messages back, `active` lets them go."""
        changes = {"url": url, "types": types, "description": description, "state": state}
        return await self._run(self._hooks.change(webhook_id, changes))

    async def delete(self, webhook_id: str) -> None:
        """Delete one, with all that waits for it."""
        await self._run(self._hooks.delete(webhook_id))

    async def rotate_secret(self, webhook_id: str, *, overlap_hours: int = OVERLAP_HOURS) -> dict[str, Any]:
        """Replace its secret; both sign for the hours given.

        The answer's `secret` is None when the first answer was lost on its way: rotate once more then.
        """
        return await self._run(self._hooks.rotate(webhook_id, overlap_hours))

    async def ping(self, webhook_id: str) -> dict[str, Any]:
        """Have a test message sent."""
        return await self._run(self._hooks.ping(webhook_id))

    async def deliveries(self, webhook_id: str) -> Rows:
        """List what was sent in the last week, or waits to be; the newest first."""
        return await self._run(self._hooks.deliveries(webhook_id))

    async def redeliver(self, webhook_id: str, delivery_id: str) -> dict[str, Any]:
        """Have a message sent again, under the same id."""
        return await self._run(self._hooks.redeliver(webhook_id, delivery_id))


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
        self._run = _Run(self._session, transport)
        self.bases = AsyncBases(self._run, self._session.bases)
        self.datasets = AsyncDatasets(self._run, self._session.datasets)
        self.webhooks = AsyncWebhooks(self._run, self._session.hooks)

    async def me(self) -> dict[str, Any]:
        """Tell who calls, with which scopes."""
        return await self._run(self._session.me())

    async def listings(
        self, query: str | None = None, *, attribute: str | None = None, purpose: str | None = None
    ) -> Rows:
        """Search the catalogue."""
        return await self._run(self._session.market.listings(query, attribute=attribute, purpose=purpose))

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

    async def offer(self, dataset_id: str, content: Mapping[str, Any]) -> dict[str, Any]:
        """Write a draft listing of a dataset."""
        return await self._run(self._session.market.offer(content, dataset_id=dataset_id))

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
        return AsyncResult(self._run, analysis_id, asked={"id": analysis_id})

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
