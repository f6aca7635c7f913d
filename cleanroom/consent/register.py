"""The register of purposes and of notices: what an organisation processes data for, and what it shows people."""

import hashlib
import re
from collections.abc import Sequence
from datetime import datetime
from difflib import unified_diff

from sqlalchemy import Select, select

from cleanroom.canonical import canonical_json
from cleanroom.clock import Clock
from cleanroom.consent.errors import RegisterError, UnknownNoticeError, UnknownPurposeError
from cleanroom.consent.models import NoticeVersionRow, PurposeRow
from cleanroom.consent.registered import LegalBasis, NoticeVersion, Purpose, PurposeKind
from cleanroom.consent.signals.tcf import PURPOSES as TCF_PURPOSES
from cleanroom.db.database import Transaction
from cleanroom.ids import new_id

MAX_TEXT_CHARACTERS = 100_000
MAX_TITLE_CHARACTERS = 200
_CODE = re.compile(r"[^\s*/?#\x00-\x1f](?:[^*/?#\x00-\x1f]{0,62}[^\s*/?#\x00-\x1f])?")


class ConsentRegister:
    """Registers purposes and notices, in the caller's transaction; neither changes once it is there."""

    def __init__(self, *, clock: Clock) -> None:
        self._clock = clock

    def add_purpose(
        self,
        tx: Transaction,
        *,
        organisation_id: str,
        code: str,
        title_en: str,
        title_ru: str,
        legal_basis: LegalBasis,
        kind: PurposeKind,
        tcf_purposes: Sequence[int] = (),
    ) -> Purpose:
        """Register a purpose; see `Purpose`.

        Raises:
            RegisterError: it is there already, or a part of it has the wrong form.
        """
        _check_code(code)
        if not all(0 < len(title.strip()) <= MAX_TITLE_CHARACTERS for title in (title_en, title_ru)):
            raise RegisterError(
                f"A title has 1 to {MAX_TITLE_CHARACTERS} characters.", remedy="Give one in each language."
            )
        if not set(tcf_purposes) <= set(range(1, TCF_PURPOSES + 1)):
            raise RegisterError(
                f"TCF purposes have numbers from 1 to {TCF_PURPOSES}.", remedy="Correct the numbers."
            )
        if self._purpose(tx, organisation_id, code) is not None:
            raise RegisterError("This purpose is registered already.", remedy="Choose another code.")
        row = PurposeRow(
            id=new_id("pu", self._clock.now()),
            organisation_id=organisation_id,
            code=code,
            title_en=title_en.strip(),
            title_ru=title_ru.strip(),
            legal_basis=legal_basis.value,
            kind=kind.value,
            tcf_purposes=sorted(set(tcf_purposes)),
            created_at=self._clock.now(),
        )
        tx.session.add(row)
        tx.session.flush()
        body = {"code": code, "legal_basis": row.legal_basis, "kind": row.kind}
        tx.audit(
            "consent.purpose_registered",
            subject_id=row.id,
            organisation_id=organisation_id,
            body=body | {"tcf_purposes": row.tcf_purposes},
        )
        return _purpose_of(row)

    def purposes(
        self, tx: Transaction, *, organisation_id: str, after: str | None = None, limit: int = 200
    ) -> list[Purpose]:
        """List an organisation's purposes, the oldest first."""
        rows = select(PurposeRow).where(
            PurposeRow.organisation_id == organisation_id, PurposeRow.id > (after or "")
        )
        return [_purpose_of(row) for row in tx.session.scalars(rows.order_by(PurposeRow.id).limit(limit))]

    def purpose(self, tx: Transaction, code: str, *, organisation_id: str) -> Purpose:
        """Return a purpose; raises UnknownPurposeError."""
        row = self._purpose(tx, organisation_id, code)
        if row is None:
            raise UnknownPurposeError("This purpose is not registered.", remedy="Register it first.")
        return _purpose_of(row)

    def publish_notice(
        self,
        tx: Transaction,
        *,
        organisation_id: str,
        code: str,
        text_en: str,
        text_ru: str,
        purposes: Sequence[str],
        separate_document: bool,
        valid_from: datetime | None = None,
    ) -> NoticeVersion:
        """Publish the next version of a notice; see `NoticeVersion`.

        Raises:
            RegisterError: it has no text, is too long, or asks for advertising together with something else.
            UnknownPurposeError: it names a purpose that is not registered.
        """
        _check_code(code)
        texts = {"en": text_en.strip(), "ru": text_ru.strip()}
        if not any(texts.values()) or max(map(len, texts.values())) > MAX_TEXT_CHARACTERS:
            raise RegisterError(
                f"A notice has a text in one language at least, of at most {MAX_TEXT_CHARACTERS} characters.",
                remedy="Give the text that people are shown.",
            )
        asked = [self.purpose(tx, each, organisation_id=organisation_id) for each in dict.fromkeys(purposes)]
        if not asked:
            raise RegisterError("A notice asks for a purpose at least.", remedy="Name what it asks for.")
        if len({each.kind is PurposeKind.ADVERTISING for each in asked}) > 1:
            raise RegisterError(
                "Consent to advertising is asked for apart from any other.",
                remedy="Publish a notice for advertising alone, and another one for the rest.",
            )
        newest = self._newest(tx, organisation_id, code)
        row = NoticeVersionRow(
            id=new_id("cn", self._clock.now()),
            organisation_id=organisation_id,
            code=code,
            version=newest.version + 1 if newest else 1,
            text_en=texts["en"],
            text_ru=texts["ru"],
            sha256=hashlib.sha256(canonical_json({"v": 1, **texts})).hexdigest(),
            purposes=[each.code for each in asked],
            separate_document=separate_document,
            valid_from=valid_from or self._clock.now(),
            created_at=self._clock.now(),
        )
        if newest is not None and _same(newest, row):
            raise RegisterError("Nothing differs from the last version.", remedy="Use that one.")
        tx.session.add(row)
        tx.session.flush()
        tx.audit(
            "consent.notice_published",
            subject_id=row.id,
            organisation_id=organisation_id,
            body={
                "code": code,
                "version": row.version,
                "sha256": row.sha256,
                "purposes": row.purposes,
                "separate_document": separate_document,
            },
        )
        return _notice_of(row)

    def notices(
        self, tx: Transaction, *, organisation_id: str, after: str | None = None, limit: int = 200
    ) -> list[NoticeVersion]:
        """List every version of every notice, the oldest first."""
        rows = select(NoticeVersionRow).where(
            NoticeVersionRow.organisation_id == organisation_id, NoticeVersionRow.id > (after or "")
        )
        found = tx.session.scalars(rows.order_by(NoticeVersionRow.id).limit(limit))
        return [_notice_of(row) for row in found]

    def notice(
        self, tx: Transaction, code: str, version: int | None = None, *, organisation_id: str
    ) -> NoticeVersion:
        """Return a version of a notice, the newest when none is named; raises UnknownNoticeError."""
        row = self._newest(tx, organisation_id, code)
        if row is not None and version not in (None, row.version):
            row = tx.session.scalars(
                _notices(organisation_id, code).where(NoticeVersionRow.version == version)
            ).one_or_none()
        if row is None:
            raise UnknownNoticeError(
                "There is no such notice, or not in this version.", remedy="Publish it first."
            )
        return _notice_of(row)

    def difference(
        self, tx: Transaction, code: str, older: int, newer: int, *, organisation_id: str
    ) -> tuple[str, ...]:
        """Compare two versions, line by line; gives what `diff -u` shows, English first."""
        one, other = (
            self.notice(tx, code, version, organisation_id=organisation_id) for version in (older, newer)
        )
        names = (f"{code} {older}", f"{code} {newer}")
        lines: list[str] = []
        for before, after in ((one.text_en, other.text_en), (one.text_ru, other.text_ru)):
            lines += unified_diff(before.splitlines(), after.splitlines(), *names, lineterm="")
        return tuple(lines)

    def _purpose(self, tx: Transaction, organisation_id: str, code: str) -> PurposeRow | None:
        rows = select(PurposeRow).where(
            PurposeRow.organisation_id == organisation_id, PurposeRow.code == code
        )
        return tx.session.scalars(rows).one_or_none()

    def _newest(self, tx: Transaction, organisation_id: str, code: str) -> NoticeVersionRow | None:
        rows = _notices(organisation_id, code).order_by(NoticeVersionRow.version.desc())
        return tx.session.scalars(rows.limit(1)).first()


