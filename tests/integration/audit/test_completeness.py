"""No state changes without an event: every function that writes logs it, or stands here with the reason why not."""

import inspect
import re

from cleanroom.accounts.models import OrganisationRow
from tests.completeness import WATCH, explained, service_functions, writes
from tests.rooms import Stage

LOGS = re.compile(r"\baudit\(|_log\(|\blog_request\(|_audit\(|_note\(")

# The event is written by whoever calls it, in the same transaction; the watch over every test sees that it is.
BY_ITS_CALLER = {
    "consent.bar_segments.BarSegments.write",
    "consent.changes_anew._exchange",
    "consent.erased_people.ErasedPeople.moved",
    "consent.files.ConsentFiles.remove",
    "consent.list_files.ListFiles.write",
    "consent.optout_records.enter_row",
    "consent.optout_records.enter_outcome",
    "consent.requests.ConsentRequests.confirm",
    "datasets.rows.add_files",
    "datasets.rows.remove_files",
    "grants.ledger.take",
    "grants.ledger.give_back",
    "grants.reconciling._spend",
    "incidents.service.Incidents.open",
    "ingestion.junk.JunkLists._replace",
    "marketplace.listings.Listings.create",
    "marketplace.listings.Listings._go_live",
    "marketplace.usage.Usage._record",
    "release.public.enter_public",
    "rights.one_pass.OnePass._note_replaced",
    "signin.links.Links.end_all",
    "signin.links.Links.use_up",
    "signin.links.Links._make",
    "signin.single_sign_on.SingleSignOn._without_password",
    "uploads.service.Uploads.create",
    "workspaces.service._store",
    "wrapping.retire_kek",
}
# Nothing of it changes what anybody may do, see or owes.
WITHOUT = {
    "access.clients.Clients.note_use": "when a credential was used last, to the hour",
    "access.idempotency.Idempotency.sweep": "answers that were kept for repeated requests, a day later",
    "access.service.Access.sweep": "what has ended by its own time",
    "alarms.detecting.Detecting.sweep": "what was remembered of the log to find patterns in it",
    "alarms.detecting._watch": "what is remembered of the log to find patterns in it",
    "audit.checks.Checks._add": "a regular check; its result is an event, and so is one that was asked for",
    "mail.outbox.MailOutbox.enter": "a letter about what has an event of its own",
    "mail.outbox.MailOutbox.claim": "who is sending a letter",
    "mail.outbox.MailOutbox.sweep": "letters that were sent",
    "notices.outbox.NoticeOutbox.sweep": "notices that are old, about what has events of its own",
    "rules.trials.Trials.beat": "how far the red team is",
    "signin.attempts.Attempts.begin": "a sign-in elsewhere that has not come back",
    "signin.attempts.Attempts.use_up": "the same, come back; whoever enters by it is an event",
    "signin.attempts.Attempts.sweep": "the same, too old",
    "signin.entering.Entering.sweep": "devices that were not seen for long",
    "signin.entering.Entering._is_new": "a device, named in the event of who entered with it",
    "signin.links.Links.sweep": "links that have ended by their own time",
    "signin.sessions.Sessions.begin": "a session; whoever enters by it is an event",
    "signin.throttle.Throttle.clear": "counters of failures",
    "signin.throttle.Throttle.sweep": "counters of failures",
    "uploads.records.UploadRecords.advance": "how many bytes have come; that all have come is an event",
    "webhooks.deliveries.Deliveries.claim": "who is sending a delivery",
    "webhooks.outbox.Outbox.announce": "deliveries about what has events of its own",
    "webhooks.outbox.Outbox.sweep": "deliveries that were made; secrets whose end was told with their replacement",
}


def test_every_function_that_writes_logs_or_says_why_not() -> None:
    silent = {
        called.removeprefix("cleanroom.")
        for *_, made, called in service_functions()
        if writes(made) and not LOGS.search(inspect.getsource(made))
    }
    assert len(silent) > 30
    assert silent - BY_ITS_CALLER - set(WITHOUT) == set()


def test_only_what_says_nothing_may_change_without_an_event() -> None:
    assert explained(("UPDATE", "uploads", ("offset",)))
    assert not explained(("UPDATE", "uploads", ("offset", "status")))
    assert not explained(("DELETE", "uploads", ()))
    assert not explained(("UPDATE", "grants", ("status",)))
    assert explained(("INSERT", "budget_accounts", ()))
    assert not explained(("UPDATE", "budget_accounts", ("party",)))


def test_a_service_that_is_silent_is_caught_by_the_watch(stage: Stage) -> None:
    with stage.room.db.transaction() as tx:
        stage.room.accounts.organisation(tx, stage.provider.organisation_id)
        tx.session.get_one(OrganisationRow, stage.provider.organisation_id).sector = "retail"

    ((change, calls),), _ = WATCH.take()
    assert change[:2] == ("UPDATE", "organisations")
    assert "cleanroom.accounts.service.Accounts.organisation" in calls


def test_a_kind_that_the_reference_does_not_know_is_caught_by_the_watch(stage: Stage) -> None:
    with stage.room.db.transaction() as tx:
        tx.audit("accounts.sector_guessed", subject_id=stage.provider.organisation_id)
        tx.audit("accounts.sector_declared", subject_id=stage.provider.organisation_id)

    assert WATCH.take() == ([], {"accounts.sector_guessed"})
