"""Setting analysis rules and stopping questions."""

from dataclasses import asdict, replace
from typing import Any

from sqlalchemy import Row, bindparam, select

from cleanroom.clock import Clock
from cleanroom.datasets.models import DatasetRow
from cleanroom.db.base import Base
from cleanroom.db.database import Transaction
from cleanroom.ids import new_id
from cleanroom.remembered import Remembered
from cleanroom.rules.errors import (
    PolicyChangedError,
    UnconfirmedOverrideError,
    UndeclaredAttributeError,
    UnknownPolicyError,
    UntestedPolicyError,
)
from cleanroom.rules.models import KillSwitchRow, PolicyRow
from cleanroom.rules.ownership import require_owner
from cleanroom.rules.trials import recorded_verdict
from cleanroom.rules.types import Examined, PolicyVersion, RedTeamVerdict, Switch, policy_sha256
from cleanroom.schema.codec import schema_from_dict
from cleanroom.workspaces.models import WorkspaceRow
from policies.codec import policy_from_data, policy_to_data
from policies.diff import preset_above, unsafe_reason
from policies.model import PolicyDocument

_POLICIES = Base.metadata.tables[PolicyRow.__tablename__]
_SWITCHES = Base.metadata.tables[KillSwitchRow.__tablename__].c
# What every question runs is made once: to put a statement together takes longer than to run it.
_NEWEST = (
    select(*(column for column in _POLICIES.c if column.name != "document"))
    .where(_POLICIES.c.dataset_id == bindparam("dataset_id"))
    .order_by(_POLICIES.c.number.desc())
    .limit(1)
)
_DOCUMENT = select(_POLICIES.c.document).where(_POLICIES.c.id == bindparam("id"))
_SWITCH = select(_SWITCHES.stopped).where(_SWITCHES.dataset_id == bindparam("dataset_id"))
_VERSIONS = Remembered[tuple[str, str], PolicyVersion](64)


