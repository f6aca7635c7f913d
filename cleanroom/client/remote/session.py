"""All conversations of one client at one room, put together."""

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from cleanroom.client.receipts import ReceiptError, VerifiedReceipt, verify_receipt
from cleanroom.client.remote.alarms import AlarmFlows
from cleanroom.client.remote.connection import Connection
from cleanroom.client.remote.effects import Aside, Flow
from cleanroom.client.remote.evidence import require_shown
from cleanroom.client.remote.hooks import HookFlows
from cleanroom.client.remote.market import Market
from cleanroom.client.remote.options import (
    AskOptions,
    BaseOptions,
    LoadOptions,
    Options,
    RequestOptions,
    UploadOptions,
)
from cleanroom.client.remote.oversight import Oversight
from cleanroom.client.remote.people import PeopleFlows
from cleanroom.client.remote.problems import ConfigurationError
from cleanroom.client.remote.profiles import Profile, load_profile, state_dir
from cleanroom.client.remote.progress import shown
from cleanroom.client.remote.questions import Questions, question_body
from cleanroom.client.remote.rights import RightsFlows
from cleanroom.client.remote.store import Store
from cleanroom.client.remote.tables import WAIT_SECONDS, Table, Tables, schema_for
from cleanroom.client.remote.values import Receipt


