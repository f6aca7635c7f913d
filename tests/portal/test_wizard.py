"""From a file to a published version in a real browser, both ways in; what is sent meanwhile, and what never is."""

import base64
import hashlib
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus

import pytest
from playwright.sync_api import Browser, expect
from sqlalchemy import select

from cleanroom.accounts.models import EnrolledKeyRow
from cleanroom.datasets.types import VersionStatus
from cleanroom.schema.codec import schema_from_yaml
from tests.people_rooms import person as member
from tests.portal.wire import Wire
from tests.portal.world import PHONE, Cabinet, Visitor, furnish, served, visiting
from tests.rooms import DATASET_HEADER, DATASET_SCHEMA, Stage, copied, email, people, person, phone

LINES = people(300)
SHARED = [f"s{number},s{number}@example.org,+74951234567,F,30,,yes,yes" for number in range(8)]
SAID = re.compile(r"/datasets/(ds_\w+)")


@pytest.fixture(scope="module")
def wire() -> Wire:
    return Wire()


@pytest.fixture(scope="module")
def cabinet(
    sqlite_template: Any, tmp_path_factory: pytest.TempPathFactory, quick_hashes: None, wire: Wire
) -> Iterator[Cabinet]:
    """A room whose line can be watched and cut."""
    stage = copied(sqlite_template, tmp_path_factory.mktemp("cabinet") / "home")
    found, made = furnish(stage)
    with served(stage, around=wire.around) as one:
        one.people.update({name: type(who)(stage.room, who.user) for name, who in found.items()})
        one.made.update(made)
        yield one


@pytest.fixture
def visit(browser: Browser, cabinet: Cabinet, wire: Wire) -> Iterator[Callable[..., Visitor]]:
    opened: list[Any] = []

    def make(**options: Any) -> Visitor:
        opened.append(visiting(browser, cabinet, **options))
        return opened[-1].__enter__()

    wire.dead, wire.cut_after, wire.dead_next = False, None, False
    yield make
    for context in opened:
        context.__exit__(None, None, None)


def file_of(folder: Path, lines: list[str], header: str = DATASET_HEADER) -> Path:
    path = folder / "people.csv"
    path.write_text("\n".join((header, *lines)) + "\n", encoding="utf-8")
    return path


def registered(visitor: Visitor, name: str) -> str:
    """Register a dataset by its description as text."""
    visitor.go("/datasets/new")
    page = visitor.page
    page.locator(".wizard-steps [data-step='4']").click()
    page.locator("summary", has_text="YAML").click()
    page.locator("#schema").fill(DATASET_SCHEMA)
    page.locator("#name").fill(name)
    page.locator("button[formaction]").evaluate("one => one.form.requestSubmit()")
    page.wait_for_url("**/load")
    found = SAID.search(page.url)
    assert found is not None
    return found[1]


def figures(cabinet: Cabinet, version_id: str) -> tuple[Any, dict[tuple[str, int], str]]:
    """The report of a version, and the digests of all its files' contents."""
    room = cabinet.room
    with room.db.reading() as tx:
        reader = room.datasets.reader(tx, version_id)
        files = room.datasets.files(tx, version_id)
        report = room.datasets.report(tx, version_id)
    contents = {
        (file.role.name, file.column): hashlib.sha256(reader.read_bytes(file.role, file.column)).hexdigest()
        for file in files
    }
    return report, contents


