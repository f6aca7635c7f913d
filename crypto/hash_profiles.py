"""How identifiers were normalised and hashed, by profile: the variants of other platforms, and ours.

A hash cannot be normalised again, so a digest is comparable only with digests of its own profile.
"""

import base64
import binascii
import hashlib
import re
import unicodedata
from dataclasses import dataclass
from typing import Literal

from crypto import normalise
from crypto.errors import CryptoError
from crypto.limits import DIGEST_BYTES
from crypto.normalise import Identifier

HashFamily = Literal["sha256", "md5-sha256"]
MD5_HEX_CHARACTERS = 32
HEX_CHARACTERS = 64
BASE64_CHARACTERS = 44


class UnknownHashProfileError(CryptoError):
    """No profile has that name, or it does not know that identifier."""

    code = "crypto.unknown_hash_profile"


class MalformedDigestError(CryptoError):
    """A text is not a digest as its profile writes it; the message names its form, never the text."""

    code = "crypto.malformed_digest"


@dataclass(frozen=True)
class HashProfile:
    """One way to normalise and hash.

    Attributes:
        name: as schemas write it.
        hash_family: what a join may compare; MD5-based digests are a family of their own.
        text_form: how files write the digest.
        identifiers: what it can hash.
        remove_spaces: of e-mails, inside too.
        fold_domains: whose local part loses dots and `+tag`.
        strict_email: NFKC, IDNA domain, a dot in the domain.
        phone_plus: whether the `+` of E.164 is hashed.
        takes_bare_e164: whether a number in E.164 form is taken as it is, without asking libphonenumber.
        legacy: needs the owner's explicit word in the schema.
    """

    name: str
    hash_family: HashFamily = "sha256"
    text_form: Literal["hex", "base64"] = "hex"
    identifiers: frozenset[Identifier] = frozenset({"email", "phone"})
    remove_spaces: bool = False
    fold_domains: tuple[str, ...] = ()
    strict_email: bool = False
    phone_plus: bool = True
    takes_bare_e164: bool = False
    legacy: bool = False

    @property
    def digest_characters(self) -> int:
        """Return how long the text of a digest is."""
        if self.hash_family == "md5-sha256":
            return MD5_HEX_CHARACTERS
        return HEX_CHARACTERS if self.text_form == "hex" else BASE64_CHARACTERS

    def normalise(
        self, identifier: Identifier, text: str, *, default_region: str | None = None
    ) -> str | None:
        """Return what this profile hashes for a raw value; None when the value is no such identifier.

        Args:
            identifier: what kind of identifier the text is.
            text: as it stands in the file.
            default_region: of phone numbers without a country.
        """
        if identifier == "email":
            return normalise.email(
                text, remove_spaces=self.remove_spaces, fold=self.fold_domains, strict=self.strict_email
            )
        if identifier == "phone":
            return self._phone(text, default_region)
        return normalise.maid(text) if identifier == "maid" else normalise.opaque_id(text)

    def _phone(self, text: str, default_region: str | None) -> str | None:
        text = text.strip()
        if self.takes_bare_e164 and normalise.is_uid2_phone(text):
            return text
        number = normalise.phone(text, default_region=default_region)
        return number if number is None or self.phone_plus else number.removeprefix("+")


HASH_PROFILES: dict[str, HashProfile] = {
    profile.name: profile
    for profile in (
        HashProfile(
            "room",
            identifiers=frozenset(normalise.IDENTIFIERS),
            fold_domains=normalise.GMAIL_DOMAINS,
            strict_email=True,
        ),
        HashProfile("uid2", text_form="base64", fold_domains=("gmail.com",), takes_bare_e164=True),
        HashProfile("google", remove_spaces=True, fold_domains=normalise.GMAIL_DOMAINS),
        HashProfile("meta", phone_plus=False),
        HashProfile("tiktok", remove_spaces=True),
        HashProfile("snap", phone_plus=False),
        HashProfile("pair"),
        HashProfile("yandex", hash_family="md5-sha256", phone_plus=False, legacy=True),
    )
}


def hash_profile(name: str) -> HashProfile:
    """Return the profile of that name.

    Raises:
        UnknownHashProfileError: there is none; the message lists those that exist.
    """
    if name not in HASH_PROFILES:
        raise UnknownHashProfileError(
            "There is no such hash profile.", remedy=f"Use one of {', '.join(HASH_PROFILES)}."
        )
    return HASH_PROFILES[name]


