"""IAB Global Privacy Platform: the header, the European TCF section, and opt-outs of the US national section.

Source: IAB Tech Lab, "Global Privacy Platform String" 1.0 and "US National Privacy Technical Specification".
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

from cleanroom.consent.errors import SignalError
from cleanroom.consent.signals.bits import MAX_CHARACTERS, Bits
from cleanroom.consent.signals.tcf import TcString, parse_tcf

TCF_EU, US_NATIONAL = 2, 7
_HEADER, _VERSION = 3, 1
_US_VERSIONS = (1, 2)
_GPC_SEGMENT = 1


class OptOut(IntEnum):
    """What a person did about one kind of processing, as the US sections have it."""

    NOT_APPLICABLE = 0
    OPTED_OUT = 1
    DID_NOT = 2


@dataclass(frozen=True)
class UsNational:
    """The opt-outs of the US national section.

    Attributes:
        sale: of the sale of personal data.
        sharing: of sharing it.
        targeted_advertising: of processing for targeted advertising.
        gpc: the browser's Global Privacy Control; None when the section does not tell.
    """

    sale: OptOut
    sharing: OptOut
    targeted_advertising: OptOut
    gpc: bool | None

    @property
    def opted_out(self) -> bool:
        """Whether the person opted out of anything that advertising by others' data needs."""
        return OptOut.OPTED_OUT in {self.sale, self.sharing, self.targeted_advertising} or bool(self.gpc)


@dataclass(frozen=True)
class GppString:
    """A GPP string.

    Attributes:
        sections: as they came, by the section's id.
        tcf_eu: the European TCF section, where there is one.
        us_national: the US national section, where there is one.
    """

    sections: Mapping[int, str]
    tcf_eu: TcString | None
    us_national: UsNational | None


def parse_gpp(text: str) -> GppString:
    """Read a GPP string strictly.

    Args:
        text: a header and its sections, joined by tildes.

    Raises:
        SignalError: it is no GPP string of version 1, or is damaged.
    """
    header, *sections = text.split("~")
    if len(text) > MAX_CHARACTERS:
        raise SignalError("The GPP string is too long.", remedy=f"Send at most {MAX_CHARACTERS} characters.")
    bits = Bits(header)
    if (bits.number(6), bits.number(6)) != (_HEADER, _VERSION):
        raise SignalError("This is no GPP string of version 1.", remedy="Send it as it was written.")
    ids = bits.fibonacci_range()
    if len(ids) != len(sections) or len(set(ids)) != len(ids):
        raise SignalError(
            "The header names other sections than there are.", remedy="Send the string unchanged."
        )
    by_id = dict(zip(ids, sections, strict=True))
    return GppString(
        sections=by_id,
        tcf_eu=parse_tcf(by_id[TCF_EU]) if TCF_EU in by_id else None,
        us_national=_us_national(by_id[US_NATIONAL]) if US_NATIONAL in by_id else None,
    )


def _us_national(section: str) -> UsNational:
    core, *others = section.split(".")
    bits = Bits(core)
    version = bits.number(6)
    if version not in _US_VERSIONS:
        raise SignalError(f"A US national section of version {version}.", remedy="Send version 1 or 2.")
    # Six notices come first: whether the person was told.
    bits.number(12)
    sale, sharing, targeted = (_opt_out(bits.number(2)) for _ in range(3))
    gpc = None
    for other in map(Bits, others):
        if other.number(2) == _GPC_SEGMENT:
            gpc = other.flag()
    return UsNational(sale, sharing, targeted, gpc)


def _opt_out(number: int) -> OptOut:
    if number > max(OptOut):
        raise SignalError("An opt-out has a value that does not exist.", remedy="Send the string unchanged.")
    return OptOut(number)
