"""Identifiers of a whole column at once: a vectorised path for clean values, the reference for the rest.

Both give the same digests; `tests/properties` holds them to it.
"""

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

import numpy as np
import phonenumbers
import polars as pl
import polars_hash as plh
from numpy.typing import NDArray

from crypto.hash_profiles import HashProfile, hash_normalised, parse_hashed
from crypto.limits import DIGEST_BYTES
from crypto.normalise import JUNK_EMAIL, JUNK_PHONE, MAX_ID_CHARACTERS, MAX_PHONE_CHARACTERS, Identifier

Digests = NDArray[np.uint8]
_NO_DIGEST_HEX = "0" * (2 * DIGEST_BYTES)
# ASCII only, so that lower-casing is all that NFKC and IDNA would do; shorter than any label's limit.
_CLEAN_EMAIL = r"^[a-z0-9._%+-]+@[a-z0-9]+(?:[.-][a-z0-9]+)*\.[a-z]{2,24}$"
_CLEAN_EMAIL_BYTES = 64
_CLEAN_PHONE = r"^\+?[0-9][0-9 ().-]*$"
_CLEAN_MAID = r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
_ZERO_MAID = "00000000-0000-0000-0000-000000000000"
_BARE_E164 = r"^\+[0-9]{10,15}$"
_HEX_SHA256 = r"^[0-9a-f]{64}$"
_HEX_MD5 = r"^[0-9a-f]{32}$"
# 43 characters hold 258 bits; the last two must be zero, or several texts would be one digest.
_BASE64_SHA256 = r"^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$"


def normalise_column(
    values: pl.Series, *, profile: HashProfile, identifier: Identifier, default_region: str | None = None
) -> pl.Series:
    """Normalise raw identifiers; equals `profile.normalise` on each.

    Args:
        values: text without blanks around it; null where there is none.
        profile: how to.
        identifier: what they are.
        default_region: of phone numbers without a country.

    Returns:
        As many values; null where there was none or where it is no such identifier.
    """
    if identifier == "email":
        done = _clean_emails(values, profile)
    elif identifier == "phone":
        done = _clean_phones(values, profile, default_region)
    elif identifier == "maid":
        lower = values.str.to_lowercase()
        done = _only(lower, lower.str.contains(_CLEAN_MAID) & (lower != _ZERO_MAID))
    else:
        done = _only(
            values, (values.str.len_chars() <= MAX_ID_CHARACTERS) & ~values.str.contains(r"[\x1c-\x1f]")
        )
    rest = (done.is_null() & values.is_not_null()).arg_true()
    if not rest.len():
        return done
    reference = lru_cache(maxsize=4096)(
        lambda text: profile.normalise(identifier, text, default_region=default_region)
    )
    slow = pl.Series([reference(text) for text in values.gather(rest).to_list()], dtype=pl.String)
    return done.scatter(rest, slow)


def normal_form(profile: HashProfile) -> HashProfile:
    """Return what profiles that normalise alike have in common, to normalise once for all of them."""
    return replace(
        profile, name="", hash_family="sha256", text_form="hex", identifiers=frozenset(), legacy=False
    )


def hash_column(normalised: pl.Series, *, profile: HashProfile) -> Digests:
    """Hash normalised identifiers.

    Returns:
        (n, 32) bytes; all zero where the value is null.
    """
    if profile.hash_family == "sha256":
        return _hex_digests(sha256_hex(normalised))
    return _scattered(normalised, lambda texts: b"".join(hash_normalised(profile, text) for text in texts))


def parse_hashed_column(values: pl.Series, *, profile: HashProfile) -> Digests:
    """Read digests; equals `parse_hashed` on each.

    Returns:
        (n, 32) bytes; all zero where the value is null or malformed.
    """
    if profile.hash_family == "sha256" and profile.text_form == "hex":
        return _hex_digests(_only(values, values.str.contains(_HEX_SHA256)))
    if profile.text_form == "base64":
        good = _only(values, values.str.contains(_BASE64_SHA256))
        return _scattered(good, lambda texts: b"".join(map(base64.b64decode, texts)))
    good = _only(values, values.str.contains(_HEX_MD5))
    return _scattered(good, lambda texts: b"".join(parse_hashed(profile, text) for text in texts))


