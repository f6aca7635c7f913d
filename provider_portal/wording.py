"""Words for what the domain names by codes: roles, states, refusals."""

from collections.abc import Mapping
from types import MappingProxyType

from provider_portal.compliance_words import COMPLIANCE_WORDS
from provider_portal.i18n import N_
from provider_portal.rule_words import RULE_WORDS

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
            "officer": N_("Oversees consents, incidents, the log"),
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
            "withdrawn": N_("Withdrawn by the buyer"),
        },
        # Reasons that the room gives by itself; what people write is shown as it is.
        "request_reason": {
            "A party to it has left the room.": N_("A party to it has left the room."),
            "The data was deleted or destroyed.": N_("The data was deleted or destroyed."),
        },
        "notice": {
            "request_waits": N_("A request waits for a decision"),
            "request_decided": N_("Your request was decided on"),
            "question_waits": N_("A question waits for approval"),
            "version_ready": N_("A version is ready"),
            "version_decision": N_("A version needs a decision"),
            "version_refused": N_("A load was refused"),
            "version_ends": N_("A version is about to be deleted, as its period ends"),
            "budget_nearly_spent": N_("Privacy budget is nearly given out"),
            "statement_ready": N_("A statement is ready"),
            "listing_waits": N_("A listing waits for review"),
            "listing_reviewed": N_("A listing was reviewed"),
            "consent_epoch": N_("Consents have changed"),
            "alarm": N_("An alarm was raised"),
            "deed_waits": N_("Something waits for a second person"),
            "trial_ended": N_("The red team is done with a policy"),
            "rotation_failed": N_("A key could not be replaced"),
            "new_device": N_("You signed in from a new device"),
            "webhook_disabled": N_("A webhook was disabled"),
            "mail_given_up": N_("Mail could not be delivered"),
            "incident_deadline": N_("An incident's term is nearly over, or over"),
            "incident_shared": N_("The operator shared an incident with you"),
        },
        "decision": {
            "approved": N_("Approved"),
            "rejected": N_("Rejected"),
            "live": N_("It is live"),
            "sent_back": N_("It was sent back"),
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
        "listing": {
            "draft": N_("Draft"),
            "review": N_("In review"),
            "live": N_("Live"),
            "paused": N_("Paused"),
            "retired": N_("Retired"),
            "superseded": N_("Replaced"),
        },
        "way": {
            "draft": N_("Back to draft"),
            "review": N_("Send to review"),
            "live": N_("Let it go live"),
            "paused": N_("Pause"),
            "retired": N_("Retire"),
        },
        "barrier": {
            "second": N_(
                "Whoever wrote a wording does not let it go live: ask a second person, or the operator."
            ),
            "operator": N_("In this room the operator lets listings go live: it waits for the operator."),
        },
        "part": {
            "title": N_("Title"),
            "text": N_("Text"),
            "attributes": N_("Attributes"),
            "segments": N_("Ready-made segment"),
            "templates": N_("Question template"),
            "terms": N_("Terms"),
            "plans": N_("Tariff"),
        },
        "detail": {
            "title": N_("title"),
            "condition": N_("condition"),
            "question": N_("question"),
            "purposes": N_("purposes"),
            "kinds": N_("kinds of questions"),
            "sizes": N_("sizes of budgets"),
            "days": N_("longest term, days"),
            "sectors": N_("sectors of buyers"),
            "resale": N_("agencies may ask for their clients"),
            "questions": N_("at most so many questions"),
            "segments_only": N_("only ready-made segments"),
            "verified_only": N_("only verified buyers"),
            "match_test_at_once": N_("match tests approved at once"),
            "currency": N_("currency"),
            "cpm_minor": N_("per 1,000 people"),
            "counted": N_("what is counted"),
            "flat_minor": N_("per month"),
            "question_minor": N_("per answered question"),
            "free_questions": N_("free questions"),
            "questions_cap_minor": N_("at most for questions"),
            "minimum_minor": N_("at least a month"),
            "vat_bp": N_("VAT"),
            "offered_to": N_("only for these buyers"),
            "ru": N_("in Russian"),
            "en": N_("in English"),
        },
        "counted": {
            "overlap": N_("people that both sides know"),
            "segments": N_("people of all segments asked for"),
        },
        "charge": {
            "cpm": N_("By counted people"),
            "question": N_("By questions"),
            "flat": N_("By months"),
            "minimum": N_("Up to the minimum"),
        },
        "position": {
            "questions": N_("Answered questions"),
            "flat": N_("Monthly price"),
            "minimum": N_("Up to the minimum"),
            "no_charge": N_("Questions without charge"),
        },
        "grant": {
            "active": N_("In force"),
            "expired": N_("Expired"),
            "revoked": N_("Revoked"),
        },
        "upload": {
            "receiving": N_("Being sent"),
            "received": N_("Waits its turn"),
            "ingesting": N_("Being taken in"),
            "loaded": N_("Ready to publish"),
            "awaiting_junk": N_("Needs a decision"),
            "published": N_("Published"),
            "failed": N_("Failed"),
            "terminated": N_("Cancelled"),
            "expired": N_("Ran out of time"),
        },
        "figure": {
            "rows": N_("Rows in the file"),
            "rows_accepted": N_("Rows taken"),
            "persons": N_("People"),
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
        **RULE_WORDS,
        "type": {
            "category": N_("Category"),
            "boolean": N_("Yes or no"),
            "integer": N_("Whole number"),
            "decimal": N_("Number with a fraction"),
            "date": N_("Date"),
            "set": N_("Several values"),
        },
        "left_out": {
            "bad_value": N_("%(column)s: not among the values described"),
            "bad_consent": N_("%(column)s: a consent that cannot be read"),
            "bad_consent_date": N_("%(column)s: a consent from the future"),
            "no_valid_key": N_("no valid identifier"),
        },
        "basis": {
            "consent": N_("Consent"),
            "contract": N_("Contract"),
            "legal_obligation": N_("Legal obligation"),
            "vital_interests": N_("Vital interests"),
            "public_task": N_("Public task"),
            "legitimate_interests": N_("Legitimate interests"),
        },
        "method": {
            "private_key_jwt": N_("a key of its own"),
            "client_secret_basic": N_("a secret"),
        },
        "event": {
            "analysis.answered": N_("A question was answered"),
            "analysis.refused": N_("A question was refused"),
            "analysis.failed": N_("A question failed"),
            "analysis.cancelled": N_("A question was cancelled"),
            "upload.loaded": N_("An upload was loaded"),
            "upload.published": N_("A version was published"),
            "upload.rejected": N_("An upload was rejected"),
            "request.created": N_("A request came in"),
            "request.approved": N_("A request was approved"),
            "request.rejected": N_("A request was rejected"),
            "request.withdrawn": N_("A request was withdrawn"),
            "entitlement.revoked": N_("A licence was revoked"),
            "statement.ready": N_("A statement is ready"),
            "entitlement.expired": N_("A licence expired"),
            "consent.epoch_begun": N_("Consents have changed"),
            "alarm.raised": N_("An alarm was raised"),
            "webhook.disabled": N_("A webhook was disabled"),
            "webhook.ping": N_("Test message"),
        },
        "hook": {"active": N_("Active"), "paused": N_("Paused"), "disabled": N_("Disabled")},
        "delivery": {
            "pending": N_("On its way"),
            "delivered": N_("Came through"),
            "given_up": N_("Given up"),
        },
        "failure": {
            "address": N_("the address may not be called"),
            "unreachable": N_("nobody answers there"),
            "timeout": N_("no answer in time"),
            "status": N_("not taken"),
            "secret": N_("the secret cannot be opened"),
        },
        "rotation": {
            "waiting": N_("Waits"),
            "running": N_("Under way"),
            "done": N_("Done"),
            "failed": N_("Failed"),
            "withdrawn": N_("Taken back"),
        },
        "rotation_of": {
            "tokens": N_("Replacing the secret of the tokens"),
            "wrapping": N_("Replacing the key-encryption key"),
        },
        "rotation_failure": {
            "ingestion.rotation": N_("It waits for a load to end, and then goes on by itself."),
        },
        "ask": {
            "waiting": N_("Waits for a second person"),
            "done": N_("Confirmed and done"),
            "rejected": N_("Rejected"),
            "withdrawn": N_("Taken back"),
            "lapsed": N_("Lapsed"),
        },
        "lapsed": {
            "time": N_("Nobody confirmed it in time."),
            "asker": N_("The person who asked may not ask for it any more."),
        },
        **COMPLIANCE_WORDS,
        "deed": {
            "evidence_export": N_("Export of everybody's events"),
            "shred_workspace": N_("Shred a workspace"),
            "unsafe_policy": N_("Rule with an override named unsafe"),
        },
        "deed_ask": {
            "evidence_export": N_("Ask for an export"),
            "shred_workspace": N_("Ask for a shredding"),
            "unsafe_policy": N_("Ask for an override"),
        },
        "deed_do": {
            "evidence_export": N_("Confirm and export"),
            "shred_workspace": N_("Confirm and shred"),
            "unsafe_policy": N_("Confirm and put in force"),
        },
        "deed_means": {
            "evidence_export": N_(
                "A bundle is made that shows events of other organisations and proves them to whoever gets it. "
                "Whoever asked can download it for thirty days; what has left the room cannot be taken back."
            ),
            "shred_workspace": N_(
                "The keys of the workspace are destroyed. Nothing that is sealed in it can be read any more, copies "
                "included, except by a backup of the room's keys until that expires: have the operator delete it. "
                "Its datasets answer no question any more; what was given out, its bills and the log stay."
            ),
            "unsafe_policy": N_(
                "The rule permits more than every preset, and the red team did not find that it resists. "
                "Buyers could learn more about single people than the room promises. "
                "The override stands in the log and shows on the version for good."
            ),
        },
    }
)
TONES: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(
            (
                "pending",
                "awaiting_junk",
                "loaded",
                "review",
                "paused",
                "running",
                "mixed",
                "waiting",
                "open",
                "queued",
                "medium",
                "due",
                "excluded",
            ),
            "wait",
        ),
        **dict.fromkeys(
            (
                "approved",
                "published",
                "granted",
                "live",
                "active",
                "resists",
                "stricter",
                "delivered",
                "done",
                "acknowledged",
                "ready",
                "notified",
                "erased",
            ),
            "good",
        ),
        **dict.fromkeys(
            (
                "rejected",
                "failed",
                "withdrawn",
                "denied",
                "falls",
                "looser",
                "disabled",
                "given_up",
                "lapsed",
                "high",
                "critical",
            ),
            "bad",
        ),
    }
)
"""How a state is coloured; those that are missing are plain."""
