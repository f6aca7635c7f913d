"""An act is made for everything that is destroyed, says what the log says, and only once it is seen to be gone."""

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import pytest
from pypdf import PdfReader

from cleanroom.canonical import canonical_json
from cleanroom.foureyes.deeds import SHRED
from cleanroom.papers.text import Language
from cleanroom.rights.act_pdf import write_act
from cleanroom.rights.act_words import WORDS
from cleanroom.rights.errors import UnknownActError
from cleanroom.rights.types import ActKind
from tests.people_rooms import person, quick_hashes
from tests.rights_rooms import compact, erase, problems
from tests.rooms import DATASET_HEADER, Stage, people

__all__ = ["quick_hashes"]
pytestmark = pytest.mark.slow_on("postgresql")


def acts(stage: Stage) -> list[Any]:
    with stage.room.db.reading() as tx:
        found = stage.room.rights.acts.listed(tx, stage.provider.organisation_id, limit=50)
    return sorted(found, key=lambda act: act.number)


def records(act: Any) -> list[str]:
    return [json.loads(one["record"])["kind"] for one in act.document["extract"]]


def test_a_pass_makes_an_act_with_the_requests_it_did_and_the_log_states_its_hash(stage: Stage) -> None:
    room = stage.room
    taken = erase(stage, 3)
    assert room.rights.acts.catch_up() == 0
    compact(stage)
    assert room.rights.acts.catch_up() == 1
    assert room.rights.acts.catch_up() == 0
    (act,) = acts(stage)
    assert (act.kind, act.number) == (ActKind.ROWS_ERASED, 1)
    document = act.document
    assert [one["commitment"] for one in document["subjects"]["requests"]] == [taken.erasure.commitment]
    assert document["reason"] == {"code": "requests"}
    assert document["organisation"]["name"] == "provider"
    assert document["categories"]["identifiers"] == ["person_id/sha256", "email/room", "phone/room"]
    assert records(act) == [
        "ingestion.loaded",
        "ingestion.published",
        "rights.erasure_asked",
        "rights.version_compacted",
        "rights.changes_compacted",
        "rights.compacted",
        "rights.erased",
    ]
    (made,) = stage.events("rights.act_made")
    assert made["body"]["sha256"] == act.sha256 == hashlib.sha256(canonical_json(document)).hexdigest()
    # The extract is the log's own text: each record gives its leaf.
    with room.db.reading() as tx:
        for one in document["extract"]:
            assert room.audit.record(tx, one["index"]).decode() == one["record"]
        with pytest.raises(UnknownActError):
            room.rights.acts.act(tx, act.id, organisation_id=stage.advertiser.organisation_id)
        assert room.rights.acts.act(tx, act.id, organisation_id=None) == act


def test_a_version_and_a_dataset_that_are_deleted_make_acts(stage: Stage) -> None:
    room, owner = stage.room, stage.provider.organisation_id
    with room.db.reading() as tx:
        first = room.datasets.current(tx, stage.dataset_id)
    stage.load(stage.dataset_id, DATASET_HEADER, people(30))
    stage.withdraw(3)
    with room.db.transaction() as tx:
        room.removing.delete_version(tx, stage.dataset_id, first.id)
    with room.db.transaction() as tx:
        room.removing.delete(tx, stage.dataset_id, organisation_id=owner)
    assert room.rights.acts.catch_up() == 2
    version, dataset = acts(stage)
    assert (version.kind, version.subject_id) == (ActKind.VERSION_DELETED, first.id)
    assert (dataset.kind, dataset.subject_id, dataset.number) == (
        ActKind.DATASET_DELETED,
        stage.dataset_id,
        2,
    )
    assert version.document["reason"] == {"code": "owner"}
    assert version.document["checked"]["left"] == 0
    assert problems(stage) == []


def test_no_act_is_made_while_a_file_cannot_be_removed(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    room, owner = stage.room, stage.provider.organisation_id
    # A process that is killed after its commit leaves all files.
    monkeypatch.setattr(type(room.store), "delete", lambda *_: None)
    with room.db.transaction() as tx:
        room.removing.delete(tx, stage.dataset_id, organisation_id=owner)
    monkeypatch.undo()
    left = [key for key in room.store.keys() if key.startswith(stage.provider.workspace_id)]  # noqa: SIM118
    assert left
    monkeypatch.setattr(type(room.store), "sweep", lambda *_, **__: [])
    assert room.rights.acts.catch_up() == 0
    monkeypatch.undo()
    # The next one finishes what was left, and then says so.
    assert room.rights.acts.catch_up() == 1
    assert not [key for key in room.store.keys() if key in left]  # noqa: SIM118


def test_a_shredded_workspace_makes_an_act_that_names_both_people(stage: Stage, quick_hashes: None) -> None:
    room, owner = stage.room, stage.provider.organisation_id
    anna, boris = (person(room, owner, "owner", f"{name}@example.org").user.id for name in ("anna", "boris"))
    stage.clock.move(days=1)
    with room.db.transaction() as tx:
        asked = room.four_eyes.ask(
            tx, SHRED, stage.provider.workspace_id, reason="the contract ended", by=anna
        )
    with room.db.transaction() as tx:
        room.four_eyes.confirm(tx, asked.id, organisation_id=owner, by=boris)
    assert room.rights.acts.catch_up() == 1
    (act,) = acts(stage)
    assert act.kind is ActKind.WORKSPACE_SHREDDED
    assert act.document["checked"]["kek_ids"]
    assert not set(act.document["checked"]["kek_ids"]) & set(room.keys.kek_ids())
    assert act.document["reason"] == {"code": "owner", "text": "the contract ended"}
    assert [one["email"] for one in act.document["responsible"]] == ["anna@example.org", "boris@example.org"]
    assert {"foureyes.asked", "foureyes.confirmed", "workspaces.destroyed"} <= set(records(act))
    assert "attributes" in act.document["categories"]


@pytest.mark.parametrize("language", Language)
def test_an_act_is_the_same_pdf_every_time_and_says_what_the_order_asks_for(
    stage: Stage, language: Language
) -> None:
    taken = erase(stage, 3)
    compact(stage)
    stage.room.rights.acts.catch_up()
    (act,) = acts(stage)
    made = write_act(act, language)
    assert made == write_act(act, language)
    text = " ".join(" ".join(page.extract_text() for page in PdfReader(io.BytesIO(made)).pages).split())
    words = WORDS[language]
    for told in (
        words.title,
        "provider",
        words.codes["files_rewritten"],
        words.codes["requests"],
        act.sha256,
        words.extract,
        "rights.erased",
        "email/room",
        stage.provider.workspace_id,
    ):
        assert "".join(told.split()) in "".join(text.split()), told
    assert taken.erasure.commitment in "".join(text.split())
