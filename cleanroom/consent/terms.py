"""The terms of a consent record: what was asked and agreed, how, and where the evidence is.

Kept in a sealed file beside the segment, one line of JSON for each; records name their line. Fields follow ISO/IEC TS
27560 and the Data Privacy Vocabulary; see `docs/reference/consent-records.md`.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from cleanroom.clock import rfc3339

FORMAT = 1


@dataclass(frozen=True)
class Terms:
    """What one or more records of consent have in common.

    Attributes:
        recipients: to whom data may go.
        notice: the code of the notice that was shown.
        notice_version: which version of it.
        notice_sha256: hex, of that version's text.
        language: of the text that was shown, such as `ru`.
        method: how consent was expressed, such as `web_form`.
        channel: where, such as `site`.
        evidence: where the owner keeps the proof.
        jurisdiction: whose law applies, such as `RU`.
        separate_document: whether it was given apart from any other text (152-FZ, article 9).
        advertising: whether it is a consent to advertising (38-FZ, article 18).
        tcf: an IAB TCF string, as it came.
        tcf_purposes: the purposes that it consents to, by number.
        gpp: an IAB GPP string, as it came.
        gpp_opted_out: whether its US national section opts out of sale, sharing or targeted advertising.
        asked_at: when the person was asked.
        given_at: when they answered.
        received_at: when the room took the record.
        confirm_by: until when a request can be confirmed.
        confirm_sha256: hex, of the secret that confirms it.
    """

    recipients: tuple[str, ...] = ()
    notice: str | None = None
    notice_version: int | None = None
    notice_sha256: str | None = None
    language: str | None = None
    method: str | None = None
    channel: str | None = None
    evidence: str | None = None
    jurisdiction: str | None = None
    separate_document: bool | None = None
    advertising: bool | None = None
    tcf: str | None = None
    tcf_purposes: tuple[int, ...] = ()
    gpp: str | None = None
    gpp_opted_out: bool | None = None
    asked_at: datetime | None = None
    given_at: datetime | None = None
    received_at: datetime | None = None
    confirm_by: datetime | None = None
    confirm_sha256: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Write what is known as plain data."""
        known = ((each.name, getattr(self, each.name)) for each in fields(self))
        return {"v": FORMAT} | {name: _plain(value) for name, value in known if value not in (None, ())}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Terms":
        """Read what `to_dict` wrote; fields of later formats are left out."""
        names = {each.name for each in fields(cls)}
        read = {name: value for name, value in data.items() if name in names}
        for name in ("recipients", "tcf_purposes"):
            read[name] = tuple(read.get(name, ()))
        for name in ("asked_at", "given_at", "received_at", "confirm_by"):
            if name in read:
                read[name] = datetime.fromisoformat(read[name])
        return cls(**read)


def written(terms: Iterable[Terms]) -> bytes:
    """Write terms, a line each."""
    lines = (json.dumps(each.to_dict(), ensure_ascii=False, sort_keys=True) for each in terms)
    return "".join(f"{line}\n" for line in lines).encode()


def read_terms(content: bytes) -> Sequence[Terms]:
    """Read what `written` wrote; the position is what records name."""
    return [Terms.from_dict(json.loads(line)) for line in content.decode().split("\n") if line]


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return rfc3339(value)
    return list(value) if isinstance(value, tuple) else value
