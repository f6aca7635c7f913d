"""What is told of a question's figures; every one about people was released by the gate, or is a quotient of such."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import Field, TypeAdapter

from advertiser_api.schemas import Id, Instant, Shown
from cleanroom.access.idempotency import Part, part_of
from cleanroom.analyses.suggesting import Suggestion
from cleanroom.analyses.types import Answer, Outcome
from cleanroom.release.answers import MOST_FIGURES
from cleanroom.release.types import Mechanism, ReleasedFigure, ReleasedRatio
from cleanroom.remembered import Remembered
from policies.accounting import questions_left
from policies.decision import Reason, reason_to_dict


class FigureOut(Shown):
    """A noisy, thresholded count of people, or a sum in stored units."""

    name: Annotated[str, Field(examples=["overlap"])]
    value: Annotated[int | None, Field(description="null when withheld", examples=[12340])]
    suppressed: bool
    interval95: Annotated[tuple[int, int] | None, Field(description="covers the exact figure in 95 of 100")]
    sigma: Annotated[float, Field(description="standard deviation of the noise, in the unit of the value")]
    scale: Annotated[int | None, Field(description="of a sum: digits after the point of a stored unit")]

    @classmethod
    def of(cls, figure: ReleasedFigure) -> Self:
        """Write a released figure."""
        return cls(
            name=figure.name,
            value=figure.value,
            suppressed=figure.suppressed,
            interval95=figure.interval95,
            sigma=figure.sigma,
            scale=figure.scale,
        )


class RatioOut(Shown):
    """A quotient of released figures; an end of its interval can be unbounded."""

    name: Annotated[str, Field(examples=["match_rate:base"])]
    value: float | None
    interval95: tuple[float, float | None] | None
    scale: int | None

    @classmethod
    def of(cls, ratio: ReleasedRatio) -> Self:
        """Write a ratio."""
        return cls(name=ratio.name, value=ratio.value, interval95=ratio.interval95, scale=ratio.scale)


class MechanismOut(Shown):
    """How the figures were made; public."""

    family: str
    l0: Annotated[int, Field(description="cells that one person can change")]
    rho_micro: int
    sigma: float
    minimum_audience: int
    threshold: int
    half_width: int
    round_to: int

    @classmethod
    def of(cls, mechanism: Mechanism) -> Self:
        """Write a mechanism."""
        return cls(
            family=mechanism.family,
            l0=mechanism.l0,
            rho_micro=mechanism.rho_micro,
            sigma=mechanism.sigma,
            minimum_audience=mechanism.minimum_audience,
            threshold=mechanism.threshold,
            half_width=mechanism.half_width,
            round_to=mechanism.round_to,
        )


class ReasonOut(Shown):
    """A rule that the question breaks, and the nearest question that is permitted."""

    rule: str
    message: str
    limit: int | str | list[str]
    asked: int | str | list[str]
    nearest: dict[str, Any] | None

    @classmethod
    def of(cls, reason: Reason) -> Self:
        """Write a reason."""
        written: Mapping[str, Any] = reason_to_dict(reason)
        return cls(**written)


class SuggestionOut(Shown):
    """Neighbouring bands to make one, so that fewer people are withheld."""

    breakdown: list[str]
    attribute: str
    bands: list[list[str]]
    withheld_before: float
    withheld_after: float

    @classmethod
    def of(cls, suggestion: Suggestion) -> Self:
        """Write a suggestion."""
        return cls(
            breakdown=list(suggestion.breakdown),
            attribute=suggestion.attribute,
            bands=[list(bands) for bands in suggestion.bands],
            withheld_before=suggestion.withheld_before,
            withheld_after=suggestion.withheld_after,
        )


_LONG = b'"figures":%b,"ratios":%b'


@dataclass(frozen=True)
class _Written:
    """The long part of an answer, and what it was written of."""

    answer: Answer
    figures: list[FigureOut]
    ratios: list[RatioOut]
    suggestions: list[SuggestionOut]

    @cached_property
    def part(self) -> Part:
        """Figures and ratios as they stand in JSON."""
        figures, ratios = (TypeAdapter(list[Any]).dump_json(long) for long in (self.figures, self.ratios))
        return part_of(_LONG % (figures, ratios))

    def of(self, answer: Answer) -> bool:
        """Tell whether it is what this answer says too: the very figures, not such as look alike."""
        return (
            self.answer.figures is answer.figures
            and self.answer.ratios is answer.ratios
            and self.answer.suggestions is answer.suggestions
        )


_WRITTEN = Remembered[str, _Written](MOST_FIGURES, lambda written: len(written.figures) + 1)


def _written(answer: Answer) -> _Written:
    """Write the long part of an answer; one that is stored is shown again and again."""
    proof = answer.receipt.stem
    known = _WRITTEN.get(proof)
    if known is not None and known.of(answer):
        return known
    return _WRITTEN.put(
        proof,
        _Written(
            answer=answer,
            figures=[FigureOut.of(figure) for figure in answer.figures],
            ratios=[RatioOut.of(ratio) for ratio in answer.ratios],
            suggestions=[SuggestionOut.of(suggestion) for suggestion in answer.suggestions],
        ),
    )


class SpentOut(Shown):
    """What a question takes of its entitlement's privacy budget, and what it leaves."""

    charged_micro: Annotated[int, Field(description="micro-rho")]
    left_micro: Annotated[int, Field(description="micro-rho; of a stored answer, as of now")]
    charged_delta_pico: int
    left_delta_pico: int
    questions_left: Annotated[
        int | None, Field(description="about so many such questions are left; null when refused")
    ]


