"""Words for the domain's errors that pages can meet; its own messages are English, and name details beside them."""

from collections.abc import Mapping
from types import MappingProxyType

from provider_portal.i18n import N_

DOMAIN_ERRORS: Mapping[str, str] = MappingProxyType(
    {
        "accounts.bad_key": N_("This signing key cannot be taken, or is not there."),
        "accounts.bad_mandate": N_("There is no such mandate, or its dates exclude each other."),
        "accounts.bad_verification": N_("This organisation cannot be confirmed like this."),
        "accounts.wrong_kind": N_("This is for another kind of organisation."),
        "audit.check_range": N_("The log holds no such range, or too many checks wait already."),
        "consent.change": N_("The change of consents cannot be read. Check its form."),
        "consent.register": N_("This purpose or notice cannot be taken, or is there already."),
        "consent.request_ended": N_("The request for consent was confirmed before, or has expired."),
        "consent.signal": N_("The TCF or GPP string cannot be read, or does not carry this consent."),
        "consent.stale": N_("The data or a key changed meanwhile. Send the change of consents again."),
        "consent.terms": N_("A consent needs a notice that asks for its purpose, in the form the law wants."),
        "consent.unknown_notice": N_("There is no such notice, or not in this version."),
        "consent.unknown_purpose": N_("This purpose is not registered."),
        "consent.unknown_request": N_("There is no request for consent with this token."),
        "consent.opt_out": N_("The opt-out cannot be read. Check its form."),
        "consent.opt_out_not_found": N_("There is no such batch of opt-outs."),
        "consent.nothing_to_confirm": N_(
            "The consents of this dataset are not in doubt: nothing has to be confirmed."
        ),
        "datasets.name": N_("A dataset's name has 1 to 200 characters."),
        "datasets.schema": N_("The description does not fit this kind of dataset."),
        "datasets.version_status": N_("In its present state this version does not allow the step."),
        "grants.bad_form": N_(
            "A grant cannot be given like this: check its size, its dates and its parties."
        ),
        "grants.bad_reservation": N_("The budget for this question was reserved already, or never."),
        "ingestion.junk": N_("This decision on often repeated values does not fit what was found."),
        "ingestion.manifest_mismatch": N_(
            "The package is for another dataset, description, key or time. Prepare it anew."
        ),
        "ingestion.package_used": N_("This package was loaded already."),
        "ingestion.payload": N_("The package does not hold what it says. Prepare it anew."),
        "ingestion.rotation": N_("A key cannot be changed now: something else is under way."),
        "ingestion.skew": N_("Too many rows share one value to be loaded in the memory allowed."),
        "ingestion.stale_version": N_(
            "Another version was published meanwhile. Look at it, then decide again."
        ),
        "marketplace.bad_month": N_("This is no month. Write it as 2026-11."),
        "marketplace.bad_page": N_("This page of the list does not exist."),
        "marketplace.bad_plan": N_("This price plan cannot be taken, or charges for nothing."),
        "marketplace.money_cap": N_("This passes what the mandate lets the agency spend."),
        "marketplace.no_mandate": N_("The agency has no mandate of the advertiser in force."),
        "marketplace.not_verified": N_("This is for confirmed buyers, and this one is not."),
        "money.invalid": N_("This is no amount that can be taken. Check the digits and the currency."),
        "subjects.ambiguous": N_(
            "Several people hold this identifier, or held it before. Name one of them by another."
        ),
        "subjects.bad_lookup": N_("The identifier or the reason cannot be read. Check their form."),
        "subjects.bad_reference": N_(
            "A number of a case has at most 64 letters, digits and . _ / # -, and no spaces."
        ),
        "subjects.epoch_not_found": N_("This dataset has no such consent epoch."),
        "subjects.too_many": N_("Too many lookups in the last hour. Wait."),
        "policies.document": N_("The text is not valid YAML. Check indentation, quotes and brackets."),
        "policies.error": N_("This question or policy cannot be taken."),
        "policies.nesting": N_("This is nested too deep. Make it flatter."),
        "policies.precision": N_("No noise fits this budget or precision."),
        "policies.question": N_("The question cannot be understood: check attributes, operators and values."),
        "rules.approval_reason": N_("Say why, in 1 to 500 characters: the asker reads it."),
        "rules.policy_changed": N_(
            "Somebody else has published another version meanwhile. Nothing of yours is lost: "
            "compare below with what is in force now, and publish again."
        ),
        "rules.too_many_trials": N_(
            "Three policies of your organisation are with the red team already. Wait until one is done."
        ),
        "rules.unconfirmed_override": N_(
            "An override named unsafe takes a second person: ask for it under Two people."
        ),
        "rules.untested_policy": N_(
            "The policy permits more than every preset, and nothing shows that it resists. Tighten it, "
            "let the red team try it, or add the unsafe override with your reason."
        ),
        "rules.untriable": N_(
            "Nothing can be asked under this policy, so there is nothing to attack. Complete it first."
        ),
        "schema.identifier_as_attribute": N_(
            "An attribute names people directly. Such a column can only be used for matching."
        ),
        "schema.invalid": N_("The description of the columns says something that is not allowed."),
        "schema.special_category": N_(
            "An attribute is about health, origin, religion, politics, sexual life or biometrics. "
            "This room does not take such data."
        ),
        "workspaces.bad_name": N_("A name has 1 to 200 characters."),
        "workspaces.no_rotation": N_("No change of this workspace's key is under way."),
    }
)

