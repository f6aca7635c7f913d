"""One spelling per identifier, before hashing: the scalar reference that every faster path must equal.

Every function returns the normalised text, or None when the text is no such identifier.
Sources: UID2's normalisation rules, the customer-match rules of Google, Meta and others, and libphonenumber.
"""

import re
import unicodedata
from typing import Literal
from uuid import UUID

import idna
import phonenumbers

Identifier = Literal["email", "phone", "maid", "cookie", "loyalty_id"]
IDENTIFIERS: tuple[Identifier, ...] = ("email", "phone", "maid", "cookie", "loyalty_id")
GMAIL_DOMAINS: tuple[str, ...] = ("gmail.com", "googlemail.com")
MAX_EMAIL_CHARACTERS = 254
MAX_PHONE_CHARACTERS = 64
MAX_ID_CHARACTERS = 256

# Values typed to get past a form; kept, but counted and reported. Written without back references, so that
# the vectorised path uses the same expressions.
JUNK_EMAIL = r"^(?:test@test|test@example|example@example|asd@asd|qwe@qwe|a@a|123@123|no@no|none@none)\."
JUNK_PHONE = "(?:" + "|".join(f"{digit}{{7,}}" for digit in range(10)) + "|1234567890|9876543210)$"
_JUNK = {"email": re.compile(JUNK_EMAIL), "phone": re.compile(JUNK_PHONE)}

_UID2_PHONE = re.compile(r"\+[0-9]{10,15}\Z")
_BLANK_OR_CONTROL = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u200b\u2060\ufeff]")


def split_email(text: str) -> tuple[str, str] | None:
    """Split at the only `@`; None when a part is missing or long, or a blank or control character is inside.

    Args:
        text: trimmed.

    Returns:
        What stands before and after the `@`.
    """
    local, at, domain = text.partition("@")
    if not (local and at and domain) or "@" in domain or len(text) > MAX_EMAIL_CHARACTERS:
        return None
    return None if _BLANK_OR_CONTROL.search(text) else (local, domain)


def fold_gmail(local: str) -> str:
    """Remove what Gmail ignores: dots and everything from the first `+`."""
    return local.partition("+")[0].replace(".", "")


def email(
    text: str, *, remove_spaces: bool = False, fold: tuple[str, ...] = (), strict: bool = False
) -> str | None:
    """Normalise an e-mail address.

    Args:
        text: as typed.
        remove_spaces: remove blanks inside too, not only around.
        fold: the domains whose local part loses dots and `+tag`.
        strict: apply NFKC, write the domain as IDNA and ask for a dot in it.

    Returns:
        The address in lower case.
    """
    if strict:
        text = unicodedata.normalize("NFKC", text)
    text = "".join(text.split()) if remove_spaces else text.strip()
    parts = split_email(text.lower())
    if parts is None:
        return None
    local, domain = parts
    if strict:
        encoded = _idna_domain(domain)
        if encoded is None:
            return None
        domain = encoded
    if domain in fold:
        local = fold_gmail(local)
    return f"{local}@{domain}" if local else None


def _idna_domain(domain: str) -> str | None:
    if "." not in domain.strip(".") or domain.endswith("."):
        return None
    try:
        return idna.encode(domain, uts46=True).decode("ascii")
    except (idna.IDNAError, UnicodeError):
        return None


def phone(text: str, *, default_region: str | None = None) -> str | None:
    """Normalise a phone number to E.164 with its `+`.

    Args:
        text: as typed; an extension is left out.
        default_region: the country of numbers written without one, such as `RU` (there 8 becomes +7).

    Returns:
        Such as `+79123456789`; None unless libphonenumber calls the number valid.
    """
    if len(text) > MAX_PHONE_CHARACTERS:
        return None
    try:
        number = phonenumbers.parse(text, default_region)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(number):
        return None
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


def is_uid2_phone(text: str) -> bool:
    """Tell whether UID2 takes the text as an already normalised number: `+` and 10 to 15 digits."""
    return _UID2_PHONE.match(text) is not None


def maid(text: str) -> str | None:
    """Normalise a mobile advertising id to a lower-case UUID; the all-zero id (opted out) is none."""
    try:
        value = UUID(text.strip())
    except ValueError:
        return None
    return str(value) if value.int else None


def opaque_id(text: str) -> str | None:
    """Normalise a cookie or loyalty id: blanks around it go, nothing else changes."""
    text = text.strip()
    return text if 0 < len(text) <= MAX_ID_CHARACTERS else None


def is_known_junk(identifier: Identifier, normalised: str) -> bool:
    """Tell whether a normalised value is one that people type to get past a form."""
    pattern = _JUNK.get(identifier)
    return pattern is not None and pattern.search(normalised) is not None
