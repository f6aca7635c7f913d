"""After a pass a version is what a load without the erased people would have made of the same file."""

import numpy as np
import pytest

from cleanroom.datasets.dictionary import read_dictionary
from cleanroom.datasets.files import PlaceReader
from cleanroom.datasets.holders import read_holders
from cleanroom.datasets.junk import JUNK_DTYPE
from cleanroom.datasets.types import DatasetKind, DatasetVersion, Role
from cleanroom.rights import rewriting
from tests.rights_rooms import DATED_HEADER, DATED_SCHEMA, asked, compact, dated, erase, problems
from tests.rooms import BASE_HEADER, BASE_SCHEMA, MakeRoom, Stage, client_row, email, phone

SHARED = "+79160009999"


def opened(stage: Stage, version_id: str) -> tuple[DatasetVersion, PlaceReader]:
    with stage.room.db.reading() as tx:
        return stage.room.datasets.version(tx, version_id), stage.room.datasets.reader(tx, version_id)


def content(stage: Stage, version_id: str) -> dict[tuple[Role, int], object]:
    """Everything that a version holds, but for its report; numbers as numbers, whatever their width."""
    version, reader = opened(stage, version_id)
    with stage.room.db.reading() as tx:
        dataset = stage.room.datasets.dataset(tx, version.dataset_id)
        files = stage.room.datasets.files(tx, version_id)
    found: dict[tuple[Role, int], object] = {}
    for file in files:
        attribute = dataset.schema.attributes[file.column] if file.role is Role.ATTRIBUTE else None
        if file.role is Role.REPORT:
            continue
        if file.role is Role.KEY_PERSON:
            found[file.role, file.column] = read_holders(reader, file.column, 0, 1 << 20).tolist()
        elif file.role is Role.DICTIONARY:
            found[file.role, file.column] = read_dictionary(reader, file.column)
        elif attribute and attribute.type in ("integer", "decimal", "date"):
            wide = "<i4" if attribute.type == "date" else "<i8"
            values = reader.read_numbers(Role.ATTRIBUTE, file.column, wide, version.persons)
            none = np.iinfo(values.dtype).min
            found[file.role, file.column] = [None if one == none else int(one) for one in values]
        else:
            found[file.role, file.column] = reader.read_bytes(file.role, file.column)
    return found


@pytest.fixture
def room(make_room: MakeRoom) -> Stage:
    return make_room()


def file_of(people: range) -> list[str]:
    """People, some of them with two phones, some with a shared one, one alone in the last town."""
    rows = []
    for number in people:
        second = {0: "", 1: phone(number + 1000), 2: SHARED}[number % 3]
        rows.append(dated(number, phone2=second, city="alone" if number == 40 else f"town-{number % 7}"))
    return rows


@pytest.mark.parametrize("block", [1 << 20, 7])
def test_a_version_is_what_a_load_without_the_person_makes(
    room: Stage, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    monkeypatch.setattr(rewriting, "_BLOCK", block)
    dataset_id = room.register("dataset", DATED_SCHEMA)
    version_id = room.load(dataset_id, DATED_HEADER, file_of(range(60)))
    erase(room, 40, dataset_id=dataset_id)
    erase(room, 3, dataset_id=dataset_id)
    compact(room, dataset_id)
    left = [row for number, row in enumerate(file_of(range(60))) if number not in (40, 3)]
    other = room.register("dataset", DATED_SCHEMA)
    fresh_id = room.load(other, DATED_HEADER, left)
    assert content(room, version_id) == content(room, fresh_id)
    with room.room.db.reading() as tx:
        report = room.room.datasets.report(tx, version_id)
        fresh = room.room.datasets.report(tx, fresh_id)
        assert room.room.datasets.version(tx, version_id).persons == 58
    for name in ("persons", "fill", "distinct", "consent", "distinct_values"):
        assert getattr(report, name) == getattr(fresh, name), name
    assert (report.erased, report.came_back, report.outdated) == (2, 0, 0)
    assert problems(room) == []


@pytest.mark.parametrize("block", [1 << 20, 3])
def test_a_base_is_what_a_load_without_the_person_makes_its_fingerprint_too(
    room: Stage, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    monkeypatch.setattr(rewriting, "_BLOCK", block)
    rows = [client_row(number) for number in range(40)] + [f",{phone(2)},vip", f"{email(1)},,lapsed"]
    version_id = room.load(room.base_id, BASE_HEADER, rows)
    with room.room.db.reading() as tx:
        before = room.room.datasets.version(tx, version_id)
    for key, text in (("email/room", email(7)), ("phone/room", phone(2))):
        room.room.rights.erasures.ask(
            room.base_id,
            asked((key, text)),
            organisation_id=room.advertiser.organisation_id,
            kind=DatasetKind.BASE,
            by="us_1",
        )
    compact(room, room.base_id)
    left = [row for number, row in enumerate(rows) if number not in (2, 7, 40)]
    fresh_id = room.load(room.register("base", BASE_SCHEMA), BASE_HEADER, left)
    assert content(room, version_id) == content(room, fresh_id)
    with room.room.db.reading() as tx:
        after, fresh = (room.room.datasets.version(tx, one) for one in (version_id, fresh_id))
    assert after.fingerprint == fresh.fingerprint != before.fingerprint
    assert problems(room) == []


def test_a_listed_value_goes_with_the_last_of_those_who_held_it(room: Stage) -> None:
    dataset_id = room.register("dataset", DATED_SCHEMA)
    rows = [dated(number, phone2=SHARED) for number in range(6)] + [dated(9)]
    version_id = room.load(dataset_id, DATED_HEADER, rows)
    for number in range(5):
        erase(room, number, dataset_id=dataset_id)
    compact(room, dataset_id)
    _, reader = opened(room, version_id)
    assert reader.read(Role.JUNK, 0, JUNK_DTYPE).size == 1
    erase(room, 5, dataset_id=dataset_id)
    compact(room, dataset_id)
    version, reader = opened(room, version_id)
    assert version.persons == 1
    assert reader.read(Role.JUNK, 0, JUNK_DTYPE).size == 0
    assert not reader.read(Role.JUNK, 1, JUNK_DTYPE)["hi"].any()


def test_nobody_is_left_when_all_are_erased(room: Stage) -> None:
    dataset_id = room.register("dataset", DATED_SCHEMA)
    version_id = room.load(dataset_id, DATED_HEADER, [dated(number) for number in range(3)])
    for number in range(3):
        erase(room, number, dataset_id=dataset_id)
    compact(room, dataset_id)
    version, _ = opened(room, version_id)
    assert (version.persons, version.status) == (0, "published")
    # Every column is there, and empty; a dictionary and a report are never without bytes.
    sizes = {role: len(data) for (role, _), data in content(room, version_id).items()}  # type: ignore[arg-type]
    assert set(sizes.values()) == {0}
    assert problems(room) == []