def test_from_a_file_to_a_published_version(
    cabinet: Cabinet, visit: Callable[..., Visitor], wire: Wire, tmp_path: Path
) -> None:
    header = f"{DATASET_HEADER},religion,full name"
    source = file_of(tmp_path, [f"{line},some-word,Ann {n}" for n, line in enumerate(LINES + SHARED)], header)
    visitor = visit()
    visitor.enter(cabinet.anna)
    elsewhere: list[str] = []
    visitor.context.on(
        "request", lambda one: None if one.url.startswith(cabinet.url) else elsewhere.append(one.url)
    )
    wire.requests.clear()
    page = visitor.page
    visitor.go("/datasets")
    page.get_by_role("link", name="New dataset").click()
    page.set_input_files("#file", source)
    rows = page.locator("#columns > li")
    expect(rows).to_have_count(10)
    # What is a special category can only be left out, and the page says why.
    special = rows.filter(has_text="religion")
    expect(special).to_contain_text("special category")
    assert special.locator("select").first.locator("option").count() == 1
    expect(rows.filter(has_text="full name")).to_contain_text("identifies a person directly")
    page.get_by_role("button", name="2 Identifiers").click()
    page.locator("#check-values").fill(f"{email(7)}\nJane.Doe+x@Gmail.com\nnobody")
    known = hashlib.sha256(b"janedoe@gmail.com").hexdigest()
    page.locator("#check-hashes").fill(f"{known}\n{'a' * 64}\nwhat")
    page.get_by_role("button", name="Compare").click()
    plain, digests = page.locator("#check-plain tr"), page.locator("#check-digests tr")
    expect(plain.nth(1)).to_contain_text("janedoe@gmail.com")
    expect(plain.nth(2)).to_contain_text("no such identifier")
    expect(digests.nth(0)).to_contain_text("value 2, profile room, google")
    expect(digests.nth(2)).to_contain_text("not a digest")
    assert visitor.faults() == []
    page.get_by_role("button", name="3 Basis and consent").click()
    expect(page.locator("#consents")).to_contain_text("ads")
    page.get_by_role("button", name="4 Summary").click()
    expect(page.locator("#verdict")).to_have_text("The description is complete.")
    page.get_by_label("Name of the dataset").fill("Loyalty")
    expect(page.locator("#command")).to_contain_text('--title "Loyalty"')
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save schema.yaml").click()
    schema = schema_from_yaml(Path(saved.value.path()))
    assert {one.name for one in schema.attributes} == {"sex", "age", "likes", "lab"}
    assert schema.attribute("sex").values == ("F", "M")
    page.get_by_role("button", name="Register and go on").click()
    page.wait_for_url("**/load")
    page.set_input_files("#file", source)
    page.get_by_label("Publish it at once").check()
    page.get_by_role("button", name="Prepare and send").click()
    page.wait_for_url("**/uploads/*")
    expect(page.locator("#progress")).to_contain_text("Waits its turn")
    cabinet.room.uploads.ingest_next()
    # The page finds out by itself.
    page.get_by_role("link", name="See the version").click()
    expect(page.locator("h1")).to_contain_text("Needs a decision")
    assert visitor.faults() == []
    page.get_by_role("button", name="Put those ticked on the junk list").click()
    expect(page.get_by_role("status")).to_contain_text("Nothing was ticked")
    page.get_by_role("button", name="Put all on the junk list").click()
    expect(page.locator("h1")).to_contain_text("Ready to publish")
    page.get_by_role("button", name="Publish").click()
    expect(page.locator("h1")).to_contain_text("Published")
    assert elsewhere == []
    assert_nothing_raw_was_sent(wire)


