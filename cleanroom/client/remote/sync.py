"""The client for programs that wait; `aio` has the same for those that await."""

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

    from cleanroom.client.remote.drivers import SyncDriver
    from cleanroom.client.remote.effects import Result as _Result

Rows = list[dict[str, Any]]
WAIT_SECONDS = 600.0


class _Run:
    """Runs conversations; the transport is opened with the first."""

    def __init__(self, session: Session, transport: "httpx.BaseTransport | None") -> None:
        self.session = session
        self._transport = transport
        self._driver: SyncDriver | None = None

    def __call__(self, flow: "Flow[_Result]") -> "_Result":
        if self._driver is None:
            # Heavy; a program that only prepares files needs no transport.
            from cleanroom.client.remote.drivers import SyncDriver  # noqa: PLC0415

            self._driver = SyncDriver(self.session.connection.url, transport=self._transport)
        return self._driver.run(flow)

    def close(self) -> None:
        if self._driver is not None:
            self._driver.close()


class Result(ResultValue):
    """A released answer; what it says is waited for where it is needed."""

    def __init__(self, run: _Run, analysis_id: str, *, asked: Mapping[str, Any]) -> None:
        super().__init__(analysis_id, asked=asked)
        self._run = run

    def wait(self, timeout: float = WAIT_SECONDS) -> Self:
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
            self._answer, self._receipt = self._run(flow)
        return self

    def cancel(self) -> None:
        """Give the question up; what it has reserved may stay spent."""
        self._run(self._run.session.questions.cancel(self.analysis_id))

    def _ensure(self) -> None:
        self.wait()


class Estimate(EstimateValue):
    """What asking would bring now, and the way to ask."""

    def __init__(self, run: _Run, question: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
        super().__init__(question, answer)
        self._run = run

    def run(self) -> Result:
        """Ask the question; it costs what the estimate says.

        Raises:
            Refused: the owner's rules do not permit it: PrivacyBudgetExceeded, AudienceTooSmall, ApprovalPending.
            ApiError: see there.
        """
        state = self._run(self._run.session.questions.ask(self.question))
        return Result(self._run, state["id"], asked=state)


class TablesOf:
    """One's own bases, or one's own datasets."""

    def __init__(self, run: _Run, tables: Tables) -> None:
        self._run = run
        self._tables = tables

    def list(self) -> Rows:
        """List them."""
        return self._run(self._tables.all())

    def get(self, table_id: str) -> dict[str, Any]:
        """Read one."""
        return self._run(self._tables.get(table_id))

    def versions(self, table_id: str) -> Rows:
        """List its loads."""
        return self._run(self._tables.versions(table_id))

    def report(self, table_id: str, version_id: str) -> dict[str, Any]:
        """Read the quality report of a load: exact, and for its owner alone."""
        return self._run(self._tables.report(table_id, version_id))

    def upload(self, table_id: str, data: Any, **options: Unpack[LoadOptions]) -> Table:
        """Hash, encrypt and load data into a registered one; called again after an error, it goes on.

        Args:
            table_id: `ds_...`.
            data: a frame of pandas, polars or Arrow, or the path of a CSV or Parquet file.
            options: see LoadOptions.
        """
        return self._run(self._run.session.upload_table(self._tables, table_id, data, options))

    def delete(self, table_id: str) -> None:
        """Delete one for good."""
        self._run(self._tables.delete(table_id))


class Bases(TablesOf):
    """One's own bases."""

    def create(self, data: Any, **options: Unpack[BaseOptions]) -> Table:
        """Hash and encrypt data here, and load them as a base; the same content is uploaded once.

        Args:
            data: a frame of pandas, polars or Arrow, or the path of a CSV or Parquet file.
            options: see BaseOptions; `on` or `schema` is needed.
        """
        return self._run(self._run.session.create_base(data, options))


class Datasets(TablesOf):
    """One's own datasets."""

    def create(
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
        return self._run(session.create_table(self._tables, data, schema, name, options))

    def set_policy(self, table_id: str, policy: Mapping[str, Any]) -> dict[str, Any]:
        """Put an analysis rule in force."""
        return self._run(self._tables.set_policy(table_id, policy))


class Webhooks(Verifying):
    """Addresses of one's own at which the room announces what has happened."""

    def __init__(self, run: _Run, hooks: HookFlows) -> None:
        self._run = run
        self._hooks = hooks

    def create(self, url: str, types: Sequence[str], *, description: str = "") -> dict[str, Any]:
        """Register one; the answer's `secret` verifies its messages, and is not shown again.

        Args:
            url: of https.
            types: of events, such as `analysis.answered`.
            description: for people.
        """
        return self._run(self._hooks.create(url, types, description))

    def list(self) -> Rows:
        """List them."""
        return self._run(self._hooks.all())

    def get(self, webhook_id: str) -> dict[str, Any]:
        """Read one, and whether it works."""
        return self._run(self._hooks.get(webhook_id))

    def change(
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
        return self._run(self._hooks.change(webhook_id, changes))

    def delete(self, webhook_id: str) -> None:
        """Delete one, with all that waits for it."""
        self._run(self._hooks.delete(webhook_id))

    def rotate_secret(self, webhook_id: str, *, overlap_hours: int = OVERLAP_HOURS) -> dict[str, Any]:
        """Replace its secret; both sign for the hours given.

        The answer's `secret` is None when the first answer was lost on its way: rotate once more then.
        """
        return self._run(self._hooks.rotate(webhook_id, overlap_hours))

    def ping(self, webhook_id: str) -> dict[str, Any]:
        """Have a test message sent."""
        return self._run(self._hooks.ping(webhook_id))

    def deliveries(self, webhook_id: str) -> Rows:
        """List what was sent in the last week, or waits to be; the newest first."""
        return self._run(self._hooks.deliveries(webhook_id))

    def redeliver(self, webhook_id: str, delivery_id: str) -> dict[str, Any]:
        """Have a message sent again, under the same id."""
        return self._run(self._hooks.redeliver(webhook_id, delivery_id))


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
        self._run = _Run(self._session, transport)
        self.bases = Bases(self._run, self._session.bases)
        self.datasets = Datasets(self._run, self._session.datasets)
        self.webhooks = Webhooks(self._run, self._session.hooks)

    def me(self) -> dict[str, Any]:
        """Tell who calls, with which scopes."""
        return self._run(self._session.me())

    def listings(
        self, query: str | None = None, *, attribute: str | None = None, purpose: str | None = None
    ) -> Rows:
        """Search the catalogue."""
        return self._run(self._session.market.listings(query, attribute=attribute, purpose=purpose))

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

    def offer(self, dataset_id: str, content: Mapping[str, Any]) -> dict[str, Any]:
        """Write a draft listing of a dataset."""
        return self._run(self._session.market.offer(content, dataset_id=dataset_id))

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
        return Result(self._run, analysis_id, asked={"id": analysis_id})

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
