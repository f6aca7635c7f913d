"""Double opt-in: a request makes a pending record and a token; the token confirms it, once and in time.

A token holds where its record is and a secret. The secret's hash is among the record's sealed terms; of a spent token
SQL keeps a hash of its own. So SQL says neither who was asked nor who confirmed.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np

from cleanroom.clock import Clock
from cleanroom.consent.changes import EVERY_PURPOSE, ChangeRows, ChangeState, microseconds
from cleanroom.consent.errors import ChangeError, RequestEndedError, UnknownRequestError
from cleanroom.consent.models import ConfirmationRow
from cleanroom.consent.service import Consents
from cleanroom.consent.submitting import Submitted
from cleanroom.consent.taking import Prepared
from cleanroom.consent.terms import Terms
from cleanroom.consent.types import Change, ChangeOutcome
from cleanroom.datasets.types import Dataset
from cleanroom.db.database import Transaction
from cleanroom.workspaces.types import WorkspaceKeys

MAX_WAIT = timedelta(days=90)
_NO = (ChangeState.DENIED, ChangeState.WITHDRAWN, ChangeState.ERASED)
_TOKEN = struct.Struct(">BII16s")
_VERSION = 1


@dataclass(frozen=True)
class Asked:
    """Requests that were prepared.

    Attributes:
        prepared: the pending records.
        secrets: of each request, 16 bytes; None where the dataset lacks the key.
    """

    prepared: Prepared
    secrets: tuple[bytes | None, ...]

    def tokens(self, epoch: int) -> tuple[str | None, ...]:
        """Return the token of each request, to be sent to whom it asks.

        Args:
            epoch: in which the requests were entered.
        """
        found, line = [], 0
        for secret in self.secrets:
            found.append(None if secret is None else _written(epoch, line, secret))
            line += secret is not None
        return tuple(found)


@dataclass(frozen=True)
class Confirming:
    """A confirmation that was prepared.

    Attributes:
        prepared: the granted records.
        token_sha256: hex, of the token.
    """

    prepared: Prepared
    token_sha256: str


class ConsentRequests:
    """Asks and confirms; records are prepared before the caller's transaction, and taken in it."""

    def __init__(self, *, consents: Consents, clock: Clock) -> None:
        self._consents = consents
        self._clock = clock

    def prepare(self, dataset_id: str, changes: Sequence[Change], *, within: timedelta) -> Asked:
        """Prepare requests.

        Args:
            dataset_id: of which dataset.
            changes: pending ones of one digest each, with terms, as `Recording.changes` gives them.
            within: how long they can be confirmed, at most 90 days.

        Raises:
            ChangeError: see `Consents.change`; or the time is too long, or a change is not pending.
        """
        if not timedelta(0) < within <= MAX_WAIT:
            raise ChangeError(
                f"A request can wait for {MAX_WAIT.days} days at most.", remedy="Give it less time."
            )
        if any(change.state is not ChangeState.PENDING for change in changes):
            raise ChangeError("A request asks for a consent.", remedy="Send the state `pending`.")
        made = [secrets.token_bytes(16) for _ in changes]
        until = self._clock.now() + within
        asked = [
            replace(change, terms=(_asking(change, secret, until),))
            for change, secret in zip(changes, made, strict=True)
        ]
        prepared = self._consents.taking.prepare(dataset_id, asked)
        applied = set(prepared.submitted.applied)
        held = (
            secret if change.key in applied else None for change, secret in zip(changes, made, strict=True)
        )
        return Asked(prepared, tuple(held))

    def ask(self, tx: Transaction, asked: Asked) -> tuple[ChangeOutcome, tuple[str | None, ...]]:
        """Enter prepared requests; gives the outcome, and the token of each.

        Raises:
            StaleChangeError: prepare them again.
        """
        outcome = self._consents.taking.take(tx, asked.prepared, kind="request")
        return outcome, asked.tokens(outcome.epoch)

    def prepare_confirmation(self, dataset_id: str, token: str) -> Confirming:
        """Find the request of a token.

        Raises:
            UnknownRequestError: there is none.
            RequestEndedError: it has expired.
        """
        epoch, line, secret = _read(token)

        def submit(tx: Transaction, dataset: Dataset, _keys: WorkspaceKeys) -> Submitted:
            return self._granted(tx, dataset, epoch, line, secret)

        prepared = self._consents.taking.prepare_rows(dataset_id, submit)
        return Confirming(prepared, hashlib.sha256(b"cleanroom/confirmed/v1\n" + token.encode()).hexdigest())

    def confirm(self, tx: Transaction, confirming: Confirming) -> ChangeOutcome:
        """Grant what a token's request asks for, once.

        Raises:
            RequestEndedError: it was confirmed before.
            StaleChangeError: prepare it again.
        """

        def spend(tx: Transaction, _epoch: int) -> None:
            dataset_id = confirming.prepared.dataset.id
            # The dataset is held, so nobody else is between this look and the row.
            if tx.session.get(ConfirmationRow, confirming.token_sha256) is not None:
                raise _ended()
            tx.session.add(ConfirmationRow(token_sha256=confirming.token_sha256, dataset_id=dataset_id))
            tx.session.flush()

        return self._consents.taking.take(tx, confirming.prepared, kind="confirmation", finish=spend)

    def _granted(self, tx: Transaction, dataset: Dataset, epoch: int, line: int, secret: bytes) -> Submitted:
        batch = self._consents.submitted(tx, dataset, epoch)
        terms = batch.terms() if batch else ()
        asked = terms[line] if line < len(terms) else None
        expected = (asked.confirm_sha256 if asked else None) or hashlib.sha256(b"").hexdigest()
        if not hmac.compare_digest(hashlib.sha256(secret).hexdigest(), expected):
            raise _unknown()
        assert batch is not None
        assert asked is not None
        now = self._clock.now()
        if asked.confirm_by is None or asked.confirm_by < now:
            raise _ended()
        said = batch.segment.read()
        said = said[(said["detail"] == line) & (said["state"] == ChangeState.PENDING)]
        # What was bound beside it holds values that somebody else may have taken over since.
        rows = said[said["submitted"] != 0]
        if not rows.size or self._taken_back(tx, dataset, said):
            raise _ended()
        # The terms stay those of the request, which its epoch names.
        rows["state"], rows["at"], rows["epoch"] = ChangeState.GRANTED, microseconds(now), epoch
        return Submitted(rows, (), (), (), now.astimezone(UTC))

    def _taken_back(self, tx: Transaction, dataset: Dataset, said: ChangeRows) -> bool:
        """Tell whether somebody who was asked has said no since: an old letter must not undo that."""
        changes = self._consents.changes(tx, dataset)
        no = np.isin(changes["state"], _NO) & (changes["at"] >= said["at"].min())
        no &= np.isin(changes["purpose"], [EVERY_PURPOSE, *said["purpose"]])
        tokens = ["key", "hi", "lo"]
        return bool(np.isin(np.unique(said[tokens]), changes[no][tokens]).any())


def _asking(change: Change, secret: bytes, until: datetime) -> Terms:
    (terms,) = change.terms
    return replace(
        terms,
        asked_at=terms.given_at,
        given_at=None,
        confirm_by=until,
        confirm_sha256=hashlib.sha256(secret).hexdigest(),
    )


def _written(epoch: int, line: int, secret: bytes) -> str:
    return base64.urlsafe_b64encode(_TOKEN.pack(_VERSION, epoch, line, secret)).decode().rstrip("=")


def _read(token: str) -> tuple[int, int, bytes]:
    try:
        content = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        version, epoch, line, secret = _TOKEN.unpack(content)
    except (binascii.Error, struct.error, ValueError):
        raise _unknown() from None
    # Spare bits of base64 would let one token be written in several ways, and be spent several times.
    if version != _VERSION or _written(epoch, line, secret) != token:
        raise _unknown()
    return epoch, line, secret


def _unknown() -> UnknownRequestError:
    return UnknownRequestError("There is no request with this token.", remedy="Send it as it was given out.")


def _ended() -> RequestEndedError:
    return RequestEndedError("The request was confirmed before, or has expired.", remedy="Ask again.")
