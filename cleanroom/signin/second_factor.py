"""The second factor: an authenticator app's codes, and recovery codes for when the app is gone."""

import secrets
from dataclasses import dataclass

from sqlalchemy import delete, func, select

from cleanroom.access.models import UserRow
from cleanroom.clock import Clock
from cleanroom.db.database import Transaction
from cleanroom.signin import totp
from cleanroom.signin.errors import SecondFactorError, SecondFactorRequiredError
from cleanroom.signin.models import CredentialRow, RecoveryCodeRow
from cleanroom.signin.requirement import Requirement
from cleanroom.signin.secret import SignInSecret
from cleanroom.signin.types import Enrolment

RECOVERY_CODES = 10
# Without letters and digits that are taken for one another; 60 bits in twelve of them.
_ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
_CODE_CHARACTERS = 12
_KIND = "recovery"


@dataclass(frozen=True)
class SecondFactors:
    """Sets second factors up, checks and removes them."""

    secret: SignInSecret
    clock: Clock
    issuer: str
    requirement: Requirement

    def begin(self, tx: Transaction, user_id: str) -> Enrolment:
        """Make a new secret for a person; it does not count before `confirm`.

        Raises:
            SecondFactorError: the person has one already.
        """
        row = self._without(tx, user_id)
        made = totp.new_secret()
        row.totp_sealed = self.secret.seal(tx, made, owner=user_id)
        tx.session.flush()
        return self._enrolment(tx, user_id, made)

    def begun(self, tx: Transaction, user_id: str) -> Enrolment | None:
        """Return what `begin` made and nobody has confirmed; None when there is nothing."""
        row = tx.session.get_one(CredentialRow, user_id)
        if row.totp_sealed is None or row.totp_confirmed_at is not None:
            return None
        return self._enrolment(tx, user_id, self.secret.unseal(tx, row.totp_sealed, owner=user_id))

    def confirm(self, tx: Transaction, user_id: str, code: str) -> tuple[str, ...]:
        """Let the second factor count from now on: its owner has shown that the app works.

        Args:
            tx: the caller's transaction.
            user_id: whose.
            code: of the app.

        Returns:
            Recovery codes, shown this once.

        Raises:
            SecondFactorError: nothing was begun, or the code is not the app's.
        """
        row = self._without(tx, user_id)
        if row.totp_sealed is None or not self._fits(tx, row, code):
            raise SecondFactorError(
                "This code does not fit.",
                remedy="Check that the clock of the device is right, and type the code that is shown now.",
            )
        row.totp_confirmed_at = self.clock.now()
        tx.session.flush()
        self._audit(tx, user_id, "second_factor_set")
        return self.renew_codes(tx, user_id)

    def renew_codes(self, tx: Transaction, user_id: str) -> tuple[str, ...]:
        """Replace all recovery codes; returns the new ones, shown this once."""
        tx.session.execute(delete(RecoveryCodeRow).where(RecoveryCodeRow.user_id == user_id))
        codes = tuple(
            "".join(secrets.choice(_ALPHABET) for _ in range(_CODE_CHARACTERS)) for _ in range(RECOVERY_CODES)
        )
        for code in codes:
            digest = self.secret.digest(tx, _KIND, user_id + code)
            tx.session.add(RecoveryCodeRow(digest=digest, user_id=user_id, used_at=None))
        tx.session.flush()
        self._audit(tx, user_id, "recovery_codes_made")
        return tuple("-".join(code[at : at + 4] for at in range(0, _CODE_CHARACTERS, 4)) for code in codes)

    def codes_left(self, tx: Transaction, user_id: str) -> int:
        """Return how many recovery codes a person can still use."""
        unused = RecoveryCodeRow.user_id == user_id, RecoveryCodeRow.used_at.is_(None)
        return int(tx.session.scalar(select(func.count()).where(*unused)) or 0)

    def give_up(self, tx: Transaction, user_id: str) -> None:
        """Remove a person's second factor as the person wants it.

        Raises:
            SecondFactorRequiredError: the organisation or the room requires one.
        """
        organisation_id = tx.session.get_one(UserRow, user_id).organisation_id
        if self.requirement.stands(tx, organisation_id):
            raise SecondFactorRequiredError(
                "Your organisation requires a second factor.",
                remedy="To change the app, ask an owner for a link that removes the old one.",
            )
        self.remove(tx, user_id)

    def remove(self, tx: Transaction, user_id: str) -> None:
        """End a person's second factor and recovery codes; without any nothing changes."""
        row = tx.session.get_one(CredentialRow, user_id)
        had, row.totp_sealed, row.totp_confirmed_at = row.totp_confirmed_at is not None, None, None
        tx.session.execute(delete(RecoveryCodeRow).where(RecoveryCodeRow.user_id == user_id))
        tx.session.flush()
        if had:
            self._audit(tx, user_id, "second_factor_removed")

    def check(self, tx: Transaction, user_id: str, code: str) -> bool:
        """Use a code of the app, or a recovery code, up; tells whether it was good. None is good twice.

        Args:
            tx: a writing transaction, which commits even when the code was not good.
            user_id: who has a second factor.
            code: as typed; case, spaces and dashes are overlooked.
        """
        row = tx.session.get_one(CredentialRow, user_id, with_for_update=True, populate_existing=True)
        if self._fits(tx, row, code):
            tx.session.flush()
            return True
        plain = "".join(code.split()).replace("-", "").upper()
        spare = tx.session.get(
            RecoveryCodeRow, self.secret.digest(tx, _KIND, user_id + plain), with_for_update=True
        )
        if spare is None or spare.used_at is not None:
            return False
        spare.used_at = self.clock.now()
        tx.session.flush()
        self._audit(tx, user_id, "recovery_code_used")
        return True

    def _fits(self, tx: Transaction, row: CredentialRow, code: str) -> bool:
        if row.totp_sealed is None:
            return False
        opened = self.secret.unseal(tx, row.totp_sealed, owner=row.user_id)
        step = totp.matching_step(opened, code, now=self.clock.now(), after=row.totp_last_step)
        if step is None:
            return False
        row.totp_last_step = step
        return True

    def _without(self, tx: Transaction, user_id: str) -> CredentialRow:
        row = tx.session.get_one(CredentialRow, user_id, with_for_update=True, populate_existing=True)
        if row.totp_confirmed_at is not None:
            raise SecondFactorError("There is a second factor already.", remedy="Remove it first.")
        return row

    def _enrolment(self, tx: Transaction, user_id: str, secret: bytes) -> Enrolment:
        email = tx.session.get_one(UserRow, user_id).email
        uri = totp.enrolment_uri(secret, account=email, issuer=self.issuer)
        return Enrolment(totp.as_text(secret), uri)

    def _audit(self, tx: Transaction, user_id: str, what: str) -> None:
        organisation_id = tx.session.get_one(UserRow, user_id).organisation_id
        tx.audit(f"signin.{what}", subject_id=user_id, organisation_id=organisation_id)
