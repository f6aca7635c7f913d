"""Bases and datasets: registered, prepared here, sent, followed until they are published."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from cleanroom.client.errors import PrepareError
from cleanroom.client.remote.connection import Connection
from cleanroom.client.remote.effects import Aside, Flow, Pause
from cleanroom.client.remote.problems import InvalidRequest, NotFound, StillRunning
from cleanroom.client.remote.progress import Report
from cleanroom.client.remote.store import Parcel, Store
from cleanroom.client.remote.tus import send_parcel, state_of
from cleanroom.errors import CleanroomError

Kind = Literal["bases", "datasets"]
Mode = Literal["full", "delta"]
On = str | Sequence[str] | Mapping[str, str | Sequence[str]]
"""Match keys: identifiers that are also the columns' names, or a mapping of identifiers to columns."""

IDENTIFIERS = ("email", "phone", "maid", "cookie", "loyalty_id")
WAIT_SECONDS = 3600.0
_FIRST_PAUSE, _MOST_PAUSE = 0.2, 5.0


class LoadFailed(CleanroomError):
    """The room took the file and could not load it; the message names the room's code."""

    code = "client.load_failed"


class OverSharedKeys(CleanroomError):
    """Key values have too many holders, and their owner has to decide before the version is published."""

    code = "client.over_shared_keys"


@dataclass(frozen=True)
class Table:
    """A base or a dataset that is published.

    Attributes:
        id: `ds_...`.
        name: for people.
        version_id: the current version; None before the first.
        rows: prepared here and sent; None when nothing had to be sent.
        rejected: rows left out here, by reason.
        reused: whether this content had been uploaded before.
    """

    id: str
    name: str
    version_id: str | None
    rows: int | None = None
    rejected: Mapping[str, int] | None = None
    reused: bool = False


def schema_for(
    on: On,
    *,
    label: str | None = None,
    labels: Sequence[str] = (),
    default_region: str | None = None,
    lawful_basis: str = "consent",
) -> dict[str, Any]:
    """Write the schema of a base.

    Args:
        on: see `On`.
        label: the column that marks the rows, if any.
        labels: its values.
        default_region: the country of phone numbers that are written without one, such as `RU`.
        lawful_basis: why the advertiser may process these people's data.

    Raises:
        PrepareError: a column's name does not tell what it holds.
    """
    named = on if isinstance(on, Mapping) else {one: one for one in ([on] if isinstance(on, str) else on)}
    unknown = [one for one in named if one not in IDENTIFIERS]
    if unknown or not named:
        raise PrepareError(
            "It is not clear what the columns of `on` hold.",
            remedy=f'Map identifiers to columns, like {{"phone": "Mobile"}}; there are {", ".join(IDENTIFIERS)}.',
        )
    keys: dict[str, Any] = {}
    for identifier, columns in named.items():
        where = {"column": columns} if isinstance(columns, str) else {"columns": list(columns)}
        region = {"default_region": default_region} if identifier == "phone" and default_region else {}
        keys[identifier] = where | region
    schema: dict[str, Any] = {"match_keys": keys, "lawful_basis": lawful_basis}
    if label is not None:
        schema["label"] = {"column": label, "values": list(labels)}
    return schema


