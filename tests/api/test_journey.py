"""The whole journey over real HTTP: two sides in processes of their own, a server, and workers that come and go.

What each side does stands in `tests/api/journey/provider.py` and `advertiser.py`. This module starts the room and both
of them, kills what is to be killed, and checks what they say they saw.
"""

import base64
import re
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from advertiser_api.v1.uploads import PIECE_BYTES
from crypto import merkle
from crypto.checkpoint import open_note
from tests.api.journey.books import CPM, FLAT, QUESTION, VAT_BP, check_statements
from tests.api.journey.scene import Scene, held_up, killed_while_it_counts
from tests.rooms import BASE_HEADER, DATASET_HEADER, KNOWN, PEOPLE, clients, people

# So many that the package has more than the piece of a mebibyte that the room counts at the least.
STRANGERS = 40_000
# Nine of ten people have consented; five standard errors of the figure are a chance of one in a million.
EXPECTED = KNOWN * 9 // 10


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with ExitStack() as stack:
        now = datetime.now(UTC)
        # Where a month might end meanwhile, the room's days go by another zone.
        zone = "Asia/Tokyo" if now.hour in (23, 0) else "UTC"
        yield Scene(tmp_path, "", zone, stack)


def bootstrap(scene: Scene) -> None:
    """Make the room and its parties headlessly, as an operator does."""
    for number, kind in enumerate(("operator", "provider", "advertiser", "agency")):
        folder = scene.folder / kind
        folder.mkdir()
        organisation = scene.command(
            "org", "add", f"The {kind}", "--kind", kind, *(("--init",) if not number else ())
        )
        scene.given[kind] = {"id": organisation["id"]}
        if kind == "operator":
            continue
        scene.command("org", "verify", organisation["id"], "--note", "register extract")
        key = folder / "client.jwk"
        registered = scene.command(
            "client", "add", "key", "--org", organisation["id"], "--role", "owner", "--generate-key", str(key)
        )
        scene.given[kind] |= {"client": registered["id"], "key": str(key)}
    scene.command(
        "user", "invite", "anna@example.org", "--org", scene.given["provider"]["id"], "--role", "owner"
    )
    agency, advertiser = scene.given["agency"]["id"], scene.given["advertiser"]["id"]
    scene.command("mandate", "grant", "--agency", agency, "--advertiser", advertiser, "--deny", "upload")


def secret_client(scene: Scene, kind: str, name: str, role: str) -> tuple[str, str]:
    made = scene.command("client", "add", name, "--org", scene.given[kind]["id"], "--role", role)
    return made["id"], made["secret"]


