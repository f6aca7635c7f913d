"""Whether people need a second factor: the room may ask it of everybody, an organisation of its own people."""

from dataclasses import dataclass

from cleanroom.clock import Clock
from cleanroom.db.database import Transaction
from cleanroom.signin.models import SignInPolicyRow


@dataclass(frozen=True)
class Requirement:
    """Knows who asks for a second factor.

    Attributes:
        clock: tells the time.
        everybody: whether the room asks it of everybody.
    """

    clock: Clock
    everybody: bool = False

    def stands(self, tx: Transaction, organisation_id: str) -> bool:
        """Tell whether an organisation's people need a second factor."""
        row = tx.session.get(SignInPolicyRow, organisation_id)
        return self.everybody or (row is not None and row.second_factor)

    def set(self, tx: Transaction, organisation_id: str, required: bool, *, by: str) -> None:
        """Require a second factor of an organisation's people, or no more; the same once more changes nothing.

        Whoever has none sees nothing but its setup from the next request on.

        Args:
            tx: the caller's transaction.
            organisation_id: whose people.
            required: whether they need one.
            by: the user who decides it.
        """
        row = tx.session.get(SignInPolicyRow, organisation_id, with_for_update=True, populate_existing=True)
        if (row is not None and row.second_factor) is required:
            return
        if row is None:
            row = SignInPolicyRow(organisation_id=organisation_id)
            tx.session.add(row)
        row.second_factor, row.set_at = required, self.clock.now()
        tx.session.flush()
        tx.audit(
            "signin.second_factor_required" if required else "signin.second_factor_optional",
            subject_id=organisation_id,
            organisation_id=organisation_id,
            body={"by": by},
        )
