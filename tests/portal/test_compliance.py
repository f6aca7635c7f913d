"""What a compliance officer comes for, over the pages and without a browser: four questions, each with its proof."""

import base64
import hashlib
import io
import json
import re
import subprocess
import sys
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pypdf import PdfReader

from cleanroom.alarms.reading import alarms, open_alarms
from cleanroom.alarms.types import Whose
from cleanroom.audit.checks import CheckState
from cleanroom.client.certificates import verify_certificate
from cleanroom.incidents.types import Scope
from cleanroom.rights.models import ErasureRow
from crypto.checkpoint import open_note
from crypto.merkle import ProofError, leaf_hash, verify_inclusion
from tests.people_rooms import PASSWORD, Person
from tests.portal.test_access import Client, client
from tests.portal.world import Cabinet
from tests.rooms import email

__all__ = ["client"]
LOOKUP = {"key": "email/room", "reason": "request", "reference": "дело-17"}


def digest_of(number: int) -> str:
    return hashlib.sha256(email(number).encode()).hexdigest()


def newest(cabinet: Cabinet, kind: str) -> dict[str, Any]:
    return dict(cabinet.stage.events(kind)[-1])


@pytest.fixture
def officer(client: Any) -> Client:
    made: Client = client("provider.officer")
    return made


def test_an_event_is_proven_by_what_its_page_gives(cabinet: Cabinet, officer: Client) -> None:
    index = cabinet.made["event"]
    assert "Leads to the signed head" in officer(f"GET /compliance/events/{index}").text
    answer = officer(f"GET /compliance/events/{index}/proof.json")
    assert "attachment" in answer.headers["content-disposition"]
    given = json.loads(answer.text)
    head = open_note(given["checkpoint"], cabinet.room.audit.verifier_key)
    proof = [base64.b64decode(one) for one in given["proof"]]
    assert head.size == given["size"]
    verify_inclusion(leaf_hash(given["record"].encode()), given["index"], head.size, proof, head.root)
    changed = leaf_hash(given["record"].replace("advertising", "Advertising").encode())
    with pytest.raises(ProofError):
        verify_inclusion(changed, given["index"], head.size, proof, head.root)


def test_the_timeline_narrows_by_kind_dataset_subject_and_day_and_goes_on(
    cabinet: Cabinet, officer: Client
) -> None:
    def kinds(query: str) -> list[str]:
        text = officer(f"GET /compliance/events?{query}").text
        return re.findall(r'<span class="faint sub">([a-z_]+\.[a-z_]+)</span>', text)

    assert set(kinds("kind=rules.policy_set")) == {"rules.policy_set"}
    assert {one.partition(".")[0] for one in kinds("kind=rules.")} == {"rules"}
    assert kinds("kind=nonsense") == kinds("")
    assert set(kinds(f"subject={cabinet.made['waiting']}")) == set()
    assert set(kinds(f"subject={cabinet.made['ask']}")) == {"foureyes.asked"}
    assert kinds(f"dataset={cabinet.made['dataset']}&kind=datasets.registered") == ["datasets.registered"]
    assert kinds("until=2020-01-01") == []
    # Days without a place in UTC are as if they were not there.
    assert kinds("since=0001-01-01&until=9999-12-31") == kinds("")
    assert len(kinds("since=2026-11-01&until=2026-11-30")) == 20
    first = officer("GET /compliance/events").text
    (older,) = re.findall(r'rel="next" href="([^"]+)"', first)
    second = officer(f"GET {older.replace('&amp;', '&')}").text
    assert "Newer" in second
    assert not set(re.findall(r"/compliance/events/\d+", first)) & set(
        re.findall(r'href="/compliance/events/\d+"', second)
    )


