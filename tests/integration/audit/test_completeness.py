"""No state changes without an event: every function that writes logs it, or stands here with the reason why not."""

import inspect
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.completeness import service_functions, writes

ROOT = Path(__file__).resolve().parents[3]
LOGS = re.compile(r"\baudit\(|_log\(|_audit\(|_note\(")

# The event is written by whoever calls it, in the same transaction; the long run below sees that it is.
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
# What commits without an event may change: a table, and of it everything or these columns.
UNLOGGED: dict[str, frozenset[str]] = {
    table: frozenset(columns)
    for table, columns in {
        # Made of the log, which they follow; each keeps a place in it.
        "notice_state": (), "notices": (), "webhook_state": (), "webhook_deliveries": (), "usage_cursor": (),
        "mail_messages": (), "alarm_watches": (), "audit_published": (), "audit_cosignatures": (),
        "audit_checkpoints": (), "audit_checks": (),
        # What one person has read.
        "notice_reads": (), "notice_readers": (),
        # Counters, and what ends by itself.
        "signin_throttles": (), "sso_attempts": (), "idempotency_records": (), "used_assertions": (),
        "revoked_tokens": (), "known_devices": (), "alarm_state": (),
        # A session before and after somebody entered by it, which is an event.
        "web_sessions": (),
        # A second factor that was not confirmed yet counts for nothing.
        "credentials": ("totp_sealed", "totp_last_step"),
        # Leases, attempts and progress.
        "analyses": ("attempts",), "audit_witnesses": ("tried_at", "size", "detail"),
        "uploads": ("offset", "attempts", "rows_done", "rows_total"),
        "evidence_bundles": ("progress",),
        "key_rotations": ("state", "started_at", "done", "total", "due_at", "failures", "failure"),
        "policy_trials": ("state", "runner", "starts", "beat_at", "percent"),
        "api_clients": ("last_used_at",), "retired_keks": (),
        # When a receiver began to fail; that it is given up is an event. A secret whose end was told before.
        "webhook_endpoints": ("failing_since", "old_secret", "old_secret_until"),
    }.items()
}  # fmt: skip
# A row that is opened says what no row said: an account of which nothing is allocated, also when its grant is refused.
OPENED = {"budget_accounts"}
JOURNEYS = (
    "tests/integration/access", "tests/integration/analyses", "tests/integration/audit/test_bundles.py",
    "tests/integration/audit/test_checks.py", "tests/integration/audit/test_witness.py", "tests/integration/data",
    "tests/integration/grants", "tests/integration/keys", "tests/integration/mail", "tests/integration/marketplace",
    "tests/integration/notices", "tests/integration/signin", "tests/integration/uploads",
    "tests/integration/webhooks", "tests/unit/cleanroom/access", "tests/unit/cleanroom/accounts",
    "tests/unit/cleanroom/signin",
)  # fmt: skip


# These play somebody else: who owns the database and changes rows under the services, or the caller who logs.
PLAYED = (
    "test_removing.py::test_files_that_the_log_says_are_gone_cannot_come_back",
    "test_fixed_cost.py::test_a_dataset_is_read_anew_once_it_is_locked",
    "test_ledger.py::test_overlays_that_others_replaced_go_and_the_rest_stays",
    "test_rekeying.py::test_it_waits_for_a_load_and_goes_on_by_itself",
    "test_nothing_is_overspent.py::test_concurrent_grants_get_what_the_window_frees_once",
)


def unexplained(report: dict[str, Any]) -> list[tuple[str, str, tuple[str, ...], str]]:
    """List what a commit without an event has changed, and ought not to."""
    found = []
    for commit in report["unlogged"]:
        if any(one in commit["test"] for one in PLAYED):
            continue
        for verb, table, columns in commit["changes"]:
            allowed = UNLOGGED.get(table)
            if verb == "INSERT" and table in OPENED:
                continue
            if allowed is None or (allowed and not (verb == "UPDATE" and set(columns) <= allowed)):
                found.append((verb, table, tuple(columns), commit["test"]))
    return found


def test_every_function_that_writes_logs_or_says_why_not() -> None:
    silent = {
        called.removeprefix("cleanroom.")
        for *_, made, called in service_functions()
        if writes(made) and not LOGS.search(inspect.getsource(made))
    }
    assert len(silent) > 30
    assert silent - BY_ITS_CALLER - set(WITHOUT) == set()


def test_a_silent_change_is_seen() -> None:
    silent = {"test": "t", "changes": [["UPDATE", "grants", ["status"]], ["UPDATE", "uploads", ["offset"]]]}
    more = {"test": "t", "changes": [["DELETE", "uploads", []], ["UPDATE", "credentials", ["role"]]]}
    opened = {"test": "t", "changes": [["INSERT", "budget_accounts", []], ["UPDATE", "budget_accounts", ["party"]]]}
    found = unexplained({"unlogged": [silent, more, opened]})
    assert [(verb, table) for verb, table, *_ in found] == [
        ("UPDATE", "grants"),
        ("DELETE", "uploads"),
        ("UPDATE", "credentials"),
        ("UPDATE", "budget_accounts"),
    ]


SILENT = """
from cleanroom.accounts.models import OrganisationRow
from cleanroom.accounts.service import Accounts


def test_silent(stage):
    with stage.room.db.transaction() as tx:
        stage.room.accounts.organisation(tx, stage.provider.organisation_id)
        tx.session.get_one(OrganisationRow, stage.provider.organisation_id).sector = "retail"
"""


def watched(report: Path, *arguments: str) -> dict[str, Any]:
    """Run tests in a process of their own whose commits are watched."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.completeness", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, "--completeness", str(report), "-k", "not postgresql", *arguments],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    found: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
    return found


@pytest.mark.slow
@pytest.mark.timeout(1_800)
def test_no_commit_of_the_journeys_changes_state_without_an_event(tmp_path: Path) -> None:
    report = watched(tmp_path / "report.json", "-m", "not slow", *JOURNEYS)
    assert len(report["called"]) > 300
    assert unexplained(report) == []


@pytest.mark.slow
def test_a_service_that_is_silent_is_caught_by_the_watch(tmp_path: Path) -> None:
    place = ROOT / "tests" / "integration" / "keys" / "test_silent_for_a_moment.py"
    place.write_text(SILENT, encoding="utf-8")
    try:
        report = watched(tmp_path / "report.json", str(place))
    finally:
        place.unlink()
    assert [(verb, table) for verb, table, *_ in unexplained(report)] == [("UPDATE", "organisations")]
