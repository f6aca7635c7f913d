"""Words for what the domain names by codes: roles, states, refusals."""

from collections.abc import Mapping
from types import MappingProxyType

from provider_portal.i18n import N_

WORDS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "role": {
            "owner": N_("Owner"),
            "data_manager": N_("Data manager"),
            "policy_manager": N_("Policy manager"),
            "finance": N_("Finance"),
            "viewer": N_("Viewer"),
            "analyst": N_("Analyst"),
            "buyer": N_("Buyer"),
            "operator": N_("Operator"),
            "officer": N_("Compliance officer"),
        },
        "role_hint": {
            "owner": N_("Everything, people included"),
            "data_manager": N_("Loads data, writes listings"),
            "policy_manager": N_("Sets rules, decides requests"),
            "finance": N_("Usage and statements"),
            "viewer": N_("Looks, changes nothing"),
            "analyst": N_("Uploads bases, asks questions"),
            "buyer": N_("Requests entitlements"),
            "operator": N_("Runs the room"),
            "officer": N_("Reads the audit log"),
        },
        "kind": {
            "provider": N_("Data provider"),
            "operator": N_("Operator of the room"),
            "advertiser": N_("Advertiser"),
            "agency": N_("Agency"),
        },
        "request": {
            "pending": N_("Waiting"),
            "approved": N_("Approved"),
            "rejected": N_("Rejected"),
            "withdrawn": N_("Withdrawn"),
        },
        "version": {
            "loading": N_("Loading"),
            "awaiting_junk": N_("Needs a decision"),
            "loaded": N_("Ready to publish"),
            "published": N_("Published"),
            "retired": N_("Retired"),
            "failed": N_("Failed"),
            "deleted": N_("Deleted"),
        },
        "mode": {"full": N_("Full load"), "delta": N_("Changes")},
        "question": {
            "match_test": N_("Match test"),
            "overlap": N_("Overlap"),
            "profile": N_("Profile"),
            "statistics": N_("Statistics"),
        },
        "account": {
            "total": N_("Everyone together"),
            "advertiser": N_("This advertiser"),
            "affiliates": N_("Its affiliates"),
            "agency": N_("The agency"),
            "public": N_("Public releases"),
        },
        "consent": {
            "granted": N_("Granted"),
            "denied": N_("Denied"),
            "pending": N_("Pending"),
            "withdrawn": N_("Withdrawn"),
            "expired": N_("Expired"),
        },
        "purpose": {
            "advertising": N_("Advertising"),
            "research": N_("Research"),
            "measurement": N_("Measurement"),
            "analytics": N_("Analytics"),
        },
        "basis": {
            "consent": N_("Consent"),
            "contract": N_("Contract"),
            "legitimate_interest": N_("Legitimate interest"),
        },
    }
)
TONES: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(("pending", "awaiting_junk", "loaded"), "wait"),
        **dict.fromkeys(("approved", "published", "granted"), "good"),
        **dict.fromkeys(("rejected", "failed", "withdrawn", "denied"), "bad"),
    }
)
"""How a state is coloured; those that are missing are plain."""

ERRORS: Mapping[str, str] = MappingProxyType(
    {
        "access.bad_user": N_(
            "This is not an e-mail address that can be taken: it is malformed, or somebody has it already."
        ),
        "access.unknown_scope": N_("There is no such role. Choose one of the list."),
        "access.last_owner": N_(
            "Nobody would be left to administer the organisation's users. Make somebody else an owner first."
        ),
        "access.invitation": N_(
            "This invitation does not count any more: it was accepted, has expired, or was replaced. "
            "Ask whoever invited you for a new one."
        ),
        "access.unknown_user": N_("There is no such person in your organisation who can do this."),
        "accounts.bad_name": N_("An organisation's name has 1 to 200 characters."),
        "accounts.offboarded": N_("The organisation has left the room."),
        "marketplace.bad_request": N_("Say why, in 1 to 500 characters: the buyer reads it."),
        "marketplace.request_state": N_("Somebody has decided this request already."),
        "portal.foreign_form": N_("This page was open too long. Open it anew and try again."),
        "signin.bad_password": N_(
            "This password would be guessed, or is too short. Take at least 12 characters: "
            "a few words that nobody would put together, without your name."
        ),
        "signin.wrong_password": N_("The current password is not right. After several tries, wait a little."),
        "signin.link": N_(
            "This link does not count any more: it was used, has expired, or was replaced. "
            "Ask whoever gave it to you for a new one."
        ),
        "signin.second_factor": N_(
            "This code does not fit. Check the clock of your device, and type the code that it shows now."
        ),
        "signin.first_run": N_("Somebody can sign in to this room already. Ask them for an invitation."),
        "signin.unknown_session": N_("This session has ended already."),
    }
)


def error_words(error: Exception) -> str:
    """Return what a person reads for an error; one that pages were not written for speaks for itself."""
    known = ERRORS.get(getattr(error, "code", ""))
    return known if known is not None else str(error)