def test_a_check_that_is_asked_for_is_done_and_shown(cabinet: Cabinet, officer: Client) -> None:
    assert officer("POST /compliance/events/checks").headers["location"].endswith("?done=asked")
    assert "Being checked" in officer("GET /compliance/events/checks").text
    room = cabinet.room
    while room.checks.run_due(room.db, room.settings.database_url):
        pass
    shown = officer("GET /compliance/events/checks").text
    assert "Being checked" not in shown
    assert "Checked for you:" in shown
    index = cabinet.made["event"]
    place = officer("POST /compliance/events/checks", {"index": index}).headers["location"]
    assert place == f"/compliance/events/{index}?done=asked"
    while room.checks.run_due(room.db, room.settings.database_url):
        pass
    owner = cabinet.stage.provider.organisation_id
    with room.db.reading() as tx:
        checks = room.checks.list(tx, organisation_id=owner)
    # The clock stands still here, so which of the two is listed first is not decided.
    mine = {(one.start, one.stop): one.state for one in checks}
    assert mine[int(index), int(index) + 1] is CheckState.INTACT


def test_an_alarm_is_over_when_somebody_has_written_what_was_found(
    cabinet: Cabinet, client: Any, officer: Client
) -> None:
    place = f"/compliance/alarms/{cabinet.made['alarm']}"
    assert officer(f"POST {place}/acknowledge", {"note": " "}).status_code == 400
    # Of others' alarms an operator reads.
    operator = client("operator.officer")
    assert operator(f"GET {place}").status_code == 200
    assert operator(f"POST {place}/acknowledge", {"note": "mine"}).status_code == 404
    note = "The buyer tried two versions of one report. <script>"
    assert (
        officer(f"POST {place}/acknowledge", {"note": note}).headers["location"]
        == f"{place}?done=acknowledged"
    )
    shown = officer(f"GET {place}").text
    assert "&lt;script&gt;" in shown
    assert "officer@provider.example.org" in shown
    assert officer(f"POST {place}/acknowledge", {"note": "again"}).status_code == 400
    assert newest(cabinet, "alarms.acknowledged")["body"]["note"] == note
    rooms_own = f"/compliance/alarms/{cabinet.made['alarm_room']}"
    assert operator(f"POST {rooms_own}/acknowledge", {"note": "A scanner."}).status_code == 303
    with cabinet.room.db.reading() as tx:
        owner = Whose(cabinet.stage.provider.organisation_id)
        assert open_alarms(tx, owner) == 0
        assert alarms(tx, owner)[1] == 1


def test_what_left_the_room_names_the_rule_that_permitted_it(cabinet: Cabinet, officer: Client) -> None:
    text = officer(f"GET /compliance/releases/{cabinet.made['answer']}").text
    event = json.loads(
        next(
            one
            for one in [json.dumps(event) for event in cabinet.stage.events("release.released")]
            if cabinet.made["answer"] in one
        )
    )
    assert event["body"]["policy_sha256"] in text
    assert f"/compliance/policies/{cabinet.made['dataset']}/1" in text
    assert f"/compliance/events/{cabinet.made['event']}" in text
    # The figures are the buyer's: no number of the page is one, however its thousands are parted.
    shown = re.sub(r"(?<=\d)[,\u00a0\u202f ](?=\d{3})", "", re.sub(r"<[^>]+>", " ", text))
    for figure in event["body"]["figures"]:
        assert not re.search(rf"\b{figure['value']}\b", shown)


def test_one_person_is_looked_up_by_a_hash_that_stands_nowhere_afterwards(
    cabinet: Cabinet, officer: Client
) -> None:
    dataset = cabinet.made["dataset"]
    held = digest_of(5)
    answer = officer("POST /compliance/lookup", {"dataset": dataset, "digest": held} | LOOKUP)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert str(answer.url).endswith("/compliance/lookup")
    assert "Held in people" in answer.text
    assert "Granted" in answer.text
    assert cabinet.made["answer"] in answer.text
    gone = officer("POST /compliance/lookup", {"dataset": dataset, "digest": digest_of(3)} | LOOKUP).text
    assert "Withdrawn" in gone
    assert f"/compliance/epochs/{dataset}/1" in gone
    nobody = officer("POST /compliance/lookup", {"dataset": dataset, "digest": "0" * 64} | LOOKUP).text
    assert "Not held in people" in nobody
    event = newest(cabinet, "subjects.looked_up")
    assert (event["body"]["reason"], event["body"]["reference"]) == ("request", "дело-17")
    assert event["body"]["asked_by"] == cabinet.people["provider.officer"].user.id
    for sought in (held, digest_of(3)):
        assert sought not in json.dumps(cabinet.stage.events())
        assert sought not in cabinet.log.getvalue()
        assert sought not in answer.text + gone
        assert sought.encode() not in (cabinet.stage.home / "room.sqlite3").read_bytes()


