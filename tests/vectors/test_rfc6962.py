"""The 518 published proof cases: 36 must verify, 482 must be refused."""

import base64
import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from crypto import merkle

VECTORS = Path(__file__).parents[3] / "shared" / "data" / "vectors" / "rfc6962_proof_vectors.json.gz"


def read(text: str | None) -> bytes:
    return base64.b64decode(text) if text else b""


def inclusion(case: dict[str, Any], proof: list[bytes]) -> None:
    merkle.verify_inclusion(
        read(case["leafHash"]), case["leafIdx"], case["treeSize"], proof, read(case["root"])
    )


def consistency(case: dict[str, Any], proof: list[bytes]) -> None:
    merkle.verify_consistency(case["size1"], read(case["root1"]), case["size2"], read(case["root2"]), proof)


def subtree_inclusion(case: dict[str, Any], proof: list[bytes]) -> None:
    leaf, root = read(case["leafHash"]), read(case["root"])
    merkle.verify_subtree_inclusion(leaf, case["leafIdx"], case["start"], case["end"], proof, root)


def subtree_consistency(case: dict[str, Any], proof: list[bytes]) -> None:
    old, root = read(case["root1"]), read(case["root2"])
    merkle.verify_subtree_consistency(case["start"], case["end"], old, case["size"], root, proof)


CHECKS: dict[str, Callable[[dict[str, Any], list[bytes]], None]] = {
    "inclusion": inclusion,
    "consistency": consistency,
    "subtreeinclusion": subtree_inclusion,
    "subtreeconsistency": subtree_consistency,
}


def accepted(group: str, case: dict[str, Any]) -> bool:
    try:
        CHECKS[group](case, [read(item) for item in case["proof"] or []])
    except merkle.ProofError:
        return False
    return True


def test_every_published_proof_case_is_judged_as_published() -> None:
    if not VECTORS.exists() and os.environ.get("CI") != "true":
        pytest.skip("the RFC 6962 vectors are not beside this checkout; they are required when CI=true")
    with gzip.open(VECTORS) as file:
        cases = json.load(file)
    verdicts = {name: accepted(name.split("/")[1], case) for name, case in cases.items()}
    assert len(verdicts) == 518
    assert sum(verdicts.values()) == 36
    assert [name for name, case in cases.items() if verdicts[name] == case["wantErr"]] == []
