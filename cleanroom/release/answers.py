"""The answer store: the same question about the same data is answered again at no budget."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from sqlalchemy import Connection, Select, bindparam, insert, select

from cleanroom.canonical import canonical_json
from cleanroom.db.base import Base
from cleanroom.db.database import PendingEvent, Transaction
from cleanroom.release.codec import figure_from_dict, figure_to_dict, mechanism_from_dict, mechanism_to_dict
from cleanroom.release.mechanism import FAMILY
from cleanroom.release.models import StoredAnswer
from cleanroom.release.types import Mechanism, ReleasedFigure
from cleanroom.remembered import Remembered

MOST_FIGURES = 50_000
"""So many figures of stored answers are kept in memory, about 25 MB of them: released once, they never change."""

_TABLE = Base.metadata.tables[StoredAnswer.__tablename__]
_ROWS = _TABLE.c


@dataclass(frozen=True)
class Asked:
    """Everything, but time and precision, that makes two questions the same.

    Attributes:
        grant_id: whose budget pays; another grant's answers are never given.
        version_id: the dataset's published version.
        policy_id: the version of the analysis rule.
        purpose: declared reason for processing.
        base_fingerprint: keyed fingerprint of the base, 32 bytes.
        tree: the canonical question, as plain data.
    """

    grant_id: str
    version_id: str
    policy_id: str
    purpose: str
    base_fingerprint: bytes
    tree: Mapping[str, Any]

    @cached_property
    def key(self) -> str:
        """SHA-256, in hex, over the canonical form of all of it and the family of the mechanism."""
        return hashlib.sha256(
            canonical_json(
                {
                    "v": 1,
                    "grant": self.grant_id,
                    "version": self.version_id,
                    "policy": self.policy_id,
                    "purpose": self.purpose,
                    "base": self.base_fingerprint.hex(),
                    "tree": self.tree,
                    "family": FAMILY,
                }
            )
        ).hexdigest()


@dataclass(frozen=True)
class Found:
    """A stored answer.

    Attributes:
        analysis_id: of the question that paid for it.
        epoch: the last batch of consent changes that it honours.
        released_at: its date.
        mechanism: how it was made.
        figures: as they were released.
        event: the log's record of the release that has just been made; None when it was found in the store.
    """

    analysis_id: str
    epoch: int
    released_at: datetime
    mechanism: Mechanism
    figures: tuple[ReleasedFigure, ...]
    event: PendingEvent | None = field(default=None, compare=False, repr=False)


def _finding(*, of_epoch: bool, until: bool) -> Select[Any]:
    query = select(_ROWS.analysis_id, _ROWS.consent_epoch, _ROWS.released_at).where(
        _ROWS.question_key == bindparam("key"), _ROWS.rho_micro >= bindparam("rho_micro")
    )
    if of_epoch:
        query = query.where(_ROWS.consent_epoch == bindparam("epoch"))
    if until:
        query = query.where(_ROWS.released_at <= bindparam("at"))
    return query.order_by(_ROWS.released_at.desc(), _ROWS.analysis_id.desc()).limit(1)


# Made once: to put a statement together takes longer than to run it.
_FIND = {
    (of_epoch, until): _finding(of_epoch=of_epoch, until=until)
    for of_epoch in (False, True)
    for until in (False, True)
}
_ONE = select(_ROWS.analysis_id, _ROWS.consent_epoch, _ROWS.released_at).where(
    _ROWS.analysis_id == bindparam("id")
)
_CONTENT = select(_ROWS.mechanism, _ROWS.figures).where(_ROWS.analysis_id == bindparam("id"))
_STORE = insert(_TABLE)
_READ = Remembered[str, Found](MOST_FIGURES, lambda found: len(found.figures))


def find_answer(
    tx: Transaction, asked: Asked, *, epoch: int | None, rho_micro: int, at: datetime | None = None
) -> Found | None:
    """Look for an answer at least as precise as asked.

    Args:
        tx: any transaction.
        asked: the question and its data.
        epoch: the consent epoch it must honour; None accepts any, for an answer "as of" a date.
        rho_micro: what a fresh answer would cost; a finer stored one serves too.
        at: accept only answers released until then.

    Returns:
        The newest fitting answer, or None.
    """
    connection = tx.connection
    wanted = {"key": asked.key, "rho_micro": rho_micro, "epoch": epoch, "at": at}
    row = connection.execute(_FIND[epoch is not None, at is not None], wanted).one_or_none()
    if row is None:
        return None
    return _read(connection, row)


def answer_of(tx: Transaction, analysis_id: str) -> Found | None:
    """Return the answer that a question paid for; None when it has released none."""
    connection = tx.connection
    row = connection.execute(_ONE, {"id": analysis_id}).one_or_none()
    return None if row is None else _read(connection, row)


def _read(connection: Connection, row: Any) -> Found:
    kept = _READ.get(row.analysis_id)
    if kept is not None and (kept.epoch, kept.released_at) == (row.consent_epoch, row.released_at):
        return kept
    content = connection.execute(_CONTENT, {"id": row.analysis_id}).one()
    found = Found(
        analysis_id=row.analysis_id,
        epoch=row.consent_epoch,
        released_at=row.released_at,
        mechanism=mechanism_from_dict(content.mechanism),
        figures=tuple(figure_from_dict(item) for item in content.figures["figures"]),
    )
    return _READ.put(row.analysis_id, found)


def store_answer(tx: Transaction, asked: Asked, found: Found) -> None:
    """Keep a released answer in the transaction that releases it."""
    row = {
        "analysis_id": found.analysis_id,
        "question_key": asked.key,
        "consent_epoch": found.epoch,
        "rho_micro": found.mechanism.rho_micro,
        "mechanism": mechanism_to_dict(found.mechanism),
        "figures": {"figures": [figure_to_dict(figure) for figure in found.figures]},
        "released_at": found.released_at,
    }
    tx.connection.execute(_STORE, row)