def test_a_lookup_that_cannot_be_done_says_so_and_repeats_nothing(
    cabinet: Cabinet, client: Any, officer: Client
) -> None:
    dataset = cabinet.made["dataset"]
    before = len(cabinet.stage.events("subjects.looked_up"))
    for digest in ("", "abcdef", digest_of(5).upper(), email(5)):
        answer = officer("POST /compliance/lookup", {"dataset": dataset, "digest": digest} | LOOKUP)
        assert answer.status_code == 400, digest
        assert not digest or digest not in answer.text
    wrong = LOOKUP | {"key": "passport/room"}
    assert (
        officer("POST /compliance/lookup", {"dataset": dataset, "digest": digest_of(5)} | wrong).status_code
        == 400
    )
    stranger = client("rival.officer")
    theirs = {"dataset": dataset, "digest": digest_of(5)} | LOOKUP
    assert stranger("POST /compliance/lookup", theirs).status_code == 404
    assert stranger("POST /compliance/lookup/export.json", theirs).status_code == 404
    assert len(cabinet.stage.events("subjects.looked_up")) == before


def test_everything_about_one_person_comes_as_a_file(cabinet: Cabinet, officer: Client) -> None:
    answer = officer(
        "POST /compliance/lookup/export.json",
        {"dataset": cabinet.made["dataset"], "digest": digest_of(5)} | LOOKUP,
    )
    assert answer.headers["content-disposition"] == 'attachment; filename="person.json"'
    assert answer.headers["cache-control"] == "no-store"
    assert "age" in json.dumps(answer.json())
    assert newest(cabinet, "subjects.exported")["body"]["reason"] == "request"


def test_after_a_withdrawal_nothing_was_answered_against_it(cabinet: Cabinet, officer: Client) -> None:
    text = officer(f"GET /compliance/epochs/{cabinet.made['dataset']}/1").text
    assert "Was anything answered against it?" in text
    assert '<span class="state state-good">Nothing</span>' in text
    assert officer(f"GET /compliance/epochs/{cabinet.made['dataset']}/77").status_code == 404


def test_a_notice_shows_what_changed_in_its_text(officer: Client) -> None:
    text = officer("GET /compliance/notices/marketing/2").text
    assert '<del class="below-line">− We send offers.</del>' in text
    assert '<ins class="below-line">+ We send offers by e-mail.</ins>' in text
    assert "&lt;i&gt;" in text
    for path in ("marketing/3", "marketing/0", "marketing/x", "none/1"):
        assert officer(f"GET /compliance/notices/{path}").status_code == 404, path


def test_the_record_of_processing_comes_as_files_too(officer: Client) -> None:
    record = json.loads(officer("GET /compliance/processing/record.json").text)
    assert [table["name"] for table in record["tables"]] == ["people"]
    assert officer("GET /compliance/processing/record.csv").text.count("people") >= 1
    assert officer("GET /compliance/processing/record.xlsx").content.startswith(b"PK")
    assert officer("GET /compliance/processing/record.exe").status_code == 404


def test_a_bundle_verifies_without_the_room(cabinet: Cabinet, officer: Client, tmp_path: Path) -> None:
    assert (
        officer("POST /compliance/evidence", {"since": "2026-12-01", "until": "2026-01-01"}).status_code
        == 400
    )
    asked = officer("POST /compliance/evidence", {"dataset": cabinet.made["dataset"]})
    assert asked.headers["location"] == "/compliance/evidence?done=asked"
    # What is another's does not exist for who asks.
    assert officer("POST /compliance/evidence", {"dataset": cabinet.stage.base_id}).status_code == 404
    assert "Being made" in officer("GET /compliance/evidence").text
    assert cabinet.room.bundles.make_next()
    page = officer("GET /compliance/evidence").text
    path = re.findall(r'href="(/compliance/evidence/\w+/bundle.zip)"', page)[0]
    content = officer(f"GET {path}").content
    (tmp_path / "bundle.zip").write_bytes(content)
    with zipfile.ZipFile(io.BytesIO(content)) as bundle:
        name = next(one for one in bundle.namelist() if one.endswith("verify.py"))
        (tmp_path / "verify.py").write_bytes(bundle.read(name))
    done = subprocess.run(
        [sys.executable, "-I", "verify.py", "bundle.zip", "--key", cabinet.room.audit.verifier_key],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, "INTACT" in done.stdout) == (0, True), done.stdout + done.stderr


