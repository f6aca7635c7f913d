"""What a caller may do, as scopes; and roles, which are names for sets of scopes, per kind of organisation."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from cleanroom.access.errors import UnknownScopeError
from cleanroom.accounts.types import OrganisationKind

CATALOGUE_READ = "catalogue:read"
REQUESTS_WRITE = "requests:write"
REQUESTS_DECIDE = "requests:decide"
ENTITLEMENTS_READ = "entitlements:read"
ENTITLEMENTS_REVOKE = "entitlements:revoke"
BASES_READ = "bases:read"
BASES_WRITE = "bases:write"
DATASETS_READ = "datasets:read"
DATASETS_WRITE = "datasets:write"
POLICIES_WRITE = "policies:write"
LISTINGS_WRITE = "listings:write"
ANALYSES_READ = "analyses:read"
ANALYSES_RUN = "analyses:run"
BUDGETS_READ = "budgets:read"
USAGE_READ = "usage:read"
STATEMENTS_READ = "statements:read"
EVENTS_READ = "events:read"
WEBHOOKS_WRITE = "webhooks:write"
KEYS_WRITE = "keys:write"
MANDATES_WRITE = "mandates:write"
CLIENTS_WRITE = "clients:write"
CONSENTS_READ = "consents:read"
CONSENTS_WRITE = "consents:write"
INCIDENTS_READ = "incidents:read"
INCIDENTS_WRITE = "incidents:write"
OPERATE = "operate"

_BUYER_SEES = frozenset(
    {
        CATALOGUE_READ,
        ENTITLEMENTS_READ,
        BASES_READ,
        ANALYSES_READ,
        BUDGETS_READ,
        USAGE_READ,
        STATEMENTS_READ,
    }
)
_PROVIDER_SEES = frozenset(
    {
        CATALOGUE_READ,
        ENTITLEMENTS_READ,
        DATASETS_READ,
        ANALYSES_READ,
        BUDGETS_READ,
        USAGE_READ,
        STATEMENTS_READ,
    }
)
_ADMINISTERS = frozenset(
    {EVENTS_READ, WEBHOOKS_WRITE, KEYS_WRITE, CLIENTS_WRITE, INCIDENTS_READ, INCIDENTS_WRITE}
)
# A compliance officer reads everything that answers who, what, when and under which rule; a provider's also answers
# what people ask for, erasure included.
_OVERSEES = frozenset({EVENTS_READ, INCIDENTS_READ, INCIDENTS_WRITE})

_AGENCY = {
    "viewer": _BUYER_SEES,
    "analyst": _BUYER_SEES | {BASES_WRITE, ANALYSES_RUN, KEYS_WRITE},
    "buyer": _BUYER_SEES | {REQUESTS_WRITE},
    "officer": _BUYER_SEES | _OVERSEES,
    "owner": _BUYER_SEES | _ADMINISTERS | {BASES_WRITE, ANALYSES_RUN, REQUESTS_WRITE},
}
# Only an advertiser lets others act for it.
_ADVERTISER = _AGENCY | {"owner": _AGENCY["owner"] | {MANDATES_WRITE}}
_PROVIDER = {
    "viewer": _PROVIDER_SEES,
    "data_manager": _PROVIDER_SEES
    | {DATASETS_WRITE, LISTINGS_WRITE, KEYS_WRITE, CONSENTS_READ, CONSENTS_WRITE},
    "policy_manager": _PROVIDER_SEES | {POLICIES_WRITE, REQUESTS_DECIDE, ENTITLEMENTS_REVOKE, EVENTS_READ},
    "officer": _PROVIDER_SEES | _OVERSEES | {CONSENTS_READ, CONSENTS_WRITE},
    "finance": frozenset({CATALOGUE_READ, ENTITLEMENTS_READ, USAGE_READ, STATEMENTS_READ}),
    "owner": _PROVIDER_SEES
    | _ADMINISTERS
    | {
        DATASETS_WRITE,
        LISTINGS_WRITE,
        POLICIES_WRITE,
        REQUESTS_DECIDE,
        ENTITLEMENTS_REVOKE,
        CONSENTS_READ,
        CONSENTS_WRITE,
    },
}
_OPERATOR = {
    "operator": frozenset({OPERATE, CATALOGUE_READ, USAGE_READ, STATEMENTS_READ, EVENTS_READ, CLIENTS_WRITE})
    | {INCIDENTS_READ, INCIDENTS_WRITE},
    "officer": _OVERSEES,
}

ROLES: Mapping[OrganisationKind, Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        OrganisationKind.ADVERTISER: MappingProxyType(_ADVERTISER),
        OrganisationKind.AGENCY: MappingProxyType(_AGENCY),
        OrganisationKind.PROVIDER: MappingProxyType(_PROVIDER),
        OrganisationKind.OPERATOR: MappingProxyType(_OPERATOR),
    }
)
SCOPES = frozenset().union(*(scopes for roles in ROLES.values() for scopes in roles.values()))


def scopes_of_role(kind: OrganisationKind, role: str) -> frozenset[str]:
    """Return the scopes of a role; raises UnknownScopeError when organisations of this kind have no such role."""
    try:
        return ROLES[kind][role]
    except KeyError:
        raise UnknownScopeError(
            f"An organisation of the kind {kind} has no such role.",
            remedy=f"Use one of: {', '.join(ROLES[kind])}.",
        ) from None


def scopes_of_kind(kind: OrganisationKind) -> frozenset[str]:
    """Return every scope that an organisation of a kind can have."""
    return frozenset().union(*ROLES[kind].values())


def require_scopes(kind: OrganisationKind, asked: Iterable[str]) -> frozenset[str]:
    """Return the scopes asked for; raises UnknownScopeError when there is none, or one that this kind cannot have."""
    scopes = frozenset(asked)
    possible = scopes_of_kind(kind)
    if not scopes or not scopes <= possible:
        raise UnknownScopeError(
            f"An organisation of the kind {kind} cannot have these scopes.",
            remedy=f"Use one or more of: {' '.join(sorted(possible))}.",
        )
    return scopes
