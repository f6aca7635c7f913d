"""What a person is given: everything a dataset holds about them, as one machine-readable file (GDPR 15 and 20).

Words are those of the W3C Data Privacy Vocabulary where it has one, so that others can read the file.
"""

from collections.abc import Mapping
from datetime import date, datetime
from types import MappingProxyType
from typing import Any

from cleanroom.clock import rfc3339
from cleanroom.schema.model import Schema
from cleanroom.subjects.types import HeldChange, HeldConsent, HeldEntry, HeldVersion, Subject

FORMAT = 1
CONTEXT = MappingProxyType({"dpv": "https://w3id.org/dpv#", "gdpr": "https://w3id.org/dpv/legal/eu/gdpr#"})
STATUSES: Mapping[str, str] = MappingProxyType(
    {
        "granted": "dpv:ConsentGiven",
        "pending": "dpv:ConsentRequested",
        "expired": "dpv:ConsentExpired",
        "denied": "dpv:ConsentRefused",
        "withdrawn": "dpv:ConsentWithdrawn",
    }
)
_LISTS: Mapping[str, str] = MappingProxyType({"suppression": "gdpr:A21", "restriction": "gdpr:A18"})


def export_document(subject: Subject, schema: Schema) -> dict[str, Any]:
    """Write it as plain JSON.

    Tokens are not in it: identifiers came hashed, and the room cannot give back what it never had.

    Args:
        subject: made for an export.
        schema: of the dataset.
    """
    return {
        "v": FORMAT,
        "@context": dict(CONTEXT),
        "@type": "dpv:PersonalData",
        "right": ["gdpr:A15", "gdpr:A20"],
        "made_at": rfc3339(subject.asked_at),
        "dataset_id": subject.dataset_id,
        "lawful_basis": schema.lawful_basis,
        "identifier": {
            "kind": subject.key,
            "looked_for_in": list(subject.keys),
            "commitment": subject.commitment,
            "salt": subject.salt,
        },
        "categories": [
            {
                "attribute": attribute.name,
                "kind": attribute.kind.value,
                "origin": attribute.origin.value,
                "sensitivity": attribute.sensitivity.value,
            }
            for attribute in schema.attributes
        ],
        "held": [_version(version) for version in subject.versions],
        "consent_changes": [_change(change) for change in subject.changes],
        "opt_outs": [_entry(entry) for entry in subject.entries],
        "used_in": {
            "in_all": subject.releases_in_all,
            "receipts": [
                {
                    "analysis_id": use.analysis_id,
                    "released_at": rfc3339(use.released_at),
                    "version_id": use.version_id,
                    "purpose": use.purpose,
                    "consent_epoch": use.epoch,
                }
                for use in subject.releases
            ],
        },
    }


def _version(version: HeldVersion) -> dict[str, Any]:
    return {
        "version_id": version.version_id,
        "number": version.number,
        "status": version.status,
        "published_at": _instant(version.published_at),
        "shared_by_many": version.junk,
        "data": [dict(person.attributes or {}) for person in version.persons],
        "consents": [[_consent(one) for one in person.consents] for person in version.persons],
    }


def _consent(consent: HeldConsent) -> dict[str, Any]:
    return {
        "dpv:hasPurpose": consent.purpose,
        "dpv:hasConsentStatus": STATUSES[consent.state],
        "collected_at": _instant(consent.collected_at),
        "valid_until": _day(consent.until),
        "counted_now": consent.counted,
    }


def _change(change: HeldChange) -> dict[str, Any]:
    return {
        "dpv:hasPurpose": change.purpose,
        "dpv:hasConsentStatus": STATUSES.get(change.state, change.state),
        "at": rfc3339(change.at),
        "valid_until": _day(change.until),
        "consent_epoch": change.epoch,
        "named_by": change.named_by,
        "terms": dict(change.terms) if change.terms is not None else None,
    }


def _entry(entry: HeldEntry) -> dict[str, Any]:
    return {
        "right": _LISTS[entry.kind.value],
        "kind": entry.kind.value,
        "since": rfc3339(entry.accepted_at),
        "until": _instant(entry.lifted_at),
        "everywhere": entry.everywhere,
        "applies_here": entry.applies,
    }


def _instant(at: datetime | None) -> str | None:
    return None if at is None else rfc3339(at)


def _day(day: date | None) -> str | None:
    return None if day is None else day.isoformat()
