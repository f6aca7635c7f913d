"""Looking up one person: everything the dataset holds about them, for its owner alone, and every look in the log."""

import hashlib
import json

import pytest

from cleanroom.consent.optout_types import Named, OptOut, OptOutAction, OptOutKind, OptOutReason
from cleanroom.consent.published import published_opt_outs
from cleanroom.consent.types import Withdrawal
from cleanroom.datasets.errors import DatasetNotFoundError
from cleanroom.subjects import lookups as lookups_module
from cleanroom.subjects.errors import (
    AmbiguousSubjectError,
    BadLookupError,
    BadReferenceError,
    TooManyLookupsError,
)
from cleanroom.subjects.exporting import export_document
from cleanroom.subjects.lookups import EXPORTED, LOOKED_UP, PERSON_NAME, commitment_of
from cleanroom.subjects.types import Lookup, Subject
from tests.rooms import DATASET_HEADER, Stage, email, person, phone


def named(number: int, *, profile: str = "room") -> Named:
    return Named("email", profile, hashlib.sha256(email(number).encode()).digest())


def by_phone(number: int, *, profile: str = "room") -> Named:
    return Named("phone", profile, hashlib.sha256(phone(number).encode()).digest())


def lookup(stage: Stage, who: Named, **changed: str) -> Lookup:
    dataset_id, reference = changed.get("dataset_id", stage.dataset_id), changed.get("reference", "case-12")
    return Lookup(dataset_id, who, OptOutReason.REQUEST, reference, "us_1")


def look(stage: Stage, who: Named, **changed: str) -> Subject:
    owner = changed.get("organisation_id", stage.provider.organisation_id)
    return stage.room.lookups.look_up(lookup(stage, who, **changed), organisation_id=owner)


def listed(stage: Stage, who: Named, **changed) -> str:
    given = {"kind": OptOutKind.SUPPRESSION, "action": OptOutAction.ADD, "dataset_id": None} | changed
    asked = OptOut(
        given["kind"], given["action"], (who,), OptOutReason.REQUEST, dataset_id=given["dataset_id"]
    )
    return stage.room.opt_outs.accept(asked, organisation_id=stage.provider.organisation_id).id


def test_everything_about_a_person_is_told(stage: Stage) -> None:
    answered = stage.ask(stage.grant(), precision="rough")
    stage.withdraw(4)
    first = listed(stage, by_phone(4))
    stage.clock.move(hours=1)
    listed(stage, by_phone(4), action=OptOutAction.LIFT)
    second = listed(stage, named(4), kind=OptOutKind.RESTRICTION)
    stage.load(stage.dataset_id, DATASET_HEADER, [person(number) for number in range(4, 400)])
    found = look(stage, named(4))
    assert found.keys == ("email/room",)
    assert [(one.number, one.status, one.people) for one in found.versions] == [
        (2, "published", 1),
        (1, "retired", 1),
    ]
    current, before = (one.persons[0].consents for one in found.versions)
    assert [(one.purpose, one.state, one.counted) for one in current] == [
        ("advertising", "granted", False),
        ("research", "granted", False),
    ]
    assert [one.counted for one in before] == [None, None]
    assert [(one.state, one.purpose, one.named_by, one.epoch) for one in found.changes] == [
        ("withdrawn", "*", "identifier", 1)
    ]
    assert [
        (one.opt_out_id, one.kind.value, one.lifted_at is None, one.applies) for one in found.entries
    ] == [
        (first, "suppression", False, True),
        (second, "restriction", True, True),
    ]
    assert [(one.analysis_id, one.epoch) for one in found.releases] == [(answered.analysis_id, 0)]
    assert found.releases_in_all == 1


def test_somebody_who_is_not_there_is_answered_like_somebody_of_another_workspace(make_room) -> None:
    stage = make_room()
    other = stage.party("another provider", "provider")
    theirs = stage.register("dataset", SMALL, party=other)
    stage.load(theirs, "email,ads", ["alien@example.org,yes"], party=other)
    stage.room.consents.withdraw(theirs, [withdrawal("alien@example.org")])
    alien, nobody = look(stage, raw("alien@example.org")), look(stage, raw("nobody@example.org"))
    assert (alien.versions, alien.changes, alien.entries, alien.releases) == ((), (), (), ())
    assert (nobody.versions, nobody.changes, nobody.entries, nobody.releases) == ((), (), (), ())
    with pytest.raises(DatasetNotFoundError):
        look(stage, raw("alien@example.org"), dataset_id=theirs)
    with pytest.raises(DatasetNotFoundError):
        look(stage, named(4), organisation_id=other.organisation_id)
    # A look that is refused reads nothing, and tells nothing.
    assert len(stage.events(LOOKED_UP)) == 2


