"""The commands of provider and advertiser against a server in a thread, over real HTTP."""

import asyncio
import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import uvicorn

from cleanroom.cli.main import (
    EXIT_KNOWN_ERROR,
    EXIT_NOT_FOUND,
    EXIT_NOT_LOGGED_IN,
    EXIT_REFUSED,
    EXIT_TRY_LATER,
    main,
)
from tests.api.conftest import MakeWorld
from tests.api.sdk import Desk, work
from tests.rooms import DATASET_HEADER, KNOWN, people, phone

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def desk(make_world: MakeWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    for name in ("CLEANROOM_CONFIG_DIR", "CLEANROOM_STATE_DIR"):
        monkeypatch.setenv(name, "")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        desk = Desk(make_world(release_tick_ms=0, public_url=url), tmp_path)
        server = uvicorn.Server(uvicorn.Config(desk.world.app, log_config=None, lifespan="off"))
        ending = threading.Event()

        def toil() -> None:
            while not ending.wait(0.05):
                work(desk.world.stage.room)

        threads = [
            threading.Thread(target=server.run, kwargs={"sockets": [listening]}),
            threading.Thread(target=toil),
        ]
        for thread in threads:
            thread.start()
        while not server.started:
            time.sleep(0.01)
        yield desk
        server.should_exit = True
        ending.set()
        for thread in threads:
            thread.join()


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def command(*arguments: str) -> tuple[int, str, str]:
        code = 0
        try:
            main(arguments)
        except SystemExit as end:
            code = int(end.code or 0)
        shown = capsys.readouterr()
        return code, shown.out, shown.err

    return command


def examples(page: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def test_the_examples_of_the_guide_run(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.market.bought()
    desk.logged_in()
    frame = pl.DataFrame({"phone": [phone(number) for number in range(KNOWN)]})
    names: dict[str, Any] = {"frame": frame}
    estimates = []
    for page in (Path("docs/how-to/estimate-a-question.md"), Path("docs/how-to/sdk.md")):
        for example in examples(page):
            exec(compile(example, str(page), "exec"), names)
        names["room"].close()
        estimates.append(names["estimate"])
    assert names["proof"].record["subject"] == names["result"].analysis_id
    asyncio.run(names["ask"]())
    assert capsys.readouterr().out.count(" to ") >= 2
    # Next to nobody is expected in the first band.
    assert estimates[0].answer["suggestions"]


def log_in(desk: Desk, run: Run, party: str, *, role: str = "owner") -> None:
    client_id, key = desk.credential(party, role)
    url = desk.world.stage.room.settings.public_url
    code, out, err = run("login", url, "--client-id", client_id, "--key", str(key), "--profile", party)
    assert code == 0, err
    assert "LOGGED IN" in out


def test_from_a_file_to_a_receipt(desk: Desk, run: Run) -> None:
    crm, base = desk.folder / "crm.csv", desk.folder / "base.csv"
    crm.write_text("\n".join((DATASET_HEADER, *people(1500))) + "\n")
    base.write_text("phone\n" + "\n".join(phone(number) for number in range(KNOWN)) + "\n")
    log_in(desk, run, "provider")
    code, _, err = run(
        "login",
        desk.world.stage.room.settings.public_url,
        *(
            "--client-id",
            f"cl_{'0' * 32}",
            "--key",
            str(desk.credential("provider")[1]),
            "--profile",
            "wrong",
        ),
    )
    assert (code, "access.invalid_client" in err) == (EXIT_NOT_LOGGED_IN, True), err
    code, schema, _ = run("schema", "suggest", str(crm))
    assert code == 0
    (desk.folder / "crm.yaml").write_text(schema)
    arguments = ("publish", str(crm), "--schema", str(desk.folder / "crm.yaml"), "--price", "120 RUB/cpm")
    code, out, err = run(*arguments, "--dry-run", "--json")
    assert code == 0, err
    assert json.loads(out)["rows"] == 1500
    code, out, err = run(*arguments, "--profile", "provider", "--json")
    assert code == 0, err
    made: dict[str, Any] = json.loads(out)
    assert made["listing"]["state"] == "draft"
    # Nothing in this file has bounds, so nothing can be added up.
    assert made["listing"]["content"]["terms"]["kinds"] == ["match_test", "overlap", "profile"]
    assert made["listing"]["content"]["plans"][0]["parts"][0]["price"] == {"minor": 12000, "currency": "RUB"}

    into = ("publish", str(crm), "--into", made["dataset"]["id"], "--profile", "provider", "--json")
    code, out, err = run(*into, "--dry-run")
    assert (code, json.loads(out)["rows"]) == (0, 1500), err
    code, out, err = run(*into)
    assert code == 0, err
    newer = json.loads(out)["dataset"]
    assert newer["id"] == made["dataset"]["id"]
    assert newer["version_id"] != made["dataset"]["version_id"]
    code, _, err = run("publish", str(crm), "--profile", "provider")
    assert (code, "--into" in err) == (EXIT_KNOWN_ERROR, True)

    on_the_market(desk, run, made["listing"]["id"])
    desk.market.bought()
    code, out, _ = run("listings", "Shoppers", "--profile", "advertiser")
    assert code == 0
    assert "plans: monthly" in out
    asked = ("Shoppers", str(base), "--on", "phone", "--profile", "advertiser")
    code, out, err = run("overlap", *asked, "--dry-run")
    assert (code, f"rows\t{KNOWN} of {KNOWN}" in out) == (0, True), err
    assert run("base", "list", "--profile", "advertiser")[1].count("\n") == 1
    code, out, err = run("estimate", *asked)
    assert code == 0, err
    assert "people (95%)" in out
    code, out, err = run("overlap", *asked, "--json")
    assert code == 0, err
    answer = json.loads(out)
    assert answer["figures"][0]["name"] == "overlap"
    code, out, _ = run("receipt", "verify", answer["receipt"], "--profile", "advertiser")
    assert code == 0
    assert "PROVEN released" in out
    # What is proven stands there, to be laid beside what was shown.
    assert f"overlap\t{answer['figures'][0]['value']:,} (".replace(",", "\u00a0") in out
    code, _, err = run(
        "result", answer["analysis_id"], "--out", str(desk.folder / "r.csv"), "--profile", "advertiser"
    )
    assert code == 0, err
    assert (desk.folder / "r.csv").read_text().startswith("name,value,low,high,suppressed\noverlap,")
    code, out, err = run("statements", "--profile", "advertiser")
    assert code == 0, err

    code, _, err = run("overlap", "nothing", str(base), "--on", "phone", "--profile", "advertiser", "--yes")
    assert code == EXIT_NOT_FOUND
    assert "[marketplace.unknown_listing]" in err


def on_the_market(desk: Desk, run: Run, listing: str) -> None:
    """From a draft to an entitlement and its end, each party by its own commands."""
    log_in(desk, run, "advertiser")
    log_in(desk, run, "operator", role="operator")
    own, buyer = ("--profile", "provider"), ("--profile", "advertiser")
    assert listing in run("listing", "list", *own)[1]
    code, out, _ = run("listing", "submit", listing, *own, "--dry-run")
    assert (code, out) == (0, f"WOULD MOVE {listing} to review\n")
    assert run("listing", "submit", listing, *own)[1] == f"REVIEW {listing}\n"
    code, _, err = run("listing", "live", listing, *own)
    assert code == 3
    assert "second person" in err
    assert listing in run("listing", "list", "--review", "--profile", "operator")[1]
    assert run("listing", "live", listing, "--profile", "operator")[1] == f"LIVE {listing}\n"
    code, out, err = run("request", "crm", "--kind", "overlap", "--size", "S", *buyer)
    assert code == 0, err
    request = re.search(r"PENDING (erq_\w+)", out)
    assert request is not None
    code, out, _ = run("requests", "list", *own)
    assert f"{request[1]}\tpending\tadvertiser\tadvertising\tS" in out
    assert run("requests", "approve", request[1], *own, "--dry-run")[1] == f"WOULD APPROVE {request[1]}\n"
    assert run("requests", "approve", f"erq_{'0' * 32}", *own, "--dry-run")[0] == EXIT_NOT_FOUND
    code, out, err = run("requests", "approve", request[1], *own)
    assert code == 0, err
    entitlement = out.split()[1]
    assert f"{entitlement}\tactive" in run("entitlements", "list", *buyer)[1]
    assert run("entitlements", "revoke", entitlement, "--reason", "a trial", *own)[0] == 0
    assert f"{entitlement}\trevoked" in run("entitlements", "list", *buyer)[1]
    assert run("listing", "retire", listing, *own)[1] == f"RETIRED {listing}\n"


def test_a_question_file_holds_numbers_and_flags(desk: Desk, run: Run) -> None:
    listing = desk.market.bought().listing_id
    log_in(desk, run, "advertiser")
    file = desk.folder / "question.yaml"
    file.write_text(
        "half_width: 400\nlabels: false\nper_key: false\n"
        'segments: {grown: {attribute: age, op: ">=", value: 30}}\n',
        encoding="utf-8",
    )
    asked = (listing, "--base", desk.world.stage.base_id, "--profile", "advertiser", "--question", str(file))
    code, out, err = run("overlap", *asked, "--json")
    assert code == 0, err
    assert {one["name"] for one in json.loads(out)["figures"]} == {
        "overlap",
        "segment:grown",
        "match_rate:base",
        "share:segment:grown",
    }
    for wrong, said in (("- a\n", "a mapping"), ("nonsense: 1\n", "nonsense"), ("a: [\n", "not YAML")):
        file.write_text(wrong, encoding="utf-8")
        code, _, err = run("estimate", *asked)
        assert (code, said in err) == (EXIT_KNOWN_ERROR, True), err
    file.write_bytes(b"purpose: \xff\n")
    code, _, err = run("estimate", *asked)
    assert (code, "UTF-8" in err) == (EXIT_KNOWN_ERROR, True), err


def test_a_refusal_shows_the_nearest_question_as_a_file_takes_it(desk: Desk, run: Run) -> None:
    listing = desk.market.bought(size="S").listing_id
    log_in(desk, run, "advertiser")
    asked = (listing, "--base", desk.world.stage.base_id, "--profile", "advertiser", "--yes")
    # One person is shown by no rule.
    code, out, err = run("overlap", *asked, "--question", str(wish(desk, "half_width: 1\n")))
    assert (code, out) == (EXIT_REFUSED, "")
    nearest = err.partition("NEAREST permitted, as --question takes it:\n")[2].rpartition("\n\n")[0]
    code, _, err = run("overlap", *asked, "--question", str(wish(desk, nearest)))
    assert code == 0, err

    code, out, _ = run("overlap", *asked, "--question", str(wish(desk, "half_width: 1\n")), "--json")
    told = json.loads(out)
    assert (code, told["code"]) == (EXIT_REFUSED, "client.privacy_budget_exceeded")
    assert told["reasons"]
    assert told["nearest"]["question"]["half_width"] > 1
    code, out, err = run("overlap", *asked, "--dry-run", "--question", str(wish(desk, "half_width: 1\n")))
    assert (code, err.count("NEAREST"), out.startswith("refused\t")) == (EXIT_REFUSED, 1, True)
    code, out, err = run("estimate", *asked[:-1], "--question", str(wish(desk, "half_width: 1\n")))
    assert (code, "NEAREST" in err, out.startswith("refused\t")) == (EXIT_REFUSED, True, True)
    code, out, err = run("estimate", *asked[:-1], "--question", str(wish(desk, "half_width: 1\n")), "--json")
    assert (code, json.loads(out)["outcome"], "NEAREST" in err) == (EXIT_REFUSED, "refused", False)


def wish(desk: Desk, text: str) -> Path:
    path = desk.folder / "wish.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_base_is_loaded_anew_and_changed(desk: Desk, run: Run) -> None:
    log_in(desk, run, "advertiser")
    schema, file = desk.folder / "base.yaml", desk.folder / "base.csv"
    schema.write_text(
        "person_id: {column: id}\nmatch_keys: {email: {column: email}}\nlawful_basis: consent\n",
        encoding="utf-8",
    )

    def load(*arguments: str, rows: list[str]) -> dict[str, Any]:
        file.write_text("\n".join(rows) + "\n", encoding="utf-8")
        code, out, err = run("base", *arguments, "--profile", "advertiser", "--json")
        assert code == 0, err
        made: dict[str, Any] = json.loads(out)
        return made

    def persons(base_id: str) -> int:
        room = desk.world.stage.room
        with room.db.reading() as tx:
            return room.datasets.current(tx, base_id).persons

    base = load(
        "upload", str(file), "--schema", str(schema), rows=["id,email", "1,a@example.org", "2,b@example.org"]
    )
    assert persons(base["id"]) == 2
    changes = [
        "id,email,_op",
        "2,,delete",
        "3,c@example.org,add",
        "1,z@example.org,replace",
        "4,d@example.org,add",
    ]
    checked = load("update", base["id"], str(file), "--delta", "--dry-run", rows=changes)
    assert (checked["rows"], persons(base["id"])) == (4, 2)
    changed = load("update", base["id"], str(file), "--delta", rows=changes)
    assert (changed["id"], persons(base["id"])) == (base["id"], 3)
    assert changed["version_id"] != base["version_id"]
    load("update", base["id"], str(file), rows=["id,email", "9,e@example.org"])
    assert persons(base["id"]) == 1


def test_a_month_is_told_in_money(desk: Desk, run: Run) -> None:
    desk.market.bought()
    log_in(desk, run, "advertiser")
    month = f"{desk.world.stage.clock.now():%Y-%m}"
    code, out, err = run("statements", "--profile", "advertiser")
    assert (code, out) == (0, f"{month}\tnot over yet\n"), err
    code, out, err = run("statements", month, "--profile", "advertiser")
    assert code == 0, err
    assert re.search(r"^TOTAL with tax\tRUB\u00a0[0-9,]+\.[0-9]{2}$", out, re.MULTILINE)
    assert "preliminary" in out
    assert run("statements", "2026-13")[0] == 3
    code, _, err = run("result", "an_x", "--profile", "advertiser")
    assert code == EXIT_NOT_FOUND
    assert "/v1/analyses/an_x" in err


def test_phones_without_a_country_are_pointed_out(tmp_path: Path, run: Run) -> None:
    path = tmp_path / "base.csv"
    path.write_text(
        "Телефон\n" + "\n".join(f"{'8' if n % 5 else '+7'} 916 {n:03} 00 00" for n in range(100)),
        encoding="cp1251",
    )
    arguments = ("base", "upload", str(path), "--on", "phone=Телефон", "--dry-run")
    assert "--region RU" in run(*arguments)[1]
    code, out, err = run(*arguments, "--region", "RU")
    assert code == 0, err
    assert "rows\t100 of 100" in out
    assert "--region" not in out
    code, _, err = run("base", "upload", str(path), "--on", "phone", "--dry-run")
    assert code == 3
    assert "--on phone=Mobile" in err


def test_exit_codes_tell_what_to_do(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLEANROOM_CONFIG_DIR", str(tmp_path))
    monkeypatch.setattr("cleanroom.client.remote.drivers.ATTEMPTS", 1)
    assert run("listings")[0] == EXIT_NOT_LOGGED_IN
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    monkeypatch.setenv("CLEANROOM_URL", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("CLEANROOM_CLIENT_ID", "cl_1")
    monkeypatch.setenv("CLEANROOM_CLIENT_SECRET", "not shown")
    code, _, err = run("listings")
    assert code == EXIT_TRY_LATER
    assert "not shown" not in err
    assert run("base", "upload", str(tmp_path))[0] == 2


def test_a_persons_request_is_answered_from_a_shell(desk: Desk, run: Run, tmp_path: Path) -> None:
    log_in(desk, run, "provider", role="officer")
    dataset = desk.world.stage.dataset_id
    one = tmp_path / "one.txt"
    one.write_text("P4@example.org\n")
    calls = ("--profile", "provider", "--json")
    code, out, err = run("consent", "lookup", dataset, str(one), "--reference", "C-1", *calls)
    assert code == 0, err
    (before,) = json.loads(out)
    assert before["versions"][0]["persons"][0]["consents"][0]["counted"] is True
    code, out, _ = run("consent", "suppress", str(one), "--dry-run")
    assert (code, out) == (0, "WOULD SEND 1 people, hashed as room, uid2, google, meta, tiktok\n")
    code, out, err = run("consent", "suppress", str(one), "--reason", "objection", *calls)
    assert code == 0, err
    (taken,) = json.loads(out)
    assert taken["datasets"] == [
        {
            "dataset_id": dataset,
            "epoch": 1,
            "applied": ["email/room"],
            "not_applied": ["email/uid2", "email/google", "email/meta", "email/tiktok"],
        }
    ]
    code, out, err = run("consent", "lookup", dataset, str(one), *calls)
    (after,) = json.loads(out)
    assert after["versions"][0]["persons"][0]["consents"][0]["counted"] is False
    assert after["entries"][0]["opt_out_id"] == taken["id"]
    code, out, err = run("consent", "propagation", taken["id"], "--profile", "provider")
    assert code == 0, err
    assert "against it: 0" in out
    file = tmp_path / "person.json"
    code, _, err = run("consent", "export", dataset, str(one), "-o", str(file), "--profile", "provider")
    assert code == 0, err
    assert json.loads(file.read_text())["held"][0]["data"][0]["sex"] == "F"
    assert file.stat().st_mode & 0o077 == 0
    code, out, _ = run("consent", "suppress", str(one), "--lift", "--profile", "provider")
    assert (code, "ACCEPTED" in out) == (0, True)
    one.write_text("a@example.org\nb@example.org\n")
    code, _, err = run("consent", "lookup", dataset, str(one), "--profile", "provider")
    assert (code, "one person" in err) == (EXIT_KNOWN_ERROR, True)
    code, _, err = run("consent", "propagation", "--dataset", dataset, "--profile", "provider")
    assert code == EXIT_KNOWN_ERROR
