"""What waits for a second person, and what became of the rest: in pages, with names, in few statements."""

from dataclasses import dataclass

from sqlalchemy import func, select

from cleanroom.access.models import UserRow
from cleanroom.accounts.models import OrganisationRow
from cleanroom.db.database import Transaction
from cleanroom.foureyes.errors import UnknownAskError
from cleanroom.foureyes.models import FourEyesAskRow
from cleanroom.foureyes.service import FourEyes, ask_of
from cleanroom.foureyes.types import Ask, AskState
from cleanroom.signin.types import Member


@dataclass(frozen=True)
class Queued:
    """An ask with the names that stand beside it.

    Attributes:
        ask: as it stands.
        asker: e-mail address of who asked.
        ender: of who ended it; None while it waits, and when it lapsed.
        subject: what people call what it is about.
        organisation: name of whose it is.
    """

    ask: Ask
    asker: str
    ender: str | None
    subject: str
    organisation: str


def queue(
    tx: Transaction,
    four_eyes: FourEyes,
    organisation_id: str | None,
    *,
    state: AskState | None = None,
    deed: str | None = None,
    sort: str = "asked",
    descending: bool = False,
    offset: int = 0,
    limit: int = 20,
) -> tuple[tuple[Queued, ...], int]:
    """Return a page of an organisation's asks.

    Args:
        tx: any transaction.
        four_eyes: knows the deeds.
        organisation_id: whose; None for everybody's, which is the operator's to see.
        state: only those in one state.
        deed: only those for one deed.
        sort: `asked` or `state`; the first one for any other text.
        descending: the other way round.
        offset: how many to pass over.
        limit: how many at most.

    Returns:
        The page, and how many there are in all.
    """
    wanted = [] if organisation_id is None else [FourEyesAskRow.organisation_id == organisation_id]
    if state is not None:
        wanted.append(FourEyesAskRow.state == state.value)
    if deed is not None:
        wanted.append(FourEyesAskRow.deed == deed)
    total = tx.session.scalar(select(func.count()).select_from(FourEyesAskRow).where(*wanted)) or 0
    # Ids carry the time.
    order = FourEyesAskRow.state if sort == "state" else FourEyesAskRow.id
    page = select(FourEyesAskRow).where(*wanted).order_by(order.desc() if descending else order)
    rows = tx.session.scalars(page.order_by(FourEyesAskRow.id).offset(offset).limit(limit))
    return _named(tx, four_eyes, [ask_of(row) for row in rows]), int(total)


def queued(tx: Transaction, four_eyes: FourEyes, ask_id: str, *, organisation_id: str | None) -> Queued:
    """Return one ask of an organisation, or of anybody's for None; raises UnknownAskError."""
    row = tx.session.get(FourEyesAskRow, ask_id)
    if row is None or organisation_id not in (None, row.organisation_id):
        raise UnknownAskError("There is nothing with this id.", remedy="List what waits.")
    return _named(tx, four_eyes, [ask_of(row)])[0]


def waits_for(tx: Transaction, four_eyes: FourEyes, member: Member) -> int:
    """Count what waits for this very person: what others asked for, and the person's role decides."""
    deeds = [deed.name for deed in four_eyes.deeds.values() if member.may(deed.confirms)]
    if not deeds:
        return 0
    rows = (
        select(func.count())
        .select_from(FourEyesAskRow)
        .join(UserRow, UserRow.id == FourEyesAskRow.asked_by)
        .where(
            FourEyesAskRow.organisation_id == member.organisation_id,
            FourEyesAskRow.state == AskState.WAITING.value,
            FourEyesAskRow.deed.in_(deeds),
            FourEyesAskRow.asked_by != member.user_id,
            UserRow.disabled_at.is_(None),
        )
    )
    return int(tx.session.scalar(rows) or 0)


def _named(tx: Transaction, four_eyes: FourEyes, asks: list[Ask]) -> tuple[Queued, ...]:
    people = {one for ask in asks for one in (ask.asked_by, ask.ended_by) if one is not None}
    emails = dict(tx.session.execute(select(UserRow.id, UserRow.email).where(UserRow.id.in_(people))).all())
    whose = {ask.organisation_id for ask in asks}
    owners = select(OrganisationRow.id, OrganisationRow.name).where(OrganisationRow.id.in_(whose))
    organisations = dict(tx.session.execute(owners).all())
    names: dict[str, str] = {}
    for deed in four_eyes.deeds.values():
        if subjects := sorted({ask.subject_id for ask in asks if ask.deed == deed.name}):
            names |= deed.names(tx, subjects)
    return tuple(
        Queued(
            ask=ask,
            asker=emails[ask.asked_by],
            ender=emails[ask.ended_by] if ask.ended_by is not None else None,
            subject=names.get(ask.subject_id, ask.subject_id),
            organisation=organisations[ask.organisation_id],
        )
        for ask in asks
    )
