"""Questions as requests bring them, under an entitlement that gives dataset and grant."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, field_validator

from advertiser_api.schemas import Given, Id
from cleanroom.access.types import Acting
from cleanroom.bootstrap import Room
from cleanroom.db.database import Transaction
from cleanroom.marketplace.errors import UnknownEntitlementError
from cleanroom.marketplace.types import Entitlement
from cleanroom.remembered import Remembered
from policies.question import Question, question_from_dict

Name = Annotated[str, Field(min_length=1, max_length=200)]
_OWN = {"entitlement_id", "sizes", "expected_sizes"}
_QUESTIONS = Remembered[tuple[str, str], Question](4_096, lambda question: 1 + len(question.segments))


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
        key = dataset_id, self.model_dump_json(exclude=_OWN, exclude_none=True)
        known = _QUESTIONS.get(key)
        if known is not None:
            return known
        asked = question_from_dict(self.model_dump(exclude=_OWN, exclude_none=True), dataset_id=dataset_id)
        return _QUESTIONS.put(key, asked)


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
