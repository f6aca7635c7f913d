"""A bundle of evidence verifies with its own script and Python alone; whatever is changed in it is found."""

import base64
import hashlib
import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from cleanroom.audit.log import AuditLog
from cleanroom.db.base import Base
from cleanroom.db.database import Database, open_engine
from cleanroom.evidence.types import Made, Wanted
from cleanroom.evidence.writing import Order, write_bundle
from crypto.checkpoint import format_checkpoint, open_note, sign_note, verifier_key
from crypto.cosignature import WitnessKey, cosign
from crypto.keys import public_key
from tests.rooms import MovableClock

ORIGIN, SEED = "test.room/log", bytes(range(32))
ORGANISATIONS = (None, "org_a", "org_b")
KINDS = ("test.event", "release.released", "rules.policy_set", "consent.epoch_begun", "accounts.key_enrolled")
EVENTS, AT = 60, 5
pytestmark = pytest.mark.slow_on("postgresql")
Bundle = Callable[..., tuple[Path, Made]]


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture
def log(clock: MovableClock) -> AuditLog:
    return AuditLog(origin=ORIGIN, seed=SEED, clock=clock)


@pytest.fixture
def db(engine: Engine, log: AuditLog, clock: MovableClock) -> Database:
    return filled(engine, log, clock)


def filled(engine: Engine, log: AuditLog, clock: MovableClock) -> Database:
    """Sixty events, an hour after each other, of all kinds and organisations."""
    opened = Database(engine, log)
    for number in range(EVENTS):
        kind = KINDS[number % 5]
        with opened.transaction() as tx:
            tx.audit(
                kind,
                subject_id=f"s-{number}",
                organisation_id=ORGANISATIONS[number % 3],
                body={"dataset_id": f"ds_{number % 2}", "имя": "é"},
                prove=kind == "release.released",
            )
        clock.move(hours=1)
    return opened


