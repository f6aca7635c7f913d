"""Faults that let something beside the figures depend on who is in the data."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from cleanroom.analyses import showing
from cleanroom.analyses.completing import Completing
from cleanroom.analyses.facts import FactFinder, Facts
from cleanroom.consent.taking import Taking
from cleanroom.matching.local import LocalEngine
from cleanroom.matching.service import Matching
from cleanroom.matching.types import BaseView, DatasetView, ExactCounts, Plan
from cleanroom.redteam.plants.registry import plant, swapped
from cleanroom.release.ratios import ratios
from cleanroom.release.types import ReleasedRatio
from cleanroom.workspaces.models import WorkspaceRow
from policies.errors import QuestionError


@plant("Only a withdrawal that finds somebody begins an epoch and makes stored answers old.")
def touched_answers_marking() -> Iterator[None]:
    """Leave the answers alone that a withdrawal does not touch, which looks thrifty."""
    store = Taking.record

    def faulty(
        self: Taking, tx: Any, dataset: Any, kind: str, at: Any, batch: Any, *, submitted: int, **how: Any
    ) -> int:
        # With what else is known of the people found there are more records than were submitted.
        if len(batch.changes) == submitted:
            return self._epochs.newest(tx, dataset.id)
        return store(self, tx, dataset, kind, at, batch, submitted=submitted, **how)

    with swapped(Taking, "record", lambda _sound: faulty):
        yield


@plant("A rate of the dataset is over its exact size.")
def exact_denominator() -> Iterator[None]:
    """Give the size away in a single rate."""
    count, sizes = LocalEngine.count, [0]

    def counting(self: LocalEngine, view: DatasetView, base: BaseView, plan: Plan) -> ExactCounts:
        sizes[0] = int(view.consented.sum())
        return count(self, view, base, plan)

    def faulty(figures: Any, **how: Any) -> tuple[ReleasedRatio, ...]:
        overlap = next((figure.value for figure in figures if figure.name == "overlap"), None)
        rate = ReleasedRatio("match_rate:dataset", overlap / sizes[0] if overlap else None, None)
        return (*(each for each in ratios(figures, **how) if each.name != rate.name), rate)

    with (
        swapped(LocalEngine, "count", lambda _sound: counting),
        swapped(showing, "ratios", lambda _sound: faulty),
    ):
        yield


@plant("The base floor is held against the people who match, and not against the base.")
def floor_on_matched() -> Iterator[None]:
    """Ask the data before deciding, which looks prudent."""
    find = FactFinder.find

    def faulty(self: FactFinder, tx: Any, question: Any, **asked: Any) -> Facts:
        facts = find(self, tx, question, **asked)
        if facts.version is None:
            return facts
        matching = Matching(workspaces=self.workspaces, datasets=self.datasets, consents=self.consents)
        match = matching.open(
            tx,
            dataset_version_id=facts.version.id,
            base_version_id=facts.base_version.id,
            purpose=question.purpose,
            epoch=facts.epoch,
        )
        matched = match.count(Plan(question.purpose, facts.keys), at=facts.at).overlap
        return replace(facts, base_version=replace(facts.base_version, persons=matched))

    with swapped(FactFinder, "find", lambda _sound: faulty):
        yield


@plant("The provider's bill shows how many people each question matched.")
def bill_by_matches() -> Iterator[None]:
    """Charge by the match, question by question."""

    def make(sound: Any) -> Any:
        def faulty(self: Completing, tx: Any, reserved: Any, cells: Any, *rest: Any) -> Any:
            if cells:
                tx.audit(
                    "planted.billed",
                    subject_id=reserved.ticket.analysis_id,
                    organisation_id=tx.session.get_one(
                        WorkspaceRow, reserved.dataset.workspace_id
                    ).organisation_id,
                    body={"matched": cells[0].exact},
                )
            return sound(self, tx, reserved, cells, *rest)

        return faulty

    with swapped(Completing, "_finish", make):
        yield


@plant("A condition that holds for nobody is refused as a mistake.")
def empty_literal_refused() -> Iterator[None]:
    """Help the asker out, and tell that nobody has the value."""
    count = LocalEngine.count

    def faulty(self: LocalEngine, view: DatasetView, base: BaseView, plan: Plan) -> ExactCounts:
        counts = count(self, view, base, plan)
        if 0 in counts.segments:
            raise QuestionError("Nobody has this value.", remedy="Ask for another one.")
        return counts

    with swapped(LocalEngine, "count", lambda _sound: faulty):
        yield
