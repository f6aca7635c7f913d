"""Which keys of a dataset a hashed identifier can be looked for in, and under which keys lists are tokenised."""

from collections.abc import Sequence
from typing import cast

from cleanroom.consent.errors import OptOutError
from cleanroom.consent.optout_types import Named
from cleanroom.schema.model import Schema
from crypto.hash_profiles import UnknownHashProfileError, hashing_alike
from crypto.limits import DIGEST_BYTES
from crypto.normalise import IDENTIFIERS, Identifier

MAX_BATCH = 1_000_000
MAX_KEYS = 40
# No schema can name a key so.
_LIST = "list:"


def columns_of(schema: Schema, name: str) -> tuple[int, ...]:
    """Return the positions of a dataset's keys whose digests are comparable with an identifier's.

    Args:
        schema: of the dataset.
        name: identifier and profile, such as `email/uid2`.
    """
    identifier, _, profile = name.partition("/")
    alike = hashing_alike(cast(Identifier, identifier), profile)
    held = [(key.identifier, own) for key in schema.match_keys for own in key.profiles]
    return tuple(column for column, (kind, own) in enumerate(held) if kind == identifier and own in alike)


def list_key(name: str) -> str:
    """Return the name of the token key under which a workspace's lists keep identifiers of this kind.

    Profiles that hash alike share one, so that an entry made by one of them can be lifted by another.
    """
    identifier, _, profile = name.partition("/")
    first, *_ = hashing_alike(cast(Identifier, identifier), profile)
    return f"{_LIST}{identifier}/{first}"


def check_named(named: Sequence[Named]) -> None:
    """Check what a batch names.

    Raises:
        OptOutError: nobody is named, a digest has another length, an identifier or a profile is unknown, or there are
            too many.
    """
    if not named or len(named) > MAX_KEYS or not all(one.digests for one in named):
        raise OptOutError("The batch names nobody.", remedy="Name at least one identifier of each kind.")
    for one in named:
        if one.identifier not in IDENTIFIERS:
            raise OptOutError(
                "There is no such kind of identifier.", remedy=f"Use one of {', '.join(IDENTIFIERS)}."
            )
        try:
            hashing_alike(one.identifier, one.profile)
        except UnknownHashProfileError as unknown:
            raise OptOutError(str(unknown), remedy=unknown.remedy or "") from None
        if len(one.digests) % DIGEST_BYTES:
            raise OptOutError(
                f"A digest has {DIGEST_BYTES} bytes.", remedy="Send SHA-256 digests, as raw bytes."
            )
    if sum(one.count for one in named) > MAX_BATCH:
        raise OptOutError(f"A batch has at most {MAX_BATCH} identifiers.", remedy="Send several batches.")
