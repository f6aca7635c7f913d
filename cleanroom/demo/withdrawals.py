"""Who withdraws in the demo: people named by hashed identifiers, as a withdrawal reaches a room."""

from collections import defaultdict
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import polars as pl

from cleanroom.client.readers import read_rows
from cleanroom.consent.types import Withdrawal
from cleanroom.schema.model import MatchKey, Schema
from crypto.hash_profiles import digest, hash_profile, parse_hashed

MOST_WITHDRAWALS = 1_000


def made_up(matched: pl.DataFrame) -> tuple[Withdrawal, ...]:
    """Choose matched people of the made-up data who share no identifier with anybody, evenly.

    Args:
        matched: `Truth.matched`.

    Returns:
        Withdrawals of at most 1,000 people and at most a quarter of all, one identifier each.
    """
    alone = matched.filter(~pl.col("shared"))
    count = min(MOST_WITHDRAWALS, matched.height // 4, alone.height)
    if not count:
        return ()
    chosen = alone.gather_every(alone.height // count).head(count)
    named: dict[str, list[bytes]] = defaultdict(list)
    room = hash_profile("room")
    for email, phone in chosen.select("email", "phone").iter_rows():
        if email is not None:
            key, hashed = "email/room", digest(room, "email", email)
        else:
            key, hashed = "phone/room", digest(room, "phone", f"+{phone}")
        assert hashed is not None
        named[key].append(hashed)
    return tuple(Withdrawal(key, b"".join(digests)) for key, digests in named.items())


def from_base(path: Path, schema: Schema, *, persons: int) -> tuple[Withdrawal, ...]:
    """Name people by the first rows of a base: nobody can know which of them are matched.

    Args:
        path: the advertiser's plain file.
        schema: of the base.
        persons: in the base; at most a tenth of them, and at most 1,000, withdraw.
    """
    named: dict[str, list[bytes]] = defaultdict(list)
    for row in islice(_rows(path, schema), min(MOST_WITHDRAWALS, persons // 10)):
        for key in schema.match_keys:
            for column in key.columns:
                hashed = _digest(key, row[column])
                if hashed is not None:
                    named[f"{key.name}/{key.hash_profile}"].append(hashed)
    return tuple(Withdrawal(key, b"".join(digests)) for key, digests in named.items())


def _rows(path: Path, schema: Schema) -> Iterator[dict[str, str | None]]:
    for batch in read_rows(path, required=schema.columns()):
        yield from batch.frame.iter_rows(named=True)


def _digest(key: MatchKey, text: str | None) -> bytes | None:
    if text is None:
        return None
    if key.form == "hashed":
        return parse_hashed(hash_profile(key.hash_profile), text)
    return digest(hash_profile(key.hash_profile), key.identifier, text, default_region=key.default_region)
