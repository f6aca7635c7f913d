"""What a person is told: notices that the role opens now, how many are unread, and what the person has chosen."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.dialects import postgresql, sqlite

from cleanroom.access.models import UserRow
from cleanroom.accounts.models import OrganisationRow
from cleanroom.datasets.models import DatasetRow
from cleanroom.db.database import Transaction
from cleanroom.notices.errors import UnknownNoticeError
from cleanroom.notices.models import NoticeReaderRow, NoticeReadRow, NoticeRow
from cleanroom.notices.types import MAILED, Choice, Notice, NoticeType, types_for
from cleanroom.signin.types import Member
from cleanroom.workspaces.models import PopulationRow

MOST_COUNTED = 100
"""More unread ones than this are not counted: a bell says 99 and more."""


@dataclass(frozen=True)
class NoticeReading:
    """Notices as their readers see them."""

    def unread(self, tx: Transaction, member: Member) -> int:
        """Count a person's unread notices, up to `MOST_COUNTED`."""
        reader = tx.session.get(NoticeReaderRow, member.user_id)
        rows = (
            select(NoticeRow.id).where(*_shown(member, reader), _unread(member, reader)).limit(MOST_COUNTED)
        )
        return int(tx.session.scalar(select(func.count()).select_from(rows.subquery())) or 0)

    def page(
        self,
        tx: Transaction,
        member: Member,
        *,
        only: NoticeType | None = None,
        unread: bool = False,
        offset: int = 0,
        limit: int = 20,
    ) -> tuple[tuple[Notice, ...], int]:
        """Return a page of a person's notices, the newest first, and how many there are.

        Args:
            tx: any transaction.
            member: who reads.
            only: of this type.
            unread: only those that are unread.
            offset: how many to pass over.
            limit: how many at most.
        """
        reader = tx.session.get(NoticeReaderRow, member.user_id)
        fresh = _unread(member, reader)
        rows = select(NoticeRow, fresh.label("fresh")).where(*_shown(member, reader))
        if only is not None:
            rows = rows.where(NoticeRow.type == only.value)
        if unread:
            rows = rows.where(fresh)
        total = int(tx.session.scalar(select(func.count()).select_from(rows.subquery())) or 0)
        found = tx.session.execute(rows.order_by(NoticeRow.number.desc()).offset(offset).limit(limit)).all()
        names = _names(tx, [row.data for row, _ in found])
        return tuple(
            Notice(
                id=row.id,
                number=row.number,
                type=NoticeType(row.type),
                at=row.at,
                unread=bool(new),
                data=row.data,
                about=tuple(names[id_] for id_ in row.data.values() if id_ in names),
            )
            for row, new in found
        ), total

    def mark(self, tx: Transaction, member: Member, notice_id: str) -> Notice:
        """Mark a notice read; a second time changes nothing.

        Raises:
            UnknownNoticeError: the person is told of no such notice.
        """
        row = tx.session.scalar(select(NoticeRow).where(NoticeRow.id == notice_id, *_shown(member, None)))
        if row is None:
            raise UnknownNoticeError("There is no notice with this id.", remedy="List the notices.")
        adding = _insert(tx, NoticeReadRow).values(user_id=member.user_id, notice_id=row.id)
        tx.session.execute(adding.on_conflict_do_nothing())
        return Notice(row.id, row.number, NoticeType(row.type), row.at, False, row.data, ())

    def mark_all(self, tx: Transaction, member: Member, *, through: int) -> None:
        """Mark all notices read up to one that the person has seen; those that came since stay unread."""
        reader = self._reader(tx, member)
        reader.read_through = max(reader.read_through, through)
        tx.session.flush()

    def choices(self, tx: Transaction, member: Member) -> tuple[Choice, ...]:
        """Return how a person wants to be told of each type that the role opens."""
        reader = tx.session.get(NoticeReaderRow, member.user_id)
        hidden = frozenset(reader.hidden) if reader is not None else frozenset()
        mailed = frozenset(reader.mailed) if reader is not None else MAILED
        return tuple(Choice(one, one not in hidden, one in mailed) for one in types_for(member.scopes))

    def choose(
        self, tx: Transaction, member: Member, *, page: Iterable[NoticeType], mail: Iterable[NoticeType]
    ) -> None:
        """Keep how a person wants to be told; what the role does not open now stays as it was.

        Args:
            tx: the caller's transaction.
            member: who chooses.
            page: types that are shown in the pages.
            mail: types that go by mail.
        """
        reader, open_now = self._reader(tx, member), frozenset(types_for(member.scopes))
        shown, mailed = frozenset(page), frozenset(mail)
        reader.hidden = sorted((set(reader.hidden) - open_now) | (open_now - shown))
        reader.mailed = sorted((set(reader.mailed) - open_now) | (open_now & mailed))
        tx.session.flush()
        tx.audit(
            "notices.chosen",
            subject_id=member.user_id,
            organisation_id=member.organisation_id,
            body={"hidden": reader.hidden, "mailed": reader.mailed},
        )

    def _reader(self, tx: Transaction, member: Member) -> NoticeReaderRow:
        first = _insert(tx, NoticeReaderRow).values(
            user_id=member.user_id, read_through=0, hidden=[], mailed=sorted(MAILED)
        )
        tx.session.execute(first.on_conflict_do_nothing())
        return tx.session.get_one(
            NoticeReaderRow, member.user_id, with_for_update=True, populate_existing=True
        )


def _insert(tx: Transaction, row: type[Any]) -> Any:
    return (sqlite if tx.connection.dialect.name == "sqlite" else postgresql).insert(row)


def _shown(member: Member, reader: NoticeReaderRow | None) -> list[ColumnElement[bool]]:
    """Return what a person may see now, and wants to; what happened before the person came is not shown."""
    since = select(UserRow.created_at).where(UserRow.id == member.user_id).scalar_subquery()
    shown = [
        NoticeRow.organisation_id == member.organisation_id,
        or_(
            NoticeRow.user_id == member.user_id,
            and_(NoticeRow.user_id.is_(None), NoticeRow.scope.in_(sorted(member.scopes))),
        ),
        NoticeRow.at >= since,
    ]
    if reader is not None and reader.hidden:
        shown.append(NoticeRow.type.not_in(reader.hidden))
    return shown


def _unread(member: Member, reader: NoticeReaderRow | None) -> ColumnElement[bool]:
    read = select(NoticeReadRow.notice_id).where(
        NoticeReadRow.user_id == member.user_id, NoticeReadRow.notice_id == NoticeRow.id
    )
    through = reader.read_through if reader is not None else 0
    return and_(NoticeRow.number > through, ~read.exists())


def _names(tx: Transaction, found: list[dict[str, Any]]) -> dict[str, str]:
    """Return names for the ids in notices, three statements for a page of them."""
    names: dict[str, str] = {}
    for field, table in (
        ("advertiser_id", OrganisationRow),
        ("dataset_id", DatasetRow),
        ("population_id", PopulationRow),
    ):
        ids = {data[field] for data in found if field in data}
        if ids:
            rows = select(table.id, table.name).where(table.id.in_(sorted(ids)))
            for id_, name in tx.session.execute(rows):
                names[id_] = name
    return names
