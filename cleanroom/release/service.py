"""The second half of a question: exact counts become released figures in the transaction that records them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from cleanroom.client.receipts import REFUSED, RELEASED
from cleanroom.clock import rfc3339
from cleanroom.db.database import PendingEvent, Transaction
from cleanroom.grants.service import Grants
from cleanroom.release.answers import Asked, Found, store_answer
from cleanroom.release.codec import figure_to_dict, mechanism_to_dict
from cleanroom.release.gate import release_cells
from cleanroom.release.types import Cell, Mechanism, ReleasedFigure
from policies.decision import Reason, reason_to_dict


@dataclass(frozen=True)
class Ticket:
    """What the first half of a question settled: who asks what of which data, at which price.

    Attributes:
        analysis_id: `an_...`.
        organisation_id: the advertiser, whose event the release is.
        asked: identity of the question and its data.
        epoch: the consent epoch when the budget was reserved.
        mechanism: how the figures will be made; public.
        names: canonical name of each cell to the asker's names for it.
        facts: what the receipt says besides: parties, versions, ciphertext roots, policy, question, budget.
    """

    analysis_id: str
    organisation_id: str
    asked: Asked
    epoch: int
    mechanism: Mechanism
    names: Mapping[str, tuple[str, ...]]
    facts: Mapping[str, Any]


class ReleaseService:
    """The gate as a service; every figure about people that leaves the room is made here."""

    def __init__(self, grants: Grants) -> None:
        self._grants = grants

    def release(
        self, tx: Transaction, ticket: Ticket, cells: Sequence[Cell], *, epoch: int, at: datetime
    ) -> Found:
        """Make noise, settle the reservation, store the answer and record the release, all or nothing.

        Args:
            tx: a transaction of its own; the figures exist once it has committed.
            ticket: of the reserved question.
            cells: exact counts, containing cells first.
            epoch: the consent epoch that the counts honour.
            at: the instant of the release.

        Returns:
            The stored answer, under canonical names.
        """
        figures = release_cells(cells, ticket.mechanism)
        self._grants.settle(tx, ticket.analysis_id)
        found = Found(ticket.analysis_id, epoch, at, ticket.mechanism, figures)
        store_answer(tx, ticket.asked, found)
        event = tx.audit(
            RELEASED,
            subject_id=ticket.analysis_id,
            organisation_id=ticket.organisation_id,
            body={
                **ticket.facts,
                "outcome": "released",
                "released_at": rfc3339(at),
                "consent_epoch": epoch,
                "mechanism": mechanism_to_dict(ticket.mechanism),
                "figures": _written(figures, ticket.names),
            },
            prove=True,
        )
        return replace(found, event=event)

    def refuse(
        self,
        tx: Transaction,
        *,
        analysis_id: str,
        organisation_id: str,
        facts: Mapping[str, Any],
        reasons: Sequence[Reason],
        missing: Sequence[str],
        at: datetime,
    ) -> PendingEvent:
        """Record a refusal, with its reasons or with what is missing; its receipt proves this record."""
        return tx.audit(
            REFUSED,
            subject_id=analysis_id,
            organisation_id=organisation_id,
            body={
                **facts,
                "outcome": "refused",
                "refused_at": rfc3339(at),
                "reasons": [reason_to_dict(reason) for reason in reasons],
                "missing": list(missing),
            },
            prove=True,
        )


def named(
    figures: Sequence[ReleasedFigure], names: Mapping[str, tuple[str, ...]]
) -> tuple[ReleasedFigure, ...]:
    """Give released figures the names that their asker uses; a condition asked twice under two names appears twice.

    Keys that nobody knew beforehand are nobody's to name: they come last, as they are.
    """
    by_name = {figure.name: figure for figure in figures}
    asked_for = [_renamed(by_name[canonical], asked) for canonical, all_ in names.items() for asked in all_]
    return (*asked_for, *(figure for figure in figures if figure.name not in names))


def _written(figures: Sequence[ReleasedFigure], names: Mapping[str, tuple[str, ...]]) -> list[dict[str, Any]]:
    """Write figures under the names of `named`, without making each anew."""
    by_name = {figure.name: figure_to_dict(figure) for figure in figures}
    asked_for = [{**by_name[canonical], "name": asked} for canonical, all_ in names.items() for asked in all_]
    return [*asked_for, *(by_name[figure.name] for figure in figures if figure.name not in names)]


def _renamed(figure: ReleasedFigure, name: str) -> ReleasedFigure:
    # Spelt out: `replace` takes three times as long, and an answer may have thousands of figures.
    return ReleasedFigure(
        name, figure.value, figure.suppressed, figure.sigma, figure.interval95, figure.scale
    )