@pytest.fixture
def bundle(db: Database, log: AuditLog, clock: MovableClock, tmp_path: Path) -> Bundle:
    def make(wanted: Wanted = Wanted(), cuts: tuple[int, ...] = ()) -> tuple[Path, Made]:  # noqa: B008 - frozen
        path = tmp_path / "bundle.zip"
        made = write_bundle(db, log, clock, path, Order("eb_1", "org_a", "us_1", None, wanted, cuts))
        return path, made

    return make


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The bundle of all events, made once, for tests that change it."""
    home, clock = tmp_path_factory.mktemp("whole"), MovableClock()
    log = AuditLog(origin=ORIGIN, seed=SEED, clock=clock)
    engine = open_engine(f"sqlite:///{home / 'room.sqlite3'}")
    Base.metadata.create_all(engine)
    db = filled(engine, log, clock)
    write_bundle(db, log, clock, home / "bundle.zip", Order("eb_1", "org_a", "us_1", None, Wanted()))
    engine.dispose()
    return (home / "bundle.zip").read_bytes()


@pytest.fixture
def path(whole: bytes, tmp_path: Path) -> Path:
    """A copy of it."""
    copy = tmp_path / "bundle.zip"
    copy.write_bytes(whole)
    return copy


def check(path: Path, log: AuditLog, *arguments: str, key: str | None = None, isolated: bool = True) -> str:
    """Run the script that lies in the bundle, alone, without anything that is installed."""
    script = path.with_name("verify.py")
    with zipfile.ZipFile(path) as archive:
        script.write_bytes(archive.read("verify.py"))
    return run(script, path, log, *arguments, key=key, isolated=isolated)


def run(
    script: Path, path: Path, log: AuditLog, *arguments: str, key: str | None = None, isolated: bool = False
) -> str:
    # -S: without site-packages there is no `cryptography`, and the script checks signatures by itself.
    flags = ["-I", "-S"] if isolated else ["-I"]
    done = subprocess.run(
        [sys.executable, *flags, str(script), str(path), "--key", key or log.verifier_key, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stderr == ""
    assert (done.returncode == 0) == done.stdout.startswith("INTACT "), done.stdout
    return done.stdout


def shown(path: Path) -> list[int]:
    with zipfile.ZipFile(path) as archive:
        lines = [json.loads(line) for line in archive.read("events.jsonl").splitlines()]
    return [line["index"] for line in lines if "record" in line]


def expected(**narrow: Any) -> list[int]:
    """Say by the rule itself which of the sixty events a bundle shows."""
    found = []
    for number in range(EVENTS):
        kind = KINDS[number % 5]
        mine = "organisation" not in narrow or ORGANISATIONS[number % 3] == narrow["organisation"]
        about = "dataset" not in narrow or number % 2 == narrow["dataset"]
        recent = number >= narrow.get("since", 0)
        always = kind == "accounts.key_enrolled" or (kind.startswith(("rules.", "consent.")) and about)
        if mine and number < narrow.get("until", EVENTS) and ((about and recent) or always):
            found.append(number)
    return found


START = MovableClock().instant


@pytest.mark.parametrize(
    ("wanted", "narrow"),
    [
        (Wanted(), {}),
        (Wanted(organisation_id="org_a"), {"organisation": "org_a"}),
        (Wanted(dataset_id="ds_1"), {"dataset": 1}),
        (Wanted(organisation_id="org_b", dataset_id="ds_0"), {"organisation": "org_b", "dataset": 0}),
        (
            Wanted(since=START + timedelta(hours=30), until=START + timedelta(hours=40)),
            {"since": 30, "until": 40},
        ),
        (
            Wanted(organisation_id="org_a", dataset_id="ds_1", since=START + timedelta(hours=50)),
            {"organisation": "org_a", "dataset": 1, "since": 50},
        ),
        (Wanted(organisation_id="org_nobody"), {"organisation": "org_nobody"}),
    ],
)
def test_a_bundle_shows_what_was_wanted_and_verifies(
    bundle: Bundle, log: AuditLog, wanted: Wanted, narrow: dict[str, Any]
) -> None:
    path, made = bundle(wanted)
    assert shown(path) == expected(**narrow)
    assert (made.events, made.size) == (len(expected(**narrow)), EVENTS)
    assert made.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert made.bytes == path.stat().st_size
    for isolated in (True, False):
        said = check(path, log, isolated=isolated)
        assert said.startswith(f"INTACT {made.events} events shown of {EVENTS} in {ORIGIN}, "), said
    if narrow == {}:
        assert "12 receipts" in said
        with zipfile.ZipFile(path) as archive:
            sizes = [len(archive.read(name).splitlines()) for name in ("policies.jsonl", "keys.jsonl")]
        assert sizes == [12, 12]


def test_others_events_are_in_it_as_hashes_alone(bundle: Bundle) -> None:
    path, _ = bundle(Wanted(organisation_id="org_a"))
    with zipfile.ZipFile(path) as archive:
        everything = b"".join(archive.read(name) for name in archive.namelist())
    assert b"org_a" in everything
    assert b"org_b" not in everything


def test_the_log_states_the_manifest(bundle: Bundle, db: Database, log: AuditLog) -> None:
    path, made = bundle()
    with db.reading() as tx:
        event = json.loads(log.record(tx, EVENTS))
    with zipfile.ZipFile(path) as archive:
        assert hashlib.sha256(archive.read("manifest.json")).hexdigest() == made.manifest_sha256
    assert event["kind"] == "evidence.bundle_made"
    assert event["body"]["manifest_sha256"] == made.manifest_sha256
    assert (event["body"]["by"], event["organisation"]) == ("us_1", "org_a")


def repack(path: Path, change: Callable[[dict[str, bytes]], None]) -> None:
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    change(files)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)


def resign(files: dict[str, bytes], seed: bytes = SEED) -> None:
    """Make the manifest fit the files again, and a log of one event that vouches for it, as the key's owner could."""
    manifest = json.loads(files["manifest.json"])
    for name in manifest["files"]:
        manifest["files"][name] = {
            "sha256": hashlib.sha256(files[name]).hexdigest(),
            "bytes": len(files[name]),
        }
    files["manifest.json"] = json.dumps(manifest).encode()
    digest = hashlib.sha256(files["manifest.json"]).hexdigest()
    proof = json.loads(files["manifest.proof.json"])
    event = json.loads(proof["record"])
    event["body"]["manifest_sha256"] = digest
    record = json.dumps(event)
    head = open_note(manifest["checkpoint"], verifier_key(ORIGIN, public_key(SEED)))
    leaf = hashlib.sha256(b"\0" + record.encode()).digest()
    # Of 61 events the last one stands alone, right of 32, 16, 8 and 4; so it is the second hash that proves the growth.
    assert head.size == EVENTS
    root = leaf
    for node in proof["proof"]:
        root = hashlib.sha256(b"\1" + base64.b64decode(node) + root).digest()
    text = format_checkpoint(ORIGIN, head.size + 1, root)
    proof |= {"record": record, "checkpoint": sign_note(text, name=ORIGIN, seed=seed)}
    proof["consistency"][1] = base64.b64encode(leaf).decode()
    files["manifest.proof.json"] = json.dumps(proof).encode()