def assert_nothing_raw_was_sent(wire: Wire) -> None:
    """No identifier of the file, nor its digest, in any spelling, in any line, header or body."""
    told: set[str] = {"nobody", "jane.doe", "janedoe@gmail.com", "Ann 7", "some-word"}
    for number in range(300):
        for text in (email(number), phone(number)):
            told |= {text, text.replace("@", "%40"), text.removeprefix("+7"), text.removeprefix("+")}
            hashed = hashlib.sha256(text.encode())
            told |= {hashed.hexdigest(), base64.b64encode(hashed.digest()).decode()}
    raw = {hashlib.sha256(text.encode()).digest() for n in range(300) for text in (email(n), phone(n))}
    told |= {
        base64.b64encode(text.encode()).decode().rstrip("=")
        for n in range(300)
        for text in (email(n), phone(n))
    }
    patterns = re.compile("|".join(re.escape(one.lower()) for one in sorted(told)))
    sent = wire.sent("POST") + wire.sent("PATCH")
    assert len(sent) >= 6
    for request in wire.requests:
        body = bytes(request.body)
        assert not any(one in body for one in raw), request.line
        # Ciphertext is no text, and spells no identifier either.
        whole = f"{request.line}\n{request.headers.decode()}\n{body.decode('latin-1')}"
        metadata = re.search(rb"upload-metadata: manifest ([^,]+)", request.headers)
        if metadata:
            whole += base64.b64decode(metadata[1]).decode()
        for spelling in (whole, unquote_plus(whole)):
            found = patterns.search(spelling.lower())
            assert found is None, (request.line, found)
    # What the search looks for, it would find.
    assert patterns.search(unquote_plus(f"columns=%5B%22{email(9)}%22").lower())


def test_both_ways_in_give_the_same_version(
    cabinet: Cabinet, visit: Callable[..., Visitor], tmp_path: Path
) -> None:
    lines = [*LINES, "p900,no address,,F,30,,yes,yes", "p901,a@b.org,,F,old,,yes,yes", "p902,x@y.org"]
    visitor = visit()
    visitor.enter(cabinet.anna)
    dataset_id = registered(visitor, "Both ways")
    expect(visitor.page.locator("#command")).to_contain_text(f"--into {dataset_id}")
    visitor.page.set_input_files("#file", file_of(tmp_path, lines))
    visitor.page.get_by_role("button", name="Prepare and send").click()
    visitor.page.wait_for_url("**/uploads/*")
    upload = cabinet.room.uploads.ingest_next()
    assert upload is not None
    assert upload.failure is None
    stage: Stage = cabinet.stage
    by_program = stage.load(dataset_id, DATASET_HEADER, lines, publish=False)
    assert figures(cabinet, upload.version_id) == figures(cabinet, by_program)
    report, contents = figures(cabinet, by_program)
    assert len(contents) > 8
    assert report.rejected == {"no_valid_key": 1, "bad_value:age": 1, "ragged_row": 1}


def test_the_key_of_a_browser_signs_for_a_while(
    cabinet: Cabinet, visit: Callable[..., Visitor], tmp_path: Path
) -> None:
    room, organisation_id = cabinet.room, cabinet.stage.provider.organisation_id
    leaving = member(room, organisation_id, "data_manager", "leaving@example.org")
    rows = select(EnrolledKeyRow).where(EnrolledKeyRow.user_id == leaving.user.id)
    visitor = visit()
    visitor.enter(leaving)
    registered(visitor, "Keys")
    visitor.page.set_input_files("#file", file_of(tmp_path, LINES[:20]))
    visitor.page.get_by_role("button", name="Prepare and send").click()
    visitor.page.wait_for_url("**/uploads/*")
    with room.db.reading() as tx:
        (key,) = tx.session.scalars(rows)
        assert key.expires_at is not None
        # Longer than its package counts, and no more than a day.
        assert 7 <= (key.expires_at - key.enrolled_at).days <= 8
        assert key.id in room.accounts.enrolled_keys(tx, organisation_id)
    # Nothing of it, and no package, is left in the browser.
    left = visitor.page.evaluate(
        "async () => { const found = []; for await (const name of (await navigator.storage.getDirectory()).keys())"
        " found.push(name); return [found, Object.keys(localStorage), Object.keys(sessionStorage)]; }"
    )
    assert left == [[], [], []]
    with room.db.transaction() as tx:
        room.access.users.disable(tx, leaving.user.id)
    ended = room.uploads.ingest_next()
    assert ended is not None
    assert ended.failure == "crypto.unknown_signer"


