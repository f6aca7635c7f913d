"""IAB Transparency and Consent Framework, version 2: the core of a TC string.

Source: IAB Tech Lab, "Consent string and vendor list formats v2" (TCF v2.x).
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cleanroom.consent.errors import SignalError
from cleanroom.consent.signals.bits import MAX_CHARACTERS, Bits

VERSION = 2
PURPOSES = 24
MAX_SEGMENTS = 4
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class TcString:
    """What the core of a TC string says.

    Attributes:
        created: when it was first made.
        updated: when it was last changed.
        cmp_id: the consent platform.
        cmp_version: its version.
        screen: on which of its screens consent was given.
        language: of the screen, ISO 639-1, in capitals.
        vendor_list: the version of the list of vendors.
        policy: the version of the framework's policy.
        service_specific: whether it holds for one service alone.
        special_features: opted in to, by number.
        purposes: consented to, by number.
        legitimate: purposes to whose legitimate interest nobody has objected.
        country: of the publisher, ISO 3166-1.
        vendors: consented to.
        vendors_legitimate: vendors to whose legitimate interest nobody has objected.
    """

    created: datetime
    updated: datetime
    cmp_id: int
    cmp_version: int
    screen: int
    language: str
    vendor_list: int
    policy: int
    service_specific: bool
    special_features: frozenset[int]
    purposes: frozenset[int]
    legitimate: frozenset[int]
    country: str
    vendors: frozenset[int]
    vendors_legitimate: frozenset[int]


def parse_tcf(text: str) -> TcString:
    """Read a TC string strictly.

    Args:
        text: segments joined by dots; only the core, the first one, is read, the others must be web-safe base64.

    Raises:
        SignalError: it is no TC string of version 2, or is damaged.
    """
    segments = text.split(".")
    if len(text) > MAX_CHARACTERS or len(segments) > MAX_SEGMENTS:
        raise SignalError("The TC string is too long.", remedy=f"Send at most {MAX_CHARACTERS} characters.")
    bits = Bits(segments[0])
    for other in segments[1:]:
        Bits(other)
    version = bits.number(6)
    if version != VERSION:
        raise SignalError(f"A TC string of version {version}.", remedy=f"Send one of version {VERSION}.")
    created, updated = _instant(bits.number(36)), _instant(bits.number(36))
    if updated < created:
        raise SignalError("The TC string was changed before it was made.", remedy="Send it unchanged.")
    head = {
        "cmp_id": bits.number(12),
        "cmp_version": bits.number(12),
        "screen": bits.number(6),
    }
    language, vendor_list, policy = bits.letters(), bits.number(12), bits.number(6)
    service_specific, _ = bits.flag(), bits.flag()
    special, purposes, legitimate = bits.members(12), bits.members(PURPOSES), bits.members(PURPOSES)
    bits.flag()
    country = bits.letters()
    return TcString(
        created=created,
        updated=updated,
        **head,
        language=language,
        vendor_list=vendor_list,
        policy=policy,
        service_specific=service_specific,
        special_features=special,
        purposes=purposes,
        legitimate=legitimate,
        country=country,
        vendors=_vendors(bits),
        vendors_legitimate=_vendors(bits),
    )


def _instant(tenths: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=100 * tenths)


def _vendors(bits: Bits) -> frozenset[int]:
    most = bits.number(16)
    in_ranges = bits.flag()
    if not in_ranges:
        return bits.members(most)
    found = bits.fixed_range()
    if found and max(found) > most:
        raise SignalError("A vendor is beyond the last one.", remedy="Send the string unchanged.")
    return found