class ResultOut(Shown):
    """The answer to a question, or its refusal, with its reasons."""

    analysis_id: str
    outcome: Literal["released", "stored", "refused"]
    as_of: Instant
    proven_by: Annotated[
        Id, Field(description="the analysis that the receipt names; an earlier one for a stored answer")
    ]
    consent_epoch: int | None
    figures: list[FigureOut]
    ratios: list[RatioOut]
    mechanism: MechanismOut | None
    reasons: list[ReasonOut]
    missing: Annotated[list[str], Field(description="what would have to exist before it can be decided")]
    suggestions: list[SuggestionOut]
    budget: SpentOut
    receipt: Annotated[
        str, Field(description="where the signed proof is", examples=["/v1/analyses/an_.../receipt"])
    ]

    @classmethod
    def of(cls, answer: Answer) -> Self:
        """Write an answer."""
        return cls._of(answer, _written(answer))

    @classmethod
    def json_of(cls, answer: Answer) -> tuple[bytes, Part, bytes]:
        """Write an answer as JSON, as pydantic would, in parts: the long one from memory when it was written before."""
        written = _written(answer)
        text = cls._of(answer, replace(written, figures=[], ratios=[])).model_dump_json().encode()
        # No name of a field, and nothing that stands in one, has quotes and brackets like this.
        before, _, after = text.partition(_LONG % (b"[]", b"[]"))
        return before, written.part, after

    @classmethod
    def _of(cls, answer: Answer, written: _Written) -> Self:
        as_of: datetime = answer.as_of
        outcomes: dict[Outcome, Literal["released", "stored", "refused"]] = {
            Outcome.RELEASED: "released",
            Outcome.STORED: "stored",
            Outcome.REFUSED: "refused",
        }
        mechanism = answer.mechanism
        return cls(
            analysis_id=answer.analysis_id,
            outcome=outcomes[answer.outcome],
            as_of=as_of,
            proven_by=answer.receipt.name.partition(".")[0],
            consent_epoch=answer.consent_epoch,
            figures=written.figures,
            ratios=written.ratios,
            mechanism=None if mechanism is None else MechanismOut.of(mechanism),
            reasons=[ReasonOut.of(reason) for reason in answer.reasons],
            missing=list(answer.missing),
            suggestions=written.suggestions,
            budget=SpentOut(
                charged_micro=answer.charged_micro,
                left_micro=answer.left_micro,
                charged_delta_pico=answer.charged_delta_pico,
                left_delta_pico=answer.left_delta_pico,
                questions_left=None
                if mechanism is None
                else questions_left(answer.left_micro, mechanism.rho_micro),
            ),
            receipt=f"/v1/analyses/{answer.analysis_id}/receipt",
        )
