"""Quotes: what a question will cost under an entitlement, before it is asked."""

from collections.abc import Sequence
from dataclasses import dataclass

from cleanroom.analyses.receipt_facts import people_at_most
from cleanroom.clock import Clock
from cleanroom.datasets.service import Datasets
from cleanroom.datasets.types import DatasetKind
from cleanroom.db.database import Transaction
from cleanroom.marketplace.caps import Caps
from cleanroom.marketplace.entitlements import Entitlements
from cleanroom.marketplace.errors import PageError, UnknownEntitlementError
from cleanroom.marketplace.months import Month
from cleanroom.marketplace.pricing import Quote, quote
from cleanroom.marketplace.types import Entitlement
from cleanroom.marketplace.usage import Usage
from cleanroom.money import Money
from cleanroom.release.public import find_public
from cleanroom.workspaces.service import Workspaces
from policies.question import Question

MOST_SIZES = 100
_LARGEST = 1_000_000_000


@dataclass(frozen=True)
class CappedQuote:
    """A quote, and what a mandate's monthly cap leaves for it.

    Attributes:
        quote: what the question will cost, at most.
        cap_left: what further answers under the entitlement may cost this month, beside all that is answered or under
            way and a whole month's standing charges; None without a cap.
        within_cap: whether the maximum fits; True without a cap.
    """

    quote: Quote
    cap_left: Money | None
    within_cap: bool


@dataclass(frozen=True)
class Quoting:
    """The service of quotes."""

    clock: Clock
    workspaces: Workspaces
    datasets: Datasets
    entitlements: Entitlements
    usage: Usage
    caps: Caps

    def quote(
        self,
        tx: Transaction,
        entitlement_id: str,
        question: Question,
        *,
        organisation_id: str,
        sizes: Sequence[int] = (),
    ) -> CappedQuote:
        """Tell what a question will cost; it follows from public facts and the asker's own, and looks at no data.

        An answer from the store, a refusal and an answer that is withheld cost nothing; the quote is for a fresh answer
        that is shown.

        Args:
            tx: one that may write: usage that is due is recorded first, so that free questions are counted right.
            entitlement_id: which would pay.
            question: as it would be asked.
            organisation_id: the advertiser, or the agency that acts for it.
            sizes: released values, in people, to name the price at; at most 100.

        Raises:
            UnknownEntitlementError: the organisation has no such entitlement, or not for this dataset.
            DatasetNotFoundError, VersionNotFoundError: the advertiser has no such base, or it has no version yet.
            PageError: too many sizes, or one out of range.
        """
        if len(sizes) > MOST_SIZES or not all(type(size) is int and 0 <= size <= _LARGEST for size in sizes):
            raise PageError(
                f"A quote takes at most {MOST_SIZES} sizes, each from 0 to {_LARGEST} people.",
                remedy="Name fewer, or smaller ones.",
            )
        entitlement = self.entitlements.entitlement(tx, entitlement_id, organisation_id=organisation_id)
        if organisation_id == entitlement.provider_id or question.dataset_id != entitlement.dataset_id:
            raise UnknownEntitlementError(
                "There is no entitlement with this id for this dataset.", remedy="List your entitlements."
            )
        self.usage.mint_all(tx)
        month = Month.of(self.clock.now(), self.usage.zone)
        found = quote(
            entitlement.plan,
            self.usage.so_far(tx, entitlement.id, month),
            segments=len(question.segments),
            people_at_most=self._at_most(tx, entitlement, question),
            sizes=sizes,
        )
        left = self.caps.left(tx, entitlement)
        # In another currency than the cap's nothing fits.
        fits = left is None or (left.currency == found.maximum.currency and found.maximum <= left)
        return CappedQuote(found, left, fits)

    def _at_most(self, tx: Transaction, entitlement: Entitlement, question: Question) -> int:
        base = self.datasets.dataset(tx, question.base_id)
        owner = self.workspaces.workspace(tx, base.workspace_id).organisation_id
        if base.kind is not DatasetKind.BASE or owner != entitlement.advertiser_id:
            raise UnknownEntitlementError(
                "The entitlement's advertiser has no such base.", remedy="List its bases."
            )
        dataset = self.datasets.dataset(tx, entitlement.dataset_id)
        current = dataset.current_version_id
        size = None if current is None else find_public(tx, current, question.purpose)
        return people_at_most(self.datasets.current(tx, base.id).persons, size)
