"""What the wizard's scripts say, by the names that they know it by."""

from collections.abc import Mapping
from types import MappingProxyType

from provider_portal.i18n import N_, Writing
from provider_portal.wording import WORDS

PURPOSES = ("advertising", "measurement", "analytics", "research")

_DESCRIBING: Mapping[str, str] = MappingProxyType(
    {
        "role.key": N_("Identifier for matching"),
        "role.attribute": N_("Attribute"),
        "role.person": N_("Who the row is about"),
        "role.consent": N_("Consent"),
        "role.left_out": N_("Leave out"),
        "type.category": N_("Category"),
        "type.open": N_("Category, any values"),
        "type.boolean": N_("Yes or no"),
        "type.integer": N_("Whole number"),
        "type.decimal": N_("Number with a fraction"),
        "type.date": N_("Date"),
        "type.set": N_("Several values"),
        "kind.descriptive": N_("Describes the person"),
        "kind.behavioural": N_("What the person did"),
        "kind.qualitative": N_("An opinion or an estimate"),
        "origin.direct": N_("The person told it"),
        "origin.indirect": N_("Observed or derived"),
        "sensitivity.normal": N_("Ordinary"),
        "sensitivity.sensitive": N_("Sensitive"),
        "identifier.email": N_("E-mail"),
        "identifier.phone": N_("Phone"),
        "identifier.maid": N_("Advertising id"),
        "identifier.cookie": N_("Cookie"),
        "identifier.loyalty_id": N_("Loyalty card"),
        "form.raw": N_("As people wrote them"),
        "form.hashed": N_("Hashed already"),
        "basis.consent": N_("Consent"),
        "basis.contract": N_("Contract"),
        "basis.legal_obligation": N_("Legal obligation"),
        "basis.vital_interests": N_("Vital interests"),
        "basis.public_task": N_("Public task"),
        "basis.legitimate_interests": N_("Legitimate interests"),
        "f.role": N_("Used as"),
        "f.type": N_("Type"),
        "f.name": N_("Name in questions"),
        "f.kind": N_("What it tells"),
        "f.origin": N_("Where it comes from"),
        "f.sensitivity": N_("Sensitivity"),
        "f.values": N_("Values to tell apart, one a line; all others become “other”"),
        "f.bands": N_("Lower edges of the groups, separated by commas"),
        "f.clamp": N_("Least and greatest value for sums, separated by a comma"),
        "f.separator": N_("What stands between several values"),
        "f.max_values": N_("At most so many values of one person"),
        "f.date_format": N_("How dates are written"),
        "f.decimal_mark": N_("Decimal mark"),
        "f.scale": N_("Digits after the mark"),
        "f.null_values": N_("Texts that mean “not known”, separated by commas"),
        "f.identifier": N_("Identifier"),
        "f.form": N_("The file holds them"),
        "f.profile": N_("Hash profile"),
        "f.region": N_("Country of phones without a country code"),
        "f.also": N_("Also make the variants of"),
        "f.purpose": N_("Purpose"),
        "f.granted": N_("Values that mean consent, separated by commas"),
        "f.withdrawn": N_("Values that mean it was taken back, separated by commas"),
        "f.collected_at": N_("Column with the day of consent"),
        "f.expires_at": N_("Column with its last day"),
        "none": N_("none"),
        "more": N_("More about %(column)s"),
        "special": N_(
            "A special category of personal data: health, origin, beliefs, politics, sexual life, biometrics, "
            "convictions. The room refuses it; the column may stay in the file and is not read."
        ),
        "identifying": N_("It identifies a person directly: an identifier for matching, or left out."),
        "shown": N_("%(shown)s of %(all)s columns"),
        "bulk": N_("Changed: %(count)s columns"),
        "page": N_("Page %(page)s of %(pages)s"),
        "read": N_("%(count)s columns read. The file stays here; only the names of its columns were sent."),
        "unreadable": N_("No header is found. Take a CSV file, or paste its first line."),
        "no_keys": N_("No column is an identifier for matching yet. Choose one in the first step."),
        "no_consents": N_("No column tells consent. Without one nobody of the dataset is counted."),
        "key_of": N_("Columns: %(columns)s"),
        "legacy": N_(
            "Rests on MD5, which is easily undone. Take it only to meet partners who have nothing else."
        ),
        "not_one": N_("no such identifier"),
        "check.same": N_("is in the list above: value %(row)s, profile %(profile)s"),
        "check.hex": N_("SHA-256 in hex: room, google, meta, tiktok, snap, pair. None of the values above."),
        "check.base64": N_("SHA-256 in base64: uid2. None of the values above."),
        "check.md5": N_("An MD5: yandex alone. None of the values above."),
        "check.upper": N_("SHA-256 in capitals: write it in small letters, or it is refused."),
        "check.none": N_("not a digest"),
        "accepted": N_("The description is complete."),
        "failed": N_("The room did not answer. Try again."),
        "all": N_("All"),
    }
)
_LOADING: Mapping[str, str] = MappingProxyType(
    {
        "preparing": N_("Preparing: %(rows)s rows, %(rejected)s left out"),
        "prepared": N_("Prepared: %(rows)s rows, %(rejected)s left out. Encrypted: %(size)s."),
        "sending": N_("Sent: %(sent)s of %(size)s"),
        "paused": N_("Paused at %(sent)s of %(size)s"),
        "sent": N_("All is sent. The room is taking it in."),
        "waiting": N_("The connection broke. Trying again…"),
        "session": N_("Your session has ended. Sign in in another tab, then continue here: nothing is lost."),
        "stopped": N_("The room refused: %(detail)s"),
        "interrupted": N_(
            "An upload was interrupted: %(size)s encrypted, prepared %(when)s. Continue, or discard it."
        ),
        "gone": N_("The room does not have this upload any more. Discard it and choose the file again."),
        "discarded": N_("Discarded: nothing of it is kept here or in the room."),
        "old": N_("This browser lacks what is needed. Take a newer one, or the command line."),
        "first": N_("First rows left out: %(rows)s"),
        "row": N_("row %(row)s: %(reason)s"),
        "refused.empty": N_("The file is empty."),
        "refused.parquet": N_("Parquet files are for the command line."),
        "refused.workbook": N_("This is a workbook or an archive. Save it as CSV in UTF-8."),
        "refused.encoding": N_("The file is neither UTF-8 nor Windows-1251. Save it as CSV in UTF-8."),
        "refused.nul": N_("The file is not text. Save it as CSV in UTF-8."),
        "refused.damaged": N_("The packed file is damaged. Pack it again."),
        "refused.long_line": N_("A line is longer than a megabyte. Check that every quote is closed."),
        "refused.columns": N_("The file has too many columns."),
        "refused.missing": N_("The file lacks columns of the description: %(columns)s"),
        "refused.double": N_("The file has columns twice: %(columns)s"),
        "refused.unclosed": N_("A quote is opened and never closed."),
        "refused.no_rows": N_("The file has no rows under its header."),
        "refused.none": N_("None of %(rows)s rows can be taken: %(reasons)s"),
        "refused.digest": N_(
            "Identifier %(key)s: no value is a digest as the profile %(profile)s writes it."
        ),
        "refused.special": N_(
            "Attribute %(name)s holds a special category of personal data, which is refused."
        ),
        "refused.schema": N_("The description has changed. Load the page anew."),
        "refused.failed": N_("The file could not be prepared (%(name)s). Try the command line."),
    }
)
_SHARED = ("purpose",)


def wizard_words(writing: Writing, *, loading: bool = False) -> dict[str, str]:
    """Return the words of the page that describes a file, or of the one that loads it, in somebody's language."""
    found = {name: writing.gettext(text) for name, text in (_LOADING if loading else _DESCRIBING).items()}
    for table in _SHARED:
        found |= {f"{table}.{code}": writing.gettext(text) for code, text in WORDS[table].items()}
    return found