def travel(scene: Scene) -> None:
    bootstrap(scene)
    (scene.folder / "provider" / "crm.csv").write_text("\n".join((DATASET_HEADER, *people())) + "\n")
    (scene.folder / "advertiser" / "base.csv").write_text(
        "\n".join((BASE_HEADER, *clients(KNOWN, STRANGERS))) + "\n"
    )
    verifier_key = (scene.home / "keys" / "verifier.key").read_text().strip()
    parties = scene.given
    chief, reviewer = (secret_client(scene, "provider", name, "owner") for name in ("chief", "reviewer"))
    plain = secret_client(scene, "advertiser", "plain", "owner")
    month = f"{datetime.now(ZoneInfo(scene.zone)):%Y-%m}"
    scene.serve()
    worker = scene.worker()
    provider = scene.side(
        "provider",
        KEY_CLIENT=parties["provider"]["client"],
        KEY_FILE=parties["provider"]["key"],
        SECRET_CLIENT=chief[0],
        SECRET=chief[1],
        REVIEW_CLIENT=reviewer[0],
        REVIEW_SECRET=reviewer[1],
        MONTH=month,
    )
    advertiser = scene.side(
        "advertiser",
        KEY_CLIENT=parties["advertiser"]["client"],
        KEY_FILE=parties["advertiser"]["key"],
        SECRET_CLIENT=plain[0],
        SECRET=plain[1],
        AGENCY_CLIENT=parties["agency"]["client"],
        AGENCY_KEY=parties["agency"]["key"],
        ADVERTISER=parties["advertiser"]["id"],
        VERIFIER_KEY=verifier_key,
        MONTH=month,
    )

    live = provider.hear("live")
    assert (live["state"], live["preset"]) == ("live", "standard")
    assert (live["rows"], live["persons"], live["rejected"]) == (PEOPLE, PEOPLE, {})
    assert (live["consent"]["granted"], live["consent"]["withdrawn"]) == (PEOPLE * 9 // 10, PEOPLE // 10)
    found = advertiser.hear("found")
    assert (found["provider"], found["plan"]["vat_bp"]) == ("The provider", VAT_BP)
    assert {one["type"]: one["price"]["minor"] for one in found["plan"]["parts"]} == {
        "cpm": CPM,
        "question": QUESTION,
        "flat": FLAT,
    }
    # Of the standard preset's budget, 1 rho for everyone and a tenth of that for each advertiser, M takes a fifth.
    approved = {"buyer": "The advertiser", "agency": None, "left": {"total": 930_000, "advertiser": 75_000}}
    assert provider.hear("approved") == approved

    uploaded = advertiser.hear("uploaded")
    manifest = uploaded["manifest"]["manifest"]
    # All that had reached the room but its last buffer counts; the rest was sent once.
    assert PIECE_BYTES <= uploaded["resumed_at"] <= uploaded["killed_at"] < uploaded["bytes"]
    assert uploaded["bytes"] == manifest["ciphertext_bytes"]
    assert (uploaded["state"], uploaded["persons"]) == ("published", KNOWN + STRANGERS)

    estimated = advertiser.hear("estimated")
    assert estimated["prices"] == [{"size": 1000, "amount": {"minor": CPM + QUESTION, "currency": "RUB"}}]
    # No figure is charged for more people than the base has.
    assert estimated["at_most"] == KNOWN + STRANGERS
    assert estimated["maximum"] == CPM * (KNOWN + STRANGERS) // 1000 + QUESTION

    held_up(scene, worker)
    advertiser.say("ask")
    asked = advertiser.hear("asked")
    killed_while_it_counts(scene, worker, asked["analysis"])
    scene.worker()
    answered = advertiser.hear("answered")
    sigma = (answered["high"] - answered["low"]) / 2 / 1.96
    assert abs(answered["overlap"] - EXPECTED) < 5 * sigma
    assert answered["progress"] == sorted(answered["progress"])
    assert answered["progress"][0] < 1 == answered["progress"][-1]
    assert answered["labels"].keys() == {"label:vip", "label:active", "label:lapsed"}
    first_charge = answered["overlap"] * CPM // 1000 + QUESTION
    withheld = advertiser.hear("withheld")
    assert withheld["cost"] > 0
    assert withheld["usage"] == [["released", first_charge], ["suppressed", 0]]

    approved = {"total": 910_000, "advertiser": 55_000, "agency": 265_000}
    assert provider.hear("approved") == {"buyer": "The advertiser", "agency": "The agency", "left": approved}
    through = advertiser.hear("through")
    assert through["agency"] == "The agency"
    provider.say("revoke")
    assert provider.hear("revoked")["state"] == "revoked"
    advertiser.say("ended")
    refused = advertiser.hear("refused")
    assert refused["error"] == "Refused"
    assert "grant_term" in refused["rules"]

    scene.a_month_later()
    for side in (advertiser, provider):
        side.say("books")
    bought, earned = advertiser.hear("books"), provider.hear("books")
    for side in (advertiser, provider):
        assert side.process.wait(120) == 0
    # One release and one charge, though two workers were at it.
    assert bought["first"].count("release.released") == 1
    of_first = [one for one in bought["usage"] if one["analysis_id"] == asked["analysis"]]
    assert [one["amount"]["minor"] for one in of_first] == [first_charge]
    through_charge = through["overlap"] * CPM // 1000 + QUESTION
    assert bought["charged"] == [first_charge, 0, through_charge]
    check_statements(scene.folder, scene.zone, month, bought, earned)

    assert earned["owners"] == [parties["provider"]["id"]]
    assert earned["kinds"].count("ingestion.published") == 1
    for proof in earned["proofs"]:
        head = open_note(proof["checkpoint"], verifier_key)
        nodes = [base64.b64decode(node) for node in proof["proof"]]
        merkle.verify_inclusion(
            merkle.leaf_hash(proof["record"].encode()), proof["index"], proof["size"], nodes, head.root
        )
    # At last the whole log, every sealed file and all budgets are worked out again.
    assert re.match(rf"INTACT {head.size} events, ", scene.run("audit", "verify"))


@pytest.mark.parametrize("database", ["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def test_the_whole_journey(scene: Scene, database: str, request: pytest.FixtureRequest) -> None:
    inside = f"sqlite:///{scene.home / 'room.sqlite3'}"
    scene.database_url = inside if database == "sqlite" else request.getfixturevalue("postgresql_url")
    travel(scene)
