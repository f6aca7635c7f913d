"""Counts over unknown keys: noise and a threshold, so that nobody's own key is shown but with a chance of delta.

One person has one value, so it changes one key's count by 1: L0, L1, L2 and L-infinity sensitivity are all 1.
"""

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import opendp.prelude as dp

from cleanroom.release.errors import CalibrationError
from cleanroom.release.types import OpenKeys
from policies.unknown_keys import PICO, key_threshold

_ONE_PERSON = (1, 1, 1)
"""How far two neighbouring tables are apart, as OpenDP states it: keys that differ, L2, and L-infinity."""

dp.enable_features("contrib")


def certified_rho(sigma: float) -> Fraction:
    """Return the rho of a release over unknown keys, exactly as OpenDP states it; the threshold does not change it."""
    rho, _ = _measurement(sigma, key_threshold(sigma, PICO // 2)).map(_ONE_PERSON)
    return Fraction(rho)


def plan_open_keys(attribute: str, *, sigma: float, delta_pico: int, shown_from: int) -> OpenKeys:
    """Say, from public parameters only, how counts over unknown keys will be made.

    OpenDP 0.16 takes its delta from the tail of a continuous normal distribution, which is thinner than that of the
    whole numbers its noise is made of (0.0228 instead of 0.0385 at sigma 2 and threshold 5). So the threshold comes
    from a bound that holds for whole numbers, and OpenDP's own has to fit as well.

    Args:
        attribute: the open category.
        sigma: noise of every count, in people.
        delta_pico: the chance, in 10^-12, with which the key of a single person may appear.
        shown_from: the threshold that other cells have for their minimum audience; it holds too.

    Raises:
        CalibrationError: delta is not positive, or OpenDP does not certify it.
    """
    if delta_pico < 1:
        raise CalibrationError("Counts over unknown keys need at least one pico-delta.")
    threshold = max(shown_from, key_threshold(sigma, delta_pico))
    _, delta = _measurement(sigma, threshold).map(_ONE_PERSON)
    if math.ceil(Fraction(delta) * PICO) > delta_pico:
        raise CalibrationError(f"No threshold fits {delta_pico} pico-delta.")
    return OpenKeys(attribute, delta_pico, threshold)


def draw(counts: Mapping[str, int], keys: OpenKeys, *, sigma: float) -> dict[str, int]:
    """Add discrete Gaussian noise to every count, and leave out the keys that stay below the threshold.

    Args:
        counts: exact counts by key, none of them zero; they must not outlive this call.
        keys: from `plan_open_keys`, for this sigma.
        sigma: noise of every count, in people.

    Returns:
        Noisy counts of the keys shown, sorted by key: the order of the data would tell about it.

    Source: Rogers 2023 (arXiv:2309.09170), as built in OpenDP.
    """
    names = sorted(counts)
    drawn = _measurement(sigma, keys.threshold)(
        {position: int(counts[key]) for position, key in enumerate(names)}
    )
    return {names[position]: drawn[position] for position in sorted(drawn)}


def _measurement(sigma: float, threshold: int) -> Any:
    # Keys go in as numbers: OpenDP handles them faster than texts.
    domain = dp.map_domain(dp.atom_domain(T="u32"), dp.atom_domain(T="i64"))
    space = domain, dp.l02inf_distance(dp.absolute_distance(T="i64"))
    return space >> dp.m.then_gaussian_threshold(scale=sigma, threshold=threshold)
