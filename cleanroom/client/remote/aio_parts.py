"""What `AsyncClient` is made of: estimates, results, tables, mandates and events."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self, Unpack

from cleanroom.client.receipts import VerifiedReceipt
from cleanroom.client.remote.answers import EstimateValue, ResultValue
from cleanroom.client.remote.effects import Flow
from cleanroom.client.remote.hooks import OVERLAP_HOURS, HookFlows, HookState, Verifying
from cleanroom.client.remote.options import AgencyAction, BaseOptions, LoadOptions, UploadOptions
from cleanroom.client.remote.people import OptOutOptions
from cleanroom.client.remote.session import Session
from cleanroom.client.remote.tables import Table, Tables
from cleanroom.money import Money

if TYPE_CHECKING:
    import httpx

    from cleanroom.client.remote.drivers import AsyncDriver
    from cleanroom.client.remote.effects import Result as _Result

Rows = list[dict[str, Any]]
WAIT_SECONDS = 600.0


class Run:
    """Runs conversations; the transport is opened with the first."""

    def __init__(self, session: Session, transport: "httpx.AsyncBaseTransport | None") -> None:
        self.session = session
        self._transport = transport
        self._driver: AsyncDriver | None = None

    async def __call__(self, flow: "Flow[_Result]") -> "_Result":
        """Run one to its end."""
        if self._driver is None:
            # Heavy; a program that only prepares files needs no transport.
            from cleanroom.client.remote.drivers import AsyncDriver  # noqa: PLC0415 - brings httpx

            self._driver = AsyncDriver(self.session.connection.url, transport=self._transport)
        return await self._driver.run(flow)

    async def close(self) -> None:
        """Close the connections, if there are any."""
        if self._driver is not None:
            await self._driver.close()


class AsyncResult(ResultValue):
    """A released answer; `await result.wait()` before it is read."""

    def __init__(self, run: Run, analysis_id: str, *, asked: Mapping[str, Any]) -> None:
        super().__init__(analysis_id, asked=asked)
        self._run = run

    def verify(self) -> VerifiedReceipt:
        """Prove the kept receipt again, and that it proves exactly the figures shown here; asks the room nothing.

        Raises:
            ReceiptError: the file was altered, or figures differ.
            StillRunning: the result is not here yet.
        """
        return self._run.session.verify(
            self.receipt, self.answer, analysis_id=self.analysis_id, asked=self._asked
        )

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
            flow = self._run.session.finish(self.analysis_id, timeout=timeout, asked=self._asked)
            self._answer, self._receipt = await self._run(flow)
        return self

    async def cancel(self) -> None:
        """Give the question up; what it has reserved may stay spent."""
        await self._run(self._run.session.questions.cancel(self.analysis_id))


class AsyncEstimate(EstimateValue):
    """What asking would bring now, and the way to ask."""

    def __init__(self, run: Run, question: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
        super().__init__(question, answer)
        self._run = run

    async def run(self) -> AsyncResult:
        """Ask the question; it costs what the estimate says.

        Raises:
            Refused: the owner's rules do not permit it: PrivacyBudgetExceeded, AudienceTooSmall, ApprovalPending.
            ApiError: see there.
        """
        state = await self._run(self._run.session.questions.ask(self.question))
        return AsyncResult(self._run, state["id"], asked=self.question)


class AsyncTablesOf:
    """One's own bases, or one's own datasets."""

    def __init__(self, run: Run, tables: Tables) -> None:
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

    async def upload(self, table_id: str, data: Any, **options: Unpack[UploadOptions]) -> Table:
        """Hash, encrypt and load data into a registered one; called again after an error, it goes on.

        Args:
            table_id: `ds_...`.
            data: a frame of pandas, polars or Arrow, or the path of a CSV or Parquet file.
            options: see UploadOptions.
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


class AsyncMandates:
    """Who may act for whom."""

    def __init__(self, run: Run) -> None:
        self._run = run

    async def list(self) -> Rows:
        """List the mandates that one granted, or was granted."""
        return await self._run(self._run.session.oversight.mandates())

    async def grant(
        self,
        agency_id: str,
        *,
        until: datetime | None = None,
        purposes: Sequence[str] | None = None,
        actions: Sequence[AgencyAction] | None = None,
        cap: Money | None = None,
    ) -> dict[str, Any]:
        """Let an agency act for the caller, an advertiser.

        Args:
            agency_id: `org_...`.
            until: when it ends, with a time zone.
            purposes: the only ones that it may act for.
            actions: the only ones that it may do.
            cap: the most that it may spend in a calendar month.
        """
        oversight = self._run.session.oversight
        return await self._run(
            oversight.grant_mandate(agency_id, until=until, purposes=purposes, actions=actions, cap=cap)
        )

    async def revoke(self, mandate_id: str) -> None:
        """End a mandate: the agency's next call is refused."""
        await self._run(self._run.session.oversight.revoke_mandate(mandate_id))


class AsyncEvents:
    """The audit log, as far as it is one's own."""

    def __init__(self, run: Run) -> None:
        self._run = run

    async def list(self, kinds: Sequence[str] = ()) -> Rows:
        """List events, of all kinds or of those named; each record with its `index` in the log."""
        return await self._run(self._run.session.oversight.events(kinds))

    async def proof(self, index: int) -> dict[str, Any]:
        """Read an event, proven to stand in the room's signed log; raises UnprovenEvent."""
        return await self._run(self._run.session.event_proof(index))


class AsyncPeople:
    """People who opt out, and one person at a time; identifiers are hashed before anything is sent."""

    def __init__(self, run: Run) -> None:
        self._run = run

    async def opt_out(self, named: Sequence[Mapping[str, Any]], **options: Unpack[OptOutOptions]) -> Rows:
        """Suppress, restrict or withdraw people, or lift what was put on a list; what each dataset did is answered.

        Args:
            named: what `cleanroom.client.naming.name_people` gives.
            options: see OptOutOptions.
        """
        return await self._run(self._run.session.people.opt_out(named, options))

    async def opt_outs(self) -> Rows:
        """List accepted batches, the newest first."""
        return await self._run(self._run.session.people.opt_outs())

    async def propagation(self, opt_out_id: str) -> Rows:
        """Report how a batch took effect, dataset by dataset."""
        return await self._run(self._run.session.people.propagation(opt_out_id))

    async def epoch(self, dataset_id: str, epoch: int) -> dict[str, Any]:
        """Report how a consent epoch took effect."""
        return await self._run(self._run.session.people.epoch(dataset_id, epoch))

    async def look_up(
        self, dataset_id: str, named: Mapping[str, str], *, reason: str, reference: str = ""
    ) -> dict[str, Any]:
        """Tell what one's own dataset holds about somebody; the log keeps that it was asked, and why.

        Args:
            dataset_id: where.
            named: one of what `cleanroom.client.naming.name_one` gives.
            reason: why, such as `request`.
            reference: of the case in one's own books.
        """
        people = self._run.session.people
        return await self._run(people.look_up(dataset_id, named, reason=reason, reference=reference))

    async def export(
        self, dataset_id: str, named: Mapping[str, str], *, reason: str, reference: str = ""
    ) -> dict[str, Any]:
        """Give everything that one's own dataset holds about somebody; arguments as of `look_up`."""
        people = self._run.session.people
        return await self._run(people.export(dataset_id, named, reason=reason, reference=reference))


class AsyncWebhooks(Verifying):
    """Addresses of one's own at which the room announces what has happened."""

    def __init__(self, run: Run, hooks: HookFlows) -> None:
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
