"""Records of consent as an owner's system sends them: held against the register and the law, then taken as changes."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta

from cleanroom.clock import Clock
from cleanroom.consent.changes import ChangeState
from cleanroom.consent.errors import ChangeError, SignalError, TermsError
from cleanroom.consent.register import ConsentRegister
from cleanroom.consent.registered import NoticeVersion, Purpose, PurposeKind
from cleanroom.consent.signals.gpp import parse_gpp
from cleanroom.consent.signals.tcf import parse_tcf
from cleanroom.consent.terms import Terms
from cleanroom.consent.types import ALL_PURPOSES, Change
from cleanroom.db.database import Transaction

MAX_RECORDS = 5_000
SEPARATE_SINCE = date(2025, 9, 1)
"""From this day on Russian law wants consent as a document of its own (152-FZ, article 9)."""
_MOSCOW = timedelta(hours=3)


@dataclass(frozen=True)
class Record:
    """One record of consent.

    Attributes:
        key: the match key and hash profile, or `person_id/sha256`.
        digest: 32 bytes.
        purpose: a code of the register that the dataset's schema declares; `*` for all, unless it is a consent.
        state: of the consent; None when the TCF or GPP string tells it.
        at: when it came to be: of a consent, when it was collected; now, when not given.
        until: the last day of a consent.
        terms: what else is recorded.
    """

    key: str
    digest: bytes
    purpose: str
    state: ChangeState | None
    at: datetime | None = None
    until: date | None = None
    terms: Terms = field(default_factory=Terms)


class Recording:
    """Turns records into changes; what it asks of the law is in `docs/reference/consent-records.md`."""

    def __init__(self, *, register: ConsentRegister, clock: Clock) -> None:
        self._register = register
        self._clock = clock

    def changes(
        self, tx: Transaction, records: Sequence[Record], *, organisation_id: str
    ) -> tuple[Change, ...]:
        """Check records and complete their terms.

        Args:
            tx: reads.
            records: at most 5,000.
            organisation_id: whose register they are held against.

        Raises:
            ChangeError: there are too many or none, or one has no state.
            TermsError: a consent without a notice, or one that its notice or the law does not allow.
            SignalError: a string cannot be read, or does not carry the consent that is recorded.
            UnknownPurposeError: a purpose is not registered.
            UnknownNoticeError: a notice is not published, or not in this version.
        """
        if not 0 < len(records) <= MAX_RECORDS:
            raise ChangeError(f"A batch has 1 to {MAX_RECORDS} records.", remedy="Send several batches.")
        known: dict[str, Purpose] = {}
        shown: dict[tuple[str, int | None], NoticeVersion] = {}
        changes = []
        for record in records:
            purpose = None
            if record.purpose != ALL_PURPOSES:
                if record.purpose not in known:
                    known[record.purpose] = self._register.purpose(
                        tx, record.purpose, organisation_id=organisation_id
                    )
                purpose = known[record.purpose]
            notice, code = None, record.terms.notice
            if code is not None:
                asked = (code, record.terms.notice_version)
                if asked not in shown:
                    shown[asked] = self._register.notice(tx, *asked, organisation_id=organisation_id)
                notice = shown[asked]
            changes.append(self._change(record, purpose, notice))
        return tuple(changes)

    def _change(self, record: Record, purpose: Purpose | None, notice: NoticeVersion | None) -> Change:
        now = self._clock.now()
        terms, told = _signals(record.terms, purpose)
        state = record.state
        if state is None:
            if told is None:
                raise ChangeError(
                    "A record has no state, and no string that tells it.", remedy="Give its state."
                )
            state = ChangeState.GRANTED if told else ChangeState.DENIED
        elif state is ChangeState.GRANTED and told is False:
            raise SignalError(
                "The TCF or GPP string does not carry this consent.", remedy="Record what it says."
            )
        at = record.at or now
        if state in {ChangeState.GRANTED, ChangeState.PENDING}:
            _check_terms(terms, purpose, notice, at)
        if notice is not None:
            if terms.notice_sha256 not in (None, notice.sha256):
                raise TermsError(
                    "The hash is not that of the notice's text.", remedy="Publish the text that was shown."
                )
            terms = replace(
                terms,
                notice_version=notice.version,
                notice_sha256=notice.sha256,
                separate_document=notice.separate_document,
            )
        terms = replace(
            terms,
            advertising=purpose is not None and purpose.kind is PurposeKind.ADVERTISING,
            given_at=at,
            received_at=now,
        )
        return Change(
            record.key, record.digest, state, record.purpose, at=at, until=record.until, terms=(terms,)
        )


def _check_terms(terms: Terms, purpose: Purpose | None, notice: NoticeVersion | None, at: datetime) -> None:
    if purpose is None or notice is None:
        raise TermsError(
            "A consent names one purpose, and the notice that the person was shown.",
            remedy="Publish the notice, and send its code and version.",
        )
    if purpose.code not in notice.purposes:
        raise TermsError("The notice does not ask for this purpose.", remedy="Name the one that does.")
    if notice.valid_from > at:
        raise TermsError(
            "The consent is older than the notice.", remedy="Name the version that was shown then."
        )
    in_russia = (terms.jurisdiction or "").upper() == "RU"
    if in_russia and (at + _MOSCOW).date() >= SEPARATE_SINCE and not notice.separate_document:
        raise TermsError(
            "In Russia consent is a document of its own since 1 September 2025 (152-FZ, article 9).",
            remedy="Publish the consent as a separate document.",
        )


def _signals(terms: Terms, purpose: Purpose | None) -> tuple[Terms, bool | None]:
    """Read the strings of a record.

    Returns:
        The terms with what they say, and whether they carry consent to the purpose; None when they do not tell.
    """
    told: list[bool] = []
    cores = [parse_tcf(terms.tcf)] if terms.tcf else []
    if terms.gpp:
        gpp = parse_gpp(terms.gpp)
        cores += [gpp.tcf_eu] if gpp.tcf_eu else []
        if gpp.us_national is not None:
            terms = replace(terms, gpp_opted_out=gpp.us_national.opted_out)
            # That somebody did not opt out is no consent; that they did is a denial.
            if gpp.us_national.opted_out and purpose and purpose.kind is PurposeKind.ADVERTISING:
                told.append(False)
    if cores:
        agreed = frozenset.intersection(*(core.purposes for core in cores))
        terms = replace(terms, tcf_purposes=tuple(sorted(agreed)))
        if purpose and purpose.tcf_purposes:
            told.append(agreed >= set(purpose.tcf_purposes))
    return terms, all(told) if told else None