@pytest.mark.parametrize("language", ["en", pytest.param("ru", marks=pytest.mark.slow)])
def test_an_upload_that_broke_off_goes_on_after_a_reload(
    cabinet: Cabinet, visit: Callable[..., Visitor], wire: Wire, tmp_path: Path, language: str
) -> None:
    go_on, pause, see = {
        "en": ("Continue the upload", "Pause", "Waits its turn"),
        "ru": ("Продолжить загрузку", "Приостановить", "Ждёт очереди"),
    }[language]
    visitor = visit(viewport=PHONE) if language == "ru" else visit()
    visitor.enter(cabinet.anna)
    dataset_id = registered(visitor, f"Broken {language}")
    visitor.prefer(language, "dark")
    visitor.go(f"/datasets/{dataset_id}/load")
    page = visitor.page
    wire.requests.clear()
    wire.cut_after, wire.dead_next = 60_000, True
    page.set_input_files("#file", file_of(tmp_path, people(2_000)))
    page.locator("#begin").click()
    for _ in range(100):
        if len(wire.sent("PATCH")) >= 2:
            break
        page.wait_for_timeout(100)
    # The line is cut in the first request, and dead then; the page tries by itself until it is told to wait.
    assert wire.dead
    page.get_by_role("button", name=pause).click()
    expect(page.locator("#go-on")).to_be_focused()
    assert visitor.sideways() == 0
    page.reload()
    expect(page.get_by_role("button", name=go_on)).to_be_visible()
    visitor.complaints.clear()
    assert visitor.faults() == []
    wire.dead, wire.cut_after, wire.dead_next = False, None, False
    before = len(wire.sent("PATCH"))
    page.get_by_role("button", name=go_on).click()
    page.wait_for_url("**/uploads/*")
    expect(page.locator("#progress")).to_contain_text(see)
    last = wire.sent("PATCH")[-1]
    assert len(wire.sent("PATCH")) == before + 1
    assert int(re.search(rb"upload-offset: (\d+)", last.headers)[1]) > 0  # type: ignore[index]
    assert len(wire.sent("POST")) == 2, [one.line for one in wire.sent("POST")]
    # The room checks the hash of all bytes: they are those of the first attempt.
    loaded = cabinet.room.uploads.ingest_next()
    assert loaded is not None
    assert loaded.failure is None
    with cabinet.room.db.reading() as tx:
        assert cabinet.room.datasets.version(tx, loaded.version_id).rows == 2_000


@pytest.mark.slow
def test_a_cancelled_upload_leaves_nothing(
    cabinet: Cabinet, visit: Callable[..., Visitor], wire: Wire, tmp_path: Path
) -> None:
    visitor = visit()
    visitor.enter(cabinet.anna)
    dataset_id = registered(visitor, "Cancelled")
    page = visitor.page
    wire.dead = True
    page.set_input_files("#file", file_of(tmp_path, LINES))
    page.locator("#begin").click()
    expect(page.locator("#work-words")).to_contain_text("Trying again")
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("#verdict")).to_contain_text("nothing of it is kept")
    page.reload()
    expect(page.locator("#kept")).to_be_hidden()
    with cabinet.room.db.reading() as tx:
        organisation_id = cabinet.stage.provider.organisation_id
        assert cabinet.room.uploads.under_way(tx, dataset_id, organisation_id=organisation_id) == ()


@pytest.mark.slow
def test_a_file_that_cannot_be_taken_says_why(
    cabinet: Cabinet, visit: Callable[..., Visitor], tmp_path: Path
) -> None:
    visitor = visit()
    visitor.enter(cabinet.anna)
    registered(visitor, "Refused")
    page = visitor.page
    for content, words in (
        ("id,email\n1,a@b.org\n", "lacks columns of the description: phone, sex"),
        (f"{DATASET_HEADER}\np1,nobody,,F,1,,yes,\n", "None of 1 rows can be taken: no_valid_key 1"),
        ("PAR1xxxx", "Parquet files are for the command line"),
    ):
        path = tmp_path / "bad.csv"
        path.write_text(content, encoding="utf-8")
        page.set_input_files("#file", path)
        page.locator("#begin").click()
        expect(page.locator("#verdict")).to_contain_text(words)
    assert visitor.faults() == []


