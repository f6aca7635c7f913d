"""The commands about people's rights, over real HTTP: what a provider's officer does with one request."""

import csv
import io
import json

import pytest
from openpyxl import load_workbook

from cleanroom.cli.main import EXIT_KNOWN_ERROR, EXIT_PROBLEM_FOUND
from tests.api.sdk import Desk
from tests.api.test_sdk_commands import Run, desk, log_in, run
from tests.rights_rooms import digest, hasten
from tests.rooms import email

__all__ = ["desk", "run"]


@pytest.mark.slow
def test_one_request_from_the_letter_to_the_act(desk: Desk, run: Run) -> None:
    stage = desk.world.stage
    room, dataset_id = stage.room, stage.dataset_id
    log_in(desk, run, "provider", role="owner")
    kept = desk.folder / "case-7.json"
    asking = (
        *("erasure", "ask", dataset_id, "--identifier", f"email/room= {email(3).upper()} "),
        *("--reason", "consent_withdrawn", "--reference", "7", "--keep", str(kept), "--profile", "provider"),
    )
    code, out, err = run(*asking, "--dry-run")
    assert (code, out, kept.exists()) == (0, "WOULD SEND a hash of email/room\n", False), err
    code, out, err = run(*asking)
    assert code == 0, err
    erasure_id = out.split()[1]
    told = json.loads(kept.read_text())
    # Normalised and hashed here; the file with the salt is the asker's alone.
    assert told["identifiers"] == [{"key": "email/room", "sha256": digest(email(3)).hex()}]
    assert kept.stat().st_mode & 0o077 == 0
    code, out, _ = run("erasure", "list", dataset_id, "--profile", "provider")
    assert (code, f"{erasure_id}\texcluded" in out) == (0, True)
    certificate = desk.folder / "certificate.json"
    getting = ("erasure", "certificate", dataset_id, erasure_id, "-o", str(certificate))
    code, _, err = run(*getting, "--profile", "provider")
    assert (code, "rights.not_erased_yet" in err) == (EXIT_KNOWN_ERROR, True)

    with room.db.transaction() as tx:
        hasten(tx, dataset_id, room.clock)
    while room.rights.compactions.work():
        pass
    room.rights.acts.catch_up()

    code, _, err = run(*getting, "--profile", "provider")
    assert code == 0, err
    key = room.audit.verifier_key
    code, out, err = run("erasure", "verify", str(certificate), "--key", key, "--keep", str(kept))
    assert code == 0, err
    assert f"PROVEN erased {erasure_id}" in out
    other = desk.folder / "other.json"
    other.write_text(json.dumps(told | {"salt": "00" * 32}))
    code, _, err = run("erasure", "verify", str(certificate), "--key", key, "--keep", str(other))
    assert (code, "another request" in err) == (EXIT_PROBLEM_FOUND, True)
    certificate.write_bytes(certificate.read_bytes().replace(b'"reference": "7"', b'"reference":"7"'))
    certificate.write_bytes(certificate.read_bytes().replace(b'"reference":"7"', b'"reference":"8"'))
    code, _, err = run("erasure", "verify", str(certificate), "--key", key)
    assert (code, "NOT PROVEN" in err) == (EXIT_PROBLEM_FOUND, True)

    code, out, _ = run("records", "acts", "--profile", "provider", "--json")
    (act,) = json.loads(out)
    pdf = desk.folder / "act.pdf"
    code, _, err = run("records", "act", act["id"], "-o", str(pdf), "--lang", "ru", "--profile", "provider")
    assert code == 0, err
    assert pdf.read_bytes().startswith(b"%PDF-")
    for form in ("csv", "xlsx"):
        file = desk.folder / f"record.{form}"
        code, _, err = run(
            "records", "processing", "-o", str(file), "--format", form, "--profile", "provider"
        )
        assert code == 0, err
    (line,) = csv.DictReader(io.StringIO((desk.folder / "record.csv").read_text("utf-8-sig")))
    assert (line["id"], line["purposes"], line["erasures_done"]) == (dataset_id, "advertising, research", "1")
    sheet = load_workbook(desk.folder / "record.xlsx").worksheets[0]
    assert [cell.value for cell in sheet[2]][:2] == [dataset_id, "people"]

    setting = ("retention", "set", dataset_id, "--version-days", "400", "--profile", "provider")
    code, out, err = run(*setting, "--dry-run")
    assert code == 0, err
    before, _, would_be = out.partition("WOULD BE\n")
    assert ("version days\t-" in before, "version days\t400" in would_be) == (True, True)
    assert "version days\t-" in run("retention", "show", dataset_id, "--profile", "provider")[1]
    code, out, err = run(*setting)
    assert code == 0, err
    code, out, _ = run("retention", "show", dataset_id, "--profile", "provider")
    assert (code, "version days\t400" in out, "goes on" in out) == (0, True, True)
    code, _, err = run("retention", "set", dataset_id, "--version-days", "0", "--profile", "provider")
    assert (code, "rights.retention_form" in err) == (EXIT_KNOWN_ERROR, True)
    code, _, err = run(*asking, "--dry-run")
    assert (code, "was taken" in err) == (EXIT_KNOWN_ERROR, True)
    code, _, err = run(*asking)
    assert (code, "was taken" in err) == (EXIT_KNOWN_ERROR, True)
    # A request whose answer was lost: the same salt, so the same request.
    kept.write_text(json.dumps({"salt": told["salt"]}))
    code, out, err = run(*asking)
    assert code == 0, err
    assert out.split()[1] == erasure_id
