"""Nothing about a person stands in clear in any file of a room, whole or killed in the middle of its work."""

import random
import shutil
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from clear_text import Found, Search, patterns_of, tokens_of
from killable import Killable
from small_room import (
    BASE_SCHEMA,
    PROVIDER_SCHEMA,
    RARE_CITY,
    RARE_SPEND,
    RARE_TOWN,
    Party,
    Person,
    Stage,
    agree,
    ask,
    hand_in,
    people,
    prepare,
    register,
    sign_up,
    write_base,
    write_dataset,
)

from cleanroom.accounts.types import OrganisationKind
from cleanroom.analyses.types import Outcome
from cleanroom.bootstrap import init_room, open_room
from cleanroom.consent.types import Withdrawal
from cleanroom.datasets.types import DatasetKind, Role
from cleanroom.room import Room
from crypto.hash_profiles import digest, hash_profile

PEOPLE, BASE, WATCHED = 1_200, 400, 200
BY_TOWN = {"breakdowns": [["age"], ["town"]], "precision": "fine"}


@dataclass
class Played:
    """A room in which everything was done once."""

    room: Room
    stage: Stage
    provider: Party
    advertiser: Party
    known: tuple[Person, ...]
    source: Path
    uploads: Path
    version_id: str
    search: Search
    leaks_while_open: set[Found]


def _emails(known: tuple[Person, ...]) -> bytes:
    hashed = [digest(hash_profile("room"), "email", person.email) for person in known]
    return b"".join(value for value in hashed if value is not None)


@pytest.fixture(scope="module")
def killable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Killable]:
    with Killable(tmp_dir=tmp_path_factory.mktemp("tmpdir")) as started:
        yield started


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory, killable: Killable) -> Iterator[Played]:
    place = tmp_path_factory.mktemp("room")
    stage = Stage(str(place / "home"), f"sqlite:///{place / 'home' / 'room.sqlite3'}")
    known = people(PEOPLE)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("TMPDIR", "SQLITE_TMPDIR"):
            patch.setenv(name, str(killable.tmp_dir))
        patch.setattr("tempfile.tempdir", str(killable.tmp_dir))
        room = init_room(stage.settings)
        provider = sign_up(room, OrganisationKind.PROVIDER, "Telecom")
        advertiser = sign_up(room, OrganisationKind.ADVERTISER, "Shop")
        dataset = register(room, provider, DatasetKind.DATASET, schema=PROVIDER_SCHEMA)
        base = register(room, advertiser, DatasetKind.BASE, schema=BASE_SCHEMA)
        source, uploads = write_dataset(place / "provider.csv", known), place / "uploads"
        package = prepare(provider, dataset, source, schema=PROVIDER_SCHEMA, out_dir=uploads)
        version_id = hand_in(room, package.manifest_path, package.package_path)
        listed = write_base(place / "base.csv", known[:BASE])
        package = prepare(advertiser, base, listed, schema=BASE_SCHEMA, out_dir=uploads)
        hand_in(room, package.manifest_path, package.package_path)
        grant = agree(room, provider, advertiser, dataset)
        stage = replace(stage, provider_dataset=dataset, base_dataset=base)
        stage = replace(stage, grant_id=grant.id, asker_id=advertiser.organisation_id)
        search = Search(patterns_of(known[:WATCHED]) | _tokens(room, version_id))
        asked = [ask(room, stage, 30), ask(room, stage, 30), ask(room, stage, 1, purpose="scoring")]
        room.consents.withdraw(dataset, [Withdrawal("email/room", _emails(known[20:60]))])
        asked.append(ask(room, stage, 30))
        room.rotation.rotate_token_key(provider.workspace_id)
        search = Search(search.patterns | _tokens(room, version_id))
        asked += [ask(room, stage, 31), ask(room, stage, 31, **BY_TOWN)]
        wanted = [Outcome.RELEASED, Outcome.STORED, Outcome.REFUSED, *[Outcome.RELEASED] * 3]
        assert [answer.outcome for answer in asked] == wanted
        assert all(answer.receipt.exists() for answer in asked)
        # The common values are released and so stand in receipts; the rare one is in a sealed file alone.
        assert "breakdown:town=Екатеринбург" in {figure.name for figure in asked[-1].figures}
        assert (place / "home" / "room.sqlite3-wal").stat().st_size > 0
        leaks = search.in_tree(place / "home", uploads, killable.tmp_dir)
        yield Played(room, stage, provider, advertiser, known, source, uploads, version_id, search, leaks)
        room.close()


