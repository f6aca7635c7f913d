"""A reserved question in SQL, and back: any process can count it, under the decision taken when it was asked."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cleanroom.analyses.cells import layout_of, plan_of
from cleanroom.analyses.errors import TicketError
from cleanroom.analyses.facts import declared, labels_of
from cleanroom.analyses.models import AnalysisRow
from cleanroom.analyses.steps import Reserved
from cleanroom.datasets.service import Datasets
from cleanroom.db.database import Transaction
from cleanroom.grants.types import Reservation
from cleanroom.matching.service import Matching
from cleanroom.matching.views import shared_keys
from cleanroom.release.answers import Asked
from cleanroom.release.codec import mechanism_from_dict, mechanism_to_dict
from cleanroom.release.service import Ticket
from policies.canonical_question import canonical_question
from policies.question import question_from_dict

VERSION = 1


def ticket_to_dict(ticket: Ticket) -> dict[str, Any]:
    """Write what a decision settled and the row does not say; the question itself stands in the row.

    The key of the answer binds the rest: whoever puts the question together again must come to the same one.
    """
    return {
        "v": VERSION,
        "key": ticket.asked.key,
        "version_id": ticket.asked.version_id,
        "policy_id": ticket.asked.policy_id,
        "epoch": ticket.epoch,
        "mechanism": mechanism_to_dict(ticket.mechanism),
        "facts": {name: fact for name, fact in ticket.facts.items() if name != "question"},
    }


@dataclass(frozen=True)
class Resuming:
    """Puts reserved questions together again."""

    datasets: Datasets
    matching: Matching

    def reserved(self, tx: Transaction, row: AnalysisRow) -> Reserved:
        """Return a question as it stood when its budget was reserved; no decision is taken again.

        Args:
            tx: may be a reading one.
            row: of a queued question.

        Raises:
            TicketError: it cannot be put together as it was, so nothing may be released of it.
        """
        written = row.ticket
        if written is None or written["v"] != VERSION:
            raise TicketError("The stored question is of another version.", remedy="Ask it again.")
        question = question_from_dict(row.question)
        dataset, base = (self.datasets.dataset(tx, each) for each in (row.dataset_id, row.base_id))
        base_version = self.datasets.version(tx, row.base_version_id)
        keys = shared_keys(dataset.schema, base.schema)
        canonical = canonical_question(question, declared(dataset))
        layout = layout_of(canonical, keys=keys, labels=labels_of(base), schema=dataset.schema)
        asked = Asked(
            grant_id=row.grant_id,
            version_id=written["version_id"],
            policy_id=written["policy_id"],
            purpose=question.purpose,
            base_fingerprint=base_version.fingerprint or b"",
            tree=canonical.tree,
        )
        if asked.key != written["key"]:
            raise TicketError(
                "The stored question is not the one that was permitted.", remedy="Ask it again."
            )
        return Reserved(
            question=question,
            dataset=dataset,
            base_version=base_version,
            ticket=Ticket(
                analysis_id=row.id,
                organisation_id=row.advertiser_id,
                asked=asked,
                epoch=written["epoch"],
                mechanism=mechanism_from_dict(written["mechanism"]),
                names=layout.asked_names(),
                facts={**written["facts"], "question": canonical.tree},
            ),
            plan=plan_of(layout, keys=keys, purpose=asked.purpose),
            layout=layout,
            match=self.matching.open(
                tx,
                dataset_version_id=asked.version_id,
                base_version_id=base_version.id,
                purpose=asked.purpose,
                epoch=written["epoch"],
            ),
            reservation=_reservation(row, written["facts"]["budget"]),
        )


def _reservation(row: AnalysisRow, budget: Mapping[str, int]) -> Reservation:
    return Reservation(
        analysis_id=row.id,
        grant_id=row.grant_id,
        rho_micro=row.rho_micro,
        left_before_micro=budget["left_before_micro"],
        left_after_micro=budget["left_after_micro"],
        delta_pico=budget["left_before_delta_pico"] - budget["left_after_delta_pico"],
        left_before_delta_pico=budget["left_before_delta_pico"],
        left_after_delta_pico=budget["left_after_delta_pico"],
    )
