"""The provider: from a file of its own to earnings. It works with the command line, and HTTP where that ends."""

import contextlib
import io
import json
import os
from pathlib import Path
from typing import Any

from cleanroom.cli.main import main as command
from tests.api.journey.talk import PURPOSE, TITLE, Plain, cleanroom, hear, say, until

REQUESTS = 2


def main() -> None:
    folder = Path(os.environ["FOLDER"])
    login = ("--client-id", os.environ["KEY_CLIENT"], "--key", os.environ["KEY_FILE"])
    me = cleanroom("login", os.environ["ROOM_URL"], *login)
    assert me["organisation"]["kind"] == "provider"

    # The schema is proposed here, looked over, and the file is hashed and encrypted before anything is sent.
    crm = folder / "crm.csv"
    (folder / "crm.yaml").write_text(_suggested(crm))
    prices = ("--price", "1500 RUB/cpm", "--price", "50 RUB/question", "--price", "10000 RUB/month")
    described = ("--schema", str(folder / "crm.yaml"), "--title", TITLE, "--title-ru", "Покупатели")
    made = cleanroom("publish", str(crm), *described, "--preset", "standard", *prices)
    dataset, listing = made["dataset"]["id"], made["listing"]

    # What the room found in the file, for its owner alone; and the rule in force.
    chief = Plain(os.environ["SECRET_CLIENT"], os.environ["SECRET"])
    version = made["dataset"]["version_id"]
    report = chief.get(f"/v1/datasets/{dataset}/versions/{version}/report")
    policy = chief.get(f"/v1/datasets/{dataset}/policy")

    # A tax rate joins the plan; then one person sends the listing to review, and another lets it go live.
    content = listing["content"]
    content["plans"][0]["vat_bp"] = 2000
    chief.post(f"/v1/listings/{listing['id']}/versions", {"content": content})
    chief.post(f"/v1/listings/{listing['id']}/state", {"to": "review"})
    reviewer = Plain(os.environ["REVIEW_CLIENT"], os.environ["REVIEW_SECRET"])
    live = reviewer.post(f"/v1/listings/{listing['id']}/state", {"to": "live"})
    say(
        "live",
        state=live["state"],
        rows=report["rows"],
        persons=report["persons"],
        rejected=report["rejected"],
        consent=report["consent"][PURPOSE],
        preset=policy["preset"],
    )

    given: list[dict[str, Any]] = []
    while len(given) < REQUESTS:
        [request, *_] = until(lambda: chief.get("/v1/entitlement-requests?state=pending")["items"])
        impact = chief.get(f"/v1/entitlement-requests/{request['id']}")["impact"]
        given.append(chief.post(f"/v1/entitlement-requests/{request['id']}/approve"))
        agency = given[-1]["agency"]
        say(
            "approved",
            buyer=request["advertiser"]["name"],
            agency=agency and agency["name"],
            left={one["kind"]: one["left_after_micro"] for one in impact["accounts"]},
        )

    hear("revoke")
    own = next(one for one in given if one["agency"] is None)
    ended = chief.post(f"/v1/entitlements/{own['id']}/revoke", {"reason": "the contract ended"})
    say("revoked", state=ended["state"])

    hear("books")
    # A month has passed, and the token with it.
    chief = Plain(os.environ["SECRET_CLIENT"], os.environ["SECRET"])
    month = os.environ["MONTH"]
    for form in ("csv", "xlsx", "pdf"):
        chief.file(f"/v1/statements/{month}.{form}", folder / f"statement.{form}")
    events = chief.get("/v1/events?limit=200")["items"]
    proofs = [chief.get(f"/v1/events/{one['index']}/proof") for one in (events[0], events[-1])]
    say(
        "books",
        statement=chief.get(f"/v1/statements/{month}"),
        kinds=[json.loads(one["record"])["kind"] for one in events],
        owners=sorted({json.loads(one["record"])["organisation"] for one in events}),
        proofs=proofs,
    )


def _suggested(crm: Path) -> str:
    """Take the schema that is proposed for a file; a real one is read by a person."""
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown), contextlib.suppress(SystemExit):
        command(["schema", "suggest", str(crm)])
    return shown.getvalue()


if __name__ == "__main__":
    main()
