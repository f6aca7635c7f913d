"""A report says what the register holds, and its JSON proves it to somebody who has nothing but the verifier key."""

import base64
import hashlib
import io
import json
from pathlib import Path
from typing import Any

import pytest
from pypdf import PdfReader

from cleanroom.canonical import canonical_json
from cleanroom.cli.main import main
from cleanroom.incidents.report import ReportFormat, make_report, write_report
from cleanroom.incidents.types import Duty, DutyState, Scope
from cleanroom.papers.text import Language
from crypto.checkpoint import open_note
from crypto.errors import CryptoError
from crypto.merkle import leaf_hash, verify_inclusion
from tests.integration.incidents.conftest import Scene
from tests.rooms import MakeRoom

WORDS = "Диск нашёлся, данные не читали."


@pytest.fixture
def scene(make_room: MakeRoom) -> Scene:
    """On SQLite alone: a report reads what the registers' own tests read on both databases."""
    return Scene(make_room())


def written(
    scene: Scene, incident_id: str, form: ReportFormat, lang: Language = Language.EN, who: str = "provider"
) -> bytes:
    room = scene.stage.room
    with room.db.reading() as tx:
        report = make_report(
            tx,
            room.incidents,
            incident_id,
            organisation_id=scene.own(who),
            verifier_key=room.audit.verifier_key,
            now=scene.look(incident_id, who).opened_at,
        )
    return write_report(report, form, lang)


def prove(report: dict[str, Any], verifier_key: str) -> int:
    """Verify a report as its reader would, with the hashes and the signature alone; how many events it proves."""
    head = open_note(report["log"]["checkpoint"], verifier_key)
    stated = []
    for event in report["log"]["events"]:
        record = json.loads(event["record"])
        assert canonical_json(record) == event["record"].encode()
        proof = [base64.b64decode(node) for node in event["proof"]]
        verify_inclusion(leaf_hash(event["record"].encode()), event["index"], head.size, proof, head.root)
        stated.append(record["body"].get("text_sha256"))
    for entry in report["entries"]:
        text = bytes.fromhex(entry["salt"]) + entry["text"].encode()
        assert hashlib.sha256(text).hexdigest() in stated
    return len(stated)


def test_a_report_in_json_proves_itself(scene: Scene) -> None:
    answer = scene.market.question(scene.market.bought(size="M"))
    incident_id = scene.open(scope=Scope(dataset_id=scene.stage.dataset_id))
    scene.act("note", incident_id, text=WORDS)
    scene.act("end_duty", incident_id, Duty.RU_NOTICE, state=DutyState.DONE, text="notice 17")
    key = scene.stage.room.audit.verifier_key

    report = json.loads(written(scene, incident_id, ReportFormat.JSON))

    assert prove(report, key) == 3
    assert [one["analysis_id"] for one in report["releases"]] == [answer.analysis_id]
    assert report["affected"]["releases"] == 1
    assert [one["state"] for one in report["incident"]["deadlines"]] == ["done", "due", "due"]
    report["entries"][1]["text"] += "!"
    with pytest.raises(AssertionError):
        prove(report, key)
    report["entries"].pop(1)
    report["log"]["events"][0]["index"] += 1
    with pytest.raises(CryptoError):
        prove(report, key)


def test_a_report_in_pdf_is_in_either_language_and_the_same_bytes_again(scene: Scene) -> None:
    incident_id = scene.open(title="Утерян диск", scope=Scope(dataset_id=scene.stage.dataset_id))
    scene.act("note", incident_id, text=WORDS)
    for language, title in ((Language.RU, "Отчёт об инциденте"), (Language.EN, "Report on an incident")):
        content = written(scene, incident_id, ReportFormat.PDF, language)
        text = " ".join(
            " ".join(page.extract_text() for page in PdfReader(io.BytesIO(content)).pages).split()
        )
        for part in (title, "Утерян диск", WORDS, incident_id, scene.stage.dataset_id):
            assert part in text, part
        assert content == written(scene, incident_id, ReportFormat.PDF, language)


def test_those_with_whom_it_is_shared_get_their_part(scene: Scene) -> None:
    incident_id = scene.open("operator", scope=Scope(dataset_id=scene.stage.dataset_id))
    scene.act("note", incident_id, who="operator", text="for us alone")
    scene.act("share", incident_id, [scene.own("provider")], who="operator")
    report = json.loads(written(scene, incident_id, ReportFormat.JSON, who="provider"))
    assert [one["kind"] for one in report["entries"]] == ["opened"]
    assert report["incident"]["scope"] is None
    assert report["incident"]["deadlines"] == []
    assert "for us alone" not in json.dumps(report)
    assert written(scene, incident_id, ReportFormat.PDF, who="provider")


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as ended:
        main(["incident", *arguments])
    captured = capsys.readouterr()
    assert ended.value.code in (0, None), captured.err
    return captured.out


def test_the_commands(scene: Scene, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    place = ("--org", scene.own("provider"), "--home", str(scene.stage.home))
    opened = run(
        capsys,
        "open",
        *place,
        "--kind",
        "loss",
        "--severity",
        "low",
        "--title",
        "a drill",
        "--text",
        "a drill",
    )
    incident_id = opened.split()[1]
    assert opened.count("due ") == 3
    run(capsys, "note", incident_id, *place, "--text", "more")
    affected = run(capsys, "scope", incident_id, *place, "--dataset", scene.stage.dataset_id)
    assert affected == "AFFECTED 1 datasets, 1 versions, 0 answers, 0 entitlements, 1 organisations\n"
    for duty in Duty:
        run(capsys, "duty", incident_id, *place, "--duty", duty, "--state", "not_due", "--text", "a drill")
    run(capsys, "close", incident_id, *place, "--text", "over")
    assert run(capsys, "list", *place).split("\t")[:2] == [incident_id, "closed"]
    run(capsys, "report", incident_id, *place, "-o", str(tmp_path / "report.pdf"), "--lang", "ru")
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")