def edit_lines(name: str, edit: Callable[[list[bytes]], None]) -> Callable[[dict[str, bytes]], None]:
    def change(files: dict[str, bytes]) -> None:
        lines = files[name].splitlines(keepends=True)
        edit(lines)
        files[name] = b"".join(lines)

    return change


def edited(lines: list[bytes]) -> None:
    lines[AT] = lines[AT].replace("é".encode(), b"e")


def deleted(lines: list[bytes]) -> None:
    del lines[AT]


def reordered(lines: list[bytes]) -> None:
    a, b = json.loads(lines[AT]), json.loads(lines[AT + 1])
    a["record"], b["record"] = b["record"], a["record"]
    lines[AT : AT + 2] = [json.dumps(one).encode() + b"\n" for one in (a, b)]


def swapped(lines: list[bytes]) -> None:
    lines[AT], lines[AT + 1] = lines[AT + 1], lines[AT]


def cut(lines: list[bytes]) -> None:
    del lines[-5:]


def added(lines: list[bytes]) -> None:
    lines.append(lines[-1].replace(b'"index":59', b'"index":60'))


def hidden(lines: list[bytes]) -> None:
    record = json.loads(lines[AT])["record"].encode()
    leaf = base64.b64encode(hashlib.sha256(b"\0" + record).digest()).decode()
    lines[AT] = json.dumps({"index": AT, "leaves": 1, "hash": leaf}).encode() + b"\n"


def forged(lines: list[bytes]) -> None:
    line = json.loads(lines[3])
    signature = line["note"].rstrip("\n").rpartition(" ")[2]
    bad = bytearray(base64.b64decode(signature))
    bad[20] ^= 1
    line["note"] = line["note"].replace(signature, base64.b64encode(bytes(bad)).decode())
    lines[3] = json.dumps(line).encode() + b"\n"


def forked(lines: list[bytes]) -> None:
    """The room's own key signs another root for the same size."""
    line = json.loads(lines[3])
    text = format_checkpoint(ORIGIN, line["size"], b"\7" * 32)
    line["note"] = sign_note(text, name=ORIGIN, seed=SEED)
    lines[3] = json.dumps(line).encode() + b"\n"


def swapped_key(lines: list[bytes]) -> None:
    line = json.loads(lines[3])
    line["note"] = sign_note(line["note"].partition("\n\n")[0] + "\n", name=ORIGIN, seed=bytes(32))
    lines[3] = json.dumps(line).encode() + b"\n"


def another_policy(lines: list[bytes]) -> None:
    lines[0] = lines[0].replace(b'"dataset_id":"ds_0"', b'"dataset_id":"ds_9"')


def another_size(lines: list[bytes]) -> None:
    line = json.loads(lines[2])
    line["size"] -= 1
    lines[2] = json.dumps(line).encode() + b"\n"