def test_everybodys_events_leave_only_when_a_second_person_says_so(cabinet: Cabinet, client: Any) -> None:
    operator, second = client("operator.operator"), client("operator.officer")
    wanted = {"organisation": "everybody", "reason": "The yearly audit."}
    # Whoever does not run the room asks for their own alone.
    own = client("provider.officer")("POST /compliance/evidence", wanted)
    assert own.status_code == 400
    place = operator("POST /compliance/evidence", wanted).headers["location"].partition("?")[0]
    assert place.startswith("/compliance/two-people/fe_")
    assert not cabinet.room.bundles.make_next()
    assert operator(f"POST {place}/confirm", {"password": PASSWORD}).status_code == 409
    assert second(f"POST {place}/confirm", {"password": "wrong"}).status_code == 409
    assert not cabinet.room.bundles.make_next()
    assert "Confirm" in second(f"GET {place}").text
    assert second(f"POST {place}/confirm", {"password": PASSWORD}).headers["location"] == f"{place}?done=done"
    assert cabinet.room.bundles.make_next()


def test_an_incident_from_its_discovery_to_its_end(cabinet: Cabinet, officer: Client) -> None:
    entered = {
        "kind": "access",
        "severity": "critical",
        "title": "A key was copied",
        "text": "Somebody copied a key.",
        "dataset": cabinet.made["dataset"],
    }
    assert officer("POST /compliance/incidents/new", entered | {"title": ""}).status_code == 400
    late = officer("POST /compliance/incidents/new", entered | {"discovered": "2099-01-01T10:00"})
    assert late.status_code == 400
    assert "Somebody copied a key." in late.text
    place = officer("POST /compliance/incidents/new", entered).headers["location"].partition("?")[0]
    assert officer(f"POST {place}/close", {"text": "Over."}).status_code == 400
    assert officer(f"POST {place}/note", {"text": "The key was revoked."}).status_code == 303
    for duty in ("ru_notice", "ru_results", "eu_notice"):
        told = {"duty": duty, "state": "done" if duty != "eu_notice" else "not_due", "text": "No. 1"}
        assert officer(f"POST {place}/duty", told).status_code == 303, duty
    assert officer(f"POST {place}/close", {"text": "The key is gone."}).status_code == 303
    text = officer(f"GET {place}").text
    assert "Closed" in text
    assert (
        text.index("Somebody copied a key.")
        < text.index("The key was revoked.")
        < text.index("The key is gone.")
    )


def test_requests_to_erase_say_what_became_of_them_and_never_who_is_meant(
    cabinet: Cabinet, officer: Client
) -> None:
    done, waits = cabinet.made["erasure"], cabinet.made["erasure_waits"]

    def listed(query: str) -> list[str]:
        return re.findall(
            r'href="/compliance/erasures/(er_\w+)"', officer(f"GET /compliance/erasures{query}").text
        )

    assert listed("") == [waits, done]
    assert listed("?sort=asked&order=asc") == [done, waits]
    # What is not carried out comes last, whichever way they are sorted.
    assert listed("?sort=erased&order=desc") == listed("?sort=erased&order=asc") == [done, waits]
    assert (listed("?state=erased"), listed("?state=excluded")) == ([done], [waits])
    assert listed(f"?dataset={cabinet.made['dataset']}") == [waits, done]
    assert listed(f"?dataset={cabinet.stage.base_id}") == listed("?page=2") == []
    shown = [officer(f"GET /compliance/erasures{path}").text for path in ("", f"/{done}", f"/{waits}")]
    with cabinet.room.db.reading() as tx:
        erased = cabinet.room.rights.erasures.erasure(tx, cabinet.made["dataset"], done)
    assert erased.compaction_id in shown[1]
    assert "officer@provider.example.org" in shown[1]
    digest = hashlib.sha256(b"nobody@example.org").hexdigest()
    for text in shown:
        assert not [one for one in (digest, "nobody@", erased.commitment) if one in text]
    certificate = officer(f"GET /compliance/erasures/{done}/certificate.json")
    assert f'filename="erasure-{done}.json"' in certificate.headers["content-disposition"]
    proven = verify_certificate(certificate.content, verifier_key=cabinet.room.audit.verifier_key)
    assert (proven.dataset_id, proven.commitment) == (cabinet.made["dataset"], erased.commitment)
    assert "certificate.json" not in shown[2]
    assert officer(f"GET /compliance/erasures/{waits}/certificate.json").status_code == 409


