"""Questions as requests bring them, under an entitlement that gives dataset and grant."""

import hashlib
import json
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, field_validator

from advertiser_api.idempotency import JSON, canonical
from advertiser_api.schemas import Given, Id
from cleanroom.access.types import Acting
from cleanroom.db.database import Transaction
from cleanroom.marketplace.errors import UnknownEntitlementError
from cleanroom.marketplace.types import Entitlement
from cleanroom.remembered import Remembered
from cleanroom.room import Room
from policies.question import Question, question_from_dict

Name = Annotated[str, Field(min_length=1, max_length=200)]
_OWN = {"entitlement_id", "sizes", "expected_sizes"}
_MOST_BYTES = 16 << 20


def _weight(text: bytes) -> int:
    """Return how much memory what is made of a text takes at most, in bytes.

    One segment may list a hundred thousand values: neither questions nor segments tell how large one is.
    """
    return 1_000 + 16 * len(text)


# By hashes: a body that is mostly spaces would weigh more than what is made of it.
_READ = Remembered[bytes, tuple["AskedQuestion", bytes]](_MOST_BYTES, lambda read: _weight(read[1]))
_QUESTIONS = Remembered[tuple[str, bytes], tuple[int, Question]](_MOST_BYTES, lambda known: known[0])


class AskedQuestion(Given):
    """What to count, for which purpose, of which base, under which entitlement."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "entitlement_id": "ent_0193f0c2a1b27d3e8f4a5b6c7d8e9f01",
                    "base_id": "ds_0193f0c2a1b27d3e8f4a5b6c7d8e9f02",
                    "purpose": "advertising",
                    "segments": {"young": {"attribute": "age", "op": "<", "value": 30}},
                }
            ]
        }
    )

    entitlement_id: Id
    base_id: Id
    purpose: Name
    kind: Literal["match_test", "overlap", "profile", "statistics"] | None = None
    segments: Annotated[
        dict[str, Any], Field(default_factory=dict, description="conditions by name, see the segments file")
    ]
    breakdowns: Annotated[list[list[Name]], Field(default_factory=list)]
    sums: Annotated[list[Name], Field(default_factory=list)]
    precision: Literal["rough", "normal", "fine"] | None = None
    half_width: Annotated[int | None, Field(description="people either side, in 95 of 100")] = None
    percent: int | None = None
    expected: Annotated[int | None, Field(description="people, with `percent`")] = None
    labels: bool = True
    per_key: bool = True
    affinity: bool = False

    @field_validator("segments")
    @classmethod
    def _writable(cls, segments: dict[str, Any]) -> dict[str, Any]:
        """Refuse texts with half a surrogate pair: nothing can store them."""
        try:
            repr(segments).encode()
            for name in segments:
                name.encode()
        except UnicodeEncodeError:
            raise ValueError("a text is not valid Unicode") from None
        return segments

    def question(self, dataset_id: str) -> Question:
        """Return the question; raises QuestionError. The same words give the same question, read once."""
        words = self.model_dump_json(exclude=_OWN, exclude_none=True).encode()
        key = dataset_id, hashlib.sha256(words).digest()
        known = _QUESTIONS.get(key)
        if known is None:
            read = question_from_dict(self.model_dump(exclude=_OWN, exclude_none=True), dataset_id=dataset_id)
            known = _QUESTIONS.put(key, (_weight(words), read))
        return known[1]


def read_question(media_type: str | None, body: bytes) -> tuple[AskedQuestion, bytes] | None:
    """Read a question as a request of a known caller brings it; the same words are read once.

    Args:
        media_type: of the body.
        body: as it was sent.

    Returns:
        The question, and the body as `canonical` writes it; None when something about it does not fit.
    """
    if media_type != JSON:
        return None
    said = hashlib.sha256(body).digest()
    known = _READ.get(said)
    if known is not None:
        return known
    try:
        return _READ.put(said, (AskedQuestion.model_validate(json.loads(body)), canonical(body)))
    except (ValueError, RecursionError):
        return None


def entitled(room: Room, tx: Transaction, caller: Acting, entitlement_id: str) -> Entitlement:
    """Return an entitlement of the advertiser that a call is for; raises UnknownEntitlementError."""
    asker_id = asker_of(caller)
    found = room.marketplace.entitlements.entitlement(tx, entitlement_id, organisation_id=asker_id)
    if found.advertiser_id != caller.advertiser_id:
        raise UnknownEntitlementError(
            "There is no entitlement with this id.", remedy="List your entitlements."
        )
    return found


def asker_of(caller: Acting) -> str:
    """Return the organisation that asks: the agency, or the advertiser itself."""
    return caller.agency_id or caller.advertiser_id