def _tokens(room: Room, version_id: str) -> dict[bytes, str]:
    with room.db.reading() as tx:
        reader = room.datasets.reader(tx, version_id)
        keys = [
            (Role.PERSON_HI, Role.PERSON_LO, 0),
            (Role.KEY_HI, Role.KEY_LO, 0),
            (Role.KEY_HI, Role.KEY_LO, 1),
        ]
        patterns: dict[bytes, str] = {}
        for high, low, column in keys:
            hi, lo = (reader.read(role, column, "<u8")[:WATCHED].tolist() for role in (high, low))
            patterns |= tokens_of(hi, lo)
    return patterns


def test_nothing_about_a_person_stands_in_clear_after_a_full_run(played: Played) -> None:
    assert played.leaks_while_open == set()
    # The home, 2 packages with their manifests, and what the run left in the directory of temporary files.
    assert played.search.files >= 40
    assert len(played.search.patterns) > 10_000


def test_nothing_stands_in_clear_when_the_room_is_closed_and_opened_again(played: Played) -> None:
    played.room.close()
    open_room(played.stage.settings).close()

    assert played.search.in_tree(Path(played.stage.home)) == set()


@pytest.mark.parametrize(
    "job", ["load", *(pytest.param(job, marks=pytest.mark.slow) for job in ("ask", "withdraw", "rotate"))]
)
def test_nothing_stands_in_clear_while_a_run_is_killed(played: Played, killable: Killable, job: str) -> None:
    home, rng = Path(played.stage.home), random.Random(job)
    files_before, kills = played.search.files, 0

    def run(**point: float | int | None) -> bool:
        options = _options(played, job, number=100 + kills)
        return killable.run(job, played.stage, **point, **options).killed

    whole = killable.run(job, played.stage, **_options(played, job, number=99))
    # Just before something becomes durable, the first times above all: then rows are in flight. And anywhere.
    early = range(1, min(10, whole.operations))
    spread = (1 + number * whole.operations // 4 for number in range(4))
    for point in [{"at_operation": number} for number in sorted({*early, *spread})] + [
        {"after": (number + rng.random()) / 4 * whole.seconds * 0.8} for number in range(4)
    ]:
        kills += run(**point)
        assert played.search.in_tree(home, killable.tmp_dir) == set()
        open_room(played.stage.settings).close()
    assert kills >= 6
    assert played.search.files - files_before > 8 * 30


def _options(played: Played, job: str, *, number: int) -> dict[str, object]:
    if job == "load":
        dataset = played.stage.provider_dataset
        package = prepare(
            played.provider, dataset, played.source, schema=PROVIDER_SCHEMA, out_dir=played.uploads
        )
        return {"manifest": str(package.manifest_path), "payload": str(package.package_path)}
    if job == "ask":
        return {"number": number, **BY_TOWN}
    if job == "withdraw":
        return {"digests": _emails(played.known[number : number + 3]).hex()}
    return {"workspace_id": played.provider.workspace_id}


def _utf8(text: str) -> bytes:
    return text.encode()


@pytest.mark.parametrize(
    ("kind", "spell"),
    [
        ("raw email", lambda person, _: _utf8(person.email)),
        ("raw email", lambda person, _: _utf8(person.email.lower())),
        ("raw phone", lambda person, _: _utf8(person.phone)),
        ("raw person_id", lambda person, _: _utf8(person.customer_id)),
        ("raw undeclared column", lambda person, _: _utf8(person.full_name)),
        ("raw undeclared column", lambda person, _: person.full_name.encode("cp1251")),
        ("raw row", lambda person, _: _utf8(person.line)),
        ("rare value", lambda *_: _utf8(RARE_CITY)),
        ("rare value", lambda *_: RARE_CITY.encode("cp1251")),
        ("rare value", lambda *_: RARE_CITY.encode("utf-16-le")),
        ("rare value", lambda *_: _utf8(RARE_SPEND)),
        ("rare value of an open category", lambda *_: _utf8(RARE_TOWN)),
        ("rare value of an open category", lambda *_: RARE_TOWN.encode("cp1251")),
        ("rare value in stored units", lambda *_: int(RARE_SPEND.replace(".", "")).to_bytes(8, "little")),
        ("raw digest of email", lambda _, hashed: hashed),
        ("raw digest of email", lambda _, hashed: hashed[:16]),
        ("raw little-endian digest of email", lambda _, hashed: hashed[:8][::-1]),
        ("lower-case hex digest of email", lambda _, hashed: _utf8(hashed.hex())),
        ("upper-case hex digest of email", lambda _, hashed: _utf8(hashed.hex().upper())),
        ("lower-case hex digest of email", lambda _, hashed: _utf8(hashed[:16].hex())),
        ("base64 digest of email", lambda _, hashed: b64encode(hashed)),
        ("base64 digest of email", lambda _, hashed: b64encode(hashed).rstrip(b"=")),
        ("base64 digest of email", lambda _, hashed: b64encode(b"in a longer value" + hashed[:16])),
        (
            "base64 digest of email",
            lambda _, hashed: b64encode(hashed).replace(b"+", b"-").replace(b"/", b"_"),
        ),
    ],
)
def test_the_search_finds_a_planted_leak(
    played: Played, tmp_path: Path, kind: str, spell: Callable[[Person, bytes], bytes]
) -> None:
    copy = tmp_path / "home"
    shutil.copytree(played.stage.home, copy)
    person = played.known[3]
    planted = spell(person, _emails((person,)))
    target = max(copy.rglob("objects/**/fl_*"), key=lambda path: path.stat().st_size)
    whole = target.read_bytes()
    target.write_bytes(whole[:1_501] + planted + whole[1_501:])

    found = played.search.in_tree(copy)

    assert kind in {leak.kind for leak in found}
    assert {leak.file for leak in found} == {target.relative_to(copy).as_posix()}


def test_the_search_finds_a_leak_in_the_database_and_in_a_files_name(played: Played, tmp_path: Path) -> None:
    person = played.known[7]
    with played.room.db.transaction() as tx:
        tx.audit("test.leak", subject_id="x", body={"note": RARE_CITY, "who": _emails((person,)).hex()})
    found = played.search.in_tree(Path(played.stage.home))
    assert {leak.kind for leak in found} >= {"rare value", "lower-case hex digest of email"}
    assert all(leak.file.startswith("room.sqlite3") for leak in found)

    (tmp_path / person.customer_id).write_bytes(b"")
    assert {leak.kind for leak in played.search.in_tree(tmp_path)} == {"raw person_id"}


def test_tokens_of_the_same_people_differ_between_workspaces_and_after_a_rotation(played: Played) -> None:
    room = played.room
    other = sign_up(room, OrganisationKind.PROVIDER, "Another telecom")
    dataset = register(room, other, DatasetKind.DATASET, schema=PROVIDER_SCHEMA)

    def load(party: Party, dataset_id: str) -> str:
        package = prepare(party, dataset_id, played.source, schema=PROVIDER_SCHEMA, out_dir=played.uploads)
        return hand_in(room, package.manifest_path, package.package_path)

    def tokens(version_id: str) -> list[set[tuple[int, int]]]:
        with room.db.reading() as tx:
            reader = room.datasets.reader(tx, version_id)
            pairs = [
                (Role.PERSON_HI, Role.PERSON_LO, 0),
                (Role.KEY_HI, Role.KEY_LO, 0),
                (Role.KEY_HI, Role.KEY_LO, 1),
            ]
            return [
                set(zip(*(reader.read(role, column, "<u8").tolist() for role in (hi, lo)), strict=True))
                for hi, lo, column in pairs
            ]

    ours = tokens(load(played.provider, played.stage.provider_dataset))
    again = load(played.provider, played.stage.provider_dataset)
    theirs = tokens(load(other, dataset))
    assert [len(kind) for kind in ours] == [len(kind) for kind in theirs]
    # Inside one workspace the same people meet; person, e-mail and phone never share a token either.
    assert tokens(again) == ours
    everything = [*ours, *theirs]
    room.rotation.rotate_token_key(played.provider.workspace_id)
    everything += tokens(again)
    assert all(len(kind) >= PEOPLE for kind in everything)
    assert len(set().union(*everything)) == sum(len(kind) for kind in everything)