def test_everybody_sees_their_own_erasures_acts_and_periods_and_an_operator_all(
    cabinet: Cabinet, client: Any
) -> None:
    def seen(who: str) -> tuple[set[str], set[str], bool]:
        call = client(f"{who}.officer")
        erasures = re.findall(r"/compliance/erasures/(er_\w+)", call("GET /compliance/erasures").text)
        acts = re.findall(r"/compliance/acts/(ac_\w+)", call("GET /compliance/acts").text)
        return set(erasures), set(acts), "30 Jun 2027" in call("GET /compliance/retention").text

    made = cabinet.made
    provider = {made["erasure"], made["erasure_waits"]}
    assert seen("provider") == (provider, {made["act"]}, True)
    assert seen("advertiser") == ({made["erasure.advertiser"]}, {made["act.advertiser"]}, False)
    assert seen("rival") == (set(), set(), False)
    everything = provider | {made["erasure.advertiser"]}
    assert seen("operator") == (everything, {made["act"], made["act.advertiser"]}, True)
    rival = client("rival.officer")
    assert "Nobody was to be erased yet" in rival("GET /compliance/erasures").text
    # What another's dataset is called stands on nobody else's page.
    asked = rival(f"GET /compliance/erasures?dataset={made['dataset']}").text
    assert f">{made['dataset']}</option>" in asked
    for path in (f"erasures/{made['erasure']}", f"erasures/{made['erasure']}/certificate.json"):
        assert client("advertiser.officer")(f"GET /compliance/{path}").status_code == 404
    assert client("advertiser.officer")(f"GET /compliance/acts/{made['act']}/act.pdf").status_code == 404


def test_an_act_comes_as_a_file_in_both_languages_and_leads_to_its_event(
    cabinet: Cabinet, officer: Client
) -> None:
    text = officer("GET /compliance/acts?kind=rows_erased").text
    files = re.findall(r'href="(/compliance/acts/\w+/act\.pdf\?lang=\w+)"', text)
    assert [one[-2:] for one in files] == ["ru", "en"]
    words = []
    for path in files:
        answer = officer(f"GET {path}")
        assert answer.headers["content-type"] == "application/pdf"
        words.append(PdfReader(io.BytesIO(answer.content)).pages[0].extract_text())
    assert "Акт" in words[0]
    assert "Act of destruction" in words[1]
    assert officer(f"GET {files[0][:-2]}de").status_code == 404
    (event,) = re.findall(r'href="(/compliance/events/\d+)"', text)
    assert "rights.compacted" in officer(f"GET {event}").text
    assert "Nothing fits" in officer("GET /compliance/acts?kind=version_deleted").text


