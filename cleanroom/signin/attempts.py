"""On the way to an identity provider and back: what ties the answer to this room, this browser and this attempt."""

import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import delete

from cleanroom.clock import Clock
from cleanroom.db.database import Transaction
from cleanroom.signin.errors import AttemptError
from cleanroom.signin.models import SsoAttemptRow
from cleanroom.signin.secret import SignInSecret
from cleanroom.signin.types import Way

TERM = timedelta(minutes=10)
_TOKEN_BYTES = 32
_STATE, _BROWSER = b"cleanroom/sso-state/v1\n", b"cleanroom/sso-browser/v1\n"


@dataclass(frozen=True)
class Wanted:
    """What somebody goes to an identity provider for.

    Attributes:
        way: to sign in, to accept an invitation, to connect an account.
        next_path: where the person wants to go afterwards.
        kept: a form that came too late.
        invitation: that is to be accepted.
        user_id: whose account is to be connected.
    """

    way: Way = Way.SIGN_IN
    next_path: str = "/"
    kept: str = field(default="", repr=False)
    invitation: str = field(default="", repr=False)
    user_id: str = ""


@dataclass(frozen=True)
class Attempt:
    """One way there and back.

    Attributes:
        provider: the identity provider's name.
        nonce: comes back in the token.
        verifier: proves to the provider that the code is asked for by who began.
        wanted: what for.
    """

    provider: str
    nonce: str = field(repr=False)
    verifier: str = field(repr=False)
    wanted: Wanted


@dataclass(frozen=True)
class Attempts:
    """Keeps attempts in SQL, sealed; the browser keeps a secret of its own, the provider sees the state alone."""

    secret: SignInSecret
    clock: Clock

    def begin(self, tx: Transaction, provider: str, wanted: Wanted) -> tuple[Attempt, str, str, datetime]:
        """Keep a new attempt; returns it, its state, the browser's secret, and when it ends."""
        state, browser, nonce, verifier = (secrets.token_urlsafe(_TOKEN_BYTES) for _ in range(4))
        attempt, expires_at = Attempt(provider, nonce, verifier, wanted), self.clock.now() + TERM
        plain = json.dumps(
            {
                "nonce": nonce,
                "verifier": verifier,
                "way": wanted.way,
                "next_path": wanted.next_path,
                "kept": wanted.kept,
                "invitation": wanted.invitation,
                "user_id": wanted.user_id,
            }
        )
        digest = _digest(_STATE, state)
        tx.session.add(
            SsoAttemptRow(
                digest=digest,
                browser=_digest(_BROWSER, browser),
                provider=provider,
                sealed=self.secret.seal(tx, plain.encode(), owner=digest.hex()),
                expires_at=expires_at,
            )
        )
        tx.session.flush()
        return attempt, state, browser, expires_at

    def use_up(self, tx: Transaction, provider: str, *, state: str, browser: str) -> Attempt:
        """Use an attempt up: of several who come back with it one succeeds.

        Args:
            tx: a writing transaction that commits before anything is made of the answer.
            provider: at whose address the answer came.
            state: that the answer names.
            browser: the secret that the browser kept.

        Raises:
            AttemptError: there is none, it is over, another browser's, or another provider's.
        """
        row = tx.session.get(SsoAttemptRow, _digest(_STATE, state), with_for_update=True)
        if (
            row is None
            or row.provider != provider
            or self.clock.now() >= row.expires_at
            or not hmac.compare_digest(row.browser, _digest(_BROWSER, browser))
        ):
            raise AttemptError(
                "This sign-in was begun elsewhere, was used, or took more than ten minutes.",
                remedy="Begin anew.",
            )
        found = json.loads(self.secret.unseal(tx, row.sealed, owner=row.digest.hex()))
        tx.session.delete(row)
        tx.session.flush()
        wanted = Wanted(
            way=Way(found["way"]),
            next_path=found["next_path"],
            kept=found["kept"],
            invitation=found["invitation"],
            user_id=found["user_id"],
        )
        return Attempt(provider, found["nonce"], found["verifier"], wanted)

    def sweep(self, tx: Transaction) -> None:
        """Forget attempts that are over."""
        tx.session.execute(delete(SsoAttemptRow).where(SsoAttemptRow.expires_at <= self.clock.now()))


def _digest(label: bytes, token: str) -> bytes:
    # 256 random bits: a fast hash is as good as a slow one.
    return hashlib.sha256(label + token.encode()).digest()
