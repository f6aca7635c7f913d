"""What every receipt says about its question: who, what of which data, under which rule."""

from typing import Any

from cleanroom.analyses.facts import Facts


def receipt_facts(facts: Facts) -> dict[str, Any]:
    """Lay out the facts of a question for its receipt; all of them ids, versions and hashes over ciphertext."""
    version, base = facts.version, facts.base_version
    return {
        "v": 1,
        "kind": facts.question.kind,
        "purpose": facts.question.purpose,
        "advertiser_id": facts.grant.advertiser_id,
        "agency_id": facts.grant.agency_id,
        "grant_id": facts.grant.id,
        "dataset_id": facts.dataset.id,
        "dataset_version_id": version.id if version else None,
        "dataset_files_root": version.files_root if version else None,
        "base_id": facts.base.id,
        "base_version_id": base.id,
        "base_files_root": base.files_root,
        "policy_id": facts.policy.id if facts.policy else None,
        "policy_sha256": facts.policy.sha256 if facts.policy else None,
    }


def size_band(persons: int) -> str:
    """Tell a provider roughly how large a buyer's base is: a power of ten, such as `10000-99999`."""
    if persons < 1:
        return "0"
    low = 10 ** (len(str(persons)) - 1)
    return f"{low}-{low * 10 - 1}"