def hashing_alike(identifier: Identifier, profile: str) -> tuple[str, ...]:
    """Return the profiles that give one digest for one identifier, the named one among them.

    Two platforms may write their rules apart and still hash the same text: a digest of either names the same person.

    Args:
        identifier: what kind of identifier is hashed.
        profile: the name of one that hashes it.

    Raises:
        UnknownHashProfileError: there is no such profile, or it does not hash that identifier.
    """
    known = hash_profile(profile)
    if identifier not in known.identifiers:
        raise UnknownHashProfileError(
            f"Profile {profile} does not hash this identifier.",
            remedy=f"It hashes {', '.join(sorted(known.identifiers))}.",
        )
    return tuple(
        name
        for name, other in HASH_PROFILES.items()
        if identifier in other.identifiers and _spelling(identifier, other) == _spelling(identifier, known)
    )


def _spelling(identifier: Identifier, profile: HashProfile) -> tuple[object, ...]:
    """Return all that decides which text is hashed, and how."""
    if identifier == "email":
        return profile.hash_family, profile.remove_spaces, profile.fold_domains, profile.strict_email
    return profile.hash_family, profile.phone_plus or identifier != "phone"


def digest(
    profile: HashProfile, identifier: Identifier, text: str, *, default_region: str | None = None
) -> bytes | None:
    """Normalise and hash one raw identifier; the reference for the vectorised path.

    Args:
        profile: how to.
        identifier: what kind of identifier the text is.
        text: as it stands in the file.
        default_region: of phone numbers without a country.

    Returns:
        32 bytes; None when the text is no such identifier.
    """
    normalised = profile.normalise(identifier, text, default_region=default_region)
    return None if normalised is None else hash_normalised(profile, normalised)


def hash_normalised(profile: HashProfile, normalised: str) -> bytes:
    """Hash text that is already normalised.

    Returns:
        SHA-256; for an MD5-based profile SHA-256 over the 16 bytes of the MD5, so that all digests have one
        length and an MD5 cannot be mistaken for a plain SHA-256.
    """
    data = normalised.encode()
    if profile.hash_family == "md5-sha256":
        data = hashlib.md5(data, usedforsecurity=False).digest()
    return hashlib.sha256(data).digest()


def person_digest(text: str) -> bytes:
    """Hash a person_id as it is hashed when a file is prepared: in NFC, and spaces around it are no part of it.

    Returns:
        32 bytes, SHA-256.
    """
    return hashlib.sha256(unicodedata.normalize("NFC", text.strip()).encode()).digest()


def parse_hashed(profile: HashProfile, text: str) -> bytes:
    """Read a digest as the profile writes it: 44 characters of base64, 64 or (MD5) 32 of lower-case hex.

    Returns:
        32 bytes, comparable with `digest` of the same profile.

    Raises:
        MalformedDigestError: another length, another alphabet, or upper-case hex.
    """
    remedy = f"Profile {profile.name} writes {_form(profile)}."
    if len(text) == MD5_HEX_CHARACTERS:
        remedy += " An MD5 needs the profile yandex and `legacy_md5: true`."
    if len(text) != profile.digest_characters:
        raise MalformedDigestError(
            f"A digest has {len(text)} characters instead of {profile.digest_characters}.", remedy=remedy
        )
    if profile.text_form == "base64":
        try:
            decoded = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            decoded = b""
        # Only one of the texts that decode to the same bytes is the digest.
        if len(decoded) != DIGEST_BYTES or base64.b64encode(decoded).decode() != text:
            raise MalformedDigestError("A digest is not standard base64 of 32 bytes.", remedy=remedy)
        return decoded
    if not re.fullmatch(r"[0-9a-f]+", text):
        raise MalformedDigestError("A digest has characters outside 0-9a-f.", remedy=remedy)
    raw = bytes.fromhex(text)
    return hashlib.sha256(raw).digest() if profile.hash_family == "md5-sha256" else raw


def _form(profile: HashProfile) -> str:
    if profile.text_form == "base64":
        return "standard base64, 44 characters with padding"
    return f"lower-case hex, {profile.digest_characters} characters"