SMALL = """\
match_keys: {email: {column: email}}
lawful_basis: consent
consent: {advertising: {column: ads, granted: ["yes"]}}
"""


def raw(text: str) -> Named:
    return Named("email", "room", hashlib.sha256(text.encode()).digest())


def withdrawal(text: str) -> Withdrawal:
    return Withdrawal("email/room", hashlib.sha256(text.encode()).digest())


def test_the_log_holds_who_asked_and_why_and_a_commitment_that_only_the_salt_opens(make_room) -> None:
    stage = make_room()
    found, again = look(stage, named(7)), look(stage, named(7))
    first, second = stage.events(LOOKED_UP)
    assert first["organisation"] == stage.provider.organisation_id
    assert (first["body"]["reason"], first["body"]["reference"]) == ("request", "case-12")
    assert first["body"]["asked_by"] == "us_1"
    assert first["body"]["commitment"] == commitment_of(named(7), bytes.fromhex(found.salt))
    assert first["body"]["commitment"] != second["body"]["commitment"] == again.commitment
    told = json.dumps(first)
    assert named(7).digests.hex() not in told
    assert found.salt not in told


def test_a_reference_is_the_number_of_a_case_and_no_text(make_room) -> None:
    stage = make_room()
    for text in ("Иван Петров", "ivan@example.org", "+7 900 000 00 00", "a" * 65, "17\n", "17;"):
        with pytest.raises(BadReferenceError, match="64 letters") as refused:
            look(stage, named(7), reference=text)
        assert text not in str(refused.value)
    assert stage.events(LOOKED_UP) == []
    for text in ("", "a" * 64, "Обр-17/2026", "#17", "2026.11_3"):
        look(stage, named(7), reference=text)
    assert [event["body"]["reference"] for event in stage.events(LOOKED_UP)][-2:] == ["#17", "2026.11_3"]


def test_one_who_is_found_by_a_value_that_others_hold_too_is_told_of_what_named_them_otherwise(
    make_room,
) -> None:
    stage = make_room(rows=[person(number).replace(phone(number), phone(1)) for number in range(3)])
    stage.withdraw(2)
    found = look(stage, by_phone(1))
    assert [(one.state, one.named_by) for one in found.changes] == [("withdrawn", "person_id")]
    by_id = look(stage, Named("person_id", "sha256", person_digest("p2")))
    assert (by_id.key, by_id.keys, by_id.versions[0].people) == (PERSON_NAME, (PERSON_NAME,), 1)
    assert [one.named_by for one in by_id.changes] == ["identifier"]


def person_digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def test_an_entry_that_the_dataset_cannot_apply_is_told_as_such(make_room) -> None:
    stage = make_room()
    who = Named("email", "tiktok", named(6).digests)
    listed(stage, who)
    (entry,) = look(stage, who).entries
    assert (entry.applies, entry.everywhere, entry.lifted_at) == (False, True, None)


def test_an_export_holds_the_persons_values_in_the_words_of_the_vocabulary(make_room) -> None:
    stage = make_room()
    stage.withdraw(6)
    asked = lookup(stage, named(6))
    subject = stage.room.lookups.export(asked, organisation_id=stage.provider.organisation_id)
    with stage.room.db.reading() as tx:
        schema = stage.room.datasets.dataset(tx, stage.dataset_id).schema
    document = json.loads(json.dumps(export_document(subject, schema)))
    (held,) = document["held"]
    assert held["data"] == [{"sex": "F", "age": "21", "likes": ["books"]}]
    assert held["consents"][0][0]["dpv:hasConsentStatus"] == "dpv:ConsentGiven"
    assert held["consents"][0][0]["counted_now"] is False
    assert document["consent_changes"][0]["dpv:hasConsentStatus"] == "dpv:ConsentWithdrawn"
    assert document["right"] == ["gdpr:A15", "gdpr:A20"]
    assert len(stage.events(EXPORTED)) == 1


def test_an_export_of_several_people_is_refused(make_room) -> None:
    rows = [person(number).replace(phone(number), phone(1)) for number in range(3)]
    stage = make_room(rows=[*rows, person(9)])
    asked = lookup(stage, by_phone(1))
    assert look(stage, by_phone(1)).versions[0].people == 3
    with pytest.raises(AmbiguousSubjectError):
        stage.room.lookups.export(asked, organisation_id=stage.provider.organisation_id)