ERRORS: Mapping[str, str] = MappingProxyType(
    {
        **DOMAIN_ERRORS,
        "access.bad_client": N_(
            "A client has a name of 1 to 200 characters and a role; one that was revoked stays so."
        ),
        "access.bad_client_key": N_(
            "This key cannot be taken. It has to be a public JWK, a JWKS or PEM of P-256, Ed25519 or RSA with at least "
            "2048 bits, and one that was never registered here. A private key that was pasted is known to others from "
            "now on: make a new one."
        ),
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
        "alarms.bad_note": N_("Say what you found, in 1 to 500 characters."),
        "alarms.ended": N_("Somebody has acknowledged this alarm already."),
        "marketplace.bad_listing": N_(
            "The dataset's rule has changed since this was written, or does not allow what it offers. "
            "Write a new version: it refers to the rule in force."
        ),
        "marketplace.listing_state": N_(
            "This is not possible from where the listing is, or it takes another person. Look at it once more."
        ),
        "evidence.bad_bundle": N_("Such a bundle cannot be made: check its times and whose it is."),
        "evidence.too_many": N_("As many bundles wait to be made as may. Wait until one is there."),
        "evidence.unconfirmed": N_(
            "A bundle with events of others takes a second person: ask for it under Deeds of two people."
        ),
        "foureyes.bad_ask": N_(
            "Say what and why, in 1 to 500 characters. A rule that permits no more than a preset takes no second "
            "person: put it in force."
        ),
        "foureyes.ended": N_("This was decided before, or has lapsed."),
        "foureyes.not_entitled": N_("Your role does not let you do this."),
        "foureyes.same_person": N_("You asked for it, so somebody else has to decide it."),
        "foureyes.too_new": N_(
            "Your account or password is too new for this: younger than the ask, or less than 7 days before it one of"
            " you let the other in by a link, or one person let in both. Let somebody else decide, or ask again later."
        ),
        "foureyes.waits_already": N_("This waits for a second person already, or too much else does."),
        "incidents.bad_entry": N_(
            "A title has 1 to 200 characters, a text 1 to 10,000; no instant lies in the future, and a notice "
            "comes after the discovery."
        ),
        "incidents.bad_scope": N_(
            "Name data, a key, a client or a time that are there and are yours; a range goes from its first "
            "to its last."
        ),
        "incidents.closed": N_("This incident is closed. You can still add notes."),
        "incidents.duties_open": N_(
            "Enter first, of every duty, that somebody was told or why nobody has to be."
        ),
        "incidents.duty_ended": N_(
            "It was entered before what became of this duty. Add a note that corrects it."
        ),
        "incidents.not_sharable": N_(
            "Only the operator shares incidents, and only with organisations that they affect."
        ),
        "incidents.unknown": N_("There is no such incident in your register."),
        "marketplace.bad_request": N_("Say why, in 1 to 500 characters: the buyer reads it."),
        "marketplace.request_state": N_("Somebody has decided this request already."),
        "portal.foreign_form": N_("This page was open too long. Open it anew and try again."),
        "policies.format": N_("This is no policy in YAML that the room can read."),
        "rekeying.state": N_("The rotation has begun, or ended."),
        "rekeying.under_way": N_(
            "Another rotation of this workspace's keys has not ended. Wait for its end."
        ),
        "rights.busy": N_("The files are needed as they are now: something else is under way."),
        "rights.erasure_form": N_("The request to erase cannot be read. Check its form."),
        "rights.not_applied": N_("The dataset has none of these keys."),
        "rights.not_erased_yet": N_("The files were not written anew yet."),
        "rights.retention_form": N_(
            "This period of retention cannot be kept. Check its numbers and its day."
        ),
        "rules.undeclared_attribute": N_("The policy names an attribute that the dataset does not declare."),
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
        "signin.second_factor_required": N_(
            "Your organisation requires it. To change the app, ask an owner for a link that removes the old one."
        ),
        "signin.stale": N_("You signed in more than 15 minutes ago. Sign out and in, and do it then."),
        "signin.provider_unavailable": N_(
            "The identity provider does not answer as it must. Try again later, or sign in with a password."
        ),
        "signin.attempt": N_("This sign-in was begun elsewhere, or took more than ten minutes. Begin anew."),
        "signin.provider_answer": N_("The identity provider did not confirm who you are. Begin anew."),
        "signin.not_connected": N_(
            "This account lets nobody in here. Accept your invitation with the account it was sent to; "
            "or sign in with your password and connect the account under My account."
        ),
        "signin.connected": N_(
            "This account is connected to somebody already, or you to another account of the provider."
        ),
        "signin.unknown_session": N_("This session has ended already."),
        "webhooks.bad_address": N_(
            "The room does not call this address. It begins with https and is on the public internet, unless the "
            "operator allows more."
        ),
        "webhooks.bad_form": N_("Choose one event or more; a description has at most 200 characters."),
        "webhooks.state": N_("The webhook is paused or disabled. Let it go on first."),
        "webhooks.too_many": N_("The organisation has as many webhooks as it may have. Delete one."),
        "workspaces.destroyed": N_("The workspace was shredded: nothing in it can be read any more."),
    }
)


def error_words(error: Exception) -> str:
    """Return what a person reads for an error; one that pages were not written for speaks for itself."""
    known = ERRORS.get(getattr(error, "code", ""))
    return known if known is not None else str(error)
