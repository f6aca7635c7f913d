"""The advertiser, and the agency that acts for it: from the catalogue to a checked bill. It works with the SDK."""

import base64
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl

from cleanroom import Client
from cleanroom.client import Recipient, Signer, prepare, verify_receipt
from cleanroom.client.remote.problems import Refused
from cleanroom.schema.codec import schema_from_dict
from crypto.keys import generate_signing_key, public_key
from tests.api.journey.talk import PURPOSE, TITLE, Plain, cleanroom, hear, say, until
from tests.rooms import phone

FOLDER = Path(os.environ["FOLDER"])
SCHEMA = {
    "match_keys": {"email": {"column": "email"}, "phone": {"column": "phone", "default_region": "RU"}},
    "label": {"column": "status", "values": ["vip", "active", "lapsed"]},
    "lawful_basis": "consent",
}


def main() -> None:
    url = os.environ["ROOM_URL"]
    cleanroom("login", url, "--client-id", os.environ["KEY_CLIENT"], "--key", os.environ["KEY_FILE"])
    acting = ("--advertiser", os.environ["ADVERTISER"], "--profile", "agency")
    credential = ("--client-id", os.environ["AGENCY_CLIENT"], "--key", os.environ["AGENCY_KEY"])
    cleanroom("login", url, *credential, *acting)
    with Client(progress=False) as room, Client(profile="agency", progress=False) as agency:
        journey(room, agency)


def journey(room: Client, agency: Client) -> None:
    # The catalogue shows the offer once it is live.
    [offer] = until(lambda: room.listings("Покупатели", attribute="age"))
    say("found", provider=offer["provider"]["name"], plan=offer["content"]["plans"][0])
    entitled(room)
    base = uploaded_base()

    # A quote before anything is asked: 1,000 people cost 1,500 RUB, and each question 50 RUB.
    estimate = room.overlap(TITLE, base=base, purpose=PURPOSE, sizes=[1000])
    quote = estimate.answer["quote"]
    say(
        "estimated",
        prices=quote["prices"],
        maximum=quote["maximum"]["minor"],
        at_most=quote["people_at_most"],
    )

    # The worker that counts this is killed; another one takes over.
    hear("ask")
    result = estimate.run()
    seen: list[float] = []
    say("asked", analysis=result.analysis_id)

    def shown() -> bool:
        [own] = [one for one in room.analyses() if one["id"] == result.analysis_id]
        seen.append(own["progress"])
        return bool(own["state"] == "released")

    until(shown)
    result.wait()
    overlap = result.figure("overlap")
    labels = {one.name: one.value for one in result.figures if one.name.startswith("label:")}
    say("answered", overlap=overlap.value, low=overlap.low, high=overlap.high, progress=seen, labels=labels)

    # The same question again: the stored answer, for nothing.
    left = budget(room)
    again = room.overlap(TITLE, base=base, purpose=PURPOSE).run().wait()
    assert again.answer["outcome"] == "stored"
    assert again.figure("overlap") == overlap
    assert budget(room) == left
    # People whom the provider does not know: withheld. That costs privacy budget, as it was counted, and no money.
    strangers = pl.DataFrame({"phone": [phone(number) for number in range(2_000_000, 2_001_500)]})
    withheld = room.overlap(TITLE, strangers, on="phone", purpose=PURPOSE).run().wait()
    assert withheld.figure("overlap").suppressed
    say(
        "withheld",
        cost=left - budget(room),
        usage=[(one["outcome"], one["amount"]["minor"]) for one in usage(room)],
    )

    # The agency asks for the advertiser that it names, about the advertiser's base, under an entitlement of its own.
    late = room.match_test(TITLE, base=base, purpose=PURPOSE)
    assert late.permitted
    entitled(agency)
    through = agency.overlap(TITLE, base=base, purpose=PURPOSE).run().wait()
    say("through", overlap=through.figure("overlap").value, agency=agency.me()["organisation"]["name"])

    # The contract ends: the advertiser's very next question is refused, though its estimate was made before.
    hear("ended")
    say("refused", **refused(late))

    hear("books")
    books([result, withheld, through])