def _notices(organisation_id: str, code: str) -> Select[NoticeVersionRow]:
    return select(NoticeVersionRow).where(
        NoticeVersionRow.organisation_id == organisation_id, NoticeVersionRow.code == code
    )


def _check_code(code: str) -> None:
    if not _CODE.fullmatch(code):
        raise RegisterError(
            "A code has 1 to 64 characters, without spaces at its ends, and none of * / ? #.",
            remedy="Choose a shorter or plainer one.",
        )


def _same(one: NoticeVersionRow, other: NoticeVersionRow) -> bool:
    fields = ("sha256", "purposes", "separate_document")
    return all(getattr(one, name) == getattr(other, name) for name in fields)


def _purpose_of(row: PurposeRow) -> Purpose:
    return Purpose(
        id=row.id,
        code=row.code,
        title_en=row.title_en,
        title_ru=row.title_ru,
        legal_basis=LegalBasis(row.legal_basis),
        kind=PurposeKind(row.kind),
        tcf_purposes=tuple(row.tcf_purposes),
        created_at=row.created_at,
    )


def _notice_of(row: NoticeVersionRow) -> NoticeVersion:
    return NoticeVersion(
        id=row.id,
        code=row.code,
        version=row.version,
        text_en=row.text_en,
        text_ru=row.text_ru,
        sha256=row.sha256,
        purposes=tuple(row.purposes),
        separate_document=row.separate_document,
        valid_from=row.valid_from,
        created_at=row.created_at,
    )