class Tables:
    """Conversations about one kind of table."""

    def __init__(self, connection: Connection, store: Store, kind: Kind) -> None:
        self._connection = connection
        self._store = store
        self._kind = kind

    def all(self) -> Flow[list[dict[str, Any]]]:
        """List one's own."""
        return self._connection.pages(f"/v1/{self._kind}")

    def get(self, table_id: str) -> Flow[dict[str, Any]]:
        """Read one."""
        return self._connection.get(f"/v1/{self._kind}/{table_id}")

    def versions(self, table_id: str) -> Flow[list[dict[str, Any]]]:
        """List its loads."""
        return self._connection.pages(f"/v1/{self._kind}/{table_id}/versions")

    def report(self, table_id: str, version_id: str) -> Flow[dict[str, Any]]:
        """Read the quality report of a load."""
        return self._connection.get(f"/v1/{self._kind}/{table_id}/versions/{version_id}/report")

    def delete(self, table_id: str) -> Flow[None]:
        """Delete one for good."""
        return self._connection.delete(f"/v1/{self._kind}/{table_id}")

    def set_policy(self, table_id: str, policy: Mapping[str, Any]) -> Flow[dict[str, Any]]:
        """Put an analysis rule in force."""
        return self._connection.put(f"/v1/{self._kind}/{table_id}/policy", {"document": dict(policy)})

    def register(self, schema: Mapping[str, Any], *, name: str) -> Flow[dict[str, Any]]:
        """Register one; nothing is loaded yet."""
        return self._connection.post(f"/v1/{self._kind}", {"name": name, "schema": dict(schema)})

    def create(
        self,
        data: Any,
        *,
        schema: Mapping[str, Any],
        name: str,
        over_shared: Literal["junk"] | None,
        wait: float,
        report: Report,
    ) -> Flow[Table]:
        """Register a table and load it, unless this content is a published table already.

        Raises:
            ApiError, FileError, LoadFailed, OverSharedKeys, StillRunning: see `upload`.
        """
        source = yield Aside(lambda: _as_source(data, schema))
        digest = yield Aside(lambda: _digest(source, schema, self._store.digest_secret()))
        known = self._store.known(digest)
        if known is not None:
            table = yield from self._published(known)
            if table is not None:
                return table
        table_id = yield from self._begun(digest)
        if table_id is None:
            table_id = (yield from self.register(schema, name=name))["id"]
        made = yield from self._load(
            source, digest, table_id, over_shared=over_shared, wait=wait, report=report
        )
        yield Aside(lambda: self._store.remember(digest, made.id))
        return made

    def upload(
        self,
        table_id: str,
        data: Any,
        *,
        mode: Mode,
        over_shared: Literal["junk"] | None,
        wait: float,
        report: Report,
    ) -> Flow[Table]:
        """Load a registered table anew or change it; an upload of the same content that broke off goes on.

        Raises:
            FileError, PrepareError: the data do not fit the schema.
            ApiError, Unreachable: the room refuses, or does not answer; calling again goes on.
            LoadFailed, OverSharedKeys, StillRunning: what became of it in the room.
        """
        table = yield from self.get(table_id)
        schema = table["schema"]
        changed = table["current_version_id"] if mode == "delta" else None
        if mode == "delta" and changed is None:
            raise PrepareError("There is no version to change yet.", remedy="Load everything once.")
        source = yield Aside(lambda: _as_source(data, schema, mode))
        # The same changes to another version are another package.
        about = [table_id, mode, changed or "", schema]
        digest = yield Aside(lambda: _digest(source, about, self._store.digest_secret(), mode))
        return (
            yield from self._load(
                source,
                digest,
                table_id,
                over_shared=over_shared,
                wait=wait,
                report=report,
                mode=mode,
                changed=changed,
            )
        )

    def _begun(self, digest: str) -> Flow[str | None]:
        """Return the table that this content was being loaded into when a run broke off; None without one."""
        parcel = self._store.parcel(digest)
        if parcel is None:
            return None
        try:
            yield from self.get(parcel.table_id)
        except NotFound:
            self._store.drop_parcel(parcel)
            return None
        return parcel.table_id

    def _published(self, table_id: str) -> Flow[Table | None]:
        try:
            plain = yield from self.get(table_id)
        except NotFound:
            return None
        if plain["current_version_id"] is None:
            return None
        return Table(plain["id"], plain["name"], plain["current_version_id"], reused=True)

    def _load(
        self,
        source: Any,
        digest: str,
        table_id: str,
        *,
        over_shared: Literal["junk"] | None,
        wait: float,
        report: Report,
        mode: Mode = "full",
        changed: str | None = None,
    ) -> Flow[Table]:
        plain = yield from self.get(table_id)
        parcel, counts, state = self._store.parcel(digest), None, None
        if parcel is not None:
            try:
                state = yield from self._deliver(parcel, wait=wait, report=report)
            except (NotFound, InvalidRequest):
                # Given up by the room, or expired while it lay here: a new package of the same content is made.
                self._store.drop_parcel(parcel)
        if parcel is None or state is None:
            parcel, counts = yield from self._prepare(source, digest, plain, report, mode, changed)
            state = yield from self._deliver(parcel, wait=wait, report=report)
        self._store.drop_parcel(parcel)
        version_id = state["version_id"]
        if state["state"] == "failed" or version_id is None:
            raise LoadFailed(
                f"The room could not load the file ({state['failure'] or state['state']}).",
                remedy="Correct what the code names and upload again.",
            )
        if state["state"] != "published":
            yield from self._publish(plain["id"], state, over_shared)
        return Table(
            plain["id"],
            plain["name"],
            version_id,
            rows=None if counts is None else counts.rows,
            rejected=None if counts is None else counts.rejected,
        )

    def _prepare(
        self,
        source: Any,
        digest: str,
        table: Mapping[str, Any],
        report: Report,
        mode: Mode,
        changed: str | None,
    ) -> Flow[tuple[Parcel, Any]]:
        key_id, seed = yield from self.ensure_key()

        def work() -> tuple[Parcel, Any]:
            # Heavy, and only preparing needs them.
            from cleanroom.client.parties import Recipient, Signer  # noqa: PLC0415
            from cleanroom.client.preparing import prepare  # noqa: PLC0415
            from cleanroom.schema.codec import schema_from_dict  # noqa: PLC0415

            with self._store.packing() as folder:
                prepared = prepare(
                    source,
                    schema=schema_from_dict(table["schema"]),
                    recipient=Recipient(table["workspace_id"], table["id"], table["recipient"]),
                    signer=Signer(key_id, seed),
                    out_dir=folder,
                    mode=mode,
                    expected_version_id=changed,
                    progress=lambda done, total: report("Hashing here", done, total),
                )
                parcel = self._store.keep_parcel(
                    digest,
                    table_id=table["id"],
                    manifest=prepared.manifest_path,
                    payload=prepared.package_path,
                )
                return parcel, prepared

        packed: tuple[Parcel, Any] = yield Aside(work)
        return packed

    def ensure_key(self) -> Flow[tuple[str, bytes]]:
        """Return the key that signs packages; made and enrolled when there is none yet."""
        kept = self._store.read_key()
        if kept is not None:
            return kept
        from crypto.keys import generate_signing_key, public_key  # noqa: PLC0415 - not needed for questions

        seed = generate_signing_key()
        public = base64.b64encode(public_key(seed)).decode()
        key_id: str = (yield from self._connection.post("/v1/keys", {"public_key": public}))["id"]
        yield Aside(lambda: self._store.keep_key(key_id, seed))
        return key_id, seed

    def _deliver(self, parcel: Parcel, *, wait: float, report: Report) -> Flow[dict[str, Any]]:
        location = yield from send_parcel(
            self._connection,
            self._store,
            parcel,
            publish=True,
            sent=lambda done, total: report("Uploading", done, total),
        )
        waited, pause = 0.0, _FIRST_PAUSE
        while True:
            state: dict[str, Any] = yield from state_of(self._connection, location)
            if state["state"] in ("terminated", "expired"):
                raise NotFound("The room has given the upload up.", remedy="Upload again.", status=410)
            if state["state"] not in ("receiving", "received", "ingesting"):
                return state
            if state.get("progress"):
                report("Loading", state["progress"]["rows_done"], state["progress"]["rows_total"])
            if waited >= wait:
                raise StillRunning(
                    f"The room is still loading the file ({state['state']}).",
                    remedy="Call again with the same data: it goes on where it is. A room needs a running worker.",
                )
            yield Pause(pause)
            waited, pause = waited + pause, min(pause * 1.5, _MOST_PAUSE)

    def _publish(
        self, table_id: str, state: Mapping[str, Any], over_shared: Literal["junk"] | None
    ) -> Flow[None]:
        waiting = state["state"] == "awaiting_junk"
        if waiting and over_shared is None:
            raise OverSharedKeys(
                "Some key values have too many holders to mean a person, such as a shop's own phone number.",
                remedy='Look at the quality report, then upload with over_shared="junk" to ignore them.',
            )
        body = {"over_shared": over_shared} if waiting else {}
        path = f"/v1/{self._kind}/{table_id}/versions/{state['version_id']}/publish"
        yield from self._connection.post(path, body)


def _as_source(data: Any, schema: Mapping[str, Any], mode: Mode = "full") -> Any:
    if isinstance(data, str | Path):
        return Path(data)
    from cleanroom.client.encoder import OP_COLUMN  # noqa: PLC0415 - heavy, and not needed for questions
    from cleanroom.client.frames import as_source  # noqa: PLC0415 - brings polars
    from cleanroom.schema.codec import schema_from_dict  # noqa: PLC0415

    columns = schema_from_dict(schema).columns()
    return as_source(data, [*columns, OP_COLUMN] if mode == "delta" else columns)


def _digest(source: Any, schema: Any, secret: bytes, mode: Mode = "full") -> str:
    from cleanroom.client.contents import content_digest  # noqa: PLC0415 - heavy

    return content_digest(source, schema, secret=secret, mode=mode)
