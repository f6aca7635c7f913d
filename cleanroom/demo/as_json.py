"""A run as one JSON object, for other programs."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cleanroom.analyses.estimate_types import Estimate
from cleanroom.demo.play import Played
from cleanroom.demo.results import Asked, Loaded
from cleanroom.release.types import ReleasedFigure
from policies.accounting import DELTA, MICRO, rho_to_epsilon


def as_json(played: Played, *, receipts: Sequence[Path], chart: Path) -> dict[str, Any]:
    """Lay a run out as documented in the reference, `demo --json`.

    Args:
        played: the run.
        receipts: where the receipts lie after the run.
        chart: where the picture lies.
    """
    overlap = _analysis(played.overlap)
    profile = _analysis(played.profile)
    # The cells of tables stand with the overlap's figures, too, so that one list names everything that was asked.
    tables = [figure for figure in profile["figures"] if figure["name"].startswith("breakdown:")]
    proven = played.proven
    return {
        "base": _side(played.base),
        "dataset": {**_side(played.dataset), "version": played.dataset.version_id},
        "analysis": {**overlap, "figures": [*overlap["figures"], *tables]},
        "profile": profile,
        "refusals": [
            {
                "attempt": refused.attempt,
                "rule": refused.rule,
                "message": refused.message,
                "nearest": None if refused.nearest is None else dict(refused.nearest),
            }
            for asked in (played.overlap, played.profile, *played.refused)
            for refused in asked.refusals
        ],
        "audit": {
            "events": proven.events,
            "checkpoint": proven.checkpoint,
            "verifier_key": proven.verifier_key,
            "verified": proven.verified,
        },
        "receipts": [str(path) for path in receipts],
        "chart": None if played.overlap.refusals else str(chart),
    }


def _side(loaded: Loaded) -> dict[str, Any]:
    report = loaded.report
    return {
        "rows": report.rows,
        "persons": report.persons,
        "rejected": sum(report.rejected.values()),
        "rejected_by_reason": dict(report.rejected),
    }


def _analysis(asked: Asked) -> dict[str, Any]:
    rho_micro = asked.answer.charged_micro
    return {
        "kind": asked.question.kind,
        "rho_micro": rho_micro,
        "epsilon": rho_to_epsilon(rho_micro / MICRO, DELTA),
        "delta": DELTA,
        "estimate": _estimate(asked.estimate),
        "figures": [_figure(figure) for figure in asked.answer.figures],
    }


def _estimate(estimate: Estimate) -> dict[str, Any]:
    return {
        "rho_micro": estimate.charged_micro,
        "left_micro": estimate.left_micro,
        "half_width": None if estimate.mechanism is None else estimate.mechanism.half_width,
        "questions_left": estimate.questions_left,
    }


def _figure(figure: ReleasedFigure) -> Mapping[str, Any]:
    return {
        "name": figure.name,
        "value": figure.value,
        "suppressed": figure.suppressed,
        "sigma": figure.sigma,
        "interval95": None if figure.interval95 is None else list(figure.interval95),
    }
