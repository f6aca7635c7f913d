"""Giving grants, spending them, and taking back what they leave."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import select, update

from cleanroom.accounts.service import Accounts
from cleanroom.accounts.types import OrganisationKind
from cleanroom.clock import Clock, rfc3339
from cleanroom.datasets.service import Datasets
from cleanroom.db.database import Transaction
from cleanroom.grants import ledger, repository
from cleanroom.grants.allocation import SIZES, allocate, enclosing
from cleanroom.grants.errors import GrantFormError, ReservationError
from cleanroom.grants.models import GrantRow
from cleanroom.grants.types import Account, AccountKind, Amount, Grant, GrantStatus, Reservation
from cleanroom.grants.window import aged
from cleanroom.ids import new_id
from cleanroom.workspaces.service import Workspaces
from policies.decision import Deny, Gap, Limits
from policies.engine import grant_limits
from policies.model import PolicyDocument
from policies.reasons import budget_left, delta_left, grant_term, no_mandate

_PUBLIC = (AccountKind.PUBLIC, "")


class Grants:
    """The service of the grants slice."""

    def __init__(
        self, *, clock: Clock, accounts: Accounts, workspaces: Workspaces, datasets: Datasets
    ) -> None:
        self._clock = clock
        self._accounts = accounts
        self._workspaces = workspaces
        self._datasets = datasets

    def issue_grant(
        self,
        tx: Transaction,
        *,
        dataset_id: str,
        advertiser_id: str,
        size: str,
        purposes: Sequence[str],
        expires_at: datetime,
        documents: Sequence[PolicyDocument],
        agency_id: str | None = None,
        valid_from: datetime | None = None,
    ) -> Grant | Deny | Gap:
        """Allocate budget to an advertiser in every enclosing account at once, or in none.

        Args:
            tx: the caller's transaction.
            dataset_id: what the budget may be spent on; the accounts hang on the population of its workspace,
                whichever of the population's datasets is bought.
            advertiser_id: an organisation of kind advertiser.
            size: S, M or L.
            purposes: at least one, each allowed by the policy.
            expires_at: the instant it ends at, exclusive.
            documents: the policies in force for the dataset.
            agency_id: who will act for the advertiser; needs a mandate in force.
            valid_from: first instant; now when not given.

        Returns:
            The grant; or why it is refused, with what each full account still has; or a gap in the policy.

        Raises:
            GrantFormError: an unknown size, dates that exclude each other, or a party of another kind.
            DatasetNotFoundError: there is no such dataset.
        """
        now = self._clock.now()
        start = valid_from or now
        self._check_form(tx, advertiser_id, agency_id, size, start, expires_at)
        limits = grant_limits(
            documents, purposes=purposes, advertiser_id=advertiser_id, agency_id=agency_id, at=now
        )
        if not isinstance(limits, Limits):
            return limits
        if agency_id is not None and not self._accounts.mandate_in_force(
            tx, agency_id=agency_id, advertiser_id=advertiser_id, at=now
        ):
            return Deny((no_mandate(),))
        grant = Grant(
            id=new_id("gr", now),
            population_id=self.population(tx, dataset_id),
            dataset_id=dataset_id,
            advertiser_id=advertiser_id,
            agency_id=agency_id,
            affiliate_group=self._accounts.organisation(tx, advertiser_id).affiliate_group,
            purposes=tuple(sorted(set(purposes))),
            size=size,
            rho_micro=limits.grant_rho_micro(size),
            spent_micro=0,
            delta_pico=limits.grant_delta_pico(size),
            spent_delta_pico=0,
            valid_from=start,
            expires_at=expires_at,
            status=GrantStatus.ACTIVE,
        )
        refused = allocate(tx, grant, limits, now)
        if refused is not None:
            return refused
        tx.session.add(repository.row_of(grant))
        tx.session.flush()
        ledger.record(
            tx,
            "allocated",
            population_id=grant.population_id,
            subject_id=grant.id,
            amount=grant.allocated,
            now=now,
            grant_id=grant.id,
        )
        tx.audit("grants.grant_issued", subject_id=grant.id, organisation_id=advertiser_id, body=_body(grant))
        return grant

    def population(self, tx: Transaction, dataset_id: str) -> str:
        """Return whom a dataset is about: the accounts hang on this population. Raises DatasetNotFoundError."""
        workspace_id = self._datasets.dataset(tx, dataset_id).workspace_id
        return self._workspaces.workspace(tx, workspace_id).population_id

    def status(self, tx: Transaction, grant_id: str) -> Grant:
        """Return a grant as it stands now; raises UnknownGrantError."""
        return repository.load(tx, grant_id)

    def accounts(self, tx: Transaction, population_id: str) -> tuple[Account, ...]:
        """Return every account of a population."""
        return ledger.accounts_of(tx, population_id)

    def reserve(
        self,
        tx: Transaction,
        grant_id: str,
        *,
        rho_micro: int,
        analysis_id: str,
        base_id: str,
        delta_pico: int = 0,
    ) -> Reservation | Deny:
        """Take a question's budget out of its grant, before anything is computed.

        It is never given back: a question that is cancelled or crashes may have told something.

        Args:
            tx: the caller's transaction.
            grant_id: which pays.
            rho_micro: a whole number of micro-rho, at least 1.
            analysis_id: for which analysis; each reserves once.
            base_id: whose people the question touches; kept for accounting per person.
            delta_pico: what a question about unknown keys costs besides, in 10^-12.

        Returns:
            The reservation; or a denial, when the grant is not active now or has less left.

        Raises:
            UnknownGrantError: there is no such grant.
            ReservationError: rho is not positive, delta is negative, or the analysis has reserved before.
        """
        cost = Amount(rho_micro, delta_pico)
        if rho_micro < 1 or delta_pico < 0:
            raise ReservationError("A question costs at least 1 micro-rho, and no less than no delta.")
        grant = self.status(tx, grant_id)
        if ledger.recorded(tx, "reserved", analysis_id) is not None:
            raise ReservationError(
                "This analysis has reserved its budget before.", remedy="Ask a new question."
            )
        now = self._clock.now()
        spent = tx.session.execute(
            update(GrantRow)
            .where(
                GrantRow.id == grant_id,
                GrantRow.status == GrantStatus.ACTIVE.value,
                GrantRow.valid_from <= now,
                GrantRow.expires_at > now,
                GrantRow.spent_micro + rho_micro <= GrantRow.rho_micro,
                GrantRow.spent_delta_pico + delta_pico <= GrantRow.delta_pico,
            )
            .values(
                spent_micro=GrantRow.spent_micro + rho_micro,
                spent_delta_pico=GrantRow.spent_delta_pico + delta_pico,
            )
            .returning(GrantRow.spent_micro, GrantRow.spent_delta_pico)
        ).one_or_none()
        if spent is None:
            return _refusal(self.status(tx, grant_id), cost, now)
        ledger.record(
            tx,
            "reserved",
            population_id=grant.population_id,
            subject_id=analysis_id,
            amount=cost,
            now=now,
            grant_id=grant_id,
            base_id=base_id,
        )
        left = grant.allocated - Amount(*spent)
        before = left + cost
        tx.audit(
            "grants.budget_reserved",
            subject_id=analysis_id,
            organisation_id=grant.advertiser_id,
            body={
                "grant_id": grant_id,
                "rho_micro": rho_micro,
                "left_micro": left.rho_micro,
                "delta_pico": delta_pico,
                "left_delta_pico": left.delta_pico,
            },
        )
        return Reservation(
            analysis_id=analysis_id,
            grant_id=grant_id,
            rho_micro=rho_micro,
            left_before_micro=before.rho_micro,
            left_after_micro=left.rho_micro,
            delta_pico=delta_pico,
            left_before_delta_pico=before.delta_pico,
            left_after_delta_pico=left.delta_pico,
        )

    def settle(self, tx: Transaction, analysis_id: str) -> None:
        """Note that an analysis has released what its reservation paid for; a second time changes nothing.

        Raises:
            ReservationError: the analysis has reserved nothing.
        """
        reserved = ledger.recorded(tx, "reserved", analysis_id)
        if reserved is None:
            raise ReservationError("This analysis has no reservation.", remedy="Reserve before computing.")
        if ledger.recorded(tx, "settled", analysis_id) is None:
            ledger.record(
                tx,
                "settled",
                population_id=reserved.population_id,
                subject_id=analysis_id,
                amount=Amount(reserved.rho_micro, reserved.delta_pico),
                now=self._clock.now(),
                grant_id=reserved.grant_id,
                base_id=reserved.base_id,
            )

    def charge_public(
        self, tx: Transaction, population_id: str, *, rho_micro: int, release_id: str, limits: Limits
    ) -> bool:
        """Charge a figure that everyone may see to all accounts, out of the share that caps keep for it.

        Args:
            tx: the caller's transaction.
            population_id: whose people it counts.
            rho_micro: its cost.
            release_id: names the release in the ledger; each is charged once.
            limits: of the policy in force.

        Returns:
            Whether it may be released: False when the share is used up, and then nothing is charged.
        """
        now = self._clock.now()
        cost = Amount(rho_micro)
        if ledger.recorded(tx, "public", release_id) is not None:
            raise ReservationError(
                "This public release was charged before.", remedy="Show the stored figure."
            )
        ledger.lock_accounts(tx, population_id, [_PUBLIC], now)
        cap = Amount(limits.public_rho_micro) + aged(tx, population_id, _PUBLIC, limits.window_days, now)
        if not ledger.take(tx, population_id, _PUBLIC, cost, cap=cap):
            return False
        ledger.record(tx, "public", population_id=population_id, subject_id=release_id, amount=cost, now=now)
        tx.audit(
            "grants.public_release_charged",
            subject_id=population_id,
            body={"release": release_id, "rho_micro": rho_micro},
        )
        return True

    def expire(self, tx: Transaction) -> tuple[Grant, ...]:
        """End every grant whose term is over and return its unspent budget to its accounts.

        Returns:
            The grants that ended.
        """
        now = self._clock.now()
        due = (
            select(GrantRow.id)
            .where(GrantRow.status == GrantStatus.ACTIVE.value, GrantRow.expires_at <= now)
            .order_by(GrantRow.population_id, GrantRow.id)
        )
        ended = [self._end(tx, grant_id, GrantStatus.EXPIRED, now) for grant_id in tx.session.scalars(due)]
        return tuple(grant for grant in ended if grant is not None)

    def revoke(self, tx: Transaction, grant_id: str) -> Grant:
        """End a grant now; a second time changes nothing. Raises UnknownGrantError."""
        grant = self.status(tx, grant_id)
        return self._end(tx, grant_id, GrantStatus.REVOKED, self._clock.now()) or grant

    def _end(self, tx: Transaction, grant_id: str, status: GrantStatus, now: datetime) -> Grant | None:
        # Accounts are locked before the grant, in the order in which grants are given: no deadlock, and a
        # question that reserves at the same moment either comes first or finds the grant closed.
        grant = self.status(tx, grant_id)
        ledger.lock_accounts(tx, grant.population_id, enclosing(grant), now)
        closed = tx.session.execute(
            update(GrantRow)
            .where(GrantRow.id == grant_id, GrantRow.status == GrantStatus.ACTIVE.value)
            .values(status=status.value)
            .returning(GrantRow.spent_micro, GrantRow.spent_delta_pico)
        ).one_or_none()
        if closed is None:
            return None
        spent = Amount(*closed)
        unspent = grant.allocated - spent
        for key in enclosing(grant):
            ledger.give_back(tx, grant.population_id, key, unspent)
        ledger.record(
            tx,
            "returned",
            population_id=grant.population_id,
            subject_id=grant_id,
            amount=unspent,
            now=now,
            grant_id=grant_id,
        )
        tx.audit(
            f"grants.grant_{status.value}",
            subject_id=grant_id,
            organisation_id=grant.advertiser_id,
            body={
                "returned_micro": unspent.rho_micro,
                "spent_micro": spent.rho_micro,
                "returned_delta_pico": unspent.delta_pico,
                "spent_delta_pico": spent.delta_pico,
            },
        )
        return replace(grant, status=status, spent_micro=spent.rho_micro, spent_delta_pico=spent.delta_pico)

    def _check_form(
        self,
        tx: Transaction,
        advertiser_id: str,
        agency_id: str | None,
        size: str,
        start: datetime,
        end: datetime,
    ) -> None:
        if size not in SIZES:
            raise GrantFormError("Unknown size of a grant.", remedy=f"Use one of: {', '.join(SIZES)}.")
        if end <= start or end <= self._clock.now():
            raise GrantFormError(
                "A grant ends after it starts, and in the future.", remedy="Choose a later end."
            )
        parties = [(advertiser_id, OrganisationKind.ADVERTISER)]
        if agency_id is not None:
            parties.append((agency_id, OrganisationKind.AGENCY))
        for party, kind in parties:
            if self._accounts.organisation(tx, party).kind is not kind:
                raise GrantFormError(
                    f"The organisation is not of the kind {kind}.", remedy="Name the right party."
                )


def _refusal(grant: Grant, cost: Amount, now: datetime) -> Deny:
    if grant.status is not GrantStatus.ACTIVE or not grant.valid_from <= now < grant.expires_at:
        active = grant.status is GrantStatus.ACTIVE
        term = grant_term(active=active, valid_from=grant.valid_from, expires_at=grant.expires_at, at=now)
        return Deny((term,))
    if cost.rho_micro > grant.left_micro:
        return Deny((budget_left(left_micro=grant.left_micro, cost_micro=cost.rho_micro),))
    return Deny((delta_left(left_pico=grant.left_delta_pico, cost_pico=cost.delta_pico),))


def _body(grant: Grant) -> dict[str, object]:
    return {
        "dataset_id": grant.dataset_id,
        "population_id": grant.population_id,
        "agency_id": grant.agency_id,
        "affiliate_group": grant.affiliate_group,
        "purposes": list(grant.purposes),
        "size": grant.size,
        "rho_micro": grant.rho_micro,
        "delta_pico": grant.delta_pico,
        "valid_from": rfc3339(grant.valid_from),
        "expires_at": rfc3339(grant.expires_at),
    }
