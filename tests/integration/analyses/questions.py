"""What the tests of questions share: a rich question, and short ways to its record and its receipt."""

from cleanroom.analyses.models import AnalysisRow
from cleanroom.analyses.types import Answer
from cleanroom.client.receipts import VerifiedReceipt, verify_receipt
from tests.rooms import KNOWN, Stage

# Every tenth of the known persons has withdrawn.
OVERLAP = KNOWN * 9 // 10
YOUNG = {"attribute": "age", "op": "<", "value": 30}
RICH = {
    "kind": "profile",
    "segments": {"young": YOUNG, "sporty": {"attribute": "likes", "op": "has_any", "value": ["sport"]}},
    "breakdowns": [["sex", "age"]],
    "labels": True,
    "per_key": True,
    "affinity": True,
    "precision": "fine",
}


def receipt_of(stage: Stage, answer: Answer) -> VerifiedReceipt:
    return verify_receipt(answer.receipt.read_bytes(), verifier_key=stage.room.audit.verifier_key)


def status_of(stage: Stage, analysis_id: str) -> str:
    with stage.room.db.reading() as tx:
        return tx.session.get_one(AnalysisRow, analysis_id).status