def test_a_dataset_is_described_with_the_keyboard_alone(
    cabinet: Cabinet, visit: Callable[..., Visitor]
) -> None:
    visitor = visit()
    visitor.enter(cabinet.anna)
    visitor.go("/datasets/new")
    page, keys = visitor.page, visitor.page.keyboard

    def reach(words: str, *, most: int = 90) -> None:
        for _ in range(most):
            keys.press("Tab")
            at = page.evaluate(
                "(({ labels, textContent: own }) => (labels?.[0]?.textContent ?? own).trim())(document.activeElement)"
            )
            if at == words:
                return
        raise AssertionError(f"the keyboard does not reach {words}")

    reach("Or paste its first line")
    keys.type("id,email,age,ads")
    reach("Take these columns")
    keys.press("Enter")
    expect(page.locator("#columns > li")).to_have_count(4)
    reach("Used as")
    reach("Used as")
    reach("Identifier")
    reach("Go on")
    keys.press("Enter")
    expect(page.locator("#t-keys")).to_be_focused()
    reach("Go on")
    keys.press("Enter")
    expect(page.locator("#t-basis")).to_be_focused()
    reach("Values that mean consent, separated by commas")
    keys.type("yes")
    reach("Go on")
    keys.press("Enter")
    expect(page.locator("#verdict")).to_have_text("The description is complete.")
    reach("Name of the dataset")
    keys.type("By keyboard")
    reach("Register and go on")
    keys.press("Enter")
    expect(page.locator("h1")).to_have_text("Load a new version")
    assert visitor.faults() == []


@pytest.mark.slow
def test_five_hundred_columns_stay_usable(
    cabinet: Cabinet, visit: Callable[..., Visitor], tmp_path: Path
) -> None:
    names = [f"признак {number}" for number in range(500)]
    lines = [",".join([f"p{n}@example.org", *(str(n * k % 7) for k in range(500))]) for n in range(50)]
    visitor = visit()
    visitor.enter(cabinet.anna)
    visitor.go("/datasets/new")
    page = visitor.page
    page.set_input_files("#file", file_of(tmp_path, lines, ",".join(["email", *names])))
    expect(page.locator("#count")).to_have_text("501 of 501 columns")
    assert page.locator("#columns > li").count() == 20
    page.locator("#find").fill("признак 4")
    expect(page.locator("#count")).to_have_text("111 of 501 columns")
    page.locator("#bulk-what").select_option("sensitivity")
    page.locator("#bulk-value").select_option("sensitive")
    page.get_by_role("button", name="Change").click()
    expect(page.locator("#told")).to_have_text("Changed: 111 columns")
    page.locator("#find").fill("признак 49")
    page.locator("#bulk-what").select_option("role")
    page.locator("#bulk-value").select_option("left_out")
    page.get_by_role("button", name="Change").click()
    assert visitor.faults() == []
    page.get_by_role("button", name="4 Summary").click()
    expect(page.locator("#verdict")).to_have_text("The description is complete.")
    page.get_by_label("Name of the dataset").fill("Wide")
    page.get_by_role("button", name="Register and go on").click()
    page.wait_for_url("**/load")
    found = SAID.search(page.url)
    assert found is not None
    with cabinet.room.db.reading() as tx:
        schema = cabinet.room.datasets.dataset(tx, found[1]).schema
    assert len(schema.attributes) == 489
    assert sum(one.sensitivity == "sensitive" for one in schema.attributes) == 100