class Rules:
    """The service of the rules slice."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def set_policy(
        self,
        tx: Transaction,
        dataset_id: str,
        document: PolicyDocument,
        *,
        organisation_id: str,
        verdict: RedTeamVerdict | None = None,
        follows: int | None = None,
        by: str | None = None,
        confirmed: str | None = None,
    ) -> PolicyVersion:
        """Put a new version of a dataset's analysis rule in force.

        A document that permits no more than a preset needs nothing else. Any other needs the red team's verdict that
        it resists, or the rule `unsafe` with the owner's reason, which its version then shows, and a second person.
        A verdict that the room has recorded of the document is found by itself.

        Args:
            tx: the caller's transaction.
            dataset_id: whose rule it is.
            document: the rules; the same as the current ones is no new version.
            organisation_id: who sets it: the dataset's owner.
            verdict: of the red team on this very document; the one that the room has recorded when not given.
            follows: the number of the version that the change started from, 0 for none; None follows any.
            by: the person or the program.
            confirmed: names what proves that two people want an override: the ask that one of them confirmed.

        Returns:
            The version in force.

        Raises:
            DatasetNotFoundError: there is no such dataset.
            NotYourDatasetError: it is another organisation's.
            UndeclaredAttributeError: the document names an attribute that the dataset does not declare.
            UntestedPolicyError: the document permits more than every preset, without verdict and override.
            PolicyChangedError: another version came after the one it follows.
            UnconfirmedOverrideError: it is overridden, and nobody has confirmed that.
        """
        require_owner(tx, dataset_id, organisation_id)
        # Held until the end, so that two versions are numbered one after the other.
        row = tx.session.get(DatasetRow, dataset_id, with_for_update=True)
        assert row is not None
        _require_declared(row, document)
        found = _examined(tx, dataset_id, document)
        digest, verdict = found.sha256, verdict or found.verdict
        if verdict is not None and verdict.policy_sha256 != digest:
            raise UntestedPolicyError(
                "The verdict is on another document.", remedy="Run the red team on this document."
            )
        found = replace(found, verdict=verdict)
        if not found.publishable:
            raise UntestedPolicyError(
                "The policy permits more than every preset, and no verdict says that it resists.",
                remedy="Tighten it, let the room try it (`redteam`), or add the rule `unsafe` with a reason.",
            )
        current = self.current(tx, dataset_id)
        if current is not None and current.sha256 == digest:
            return current
        if follows is not None and follows != (current.number if current else 0):
            raise PolicyChangedError(
                f"Version {current.number if current else 0} was put in force meanwhile, not {follows}.",
                remedy="Compare your change with it, and publish again.",
            )
        if not found.safe and confirmed is None:
            raise UnconfirmedOverrideError(
                "An override named unsafe takes a second person.",
                remedy="Ask for it on the page `Two people`, or with `cleanroom four-eyes ask-unsafe`.",
            )
        now = self._clock.now()
        data = policy_to_data(document)
        made = PolicyRow(
            id=new_id("pol", now),
            dataset_id=dataset_id,
            number=1 if current is None else current.number + 1,
            document=data,
            sha256=digest,
            report_sha256=verdict.report_sha256 if verdict else None,
            created_at=now,
            set_by=by,
        )
        tx.session.add(made)
        tx.session.flush()
        tx.audit(
            "rules.policy_set",
            subject_id=made.id,
            organisation_id=organisation_id,
            body={
                "dataset_id": dataset_id,
                "number": made.number,
                "sha256": digest,
                "document": data,
                "preset": found.preset,
                "unsafe": found.unsafe,
                "redteam": asdict(verdict) if verdict else None,
                "by": by,
                "confirmed": None if found.safe else confirmed,
            },
        )
        return _version(made, made.document)

    def examine(
        self, tx: Transaction, dataset_id: str, document: PolicyDocument, *, organisation_id: str
    ) -> Examined:
        """Tell whether a document could be put in force as it is; raises as `set_policy`, but changes nothing."""
        require_owner(tx, dataset_id, organisation_id)
        _require_declared(tx.session.get_one(DatasetRow, dataset_id), document)
        return _examined(tx, dataset_id, document)

    def current(self, tx: Transaction, dataset_id: str) -> PolicyVersion | None:
        """Return the version in force, or None when the owner has set none: then nothing is answered."""
        connection = tx.connection
        row = connection.execute(_NEWEST, {"dataset_id": dataset_id}).one_or_none()
        if row is None:
            return None
        # A version never changes, and to read a document takes longer than all the rest.
        known = _VERSIONS.get((row.id, row.sha256))
        if known is not None:
            return known
        document = connection.execute(_DOCUMENT, {"id": row.id}).scalar_one()
        return _VERSIONS.put((row.id, row.sha256), _version(row, document))

    def policy(self, tx: Transaction, policy_id: str) -> PolicyVersion:
        """Return a version by its id; raises UnknownPolicyError."""
        row = tx.session.get(PolicyRow, policy_id)
        if row is None:
            raise UnknownPolicyError(
                "There is no policy with this id.", remedy="Look the id up in the audit log."
            )
        return _version(row, row.document)

    def history(self, tx: Transaction, dataset_id: str) -> tuple[PolicyVersion, ...]:
        """Return every version of a dataset's rule, the first one first."""
        rows = select(PolicyRow).where(PolicyRow.dataset_id == dataset_id).order_by(PolicyRow.number)
        return tuple(_version(row, row.document) for row in tx.session.scalars(rows))

    def stop(self, tx: Transaction, dataset_id: str, *, organisation_id: str, by: str | None = None) -> None:
        """Refuse every question to a dataset from now on, those being computed included; raises NotYourDatasetError."""
        self._switch(tx, dataset_id, Switch(True, self._clock.now(), by), organisation_id)

    def resume(
        self, tx: Transaction, dataset_id: str, *, organisation_id: str, by: str | None = None
    ) -> None:
        """Release the kill switch; raises NotYourDatasetError."""
        self._switch(tx, dataset_id, Switch(False, self._clock.now(), by), organisation_id)

    def switch(self, tx: Transaction, dataset_id: str) -> Switch:
        """Return the kill switch of a dataset, with who touched it last."""
        row = tx.session.get(KillSwitchRow, dataset_id)
        return Switch(False) if row is None else Switch(row.stopped, row.changed_at, row.changed_by)

    def stopped(self, tx: Transaction, dataset_id: str) -> bool:
        """Tell whether the kill switch is on."""
        # Read as a column: a question's second transaction must see what was committed while it computed.
        return bool(tx.connection.scalar(_SWITCH, {"dataset_id": dataset_id}))

    def stopped_of(self, tx: Transaction, organisation_id: str) -> tuple[tuple[str, str], ...]:
        """Return id and name of an organisation's datasets whose kill switch is on, by name."""
        rows = (
            select(DatasetRow.id, DatasetRow.name)
            .join(KillSwitchRow, KillSwitchRow.dataset_id == DatasetRow.id)
            .join(WorkspaceRow, WorkspaceRow.id == DatasetRow.workspace_id)
            .where(
                WorkspaceRow.organisation_id == organisation_id,
                KillSwitchRow.stopped,
                DatasetRow.deleted_at.is_(None),
            )
            .order_by(DatasetRow.name, DatasetRow.id)
        )
        return tuple((dataset_id, name) for dataset_id, name in tx.session.execute(rows))

    def _switch(self, tx: Transaction, dataset_id: str, to: Switch, organisation_id: str) -> None:
        require_owner(tx, dataset_id, organisation_id)
        # Waits for releases under way, and makes those that come next see the switch.
        tx.session.execute(select(DatasetRow.id).where(DatasetRow.id == dataset_id).with_for_update())
        if self.stopped(tx, dataset_id) == to.stopped:
            return
        row = KillSwitchRow(
            dataset_id=dataset_id, stopped=to.stopped, changed_at=to.changed_at, changed_by=to.changed_by
        )
        tx.session.merge(row)
        tx.session.flush()
        kind = "rules.dataset_stopped" if to.stopped else "rules.dataset_resumed"
        tx.audit(kind, subject_id=dataset_id, organisation_id=organisation_id, body={"by": to.changed_by})


def _require_declared(row: DatasetRow, document: PolicyDocument) -> None:
    declared = {attribute.name for attribute in schema_from_dict(row.schema).attributes}
    named = {name for rule in document.rules for name in rule.named}
    if not named <= declared:
        # A misspelt name in a list of blocked attributes would block nothing.
        raise UndeclaredAttributeError(
            f"The dataset does not declare: {', '.join(sorted(named - declared))}.",
            remedy=f"Declared attributes: {', '.join(sorted(declared)) or 'none'}.",
        )


def _examined(tx: Transaction, dataset_id: str, document: PolicyDocument) -> Examined:
    digest = policy_sha256(document)
    return Examined(
        sha256=digest,
        preset=preset_above(document),
        unsafe=unsafe_reason(document),
        verdict=recorded_verdict(tx, dataset_id, digest),
    )


def _version(row: PolicyRow | Row[Any], data: dict[str, Any]) -> PolicyVersion:
    document = policy_from_data(data)
    return PolicyVersion(
        id=row.id,
        dataset_id=row.dataset_id,
        number=row.number,
        document=document,
        sha256=row.sha256,
        created_at=row.created_at,
        preset=preset_above(document),
        report_sha256=row.report_sha256,
        unsafe=unsafe_reason(document),
        set_by=row.set_by,
    )
