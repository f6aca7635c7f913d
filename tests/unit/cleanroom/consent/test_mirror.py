"""A mirror gives back what it was given, tells nobody of them, and names what is damaged or another room's."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cleanroom.consent.changes import ChangeState
from cleanroom.consent.errors import MirrorError
from cleanroom.consent.mirror import Mirror, Sheet
from cleanroom.consent.mirrored import MirroredChanges, opt_out_of, opt_out_sheet, restraining
from cleanroom.consent.optout_types import Named, OptOut, OptOutAction, OptOutKind, OptOutReason
from cleanroom.consent.terms import Terms
from cleanroom.consent.types import Change
from crypto.errors import CryptoError
from crypto.package import generate_identity
from crypto.small_age import SmallAgeError

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
DATASET, BATCH, VERSION = ("ds_" + "1" * 32, "ce_" + "2" * 32, "dv_" + "3" * 32)
OWNER, LIST = "og_" + "5" * 32, "oo_" + "6" * 32
IDENTITY, RECIPIENT = generate_identity()
OTHER, STRANGER = generate_identity(), generate_identity()
digests = st.lists(st.binary(min_size=32, max_size=32), max_size=4).map(b"".join)
instants = st.integers(0, 10**9).map(lambda seconds: NOW + timedelta(seconds=seconds, microseconds=7))
changes = st.builds(
    Change,
    st.sampled_from(["email/room", "person_id/sha256"]),
    digests,
    st.sampled_from([state for state in ChangeState if state is not ChangeState.GRANTED]),
    st.sampled_from(["*", "advertising"]),
    instants,
    st.none() | st.dates(),
    st.just(())
    | st.tuples(st.builds(Terms, given_at=instants, notice=st.text(), recipients=st.just(("a", "b")))),
)
opt_outs = st.builds(
    OptOut,
    st.sampled_from([OptOutKind.SUPPRESSION, OptOutKind.RESTRICTION]),
    st.just(OptOutAction.ADD),
    st.lists(st.builds(Named, st.just("email"), st.sampled_from(["room", "uid2"]), digests)).map(tuple),
    st.sampled_from(OptOutReason),
    st.text(),
    st.none() | st.just(DATASET),
)


@given(batch=st.lists(changes, max_size=4))
def test_changes_come_back_as_they_were(
    tmp_path_factory: pytest.TempPathFactory, batch: list[Change]
) -> None:
    mirror = Mirror(tmp_path_factory.mktemp("mirror"), "room.test/x")
    kept = MirroredChanges("change", tuple(batch), {"by": "us_1"})
    mirror.keep(DATASET, BATCH, kept.to_sheet(), recipients=[RECIPIENT])
    sheet = mirror.sheet(DATASET, BATCH, identities=[IDENTITY])
    assert MirroredChanges.from_sheet(sheet) == kept
    assert list(mirror.batches(DATASET)) == [BATCH]


@given(asked=opt_outs)
@example(
    OptOut(OptOutKind.SUPPRESSION, OptOutAction.ADD, (), OptOutReason.REQUEST, reference="\uf900 is no NFC")
)
def test_entries_of_lists_come_back_to_each_workspace(
    tmp_path_factory: pytest.TempPathFactory, asked: OptOut
) -> None:
    mirror = Mirror(tmp_path_factory.mktemp("mirror"), "room.test/x")
    other, recipient = OTHER
    mirror.keep(OWNER, LIST, opt_out_sheet(asked), recipients=[RECIPIENT, recipient])
    for identities in ([IDENTITY], [other], [STRANGER[0], other]):
        assert opt_out_of(mirror.sheet(OWNER, LIST, identities=identities)) == asked
    with pytest.raises(SmallAgeError):
        mirror.sheet(OWNER, LIST, identities=[STRANGER[0]])


def test_what_lets_people_be_counted_is_left_out() -> None:
    batch = [Change("email/room", bytes(32), state, at=None) for state in ChangeState]
    kept = restraining(batch, NOW)
    assert {one.state for one in kept} == set(ChangeState) - {ChangeState.GRANTED}
    assert {one.at for one in kept} == {NOW}
    later = restraining([replace(batch[4], at=NOW + timedelta(days=1))], NOW)
    assert [one.at for one in later] == [NOW]


def test_it_is_sealed_private_and_kept_once(tmp_path: Path) -> None:
    mirror = Mirror(tmp_path / "mirror", "room.test/x")
    mirror.begin(NOW)
    mirror.begin(NOW + timedelta(days=1))
    digest = bytes(range(32))
    mirror.keep(DATASET, BATCH, Sheet({}, (digest,)), recipients=[RECIPIENT])
    mirror.keep(DATASET, BATCH, Sheet({}, ()), recipients=[RECIPIENT])
    mirror.note_version(DATASET, VERSION)
    mirror.note_version(DATASET, VERSION)
    assert mirror.since() == NOW
    assert mirror.versions(DATASET) == {VERSION}
    assert mirror.sheet(DATASET, BATCH, identities=[IDENTITY]).digests == (digest,)
    for path in (tmp_path / "mirror").rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path
        assert not path.is_file() or digest not in path.read_bytes()


def test_a_batch_of_another_version_or_of_states_that_are_none_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror = Mirror(tmp_path / "mirror", "room.test/x")
    with monkeypatch.context() as later:
        later.setattr("cleanroom.consent.mirror._VERSION", 2)
        mirror.keep(DATASET, BATCH, Sheet({}, ()), recipients=[RECIPIENT])
    with pytest.raises(MirrorError, match="another version"):
        mirror.sheet(DATASET, BATCH, identities=[IDENTITY])
    says = MirroredChanges("change", (Change("email/room", bytes(32), ChangeState.DENIED),)).to_sheet().says
    (said,) = says["changes"]
    with pytest.raises(MirrorError, match="another form"):
        MirroredChanges.from_sheet(Sheet(says | {"changes": [said | {"state": 9}]}, (bytes(32),)))


def test_another_rooms_and_damaged_ones_are_named(tmp_path: Path) -> None:
    mirror = Mirror(tmp_path / "mirror", "room.test/x")
    with pytest.raises(MirrorError):
        mirror.since()
    mirror.begin(NOW)
    with pytest.raises(MirrorError):
        Mirror(tmp_path / "mirror", "room.test/y").since()
    mirror.keep(DATASET, BATCH, Sheet({}, (bytes(32),)), recipients=[RECIPIENT])
    # Under another name: somebody has moved it.
    path = tmp_path / "mirror" / DATASET / f"{BATCH}.age"
    moved = path.with_name("ce_" + "4" * 32 + ".age")
    moved.write_bytes(path.read_bytes())
    with pytest.raises(MirrorError):
        mirror.sheet(DATASET, moved.stem, identities=[IDENTITY])
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CryptoError):
        mirror.sheet(DATASET, BATCH, identities=[IDENTITY])