TAMPERED = [
    ("events.jsonl", edited, "do not give the root that was signed"),
    ("events.jsonl", deleted, "missing or moved"),
    ("events.jsonl", reordered, "is no answer|do not give the root"),
    ("events.jsonl", swapped, "out of order"),
    ("events.jsonl", cut, "do not give the signed root"),
    ("events.jsonl", added, "do not give the signed root"),
    ("events.jsonl", hidden, "number of events"),
    ("checkpoints.jsonl", forged, "does not verify: forged"),
    ("checkpoints.jsonl", forked, "was forked"),
    ("checkpoints.jsonl", swapped_key, "another key signed it"),
    ("checkpoints.jsonl", deleted, "checkpoint is missing"),
    ("policies.jsonl", another_policy, "is not what the log says"),
    ("receipts.jsonl", another_size, "not in the log of its receipt"),
]


@pytest.mark.parametrize(("name", "edit", "why"), TAMPERED)
def test_a_changed_file_is_found_although_the_manifest_was_made_to_fit_it(
    path: Path, log: AuditLog, name: str, edit: Callable[[list[bytes]], None], why: str
) -> None:
    def change(files: dict[str, bytes]) -> None:
        edit_lines(name, edit)(files)
        resign(files)

    repack(path, change)
    said = check(path, log, isolated=False)
    assert said.startswith("DAMAGED ")
    assert re.search(why, said), said


@pytest.mark.parametrize(
    "name", ["events.jsonl", "checkpoints.jsonl", "keys.jsonl", "consents.jsonl", "README.ru.md", "verify.py"]
)
def test_a_changed_file_is_found_by_the_manifest(path: Path, log: AuditLog, name: str) -> None:
    """A space more changes no meaning, so that nothing but the file's hash shows it."""

    def change(files: dict[str, bytes]) -> None:
        files[name] = files[name][:-1] + b" \n"

    script = zipfile.ZipFile(path).read("verify.py")
    repack(path, change)
    path.with_name("kept.py").write_bytes(script)
    assert f"{name} is not the file that the manifest names" in run(path.with_name("kept.py"), path, log)


def test_a_file_more_or_less_is_found(path: Path, log: AuditLog) -> None:
    repack(path, lambda files: files.update({"more.txt": b""}))
    assert "other files" in check(path, log, isolated=False)
    repack(path, lambda files: (files.pop("more.txt"), files.pop("keys.jsonl")))
    assert "other files" in check(path, log, isolated=False)


def test_a_manifest_made_to_fit_is_believed_from_the_rooms_key_alone(path: Path, log: AuditLog) -> None:
    """Else the tests above would see the manifest's own fault."""
    repack(path, resign)
    assert check(path, log).startswith("INTACT ")
    repack(path, lambda files: resign(files, bytes(32)))
    assert "another key signed it" in check(path, log)


def test_another_key_is_not_believed(path: Path, log: AuditLog) -> None:
    assert "another key" in check(path, log, key=verifier_key(ORIGIN, public_key(bytes(32))))


def test_a_kept_checkpoint_shows_a_log_that_was_rewritten_or_rolled_back(
    bundle: Bundle, log: AuditLog, db: Database, tmp_path: Path
) -> None:
    path, _ = bundle(Wanted(organisation_id="org_nobody"), cuts=(50,))
    with db.reading() as tx:
        from cleanroom.audit.reader import node_source
        from crypto.merkle import root_from

        root = root_from(node_source(tx.session), 50)
    kept = tmp_path / "kept.txt"

    def against(size: int, root: bytes) -> str:
        kept.write_text(sign_note(format_checkpoint(ORIGIN, size, root), name=ORIGIN, seed=SEED))
        return check(path, log, "--against", str(kept), isolated=False)

    assert against(50, root).startswith("INTACT ")
    assert "was rewritten" in against(50, b"\7" * 32)
    assert "rolled back" in against(EVENTS + 1, root)
    assert "cannot be compared" in against(49, root)


WITNESS_SEEDS = {"w1.example/w": b"\1" * 32, "w2.example/w": b"\2" * 32}
WITNESSES = {name: WitnessKey(name, public_key(seed)).text for name, seed in WITNESS_SEEDS.items()}
ALL = [part for key in WITNESSES.values() for part in ("--witness", key)]


