"""Watching what a room shows besides figures, in a small room of its own."""

import re

import polars as pl

from cleanroom.redteam.lab import Lab
from cleanroom.redteam.rooms import Columns

GAMES = 280
"""So many games make an interval narrow enough when the guesses are nearly all the same."""

_ID = re.compile(r"\b[a-z]{2,4}_[0-9a-f]{32}\b")
_HASH = re.compile(r"\b[0-9a-f]{64}\b")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT[0-9:.]+Z")


def without_ids(text: str) -> str:
    """Leave out of a text what differs between any two questions: ids, hashes, times."""
    return _TIME.sub("TIME", _HASH.sub("HASH", _ID.sub("ID", text)))


def kind_of(lab: Lab) -> str | None:
    """Return a kind of analysis that counts an overlap under the policy; None when there is none."""
    return next((kind for kind in ("overlap", "profile", "match_test") if kind in lab.kinds), None)


def people(emails: list[str], **columns: list[str]) -> Columns:
    """Return a provider's rows: each person with an e-mail, and consent."""
    names = pl.Series(emails)
    return {"id": names, "email": names, **columns, "ads": ["yes"] * len(emails)}