def test_the_next_end_is_told_with_its_versions_and_the_record_leads_to_the_requests(
    cabinet: Cabinet, client: Any, officer: Client
) -> None:
    text = officer("GET /compliance/retention").text
    # The last day of the period still counts, and comes before a year is over.
    for said in (
        "365 days after publication, until 30 Jun 2027",
        "1 Jul 2027",
        "versions 1, 2, 3",
        "17 Jun 2027",
    ):
        assert said in text, said
    assert "No period is set" in client("advertiser.officer")("GET /compliance/retention").text
    record = officer("GET /compliance/processing").text
    assert (
        f'<a href="/compliance/erasures?dataset={cabinet.made["dataset"]}">1 done, 1 under way</a>' in record
    )
    assert "longer than it should" not in officer("GET /compliance/overview").text

    def age(hours: int) -> None:
        with cabinet.room.db.transaction() as tx:
            waiting = tx.session.get_one(ErasureRow, cabinet.made["erasure_waits"])
            waiting.asked_at -= timedelta(hours=hours)

    # A day is gathered for, and a day more is given to the pass.
    age(47)
    assert "longer than it should" not in officer("GET /compliance/overview").text
    age(2)
    assert "1 request to erase waits longer than it should" in officer("GET /compliance/overview").text
    age(-49)


def test_what_an_incident_concerns_is_entered_in_the_console_and_reported(
    cabinet: Cabinet, client: Any, officer: Client
) -> None:
    room, dataset = cabinet.room, cabinet.made["dataset"]
    owner = cabinet.stage.provider.organisation_id
    entered = {"kind": "other", "severity": "low", "title": "A wrong <file>", "text": "It was loaded."}
    place = officer("POST /compliance/incidents/new", entered).headers["location"].partition("?")[0]
    incident_id = place.rpartition("/")[2]

    def scope() -> Any:
        with room.db.reading() as tx:
            return room.incidents.register.incident(tx, incident_id, organisation_id=owner).scope

    assert "It is not entered yet which data it is about." in officer(f"GET {place}").text
    assert f'<option value="{dataset}" >people</option>' in officer(f"GET {place}/scope").text
    wanted = {"dataset_id": dataset, "version_from": "1", "version_to": "2", "text": "We know <more>."}
    for wrong in (
        {},
        wanted | {"version_to": "0"},
        wanted | {"version_to": "two"},
        wanted | {"since": "yesterday"},
        wanted | {"since": "0001-01-01T00:00"},
        wanted | {"since": "2026-11-22T10:00", "until": "2026-11-22T09:00"},
        wanted | {"dataset_id": cabinet.stage.base_id},
        wanted | {"signer_key_id": "ek_none"},
    ):
        refused = officer(f"POST {place}/scope", wrong)
        assert refused.status_code == 400, wrong
        for name, value in wrong.items():
            written = value.replace("<", "&lt;").replace(">", "&gt;")
            assert (
                f"{written}</textarea>" in refused.text if name == "text" else f'"{written}"' in refused.text
            )
    assert scope() is None
    done = officer(f"POST {place}/scope", wanted | {"since": "2026-11-20T10:00"})
    assert done.headers["location"] == f"{place}?done=scoped"
    assert (scope().dataset_id, scope().version_from, scope().version_to) == (dataset, 1, 2)
    text = officer(f"GET {place}").text
    assert text.count("people; versions 1–2; from 20 Nov 2026, 10:00 on") == 2
    assert "We know &lt;more&gt;." in text
    # What nobody has changed stays as it was, parts of a second included.
    exact = datetime(2026, 11, 21, 9, 30, 0, 123_456, tzinfo=UTC)
    with room.db.transaction() as tx:
        precise = Scope(dataset_id=dataset, since=exact)
        room.incidents.set_scope(tx, incident_id, organisation_id=owner, scope=precise, by="cl_1")
    form = officer(f"GET {place}/scope").text
    (local,) = re.findall(r'id="since" name="since" value="([^"]+)"', form)
    # A browser leaves seconds out where there are none.
    for sent in (local, local[:-3]):
        assert officer(f"POST {place}/scope", {"dataset_id": dataset, "since": sent}).status_code == 303
        assert scope().since == exact
    report = officer(f"GET {place}/report.json")
    assert f'filename="incident-{incident_id}.json"' in report.headers["content-disposition"]
    found = json.loads(report.text)
    assert found["incident"]["scope"] == {"dataset_id": dataset, "since": "2026-11-21T09:30:00.123456Z"}
    assert [one["kind"] for one in found["entries"]] == ["opened", *["scope"] * 4]
    assert len(found["log"]["events"]) == 5
    for language, word in (("ru", "Отчёт"), ("en", "Report on an incident")):
        pdf = officer(f"GET {place}/report.pdf?lang={language}")
        assert word in PdfReader(io.BytesIO(pdf.content)).pages[0].extract_text()
    assert officer(f"GET {place}/report.pdf?lang=de").status_code == 404


