"""What every receipt says about its question: who, what of which data, under which rule."""

from typing import Any

from cleanroom.analyses.facts import Facts
from cleanroom.release.types import ReleasedFigure
from cleanroom.rules.types import policy_sha256


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
        "licence_sha256": None if facts.grant.licence is None else policy_sha256(facts.grant.licence),
    }


def people_at_most(base_persons: int, public_size: ReleasedFigure | None) -> int:
    """Return how many people a price by released counts charges at most: a bound that both sides know beforehand.

    Args:
        base_persons: persons of the asker's own base; nobody else can be in the overlap.
        public_size: the dataset's size as released to everyone, if it was; the upper end of its interval counts.
    """
    if public_size is None or public_size.interval95 is None:
        return base_persons
    return min(base_persons, public_size.interval95[1])


def size_band(persons: int) -> str:
    """Tell a provider roughly how large a buyer's base is: a power of ten, such as `10000-99999`."""
    if persons < 1:
        return "0"
    low = 10 ** (len(str(persons)) - 1)
    return f"{low}-{low * 10 - 1}"
