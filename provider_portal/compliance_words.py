"""Words for codes that only the pages for compliance show."""

from collections.abc import Mapping
from types import MappingProxyType

from provider_portal.i18n import N_

COMPLIANCE_WORDS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "alarm": {
            "difference": N_("Questions that hardly differ"),
            "budget_race": N_("Many questions at once at the end of a budget"),
            "refusals": N_("Refused again and again"),
            "odd_hours": N_("Asked at an unusual hour"),
            "sign_in": N_("Many failed sign-ins"),
            "bulk": N_("Many people looked up, or much exported"),
            "witness": N_("A witness refuses the log"),
            "witness_away": N_("A witness is away for more than a day"),
            "damaged": N_("The log was checked: damaged"),
        },
        "alarm_means": {
            "difference": N_(
                "Two questions that differ by one condition, or by a base that hardly changed, are how somebody would "
                "try to learn about single people. The noise and the budget hold all the same. Look at both questions "
                "and ask the buyer what they were for; the dataset can be stopped at once."
            ),
            "budget_race": N_(
                "Many questions drew on a budget that was nearly spent, or were refused because it was. A program may "
                "have run wild, or somebody tried to spend more than there was; the room let no question through twice."
            ),
            "refusals": N_(
                "One buyer's questions were refused one after the other. Mostly the rule is not understood; it may "
                "also be somebody who looks for its edges."
            ),
            "odd_hours": N_(
                "A question came at an hour at which this buyer hardly ever asks. Its credentials may be in other "
                "hands: ask the buyer, and have its client revoked if it does not know."
            ),
            "sign_in": N_(
                "Passwords or codes were tried many times. The room slows such attempts down; look at whose accounts "
                "they were, and whether one of them got in."
            ),
            "bulk": N_(
                "Many people were looked up, or much evidence was carried away, in a short time. Each time stands in "
                "the log with its reason; ask whoever did it."
            ),
            "witness": N_(
                "A witness that keeps the log's heads did not sign a new one: the log it was shown does not continue "
                "the one it knows. Until it is settled, treat the log as forked."
            ),
            "witness_away": N_(
                "A witness has not answered for more than a day. What the log took in since then no other machine "
                "has seen. Ask whoever runs the witness, and look at the connection to it."
            ),
            "damaged": N_(
                "The room checked its own log and found that it is not whole: an event was changed, is missing, or "
                "does not give the signed head. Stop the room, keep a copy of its database as it is, and compare the "
                "log with a backup and with what the witnesses vouched for."
            ),
        },
        "optout_reason": {
            "request": N_("The person asks"),
            "objection": N_("The person objects"),
            "complaint": N_("A complaint"),
            "authority": N_("An authority asks"),
            "contract": N_("Under a contract"),
            "mistake": N_("To correct a mistake"),
            "ended": N_("It has ended"),
        },
        "optout_kind": {
            "withdrawal": N_("Withdrawal"),
            "suppression": N_("On the list of opt-outs"),
            "restriction": N_("Restricted"),
        },
        "epoch_kind": {
            "withdrawal": N_("Withdrawals"),
            "change": N_("Changes of consents"),
            "request": N_("Consents asked for"),
            "confirmation": N_("Consents confirmed"),
            "binding": N_("A version was bound to earlier changes"),
            "suppression": N_("A list of opt-outs"),
            "restriction": N_("A restriction"),
            "erasure": N_("Erasures"),
            "expiry": N_("Consents ran out"),
            "compaction": N_("Files were written anew"),
            "retention": N_("A period of retention ended"),
        },
        "inflight": {
            "released": N_("Answered under the new epoch"),
            "refused": N_("Refused"),
            "reserved": N_("Under way"),
            "cancelled": N_("Cancelled"),
            "failed": N_("Failed"),
            "lost": N_("Lost"),
        },
        "purpose_kind": {
            "processing": N_("Processing"),
            "advertising": N_("Advertising, a consent of its own (38-FZ)"),
            "service": N_("Service messages"),
        },
        "table_kind": {"dataset": N_("Dataset"), "base": N_("Base")},
        "attribute_kind": {
            "descriptive": N_("Descriptive"),
            "behavioural": N_("Behavioural"),
            "qualitative": N_("Qualitative"),
        },
        "measure": {
            "sealed_files_aes_256_gcm": N_("Files sealed with AES-256-GCM"),
            "own_keys_of_each_workspace": N_("Keys of its own for each workspace"),
            "pseudonyms_keyed_per_workspace": N_("Pseudonyms keyed by a secret of each workspace"),
            "consent_checked_in_every_question": N_(
                "Consent checked in every question, per person and purpose"
            ),
            "noise_and_privacy_budget": N_("Noise, and a privacy budget that bounds what can be learned"),
            "suppression_of_small_cells": N_("Small counts withheld"),
            "roles_and_four_eyes": N_("Roles, and two people for what nobody can take back"),
            "tamper_evident_log": N_("A log that nobody can change unnoticed"),
            "erasure_and_retention_by_the_room": N_(
                "Erasure and periods of retention that the room keeps itself"
            ),
        },
        "erasure": {"excluded": N_("Not counted"), "erased": N_("Erased")},
        "erasure_reason": {
            "consent_withdrawn": N_("Consent withdrawn"),
            "objection": N_("Objection to the processing"),
            "no_longer_needed": N_("No longer needed"),
            "unlawful": N_("Processed unlawfully"),
            "legal_obligation": N_("A legal obligation"),
        },
        "pass": {
            "waiting": N_("Waits"),
            "running": N_("Under way"),
            "done": N_("Done"),
            "failed": N_("Failed"),
        },
        "act": {
            "version_deleted": N_("All files of a version"),
            "dataset_deleted": N_("All files of a dataset"),
            "rows_erased": N_("Rows of single people"),
            "workspace_shredded": N_("Keys of a workspace"),
        },
        "bundle": {
            "queued": N_("Being made"),
            "ready": N_("Ready"),
            "failed": N_("Failed"),
            "removed": N_("Removed after 30 days"),
        },
        "incident_kind": {
            "disclosure": N_("Data reached somebody it was not for"),
            "access": N_("Somebody got in who should not"),
            "alteration": N_("Data was changed"),
            "loss": N_("Data was lost"),
            "unavailable": N_("Data could not be reached"),
            "without_consent": N_("Data was used without consent"),
            "key_exposed": N_("A key was exposed"),
            "other": N_("Something else"),
        },
        "severity": {
            "low": N_("Low"),
            "medium": N_("Medium"),
            "high": N_("High"),
            "critical": N_("Critical"),
        },
        "incident_state": {
            "open": N_("Duties open"),
            "notified": N_("All were told"),
            "closed": N_("Closed"),
        },
        "duty": {
            "ru_notice": N_("Roskomnadzor: what happened, 24 hours (152-FZ, 21.3.1)"),
            "ru_results": N_("Roskomnadzor: what the inquiry found, 72 hours (152-FZ, 21.3.1)"),
            "eu_notice": N_("Supervisory authority: 72 hours (GDPR, 33)"),
        },
        "duty_state": {"due": N_("Due"), "done": N_("Told"), "not_due": N_("Need not be told")},
        "incident_entry": {
            "opened": N_("Entered"),
            "note": N_("Note"),
            "scope": N_("What it concerns"),
            "duty": N_("Duty settled"),
            "shared": N_("Shown to others"),
            "closed": N_("Closed"),
        },
        "alarm_state": {"open": N_("Not looked at"), "acknowledged": N_("Acknowledged")},
    }
)
