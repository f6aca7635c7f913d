"""Setting analysis rules and stopping questions."""

from dataclasses import asdict
from typing import Any

from sqlalchemy import Row, bindparam, select

from cleanroom.clock import Clock
from cleanroom.datasets.models import DatasetRow
from cleanroom.db.base import Base
from cleanroom.db.database import Transaction
from cleanroom.ids import new_id
from cleanroom.remembered import Remembered
from cleanroom.rules.errors import UndeclaredAttributeError, UnknownPolicyError, UntestedPolicyError
from cleanroom.rules.models import KillSwitchRow, PolicyRow
from cleanroom.rules.ownership import require_owner
from cleanroom.rules.types import PolicyVersion, RedTeamVerdict, policy_sha256
from cleanroom.schema.codec import schema_from_dict
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
    ) -> PolicyVersion:
        """Put a new version of a dataset's analysis rule in force.

        A document that permits no more than a preset needs nothing else. Any other needs the red team's verdict that
        it resists, or the rule `unsafe` with the owner's reason, which its version then shows.

        Args:
            tx: the caller's transaction.
            dataset_id: whose rule it is.
            document: the rules; the same as the current ones is no new version.
            organisation_id: who sets it: the dataset's owner.
            verdict: of the red team on this very document.

        Returns:
            The version in force.

        Raises:
            DatasetNotFoundError: there is no such dataset.
            NotYourDatasetError: it is another organisation's.
            UndeclaredAttributeError: the document names an attribute that the dataset does not declare.
            UntestedPolicyError: the document permits more than every preset, without verdict and override.
        """
        require_owner(tx, dataset_id, organisation_id)
        self._require_declared(tx, dataset_id, document)
        digest, preset, unsafe = policy_sha256(document), preset_above(document), unsafe_reason(document)
        if verdict is not None and verdict.policy_sha256 != digest:
            raise UntestedPolicyError(
                "The verdict is on another document.", remedy="Run the red team on this document."
            )
        if preset is None and unsafe is None and not (verdict is not None and verdict.resists):
            raise UntestedPolicyError(
                "The policy permits more than every preset, and no verdict says that it resists.",
                remedy="Tighten it, run `cleanroom policy redteam` on it, or add the rule `unsafe` with a reason.",
            )
        current = self.current(tx, dataset_id)
        if current is not None and current.sha256 == digest:
            return current
        now = self._clock.now()
        data = policy_to_data(document)
        row = PolicyRow(
            id=new_id("pol", now),
            dataset_id=dataset_id,
            number=1 if current is None else current.number + 1,
            document=data,
            sha256=digest,
            report_sha256=verdict.report_sha256 if verdict else None,
            created_at=now,
        )
        tx.session.add(row)
        tx.session.flush()
        tx.audit(
            "rules.policy_set",
            subject_id=row.id,
            organisation_id=organisation_id,
            body={
                "dataset_id": dataset_id,
                "number": row.number,
                "sha256": digest,
                "document": data,
                "preset": preset,
                "unsafe": unsafe,
                "redteam": asdict(verdict) if verdict else None,
            },
        )
        return _version(row, row.document)

    def _require_declared(self, tx: Transaction, dataset_id: str, document: PolicyDocument) -> None:
        # Held until the end, so that two versions are numbered one after the other.
        row = tx.session.get(DatasetRow, dataset_id, with_for_update=True)
        assert row is not None
        declared = {attribute.name for attribute in schema_from_dict(row.schema).attributes}
        named = {name for rule in document.rules for name in rule.named}
        if not named <= declared:
            # A misspelt name in a list of blocked attributes would block nothing.
            raise UndeclaredAttributeError(
                f"The dataset does not declare: {', '.join(sorted(named - declared))}.",
                remedy=f"Declared attributes: {', '.join(sorted(declared)) or 'none'}.",
            )

    def current(self, tx: Transaction, dataset_id: str) -> PolicyVersion | None:
        """Return the version in force, or None when the owner has set none: then nothing is answered."""
        connection = tx.session.connection()
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

    def stop(self, tx: Transaction, dataset_id: str, *, organisation_id: str) -> None:
        """Refuse every question to a dataset from now on, those being computed included; raises NotYourDatasetError."""
        self._switch(tx, dataset_id, stopped=True, organisation_id=organisation_id)

    def resume(self, tx: Transaction, dataset_id: str, *, organisation_id: str) -> None:
        """Release the kill switch; raises NotYourDatasetError."""
        self._switch(tx, dataset_id, stopped=False, organisation_id=organisation_id)

    def stopped(self, tx: Transaction, dataset_id: str) -> bool:
        """Tell whether the kill switch is on."""
        # Read as a column: a question's second transaction must see what was committed while it computed.
        return bool(tx.session.connection().scalar(_SWITCH, {"dataset_id": dataset_id}))

    def _switch(self, tx: Transaction, dataset_id: str, *, stopped: bool, organisation_id: str) -> None:
        require_owner(tx, dataset_id, organisation_id)
        # Waits for releases under way, and makes those that come next see the switch.
        tx.session.execute(select(DatasetRow.id).where(DatasetRow.id == dataset_id).with_for_update())
        if self.stopped(tx, dataset_id) == stopped:
            return
        tx.session.merge(KillSwitchRow(dataset_id=dataset_id, stopped=stopped, changed_at=self._clock.now()))
        tx.session.flush()
        kind = "rules.dataset_stopped" if stopped else "rules.dataset_resumed"
        tx.audit(kind, subject_id=dataset_id, organisation_id=organisation_id)


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
    )