def cosigned(path: Path, sizes: dict[int, tuple[str, ...]]) -> None:
    """Add lines of witnesses to the heads of these sizes in a bundle."""

    def edit(lines: list[bytes]) -> None:
        for at, data in enumerate(lines):
            line = json.loads(data)
            text = line["note"].rpartition("\n\n")[0] + "\n"
            for name in sizes.get(line["size"], ()):
                line["note"] += cosign(text, name=name, seed=WITNESS_SEEDS[name], seconds=1000)
            lines[at] = json.dumps(line).encode() + b"\n"

    def change(files: dict[str, bytes]) -> None:
        edit_lines("checkpoints.jsonl", edit)(files)
        resign(files)

    repack(path, change)


def test_witnesses_vouch_for_what_they_saw_and_not_for_what_came_later(path: Path, log: AuditLog) -> None:
    """Whoever holds the key rewrites all behind an old head that was cosigned: the old head still fits."""
    with zipfile.ZipFile(path) as archive:
        heads = [json.loads(line)["size"] for line in archive.read("checkpoints.jsonl").splitlines()]
    old, some, newest = heads[0], heads[3], heads[-1]
    assert newest == EVENTS
    both = tuple(WITNESSES)
    cosigned(path, {old: both, some: both[:1]})
    said = check(path, log, *ALL)
    assert said == (
        f"UNVOUCHED {EVENTS - old} of the events shown, from event {old} on, lie beyond: "
        f"vouched for up to {old} of {EVENTS} by the witnesses\n"
    )
    said = check(path, log, *ALL, "--quorum", "1", isolated=False)
    assert said.startswith("UNVOUCHED ")
    assert f"up to {some} of {EVENTS}" in said
    said = check(path, log, *ALL, "--allow-tail", isolated=False)
    assert said.startswith("INTACT ")
    assert f"up to {old} of {EVENTS} by the witnesses ({EVENTS - old} of the events shown lie beyond)" in said
    # One that is named twice is one, and a bundle that nobody vouched for has no tail to allow.
    first = ["--witness", WITNESSES[both[0]]] * 2
    assert f"up to {some} of" in check(path, log, *first, isolated=False)
    cosigned(path, {newest: both[:1]})
    assert f"up to {old} of" in check(path, log, *ALL, isolated=False)
    assert f"up to {EVENTS} of {EVENTS} by" in check(path, log, *first, isolated=False)
    assert "by nobody" in check(path, log, isolated=False)


def test_a_tail_cannot_be_allowed_where_nobody_vouches(path: Path, log: AuditLog) -> None:
    said = check(path, log, *ALL, "--allow-tail", isolated=False)
    assert said.startswith(f"UNVOUCHED {EVENTS} of the events shown, from event 0 on")


def test_a_bundle_up_to_an_earlier_time_has_no_tail(bundle: Bundle, log: AuditLog) -> None:
    path, _ = bundle(Wanted(until=START + timedelta(hours=27)))
    with zipfile.ZipFile(path) as archive:
        heads = [json.loads(line)["size"] for line in archive.read("checkpoints.jsonl").splitlines()]
    assert 27 in heads
    cosigned(path, {27: tuple(WITNESSES)})
    said = check(path, log, *ALL, isolated=False)
    assert said.startswith("INTACT ")
    assert f"vouched for up to 27 of {EVENTS} by the witnesses, root" in said


@pytest.mark.parametrize("arguments", [["--quorum", "0"], ["--quorum", "3"], ["--witness", "LOG"]])
def test_a_quorum_that_asks_for_nothing_is_no_usage(path: Path, log: AuditLog, arguments: list[str]) -> None:
    script = path.with_name("verify.py")
    script.write_bytes(zipfile.ZipFile(path).read("verify.py"))
    given = [log.verifier_key if one == "LOG" else one for one in arguments]
    done = subprocess.run(
        [sys.executable, "-I", str(script), str(path), "--key", log.verifier_key, *ALL, *given],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (2, "")


def test_a_crash_leaves_no_half_bundle(
    bundle: Bundle, db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cleanroom.evidence.writing._proof", lambda *_: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        bundle()
    assert [path.name for path in tmp_path.iterdir() if "zip" in path.name] == []
