"""Whether a proven receipt proves what a result shows: the same question, and the same figures to the unit."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from cleanroom.client.receipts import RELEASED, ReceiptError

_SEGMENT = "segment:"
_RELATIVE = 1e-9
"""Quotients are of whole numbers; only their last bits may differ between two machines."""


def require_shown(
    record: Mapping[str, Any], answer: Mapping[str, Any], *, analysis_id: str, asked: Mapping[str, Any]
) -> None:
    """Compare a proven record with an answer.

    Rates, shares, means and affinity indices are worked out anew from the proven figures. `match_rate:base` is not:
    it divides by the size of the asker's own base, which no receipt names. A stored answer's receipt is that of the
    question which was counted, with the names that its segments had then, and perhaps another base of the same people:
    figures of segments are compared without names, and bases not at all.

    Args:
        record: of a receipt that `verify_receipt` has proven.
        answer: a result as the room gave it.
        analysis_id: what was asked for.
        asked: the question as it was sent, as far as it is known: `kind`, `purpose`, `base_id`.

    Raises:
        ReceiptError: the receipt is another question's, or proves other figures than those shown.
    """
    body, stored = record["body"], answer["outcome"] == "stored"
    proven_by = answer["proven_by"] if stored else analysis_id
    # The same people may have been uploaded as two bases: what was counted with one is the answer to both.
    alike = ("kind", "purpose") if stored else ("kind", "purpose", "base_id")
    same = all(body[name] == asked[name] for name in alike if name in asked)
    if (
        record["kind"] != RELEASED
        or record["subject"] != proven_by
        or answer["analysis_id"] != analysis_id
        or not same
    ):
        raise ReceiptError(
            "The receipt is not that of this result.", remedy="Ask the room for the result anew."
        )
    proven = [_figure(plain, named=not stored) for plain in body["figures"]]
    shown = [_figure(plain, named=not stored) for plain in answer["figures"]]
    # A condition that is asked twice, under two names, is shown twice.
    if (set(proven) != set(shown)) if stored else (proven != shown):
        told = next((one[0] for one in shown if one not in proven), "one that is left out")
        raise ReceiptError(
            f"The receipt proves other figures than those shown; the first is {told}.",
            remedy="Believe the receipt alone, and show both to the room's operator.",
        )
    if (body["released_at"], body["consent_epoch"]) != (answer["as_of"], answer["consent_epoch"]):
        raise ReceiptError(
            "The receipt is of another time than the result says.", remedy="Ask the room for the result anew."
        )
    values = {str(one["name"]): one["value"] for one in answer["figures"]}
    for name, value, expected in _ratios(answer, values):
        if not math.isclose(value, expected, rel_tol=_RELATIVE):
            raise ReceiptError(
                f"{name} does not follow from the proven figures.",
                remedy="Believe the figures, and show the result to the room's operator.",
            )


def _figure(plain: Mapping[str, Any], *, named: bool) -> tuple[Any, ...]:
    # Canonical JSON writes sums and sigma as text.
    ends, name = plain["interval95"], str(plain["name"])
    before, segment, _ = name.partition(_SEGMENT)
    return (
        name if named else before + segment,
        None if plain["value"] is None else int(plain["value"]),
        bool(plain["suppressed"]),
        None if ends is None else (int(ends[0]), int(ends[1])),
        float(plain["sigma"]),
        plain.get("scale"),
    )


def _ratios(
    answer: Mapping[str, Any], values: Mapping[str, int | None]
) -> Iterator[tuple[str, float, float]]:
    """Give every ratio's name, its value as shown, and as it follows from the figures; NaN if it does not."""
    for plain in answer["ratios"]:
        name, value = str(plain["name"]), plain["value"]
        if value is not None and name != "match_rate:base":
            yield name, float(value), _expected(name, values)


def _expected(name: str, values: Mapping[str, int | None]) -> float:
    kind, _, rest = name.partition(":")
    if kind == "match_rate":
        return min(1.0, _over(values, "overlap", "dataset"))
    if kind == "share":
        return min(1.0, _over(values, rest, "overlap"))
    if kind == "affinity":
        inside, outside = _over(values, rest, "overlap"), _over(values, f"dataset:{rest}", "dataset")
        return 100 * inside / outside if outside else math.nan
    if kind == "mean":
        # Of an attribute, or of an attribute in a part, whose name follows.
        return _over(values, f"sum:{rest}", rest.partition(":")[2] or "overlap")
    return math.nan


def _over(values: Mapping[str, int | None], part: str, whole: str) -> float:
    above, below = values.get(part), values.get(whole)
    return math.nan if above is None or not below else above / below
