"""Figures and mechanisms as canonical JSON: no floats, sigma as its shortest exact text."""

from typing import Any

from cleanroom.release.types import Mechanism, ReleasedFigure


def figure_to_dict(figure: ReleasedFigure) -> dict[str, Any]:
    """Write a figure for receipts and for the answer store."""
    return {
        "name": figure.name,
        "value": figure.value,
        "suppressed": figure.suppressed,
        "sigma": repr(figure.sigma),
        "interval95": None if figure.interval95 is None else list(figure.interval95),
    }


def figure_from_dict(value: dict[str, Any]) -> ReleasedFigure:
    """Read back a figure that the gate has released; the inverse of `figure_to_dict`."""
    ends = value["interval95"]
    return ReleasedFigure(
        name=value["name"],
        value=value["value"],
        suppressed=value["suppressed"],
        sigma=float(value["sigma"]),
        interval95=None if ends is None else (ends[0], ends[1]),
    )


def mechanism_to_dict(mechanism: Mechanism) -> dict[str, Any]:
    """Write a mechanism for receipts and for the answer store."""
    return {
        "family": mechanism.family,
        "l0": mechanism.l0,
        "rho_micro": mechanism.rho_micro,
        "sigma": repr(mechanism.sigma),
        "minimum_audience": mechanism.minimum_audience,
        "threshold": mechanism.threshold,
        "half_width": mechanism.half_width,
        "round_to": mechanism.round_to,
    }


def mechanism_from_dict(value: dict[str, Any]) -> Mechanism:
    """Read back a mechanism; the inverse of `mechanism_to_dict`."""
    return Mechanism(**{**value, "sigma": float(value["sigma"])})