def is_junk(normalised: pl.Series, identifier: Identifier) -> pl.Series:
    """Tell which normalised values are known junk; equals `is_known_junk` on each, false for null."""
    pattern = {"email": JUNK_EMAIL, "phone": JUNK_PHONE}.get(identifier)
    if pattern is None:
        return pl.repeat(False, normalised.len(), eager=True)
    return normalised.str.contains(pattern).fill_null(value=False)


def sha256_hex(values: pl.Series) -> pl.Series:
    """Hash text values to lower-case hex; null stays null."""
    return values.to_frame("text").select(plh.col("text").chash.sha2_256()).to_series()


def _only(values: pl.Series, keep: pl.Series) -> pl.Series:
    return values.to_frame("v").select(pl.when(keep.alias("k")).then(pl.col("v"))).to_series()


def _clean_emails(values: pl.Series, profile: HashProfile) -> pl.Series:
    lower = values.str.to_lowercase()
    clean = _only(lower, lower.str.contains(_CLEAN_EMAIL) & (lower.str.len_bytes() <= _CLEAN_EMAIL_BYTES))
    for domain in profile.fold_domains:
        folded = clean.str.ends_with(f"@{domain}").arg_true()
        if folded.len():
            local = clean.gather(folded).str.extract(r"^([^@+]*)").str.replace_all(".", "", literal=True)
            address = local.to_frame("l").select(
                pl.when(pl.col("l").str.len_bytes() > 0).then(pl.col("l") + f"@{domain}")
            )
            clean = clean.scatter(folded, address.to_series())
    return clean


def _clean_phones(values: pl.Series, profile: HashProfile, default_region: str | None) -> pl.Series:
    pattern = _mobile_pattern(default_region)
    done = pl.repeat(None, values.len(), dtype=pl.String, eager=True)
    if pattern is not None:
        code, expression = pattern
        short = values.str.contains(_CLEAN_PHONE) & (values.str.len_bytes() <= MAX_PHONE_CHARACTERS)
        digits = _only(values, short).str.replace_all(r"[ ().-]", "")
        prefix = f"+{code}" if profile.phone_plus else str(code)
        done = prefix + digits.str.extract(expression)
    if profile.takes_bare_e164:
        bare = values.str.contains(_BARE_E164)
        done = (
            pl.DataFrame({"v": values, "d": done}).select(pl.when(bare).then("v").otherwise("d")).to_series()
        )
    return done


@lru_cache(maxsize=256)
def _mobile_pattern(region: str | None) -> tuple[int, str] | None:
    # libphonenumber's own description of a region's mobile numbers; regions whose national form is changed by
    # more than a fixed prefix go the slow way.
    metadata = phonenumbers.PhoneMetadata.metadata_for_region(region, None) if region else None
    if metadata is None or metadata.mobile is None or not metadata.mobile.national_number_pattern:
        return None
    prefix = metadata.national_prefix or ""
    if metadata.national_prefix_for_parsing not in (None, prefix) or metadata.national_prefix_transform_rule:
        return None
    number = re.sub(r"\s", "", metadata.mobile.national_number_pattern)
    return int(metadata.country_code or 0), rf"^(?:\+{metadata.country_code}|{prefix})?({number})$"


def _hex_digests(hexes: pl.Series) -> Digests:
    # Missing values become zeros as text: putting them in their places afterwards cost as much as the hashing.
    joined = hexes.fill_null(_NO_DIGEST_HEX).str.join("").item() or ""
    return np.frombuffer(binascii.unhexlify(joined), dtype=np.uint8).reshape(-1, DIGEST_BYTES)


def _scattered(values: pl.Series, digest_all: Callable[[list[str]], bytes]) -> Digests:
    digests = np.zeros((values.len(), DIGEST_BYTES), dtype=np.uint8)
    joined = digest_all(values.drop_nulls().to_list())
    digests[values.is_not_null().to_numpy()] = np.frombuffer(joined, dtype=np.uint8).reshape(-1, DIGEST_BYTES)
    return digests