def test_a_form_of_an_incident_that_is_refused_keeps_what_was_typed_into_it(
    cabinet: Cabinet, officer: Client
) -> None:
    place = f"/compliance/incidents/{cabinet.made['incident.provider']}"
    typed = {
        "duty": "eu_notice",
        "state": "not_due",
        "told": "2020-01-01T10:00",
        "text": "Before it was known.",
    }
    refused = officer(f"POST {place}/duty", typed)
    assert refused.status_code == 400
    assert refused.text.count("Before it was known.") == 1
    assert 'value="2020-01-01T10:00"' in refused.text
    assert '<option value="eu_notice" selected>' in refused.text
    assert '<option value="not_due" selected>' in refused.text
    long = "n" * 10_001
    assert officer(f"POST {place}/note", {"text": long, "shown": "yes"}).text.count(long) == 1


def test_what_an_incident_concerns_is_its_owners_to_enter_and_not_after_its_end(
    cabinet: Cabinet, client: Any
) -> None:
    operator, provider = client("operator.officer"), client("provider.officer")
    place = f"/compliance/incidents/{cabinet.made['incident.operator']}"
    assert f'value="{cabinet.made["dataset"]}"' in operator(f"GET {place}/scope").text
    assert operator(f"POST {place}/scope", {"workspace_id": "ws_none"}).status_code == 400
    assert operator(f"POST {place}/scope", {"dataset_id": cabinet.made["dataset"]}).status_code == 303
    assert provider(f"GET {place}/report.json").status_code == 404
    shared = {"organisation": cabinet.stage.provider.organisation_id}
    assert operator(f"POST {place}/share", shared).status_code == 303
    # Whom it was shown to sees its own part and reports it, and changes nothing.
    text = provider(f"GET {place}").text
    assert "Answers that left the room" in text
    assert "/scope" not in text
    assert json.loads(provider(f"GET {place}/report.json").text)["incident"]["scope"] is None
    for what in ("GET", "POST"):
        assert provider(f"{what} {place}/scope", {"dataset_id": cabinet.made["dataset"]}).status_code == 404
    entered = {"kind": "other", "severity": "low", "title": "Nothing", "text": "It was nothing."}
    over = operator("POST /compliance/incidents/new", entered).headers["location"].partition("?")[0]
    for duty in ("ru_notice", "ru_results", "eu_notice"):
        settled = {"duty": duty, "state": "not_due", "text": "No data."}
        assert operator(f"POST {over}/duty", settled).status_code == 303
    assert operator(f"POST {over}/close", {"text": "Over."}).status_code == 303
    assert f"{over}/scope" not in operator(f"GET {over}").text
    assert operator(f"GET {over}/scope").status_code == 409
    assert operator(f"POST {over}/scope", {"dataset_id": cabinet.made["dataset"]}).status_code == 400


def test_the_four_questions_lead_only_where_somebody_may_go(cabinet: Cabinet, client: Any) -> None:
    for who in ("provider.officer", "provider.policy_manager", "operator.officer", "advertiser.officer"):
        call = client(who)
        text = call("GET /compliance/overview").text
        main = text[text.index('<main id="main"') :]
        links = set(re.findall(r'href="(/compliance/[^"]+)"', main))
        assert len(links) >= 4, who
        for path in links:
            assert call(f"GET {path}").status_code == 200, (who, path)


def test_an_officer_without_a_second_look_decides_nothing(client: Any, cabinet: Cabinet) -> None:
    person: Person = cabinet.people["provider.officer"]
    assert "keys:write" not in person.member().scopes
    call = client("provider.officer")
    place = f"/compliance/two-people/{cabinet.made['ask']}"
    assert "Your role does not decide this." in call(f"GET {place}").text
    assert call(f"POST {place}/confirm", {"password": PASSWORD}).status_code == 409
    assert call(f"POST {place}/reject", {"reason": "no"}).status_code == 409
