"""Naming people to a room: identifiers are hashed here, in every way that a dataset may have hashed them."""

import base64
from collections.abc import Iterable, Mapping
from typing import Any

from cleanroom.client.errors import PrepareError
from crypto.errors import CryptoError
from crypto.hash_profiles import (
    HASH_PROFILES,
    digest,
    hash_profile,
    hashing_alike,
    parse_hashed,
    person_digest,
)
from crypto.normalise import IDENTIFIERS, Identifier

Named = dict[str, Any]
PERSON_ID = "person_id"


class NoIdentifierError(PrepareError):
    """A line is no identifier of the kind that was named; the message tells its number, and nothing of it."""

    code = "client.no_identifier"


def name_people(
    lines: Iterable[str], identifier: str, *, default_region: str | None = None, hashed: str | None = None
) -> list[Named]:
    """Write people as the room's API takes them.

    Raw identifiers are hashed for every profile that is no legacy one, so that a dataset finds people whichever it was
    prepared with; profiles that hash alike are written once.

    Args:
        lines: one identifier each; empty ones are left out.
        identifier: what they are, such as `email`.
        default_region: of phone numbers without a country.
        hashed: the profile that they were hashed with already; None for raw ones.

    Returns:
        For each profile, `identifier`, `profile` and `digests`.

    Raises:
        NoIdentifierError: a line is no such identifier, or no digest of that profile.
    """
    kind = _kind(identifier)
    texts = [(number, line.strip()) for number, line in enumerate(lines, start=1) if line.strip()]
    if hashed is not None:
        return [{"identifier": kind, "profile": hashed, "digests": [_checked(*one, hashed) for one in texts]}]
    made = {profile: list[str]() for profile in _profiles(kind)}
    for number, text in texts:
        known = {profile: _hashed(text, kind, profile, default_region) for profile in made}
        if not any(known.values()):
            raise NoIdentifierError(
                f"Line {number} is no {kind}.",
                remedy="Correct it; name the identifier if it is another one, and the region of phone numbers.",
            )
        for profile, digest_text in known.items():
            # Some profiles take less than others: an address without a dot in its domain.
            made[profile] += [digest_text] if digest_text else []
    return [
        {"identifier": kind, "profile": profile, "digests": digests}
        for profile, digests in made.items()
        if digests
    ]


def name_one(text: str, identifier: str, **how: str | None) -> list[Mapping[str, str]]:
    """Write one person in every variant, as a lookup takes them; arguments as of `name_people`."""
    if identifier == PERSON_ID:
        return [{"identifier": PERSON_ID, "profile": "sha256", "digest": person_digest(text).hex()}]
    return [
        {"identifier": one["identifier"], "profile": one["profile"], "digest": one["digests"][0]}
        for one in name_people([text], identifier, **how)
        if one["digests"]
    ]


def _kind(identifier: str) -> Identifier:
    for kind in IDENTIFIERS:
        if kind == identifier:
            return kind
    raise NoIdentifierError(
        "There is no such kind of identifier.", remedy=f"Use one of {', '.join(IDENTIFIERS)}."
    )


def _profiles(kind: Identifier) -> list[str]:
    fit = [name for name, one in HASH_PROFILES.items() if kind in one.identifiers and not one.legacy]
    return [name for name in fit if hashing_alike(kind, name)[0] == name]


def _hashed(text: str, kind: Identifier, profile: str, region: str | None) -> str | None:
    known = hash_profile(profile)
    made = digest(known, kind, text, default_region=region)
    if made is None:
        return None
    return base64.b64encode(made).decode("ascii") if known.text_form == "base64" else made.hex()


def _checked(number: int, text: str, profile: str) -> str:
    try:
        parse_hashed(hash_profile(profile), text)
    except CryptoError as error:
        raise NoIdentifierError(f"Line {number}: {error}") from None
    return text