def entitled(buyer: Client) -> None:
    """Ask for an entitlement, and wait until the provider has decided."""
    asked = buyer.request(TITLE, plan="list", purposes=[PURPOSE], size="M", days=90, note="autumn")
    assert asked["state"] == "pending"
    until(lambda: [one for one in buyer.entitlements() if one["request_id"] == asked["id"]])


def uploaded_base() -> str:
    """Send a base with labels in two attempts: the first one is killed in the middle."""
    plain = Plain(os.environ["SECRET_CLIENT"], os.environ["SECRET"])
    table = plain.post("/v1/bases", {"name": "customers", "schema": SCHEMA})
    seed = generate_signing_key()
    key = plain.post("/v1/keys", {"public_key": base64.b64encode(public_key(seed)).decode()})
    package = prepare(
        FOLDER / "base.csv",
        schema=schema_from_dict(table["schema"]),
        recipient=Recipient(table["workspace_id"], table["id"], table["recipient"]),
        signer=Signer(key["id"], seed),
        out_dir=FOLDER,
    )
    files = (str(package.package_path), str(package.manifest_path))
    half = package.package_path.stat().st_size // 2
    command = [sys.executable, "-m", "tests.api.journey.upload", *files]
    with subprocess.Popen([*command, str(half)], stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None
        hung = [json.loads(first.stdout.readline()) for _ in range(2)][-1]
        assert hung["step"] == "hanging"
        os.kill(first.pid, signal.SIGKILL)
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    sending, sent = (json.loads(line) for line in done.stdout.splitlines())
    state = until(lambda: _ended(plain.get(sent["location"])))
    report = plain.get(f"/v1/bases/{table['id']}/versions/{state['version_id']}/report")
    say(
        "uploaded",
        killed_at=hung["at"],
        resumed_at=sending["offset"],
        bytes=sending["of"],
        state=state["state"],
        version=state["version_id"],
        manifest=json.loads(package.manifest_path.read_bytes()),
        persons=report["persons"],
    )
    return str(table["id"])


def _ended(state: dict[str, Any]) -> dict[str, Any] | None:
    return None if state["state"] in ("receiving", "received", "ingesting") else state


def budget(room: Client) -> int:
    """What is left of the advertiser's own grant, in micro-rho."""
    [own] = [one for one in room.budgets() if one.get("agency_id") is None]
    return int(own["left_micro"])


def usage(room: Client) -> list[dict[str, Any]]:
    return room.usage(os.environ["MONTH"])


def refused(late: Any) -> dict[str, Any]:
    try:
        late.run().wait()
    except Refused as error:
        return {"error": type(error).__name__, "rules": [one["rule"] for one in error.reasons]}
    raise AssertionError("It was answered.")


def books(results: list[Any]) -> None:
    """Work the bill out from receipts alone, when the month is over, and read what the room says."""
    verifier_key, month = os.environ["VERIFIER_KEY"], os.environ["MONTH"]
    charged = []
    for result in results:
        proven = verify_receipt(result.receipt.path.read_bytes(), verifier_key=verifier_key)
        people = {one["name"]: one["value"] for one in proven.record["body"]["figures"]}["overlap"]
        charged.append(0 if people is None else people * 150_000 // 1_000 + 5_000)
    # A month has passed, and the token with it.
    plain = Plain(os.environ["SECRET_CLIENT"], os.environ["SECRET"])
    for form in ("csv", "xlsx", "pdf"):
        plain.file(f"/v1/statements/{month}.{form}", FOLDER / f"statement.{form}")
    records = [json.loads(one["record"]) for one in plain.get("/v1/events?limit=200")["items"]]
    first = results[0].analysis_id
    say(
        "books",
        charged=charged,
        statement=plain.get(f"/v1/statements/{month}"),
        usage=plain.get(f"/v1/usage?month={month}")["items"],
        first=[one["kind"] for one in records if one["subject"] == first],
    )


if __name__ == "__main__":
    main()
