"""Reports as the red team writes them, without the minutes that its attacks take."""

import json
from typing import Any

from cleanroom.rules.types import policy_sha256
from policies.codec import policy_to_data
from policies.model import PolicyDocument


def report(document: PolicyDocument, **changed: Any) -> bytes:
    grade = changed.get("grade", "resists")
    attack = {
        "name": "padding",
        "metric": "advantage",
        "value": 0.1,
        "interval95": [0.08, 0.12],
        "limit": 0.17,
        "verdict": grade,
    }
    data = {
        "v": 1,
        "grade": grade,
        "conclusive": True,
        "plant": None,
        "policy": {"sha256": policy_sha256(document), "document": policy_to_data(document)},
        "attacks": [attack],
    }
    return json.dumps(data | changed).encode()