@pytest.mark.slow
def test_versions_are_compared_retired_and_deleted(cabinet: Cabinet, visit: Callable[..., Visitor]) -> None:
    stage: Stage = cabinet.stage
    dataset_id = stage.dataset(LINES)
    first = cabinet.room
    with first.db.reading() as tx:
        published = first.datasets.current(tx, dataset_id).id
    newer = stage.load(dataset_id, DATASET_HEADER, [*LINES[:200], "x,nobody,,F,1,,yes,yes"], publish=False)
    visitor = visit()
    visitor.enter(cabinet.anna)
    page = visitor.page
    visitor.go(f"/datasets/{dataset_id}/versions/{newer}")
    with page.expect_download() as saved:
        page.get_by_role("link", name="Save row numbers and reasons").click()
    assert Path(saved.value.path()).read_text(encoding="utf-8").split() == ["row,reason", "201,no_valid_key"]
    page.get_by_role("link", name="What changed since").click()
    expect(page.get_by_role("row", name="People 300 200 -100")).to_be_visible()
    expect(page.get_by_role("row", name="no valid identifier 0 1 +1")).to_be_visible()
    visitor.go(f"/datasets/{dataset_id}")
    page.get_by_role("link", name="Retire version 1").click()
    page.get_by_role("button", name="Retire it").click()
    expect(page.get_by_role("status").first).to_contain_text("The version is retired")
    page.get_by_role("link", name="Delete version 1").click()
    page.get_by_role("button", name="Delete it").click()
    expect(page.get_by_role("status").first).to_contain_text("files are deleted")
    with first.db.reading() as tx:
        assert first.datasets.version(tx, published).status is VersionStatus.DELETED
        assert first.datasets.dataset(tx, dataset_id).current_version_id is None
    page.get_by_role("link", name="Delete the dataset").click()
    page.get_by_role("textbox").fill("something else")
    page.get_by_role("button", name="Delete it").click()
    expect(page.get_by_role("alert")).to_contain_text("Nothing was deleted")
    page.get_by_role("textbox").fill("people")
    page.get_by_role("button", name="Delete it").click()
    expect(page.get_by_role("status").first).to_contain_text("The dataset is deleted")
    assert visitor.go(f"/datasets/{dataset_id}") == 404


def test_a_description_that_is_refused_is_kept(cabinet: Cabinet, visit: Callable[..., Visitor]) -> None:
    visitor = visit(java_script_enabled=False)
    visitor.enter(cabinet.anna)
    visitor.go("/datasets/new")
    page = visitor.page
    page.locator("summary").last.click()
    text = "match_keys: {email: {column: mail}}\nattributes: {religion: {type: boolean}}\n"
    page.locator("#schema").fill(text)
    page.locator("#name").fill("By hand")
    page.get_by_role("button", name="Register and go on").click()
    expect(page.get_by_role("alert")).to_contain_text("health, origin, religion")
    assert page.locator("#schema").input_value() == text
    assert page.locator("#name").input_value() == "By hand"
    page.locator("#schema").fill(json.dumps({"match_keys": {"email": {"column": "mail"}}}))
    page.get_by_role("button", name="Register and go on").click()
    expect(page.locator("h1")).to_have_text("Load a new version")


@pytest.mark.slow
def test_changes_to_a_version_are_loaded_in_the_browser(
    cabinet: Cabinet, visit: Callable[..., Visitor], tmp_path: Path
) -> None:
    dataset_id = cabinet.stage.dataset(LINES)
    visitor = visit()
    visitor.enter(cabinet.anna)
    visitor.go(f"/datasets/{dataset_id}/load")
    page = visitor.page
    changes = [f"{LINES[0]},delete", f"{person(5_000)},add", f"{person(1)},replace"]
    page.set_input_files("#file", file_of(tmp_path, changes, f"{DATASET_HEADER},_op"))
    page.get_by_label("Changes to the published version").check()
    page.get_by_label("Publish it at once").check()
    page.get_by_role("button", name="Prepare and send").click()
    page.wait_for_url("**/uploads/*")
    loaded = cabinet.room.uploads.ingest_next()
    assert loaded is not None
    assert (loaded.failure, loaded.status) == (None, "published")
    with cabinet.room.db.reading() as tx:
        assert cabinet.room.datasets.current(tx, dataset_id).persons == 300