def recycled(stage: Stage, number: int, new: int) -> None:
    """Load a version in which another person has the phone."""
    given_up = person(number).replace(phone(number), phone(777))
    rows = [given_up if one == number else person(one) for one in range(300)]
    stage.load(stage.dataset_id, DATASET_HEADER, [*rows, person(new).replace(phone(new), phone(number))])


def test_who_had_a_phone_before_is_not_told_of_to_who_has_it_now(make_room) -> None:
    stage = make_room(rows=[person(number) for number in range(300)])
    export, owner = stage.room.lookups.export, stage.provider.organisation_id
    recycled(stage, 20, 500)
    assert [one.number for one in look(stage, by_phone(20)).versions] == [2, 1]
    with pytest.raises(AmbiguousSubjectError):
        export(lookup(stage, by_phone(20)), organisation_id=owner)
    one = export(lookup(stage, named(20)), organisation_id=owner)
    told = {"sex": "F", "age": "35", "likes": ["music", "books"]}
    assert [[who.attributes for who in held.persons] for held in one.versions] == [[told], [told]]


def test_changes_that_name_who_has_ones_former_phone_are_not_ones_own(make_room) -> None:
    stage = make_room(rows=[person(number) for number in range(300)])
    recycled(stage, 20, 500)
    before = Withdrawal("phone/room", by_phone(20).digests, "advertising")
    stage.room.consents.withdraw(stage.dataset_id, [before])
    stage.withdraw(20)
    listed(stage, by_phone(20))
    by_mail = look(stage, named(20))
    assert [(one.purpose, one.named_by) for one in by_mail.changes] == [("*", "identifier")]
    assert by_mail.entries == ()
    now = look(stage, named(500))
    assert [(one.purpose, one.named_by) for one in now.changes] == [("advertising", "identifier")]
    assert [entry.applies for entry in now.entries] == [True]


def test_without_person_id_an_export_tells_of_the_published_version_alone(make_room) -> None:
    stage = make_room()
    dataset_id = stage.register(
        "dataset",
        SMALL.replace("lawful_basis", "attributes: {sex: {type: category, values: [F, M]}}\nlawful_basis"),
    )
    for sex, ads in (("F", "no"), ("M", "yes")):
        stage.load(dataset_id, "email,sex,ads", [f"same@example.org,{sex},{ads}"])
    asked = lookup(stage, raw("same@example.org"), dataset_id=dataset_id)
    found = stage.room.lookups.export(asked, organisation_id=stage.provider.organisation_id)
    assert [(one.number, one.people) for one in found.versions] == [(2, 1), (1, 1)]
    current, retired = found.versions
    assert [one.attributes for one in current.persons] == [{"sex": "M"}]
    assert retired.persons == ()
    seen = look(stage, raw("same@example.org"), dataset_id=dataset_id)
    assert [len(one.persons) for one in seen.versions] == [1, 1]


def test_looks_in_bulk_are_refused(make_room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookups_module, "LOOKUPS_PER_HOUR", 2)
    stage = make_room()
    for _ in range(2):
        look(stage, named(1))
    with pytest.raises(TooManyLookupsError):
        look(stage, named(1))
    stage.clock.move(hours=2)
    look(stage, named(1))


@pytest.mark.parametrize("digests", [b"", b"x", bytes(64)])
def test_a_lookup_names_one_identifier(make_room, digests: bytes) -> None:
    with pytest.raises(BadLookupError):
        look(make_room(), Named("email", "room", digests))


def test_a_deleted_dataset_leaves_no_bars_behind_and_its_list_stays_for_others(make_room) -> None:
    stage = make_room()
    listed(stage, named(3))
    objects = stage.room.settings.objects_dir
    assert len(list(objects.rglob("bs_*/*"))) == 1
    with stage.room.db.transaction() as tx:
        stage.room.removing.delete(tx, stage.dataset_id, organisation_id=stage.provider.organisation_id)
    assert list(objects.rglob("bs_*/*")) == []
    with stage.room.db.reading() as tx:
        (kept,) = published_opt_outs(tx)
    stated = stage.events("consent.opt_out_accepted")[0]["body"]["files_roots"]
    assert stated[kept.subject_id] == kept.files_root
    (deleted,) = stage.events("datasets.deleted")
    assert [root for one, root in deleted["body"]["files_roots"].items() if one.startswith("bs_")] == [""]
    stage.dataset_id = stage.dataset([person(number) for number in range(300)])
    assert look(stage, named(3)).versions[0].persons[0].consents[0].counted is False
