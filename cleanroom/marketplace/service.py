"""The services of the marketplace, put together."""

from dataclasses import dataclass
from zoneinfo import ZoneInfo

from cleanroom.accounts.service import Accounts
from cleanroom.audit.log import AuditLog
from cleanroom.clock import Clock
from cleanroom.datasets.service import Datasets
from cleanroom.grants.service import Grants
from cleanroom.marketplace.buyers import Buyers
from cleanroom.marketplace.caps import Caps
from cleanroom.marketplace.catalogue import Catalogue
from cleanroom.marketplace.closing import Closing
from cleanroom.marketplace.entitlements import Entitlements
from cleanroom.marketplace.listings import Listings
from cleanroom.marketplace.quoting import Quoting
from cleanroom.marketplace.requests import Requests
from cleanroom.marketplace.statement_files.service import StatementFiles
from cleanroom.marketplace.statements import Statements
from cleanroom.marketplace.statements_ready import StatementsReady
from cleanroom.marketplace.types import Review
from cleanroom.marketplace.usage import Usage
from cleanroom.rules.service import Rules
from cleanroom.workspaces.service import Workspaces


@dataclass(frozen=True)
class Marketplace:
    """From an offer to a statement.

    Attributes:
        listings: for those who write and review them.
        catalogue: for buyers who look.
        requests: asking for a listing, and deciding.
        entitlements: what was given, and its end.
        closing: the end of all that, when a party leaves or the data is gone.
        usage: what every answer cost, from the log.
        caps: what agencies may spend.
        quoting: what a question will cost.
        statements: what a month comes to.
        statement_files: the same as files.
        statements_ready: says when a month's statements are.
    """

    listings: Listings
    catalogue: Catalogue
    requests: Requests
    entitlements: Entitlements
    closing: Closing
    usage: Usage
    caps: Caps
    quoting: Quoting
    statements: Statements
    statement_files: StatementFiles
    statements_ready: StatementsReady


def make_marketplace(
    *,
    clock: Clock,
    accounts: Accounts,
    workspaces: Workspaces,
    datasets: Datasets,
    rules: Rules,
    grants: Grants,
    log: AuditLog,
    buyers: Buyers,
    review: Review,
    fee_bp: int,
    zone: ZoneInfo,
) -> Marketplace:
    """Put the services together.

    Args:
        clock, accounts, workspaces, datasets, rules, grants, log: of the room.
        buyers: what other slices know of buyers.
        review: who looks at a listing before it goes live.
        fee_bp: the operator's share of every amount, in basis points, for entitlements made from now on.
        zone: whose calendar months and days prices and statements go by.
    """
    catalogue, usage = Catalogue(), Usage(clock, log, zone)
    entitlements = Entitlements(clock, rules, grants, fee_bp)
    caps = Caps(clock, accounts, buyers, usage)
    statements = Statements(clock, accounts, usage)
    return Marketplace(
        listings=Listings(
            clock=clock, accounts=accounts, datasets=datasets, rules=rules, log=log, review=review
        ),
        catalogue=catalogue,
        requests=Requests(clock, accounts, catalogue, rules, grants, entitlements, buyers, caps),
        entitlements=entitlements,
        closing=Closing(clock, grants, entitlements),
        usage=usage,
        caps=caps,
        quoting=Quoting(clock, workspaces, datasets, entitlements, usage, caps),
        statements=statements,
        statement_files=StatementFiles(accounts, statements),
        statements_ready=StatementsReady(clock, usage),
    )
