"""Figures and mechanisms as canonical JSON: no floats, sigma as its shortest exact text.

A sum, which can pass the 53 bits of canonical JSON, and the ends of its interval are text.
"""

from dataclasses import asdict
from functools import lru_cache
from typing import Any

from cleanroom.release.types import Mechanism, OpenKeys, ReleasedFigure, SumNoise

# The figures of an answer share one sigma, or a few.
_exact = lru_cache(maxsize=64)(repr)


def figure_to_dict(figure: ReleasedFigure) -> dict[str, Any]:
    """Write a figure for receipts and for the answer store."""
    written: dict[str, Any] = {
        "name": figure.name,
        "value": figure.value,
        "suppressed": figure.suppressed,
        "sigma": _exact(figure.sigma),
        "interval95": None if figure.interval95 is None else list(figure.interval95),
    }
    if figure.scale is not None:
        written["scale"] = figure.scale
        if figure.interval95 is not None:
            written |= {"value": str(figure.value), "interval95": [str(end) for end in figure.interval95]}
    return written


def figure_from_dict(value: dict[str, Any]) -> ReleasedFigure:
    """Read back a figure that the gate has released; the inverse of `figure_to_dict`."""
    ends = value["interval95"]
    return ReleasedFigure(
        name=value["name"],
        value=None if value["value"] is None else int(value["value"]),
        suppressed=value["suppressed"],
        sigma=float(value["sigma"]),
        interval95=None if ends is None else (int(ends[0]), int(ends[1])),
        scale=value.get("scale"),
    )


def mechanism_to_dict(mechanism: Mechanism) -> dict[str, Any]:
    """Write a mechanism for receipts and for the answer store."""
    written = {**asdict(mechanism), "sigma": repr(mechanism.sigma)}
    sums = [
        {**asdict(noise), "sigma": repr(noise.sigma), "half_width": str(noise.half_width)}
        for noise in mechanism.sums
    ]
    return {**written, "sums": sums}


def mechanism_from_dict(value: dict[str, Any]) -> Mechanism:
    """Read back a mechanism; the inverse of `mechanism_to_dict`."""
    sums = tuple(
        SumNoise(**{**each, "sigma": float(each["sigma"]), "half_width": int(each["half_width"])})
        for each in value["sums"]
    )
    keys = value.get("open_keys")
    open_keys = None if keys is None else OpenKeys(**keys)
    return Mechanism(**{**value, "sigma": float(value["sigma"]), "sums": sums, "open_keys": open_keys})
