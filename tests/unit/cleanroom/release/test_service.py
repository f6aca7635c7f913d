"""Release and refusal are all or nothing, and their records say what the receipt will prove."""

import json
from datetime import UTC, datetime

import pytest
from sqlalchemy import select

from cleanroom.audit.models import AuditEvent
from cleanroom.client.receipts import verify_receipt
from cleanroom.release import gate
from cleanroom.release.answers import Asked
from cleanroom.release.gate import plan_mechanism
from cleanroom.release.models import StoredAnswer
from cleanroom.release.public import enter_public, find_public, is_charged, make_public
from cleanroom.release.receipts import Receipts
from cleanroom.release.service import ReleaseService, Ticket, named
from cleanroom.release.types import Cell, ReleasedFigure
from policies.codec import load_preset
from policies.combine import combine, limits_of
from policies.decision import Reason

AT = datetime(2026, 11, 22, 12, tzinfo=UTC)
TICKET = Ticket(
    analysis_id="an_1",
    organisation_id="org_1",
    asked=Asked("gr_1", "dv_1", "pol_1", "advertising", bytes(32), {"v": 1}),
    epoch=0,
    mechanism=plan_mechanism(l0=1, rho_micro=500, minimum_audience=100, round_to=1),
    names={"overlap": ("overlap",), "segment:0": ("segment:b", "segment:a")},
    facts={"v": 1, "purpose": "advertising"},
)
CELLS = [Cell("overlap", 5_000, None), Cell("segment:0", 0, "overlap")]
LIMITS = limits_of(combine([load_preset("standard", purposes=["advertising"])]))


class Ledger:
    """Notes what was settled; the real ledger has tests of its own."""

    def __init__(self) -> None:
        self.settled: list[str] = []

    def settle(self, _tx, analysis_id: str) -> None:
        self.settled.append(analysis_id)


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    """Noise that is known: seven people."""
    monkeypatch.setattr(gate, "add_noise", lambda counts, sigma: [count + 7 for count in counts])


def events(db):
    with db.reading() as tx:
        records = tx.session.scalars(select(AuditEvent.record).order_by(AuditEvent.index))
        return [json.loads(record) for record in records]


def test_a_release_settles_stores_and_records_under_the_askers_names(db):
    ledger = Ledger()
    with db.transaction() as tx:
        found = ReleaseService(ledger).release(tx, TICKET, CELLS, epoch=2, at=AT)

    assert ledger.settled == ["an_1"]
    assert [figure.value for figure in found.figures] == [5_007, None]
    assert (found.epoch, found.released_at) == (2, AT)
    with db.reading() as tx:
        assert tx.session.scalars(select(StoredAnswer.consent_epoch)).all() == [2]
    (event,) = events(db)
    assert (event["kind"], event["subject"], event["organisation"]) == ("release.released", "an_1", "org_1")
    body = event["body"]
    assert body["outcome"] == "released"
    assert body["released_at"] == "2026-11-22T12:00:00.000000Z"
    assert (body["v"], body["purpose"], body["consent_epoch"]) == (1, "advertising", 2)
    assert body["mechanism"]["l0"] == 1
    assert [(item["name"], item["value"]) for item in body["figures"]] == [
        ("overlap", 5_007),
        ("segment:b", None),
        ("segment:a", None),
    ]


def test_a_release_that_fails_leaves_neither_answer_nor_record(db):
    class Unpaid(Ledger):
        def settle(self, _tx, analysis_id):
            raise LookupError

    with pytest.raises(LookupError), db.transaction() as tx:
        ReleaseService(Unpaid()).release(tx, TICKET, CELLS, epoch=0, at=AT)

    assert events(db) == []
    with db.reading() as tx:
        assert tx.session.scalars(select(StoredAnswer)).all() == []


def test_a_refusal_records_reasons_and_what_is_missing(db):
    reason = Reason("base_floor", "A base needs at least 1000 persons.", 1000, 15, {"base_persons": 1000})
    with db.transaction() as tx:
        ReleaseService(Ledger()).refuse(
            tx,
            analysis_id="an_2",
            organisation_id="org_1",
            facts={"v": 1},
            reasons=[reason],
            missing=["policy"],
            at=AT,
        )

    (event,) = events(db)
    assert event["kind"] == "release.refused"
    assert event["body"] == {
        "v": 1,
        "outcome": "refused",
        "refused_at": "2026-11-22T12:00:00.000000Z",
        "reasons": [
            {
                "rule": "base_floor",
                "message": "A base needs at least 1000 persons.",
                "limit": 1000,
                "asked": 15,
                "nearest": {"base_persons": 1000},
            }
        ],
        "missing": ["policy"],
    }


def test_figures_take_the_askers_names_in_the_askers_order():
    figures = (
        ReleasedFigure("segment:0", 5, False, 1.0, (0, 9)),
        ReleasedFigure("overlap", 9, False, 1.0, (5, 13)),
    )

    renamed = named(figures, TICKET.names)

    assert [(figure.name, figure.value) for figure in renamed] == [
        ("overlap", 9),
        ("segment:b", 5),
        ("segment:a", 5),
    ]


def test_a_receipt_of_a_release_or_refusal_verifies_and_holds_the_newest_checkpoint(db, log, tmp_path):
    service = ReleaseService(Ledger())
    with db.transaction() as tx:
        service.release(tx, TICKET, CELLS, epoch=0, at=AT)
    with db.transaction() as tx:
        tx.audit("test.something_else", subject_id="an_1")
    receipts = Receipts(log, tmp_path / "receipts")

    with db.transaction() as tx:
        path = receipts.issue(tx, "an_1")

    proven = verify_receipt(path.read_bytes(), verifier_key=log.verifier_key)
    assert (proven.index, proven.size) == (0, 2)
    assert proven.record["body"]["outcome"] == "released"
    assert path.name == "an_1.json"
    # Nobody else's business, and nothing half-written beside it.
    assert path.stat().st_mode & 0o077 == path.parent.stat().st_mode & 0o077 == 0
    assert list(path.parent.iterdir()) == [path]


def test_a_public_figure_is_made_once_and_then_given_to_everyone(db, monkeypatch):
    paid = {"version_id": "dv_1", "purpose": "advertising"}

    def make(persons):
        with db.transaction() as tx:
            return make_public(tx, **paid, persons=persons, limits=LIMITS, at=AT)

    with db.transaction() as tx:
        assert find_public(tx, "dv_1", "advertising") is None
        assert not is_charged(tx, "dv_1", "advertising")
        enter_public(tx, **paid, rho_micro=500, at=AT)
    with db.reading() as tx:
        # Paid for, and not made: a crash came between.
        assert is_charged(tx, "dv_1", "advertising")
        assert find_public(tx, "dv_1", "advertising") is None
    figure = make(5_000)

    assert (figure.name, figure.value) == ("dataset", 5_007)
    # Another process was faster: its figure counts, whatever was counted since.
    assert make(9_000) == figure
    with db.reading() as tx:
        assert find_public(tx, "dv_1", "advertising") == figure
        assert find_public(tx, "dv_1", "research") is None
    (event,) = events(db)
    assert (event["kind"], event["subject"]) == ("release.public", "dv_1")
    assert event["body"]["mechanism"]["l0"] == 1
    assert event["body"]["figures"][0]["value"] == 5_007
