"""Signing in, put together."""

from collections.abc import Sequence
from urllib.parse import urlsplit

from cleanroom.access.users import Users
from cleanroom.accounts.service import Accounts
from cleanroom.clock import Clock
from cleanroom.db.database import Database
from cleanroom.settings.single_sign_on import ProviderSettings
from cleanroom.signin.attempts import Attempts
from cleanroom.signin.entering import Entering
from cleanroom.signin.links import Links
from cleanroom.signin.oidc.provider import IdentityProvider
from cleanroom.signin.requirement import Requirement
from cleanroom.signin.second_factor import SecondFactors
from cleanroom.signin.secret import SignInSecret
from cleanroom.signin.service import SignIn
from cleanroom.signin.sessions import Sessions
from cleanroom.signin.single_sign_on import SingleSignOn
from cleanroom.signin.throttle import Throttle
from crypto.keys import KeyProvider


def make_sign_in(
    db: Database,
    clock: Clock,
    accounts: Accounts,
    users: Users,
    keys: KeyProvider,
    *,
    public_url: str,
    require_second_factor: bool = False,
    providers: Sequence[ProviderSettings] = (),
) -> SignIn:
    """Put the service together.

    Args:
        db, clock, accounts, users, keys: of the room.
        public_url: the room's; authenticator apps show its host, identity providers send people back to it.
        require_second_factor: whether everybody needs one.
        providers: identity providers, in the order in which people see them.
    """
    secret = SignInSecret(keys)
    requirement = Requirement(clock, require_second_factor)
    sessions = Sessions(db, clock, all_need_second_factor=require_second_factor)
    entering = Entering(sessions, secret, clock)
    return SignIn(
        db=db,
        clock=clock,
        accounts=accounts,
        users=users,
        secret=secret,
        throttle=Throttle(secret, clock),
        sessions=sessions,
        second_factors=SecondFactors(
            secret, clock, f"Cleanroom {urlsplit(public_url).hostname}", requirement
        ),
        links=Links(users, accounts, clock),
        requirement=requirement,
        entering=entering,
        sso=SingleSignOn(
            db=db,
            clock=clock,
            accounts=accounts,
            users=users,
            secret=secret,
            attempts=Attempts(secret, clock),
            entering=entering,
            providers={one.name: IdentityProvider(one, clock) for one in providers},
            public_url=public_url,
        ),
    )
