"""What `Client` is made of: estimates, results, tables, mandates and events."""

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

    from cleanroom.client.remote.drivers import SyncDriver
    from cleanroom.client.remote.effects import Result as _Result

Rows = list[dict[str, Any]]
WAIT_SECONDS = 600.0


class Run:
    """Runs conversations; the transport is opened with the first."""

    def __init__(self, session: Session, transport: "httpx.BaseTransport | None") -> None:
        self.session = session
        self._transport = transport
        self._driver: SyncDriver | None = None

    def __call__(self, flow: "Flow[_Result]") -> "_Result":
        """Run one to its end."""
        if self._driver is None:
            # Heavy; a program that only prepares files needs no transport.
            from cleanroom.client.remote.drivers import SyncDriver  # noqa: PLC0415 - brings httpx

            self._driver = SyncDriver(self.session.connection.url, transport=self._transport)
        return self._driver.run(flow)

    def close(self) -> None:
        """Close the connections, if there are any."""
        if self._driver is not None:
            self._driver.close()


class Result(ResultValue):
    """A released answer; what it says is waited for where it is needed."""

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
            flow = self._run.session.finish(self.analysis_id, timeout=timeout, asked=self._asked)
            self._answer, self._receipt = self._run(flow)
        return self

    def cancel(self) -> None:
        """Give the question up; what it has reserved may stay spent."""
        self._run(self._run.session.questions.cancel(self.analysis_id))

    def _ensure(self) -> None:
        self.wait()


class Estimate(EstimateValue):
    """What asking would bring now, and the way to ask."""

    def __init__(self, run: Run, question: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
        super().__init__(question, answer)
        self._run = run

    def run(self) -> Result:
        """Ask the question; it costs what the estimate says.

        Raises:
            Refused: the owner's rules do not permit it: PrivacyBudgetExceeded, AudienceTooSmall, ApprovalPending.
            ApiError: see there.
        """
        state = self._run(self._run.session.questions.ask(self.question))
        return Result(self._run, state["id"], asked=self.question)


class TablesOf:
    """One's own bases, or one's own datasets."""

    def __init__(self, run: Run, tables: Tables) -> None:
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

    def upload(self, table_id: str, data: Any, **options: Unpack[UploadOptions]) -> Table:
        """Hash, encrypt and load data into a registered one; called again after an error, it goes on.

        Args:
            table_id: `ds_...`.
            data: a frame of pandas, polars or Arrow, or the path of a CSV or Parquet file.
            options: see UploadOptions.
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


class Mandates:
    """Who may act for whom."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def list(self) -> Rows:
        """List the mandates that one granted, or was granted."""
        return self._run(self._run.session.oversight.mandates())

    def grant(
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
        return self._run(
            oversight.grant_mandate(agency_id, until=until, purposes=purposes, actions=actions, cap=cap)
        )

    def revoke(self, mandate_id: str) -> None:
        """End a mandate: the agency's next call is refused."""
        self._run(self._run.session.oversight.revoke_mandate(mandate_id))


class Events:
    """The audit log, as far as it is one's own."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def list(self, kinds: Sequence[str] = ()) -> Rows:
        """List events, of all kinds or of those named; each record with its `index` in the log."""
        return self._run(self._run.session.oversight.events(kinds))

    def proof(self, index: int) -> dict[str, Any]:
        """Read an event, proven to stand in the room's signed log; raises UnprovenEvent."""
        return self._run(self._run.session.event_proof(index))


class People:
    """People who opt out, and one person at a time; identifiers are hashed before anything is sent."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def opt_out(self, named: Sequence[Mapping[str, Any]], **options: Unpack[OptOutOptions]) -> Rows:
        """Suppress, restrict or withdraw people, or lift what was put on a list; what each dataset did is answered.

        Args:
            named: what `cleanroom.client.naming.name_people` gives.
            options: see OptOutOptions.
        """
        return self._run(self._run.session.people.opt_out(named, options))

    def opt_outs(self) -> Rows:
        """List accepted batches, the newest first."""
        return self._run(self._run.session.people.opt_outs())

    def propagation(self, opt_out_id: str) -> Rows:
        """Report how a batch took effect, dataset by dataset."""
        return self._run(self._run.session.people.propagation(opt_out_id))

    def epoch(self, dataset_id: str, epoch: int) -> dict[str, Any]:
        """Report how a consent epoch took effect."""
        return self._run(self._run.session.people.epoch(dataset_id, epoch))

    def look_up(
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
        return self._run(people.look_up(dataset_id, named, reason=reason, reference=reference))

    def export(
        self, dataset_id: str, named: Mapping[str, str], *, reason: str, reference: str = ""
    ) -> dict[str, Any]:
        """Give everything that one's own dataset holds about somebody; arguments as of `look_up`."""
        people = self._run.session.people
        return self._run(people.export(dataset_id, named, reason=reason, reference=reference))


class Webhooks(Verifying):
    """Addresses of one's own at which the room announces what has happened."""

    def __init__(self, run: Run, hooks: HookFlows) -> None:
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
