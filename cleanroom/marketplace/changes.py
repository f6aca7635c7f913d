"""What changed between two wordings of a listing: a list that a reviewer reads, from the wordings alone."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cleanroom.marketplace.content import ListingContent, content_to_data
from cleanroom.money import Money

_KEYED = ("segments", "templates", "plans")
Value = str | int | Money | tuple[str, ...]


@dataclass(frozen=True)
class Change:
    """One difference.

    Attributes:
        part: of the listing: `title`, `text`, `attributes`, `segments`, `templates`, `terms` or `plans`.
        key: of the segment, template or plan; the language of a title or text; else empty.
        name: of what changed inside the part; empty for the part as a whole.
        before: as it was; None for what was not there. An amount is money, a tax in hundredths of a percent, buyers are
            ids; anything else is text.
        after: as it is, likewise; None for what is gone.
    """

    part: str
    key: str
    name: str
    before: Value | None
    after: Value | None


def changes(before: ListingContent, after: ListingContent) -> tuple[Change, ...]:
    """Return every difference between two wordings, part by part; none when they say the same.

    Args:
        before: the older one.
        after: the newer one.
    """
    old, new = content_to_data(before), content_to_data(after)
    found: list[Change] = []
    for data in (old, new):
        data["plans"] = [_priced(plan) for plan in data["plans"]]
    for part in new:
        if part in _KEYED:
            found += _keyed(part, old[part], new[part])
        elif part in ("title", "text"):
            found += [
                Change(part, language, "", old[part][language], new[part][language])
                for language in new[part]
                if old[part][language] != new[part][language]
            ]
        elif part == "terms":
            found += [
                Change(part, "", name, _text(old[part][name]), _text(new[part][name]))
                for name in new[part]
                if old[part][name] != new[part][name]
            ]
        else:
            gone, come = set(old[part]) - set(new[part]), set(new[part]) - set(old[part])
            found += [Change(part, "", "", name, None) for name in sorted(gone)]
            found += [Change(part, "", "", None, name) for name in sorted(come)]
    return tuple(found)


def _keyed(part: str, old: list[dict[str, Any]], new: list[dict[str, Any]]) -> Iterator[Change]:
    was, now = {one["key"]: one for one in old}, {one["key"]: one for one in new}
    for key in [*was, *(key for key in now if key not in was)]:
        before, after = was.get(key, {}), now.get(key, {})
        for name in {**before, **after}:
            told = _told(before, name), _told(after, name)
            if name != "key" and told[0] != told[1]:
                yield Change(part, key, name, *told)


def _priced(plan: Mapping[str, Any]) -> dict[str, Any]:
    """Make a tariff's amounts money; what it does not have is None."""
    told = dict(plan)
    for name in [name for name in plan if name.endswith("_minor")]:
        told[name] = None
        if plan[name] or (name == "questions_cap_minor" and plan[name] is not None):
            told[name] = Money(plan[name], plan["currency"])
    return told


def _told(item: Mapping[str, Any], name: str) -> Value | None:
    """Return a value; what is 0 or empty is as if it were left out, but for a tax of nothing."""
    value = item.get(name)
    if name == "vat_bp" or isinstance(value, Money):
        return value
    if name == "offered_to":
        return tuple(value or ()) or None
    return _text(value) if value else None


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return ", ".join(value)
    if isinstance(value, Mapping) and set(value) == {"ru", "en"}:
        return f"{value['ru']} / {value['en']}"
    return json.dumps(value, ensure_ascii=False)