class Session:
    """What `Client` and `AsyncClient` have in common; every method is a conversation."""

    def __init__(
        self, profile: Profile, *, progress: bool | None = None, environ: Mapping[str, str] = os.environ
    ) -> None:
        """Put a session together; nothing is sent.

        Args:
            profile: who calls which room.
            progress: whether to show bars; None to show them on a terminal.
            environ: names the folder of the state.
        """
        self.profile = profile
        credential = profile.credential()
        self.connection = Connection(profile.url, credential, advertiser=profile.advertiser or None)
        party = f"{credential.client_id} {profile.advertiser}"
        self.store = Store(state_dir(environ), url=self.connection.url, party=party)
        self.market = Market(self.connection)
        self.questions = Questions(self.connection)
        self.oversight = Oversight(self.connection)
        self.people = PeopleFlows(self.connection)
        self.hooks = HookFlows(self.connection)
        self.rights = RightsFlows(self.connection)
        self.alarms = AlarmFlows(self.connection)
        self.bases = Tables(self.connection, self.store, "bases")
        self.datasets = Tables(self.connection, self.store, "datasets")
        self._progress = progress

    def me(self) -> Flow[dict[str, Any]]:
        """Tell who calls."""
        return self.connection.get("/v1/me")

    def create_base(self, data: Any, options: BaseOptions) -> Flow[Table]:
        """Make a base of a content, or find the one that it became before."""
        on, schema = options.get("on"), options.get("schema")
        if schema is None:
            if on is None:
                raise ConfigurationError("A base needs its match keys.", remedy='Name them: on="phone".')
            schema = schema_for(
                on,
                label=options.get("label"),
                labels=options.get("labels", ()),
                default_region=options.get("default_region"),
                lawful_basis=options.get("lawful_basis", "consent"),
            )
        elif on is not None:
            raise ConfigurationError("A base has `on` or a schema.", remedy="Leave one of them out.")
        named = options.get("name") or f"base {datetime.now(UTC):%Y-%m-%d %H:%M:%S}"
        return (yield from self.create_table(self.bases, data, schema, named, options))

    def create_table(
        self, tables: Tables, data: Any, schema: Mapping[str, Any], name: str, options: LoadOptions
    ) -> Flow[Table]:
        """Make a table of a content under a schema."""
        with shown(self._progress) as report:
            return (
                yield from tables.create(
                    data,
                    schema=schema,
                    name=name,
                    over_shared=options.get("over_shared"),
                    wait=options.get("wait", WAIT_SECONDS),
                    report=report,
                )
            )

    def upload_table(self, tables: Tables, table_id: str, data: Any, options: UploadOptions) -> Flow[Table]:
        """Load a registered table anew."""
        with shown(self._progress) as report:
            return (
                yield from tables.upload(
                    table_id,
                    data,
                    mode=options.get("mode", "full"),
                    over_shared=options.get("over_shared"),
                    wait=options.get("wait", WAIT_SECONDS),
                    report=report,
                )
            )

    def estimate(
        self, kind: str, listing: str, data: Any, options: AskOptions
    ) -> Flow[tuple[dict[str, Any], dict[str, Any]]]:
        """Find the entitlement, make the base if needed, and estimate; gives the question and the answer."""
        base_id = options.get("base")
        if (data is None) == (base_id is None):
            raise ConfigurationError(
                "A question is about data, or about a base that is in the room, and not both.",
                remedy="Give a data frame or a file; or base=... with the base's id.",
            )
        found, entitlement = yield from self.market.entitlement_for(listing)
        purpose = self.questions.purpose_of(found, options.get("purpose"))
        if base_id is None:
            base_id = (yield from self.create_base(data, options)).id
        body = question_body(
            kind,
            entitlement_id=entitlement["id"],
            base_id=base_id,
            purpose=purpose,
            segments=options.get("segments"),
            breakdowns=options.get("breakdowns", ()),
            sums=options.get("sums", ()),
            precision=options.get("precision"),
            half_width=options.get("half_width"),
            percent=options.get("percent"),
            expected=options.get("expected"),
            labels=options.get("labels_counted", True),
            per_key=options.get("per_key", True),
            affinity=options.get("affinity", False),
        )
        estimate = yield from self.questions.estimate(
            body, sizes=options.get("sizes", ()), expected=options.get("expected_sizes")
        )
        return body, estimate

    def request(self, listing: str, options: RequestOptions) -> Flow[dict[str, Any]]:
        """Ask for an entitlement."""
        return self.market.request(
            listing,
            plan=options.get("plan"),
            purposes=options.get("purposes", ()),
            kinds=options.get("kinds", ()),
            size=options.get("size"),
            days=options.get("days"),
            questions=options.get("questions"),
            note=options.get("note", ""),
        )

    def finish(
        self, analysis_id: str, *, timeout: float, asked: Mapping[str, Any]
    ) -> Flow[tuple[dict[str, Any], Receipt]]:
        """Wait for a result; its receipt is verified and kept before anything of it is believed.

        Raises:
            ConfigurationError: the room's verifier key is not known.
            ReceiptError: the receipt does not verify, or is another question's.
            StillRunning, AnalysisFailed, Refused: see `Questions.finish`.
        """
        self.verifier_key()
        answer = yield from self.questions.finish(analysis_id, timeout=timeout)
        receipt = yield from self.receipt(analysis_id)
        require_shown(receipt.record, answer, analysis_id=analysis_id, asked=asked)
        return answer, receipt

    def receipt(self, analysis_id: str) -> Flow[Receipt]:
        """Fetch the receipt of an answer or a refusal, verify it, and keep it.

        Raises:
            ConfigurationError: the room's verifier key is not known.
            ReceiptError: the receipt does not verify, or is another question's.
            NotFound: there is none yet, or it is another party's.
        """
        key = self.verifier_key()
        raw = yield from self.questions.receipt(analysis_id)
        proven = verify_receipt(raw, verifier_key=key)
        if proven.record["subject"] != analysis_id and not (yield from self._stored(analysis_id)):
            raise ReceiptError("The receipt is another question's.", remedy="Ask the room for it anew.")
        path = yield Aside(lambda: self.store.keep_receipt(analysis_id, raw))
        return Receipt(path, proven.record, proven.index)

    def _stored(self, analysis_id: str) -> Flow[bool]:
        # What is answered from the store is proven by the receipt of the question that was counted.
        state = yield from self.questions.state(analysis_id)
        return bool(state["state"] == "stored")

    def event_proof(self, index: int) -> Flow[dict[str, Any]]:
        """Fetch an event of one's own with its proof, and verify it offline; gives the record."""
        return self.oversight.proven_event(index, verifier_key=self.verifier_key())

    def verify(
        self, receipt: Receipt, answer: Mapping[str, Any], *, analysis_id: str, asked: Mapping[str, Any]
    ) -> VerifiedReceipt:
        """Prove the kept file of a receipt again, and that it proves exactly what an answer shows; asks nobody.

        Raises:
            ReceiptError: the file was altered, or the answer shows something else.
        """
        try:
            raw = receipt.path.read_bytes()
        except OSError:
            raise ReceiptError(
                f"The kept receipt {receipt.path.name} cannot be read.",
                remedy="Fetch it again: `receipt(id)`.",
            ) from None
        proven = verify_receipt(raw, verifier_key=self.verifier_key())
        require_shown(proven.record, answer, analysis_id=analysis_id, asked=asked)
        return proven

    def verifier_key(self) -> str:
        """Return the key that proves the room's receipts; raises ConfigurationError."""
        if not self.profile.verifier_key:
            raise ConfigurationError(
                "The key that proves this room's receipts is not known.",
                remedy="Log in with `cleanroom login`, or set CLEANROOM_VERIFIER_KEY.",
            )
        return self.profile.verifier_key


def open_session(url: str | None, options: Options) -> Session:
    """Put a session together from arguments, the environment and the profile; raises ConfigurationError."""
    profile = load_profile(
        options.get("profile"),
        url=url,
        client_id=options.get("client_id"),
        client_secret=options.get("client_secret"),
        client_key=options.get("client_key"),
        advertiser=options.get("advertiser"),
        verifier_key=options.get("verifier_key"),
    )
    return Session(profile, progress=options.get("progress"))
