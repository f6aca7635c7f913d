"""Version 1: one module per noun; routers and tags are listed here, and nowhere else."""

from advertiser_api.v1 import (
    analyses,
    bases,
    budgets,
    datasets,
    entitlement_requests,
    entitlements,
    estimates,
    events,
    keys,
    listings,
    mandates,
    me,
    policies,
    reviews,
    statements,
    usage,
)

TAGS = {
    "oauth": "Access tokens (OAuth 2.0, client credentials).",
    "me": "Who calls, and what is its own.",
    "keys": "Keys that sign upload packages.",
    "mandates": "Advertisers let agencies act for them.",
    "bases": "An advertiser's own match keys and labels.",
    "datasets": "A provider's tables, and the rules that they are asked by.",
    "listings": "What providers offer, on which terms and at which prices.",
    "requests": "Buyers ask, providers decide.",
    "entitlements": "Rights to use a dataset for a time.",
    "books": "Usage and monthly statements.",
    "uploads": "Sealed packages, resumable (tus 1.0).",
    "analyses": "Questions, their answers and receipts.",
    "budgets": "What may still be learnt.",
    "events": "The audit log, as far as it is one's own.",
    "health": "For whoever runs the room.",
}
"""In the order of the document."""

ROUTERS = (
    me.router,
    keys.router,
    mandates.router,
    bases.router,
    datasets.router,
    policies.router,
    listings.router,
    reviews.router,
    entitlement_requests.router,
    entitlements.router,
    usage.router,
    statements.router,
    estimates.router,
    analyses.router,
    budgets.router,
    events.router,
)
