"""Identifiers of a whole column at once: a vectorised path for clean values, the reference for the rest.

Both give the same digests; `tests/properties` holds them to it.
"""

import base64
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

import numpy as np
import polars as pl

from cleanroom.client.hashing import Digests, hex_digests, sha256_column
from cleanroom.client.phones import e164_column
from crypto.hash_profiles import HashProfile, hash_normalised, parse_hashed
from crypto.limits import DIGEST_BYTES
from crypto.normalise import JUNK_EMAIL, JUNK_PHONE, MAX_ID_CHARACTERS, Identifier

# ASCII only, so that lower-casing is all that NFKC and IDNA would do; shorter than any label's limit.
_CLEAN_EMAIL = r"^[a-z0-9._%+-]+@[a-z0-9]+(?:[.-][a-z0-9]+)*\.[a-z]{2,24}$"
_CLEAN_EMAIL_BYTES = 64
_UNFOLDED = r"^[^@]*[.+]"
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
    rest: pl.Series | None = None
    if identifier == "email":
        done = _clean_emails(values, profile)
    elif identifier == "phone":
        done, rest = _clean_phones(values, profile, default_region)
    elif identifier == "maid":
        lower = values.str.to_lowercase()
        done = _only(lower, lower.str.contains(_CLEAN_MAID) & (lower != _ZERO_MAID))
    else:
        done = _only(
            values, (values.str.len_chars() <= MAX_ID_CHARACTERS) & ~values.str.contains(r"[\x1c-\x1f]")
        )
    if rest is None:
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
        return sha256_column(normalised)
    return _scattered(normalised, lambda texts: b"".join(hash_normalised(profile, text) for text in texts))


def parse_hashed_column(values: pl.Series, *, profile: HashProfile) -> Digests:
    """Read digests; equals `parse_hashed` on each.

    Returns:
        (n, 32) bytes; all zero where the value is null or malformed.
    """
    if profile.hash_family == "sha256" and profile.text_form == "hex":
        return hex_digests(_only(values, values.str.contains(_HEX_SHA256)))
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


def _only(values: pl.Series, keep: pl.Series) -> pl.Series:
    return values.to_frame("v").select(pl.when(keep.alias("k")).then(pl.col("v"))).to_series()


def _clean_emails(values: pl.Series, profile: HashProfile) -> pl.Series:
    clean = _only_clean_emails(values)
    rest = (clean.is_null() & values.is_not_null()).arg_true()
    if rest.len():
        clean = clean.scatter(rest, _only_clean_emails(values.gather(rest).str.to_lowercase()))
    for domain in profile.fold_domains:
        there = clean.str.ends_with(f"@{domain}").arg_true()
        # Most are folded as they stand.
        unfolded = clean.gather(there).str.contains(_UNFOLDED)
        folded = there.filter(unfolded)
        if folded.len():
            local = clean.gather(folded).str.head(-len(domain) - 1)
            if local.str.contains("+", literal=True).any():
                local = local.str.extract("^([^+]*)")
            local = local.str.replace_all(".", "", literal=True)
            clean = clean.scatter(folded, _only(local, local.str.len_bytes() > 0) + f"@{domain}")
    return clean


def _only_clean_emails(values: pl.Series) -> pl.Series:
    return _only(values, values.str.contains(_CLEAN_EMAIL) & (values.str.len_bytes() <= _CLEAN_EMAIL_BYTES))


def _clean_phones(
    values: pl.Series, profile: HashProfile, default_region: str | None
) -> tuple[pl.Series, pl.Series]:
    phones = e164_column(values, default_region=default_region)
    done = phones.numbers if profile.phone_plus else phones.numbers.str.slice(1)
    if profile.takes_bare_e164:
        taken = pl.when(pl.col("v").str.contains(_BARE_E164)).then("v").otherwise("d")
        done = pl.DataFrame({"v": values, "d": done}).select(taken).to_series()
    return done, phones.open


def _scattered(values: pl.Series, digest_all: Callable[[list[str]], bytes]) -> Digests:
    digests = np.zeros((values.len(), DIGEST_BYTES), dtype=np.uint8)
    joined = digest_all(values.drop_nulls().to_list())
    digests[values.is_not_null().to_numpy()] = np.frombuffer(joined, dtype=np.uint8).reshape(-1, DIGEST_BYTES)
    return digests
