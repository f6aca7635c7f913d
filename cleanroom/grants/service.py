"""Giving grants, spending them, and taking back what they leave."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import select

from cleanroom.accounts.service import Accounts
from cleanroom.audit.log import AuditLog
from cleanroom.client.receipts import VerifiedReceipt
from cleanroom.clock import Clock
from cleanroom.datasets.service import Datasets
from cleanroom.db.database import Transaction
from cleanroom.grants import ledger, repository
from cleanroom.grants.allocation import (
    PUBLIC,
    allocate,
    enclosing,
    enclosing_of,
    fits_all,
    impact_of,
    reachable,
)
from cleanroom.grants.budget_view import BudgetView, budget_view
from cleanroom.grants.ending import end
from cleanroom.grants.errors import ReservationError
from cleanroom.grants.form import check_form, limits_for, mandated, terms
from cleanroom.grants.journal import Allocation, Journal, allocation_of
from cleanroom.grants.models import GrantRow
from cleanroom.grants.reconciling import reconcile, write_off
from cleanroom.grants.spending import spend
from cleanroom.grants.types import (
    Account,
    AccountKind,
    Amount,
    Grant,
    GrantStatus,
    Impact,
    Reconciled,
    Reservation,
)
from cleanroom.ids import new_id
from cleanroom.workspaces.service import Workspaces
from policies.decision import Deny, Gap, Limits
from policies.licence import all_under_licence
from policies.model import PolicyDocument
from policies.reasons import no_mandate, restored


class Grants:
    """The service of the grants slice."""

    def __init__(
        self,
        *,
        clock: Clock,
        accounts: Accounts,
        workspaces: Workspaces,
        datasets: Datasets,
        log: AuditLog,
        journal: Journal,
    ) -> None:
        self._clock = clock
        self._accounts = accounts
        self._workspaces = workspaces
        self._datasets = datasets
        self._log = log
        self._journal = journal

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
        licence: PolicyDocument | None = None,
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
            documents: the policies in force for the dataset; the budgets of the population's others hold too.
            agency_id: who will act for the advertiser; needs a mandate in force.
            valid_from: first instant; now when not given.
            licence: rules that its questions meet besides the owner's; it must already permit the grant itself.

        Returns:
            The grant; or why it is refused, with what each full account still has; or a gap in the policy.

        Raises:
            GrantFormError: an unknown size, dates that exclude each other, or a party of another kind.
            DatasetNotFoundError, WorkspaceDestroyedError: there is no such dataset, or nobody can read it any more.
            OrganisationOffboardedError: a party, or the dataset's owner, has left the room.
        """
        now = self._clock.now()
        start = valid_from or now
        check_form(
            self._accounts,
            tx,
            parties=(advertiser_id, agency_id),
            size=size,
            term=(start, expires_at),
            now=now,
        )
        stopped = self.restored(tx)
        if stopped is not None:
            return stopped
        parties = (advertiser_id, agency_id)
        workspace = self._workspaces.workspace(tx, self._datasets.readable(tx, dataset_id).workspace_id)
        self._accounts.require_present(tx, workspace.organisation_id)
        population_id = workspace.population_id
        documents = all_under_licence(documents, licence)
        limits = limits_for(self._accounts, tx, population_id, parties, purposes, documents, now)
        if not isinstance(limits, Limits):
            return limits
        if not mandated(self._accounts, tx, parties=parties, purposes=purposes, at=now):
            return Deny((no_mandate(),))
        grant = Grant(
            id=new_id("gr", now),
            population_id=population_id,
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
            licence=licence,
        )
        refused = allocate(tx, grant, limits, now)
        if refused is not None:
            return refused
        self._journal.add(allocation_of(grant, enclosing(grant)))
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
        tx.audit("grants.grant_issued", subject_id=grant.id, organisation_id=advertiser_id, body=terms(grant))
        return grant

    def impact(
        self,
        tx: Transaction,
        *,
        dataset_id: str,
        advertiser_id: str,
        agency_id: str | None,
        size: str,
        purposes: Sequence[str],
        documents: Sequence[PolicyDocument],
    ) -> tuple[Impact, ...] | Deny | Gap:
        """Tell what giving a grant now would leave in every enclosing account; nothing is given or locked.

        Args:
            tx: any transaction.
            dataset_id, advertiser_id, agency_id, size, purposes, documents: as for `issue_grant`.

        Returns:
            One entry per account; or why the policy forbids the grant.
        """
        now = self._clock.now()
        parties, population_id = (advertiser_id, agency_id), self.population(tx, dataset_id)
        limits = limits_for(self._accounts, tx, population_id, parties, purposes, documents, now)
        if not isinstance(limits, Limits):
            return limits
        group = self._accounts.organisation(tx, advertiser_id).affiliate_group
        return impact_of(tx, population_id, enclosing_of(*parties, group), size, limits, now)

    def population(self, tx: Transaction, dataset_id: str) -> str:
        """Return whom a dataset is about: the accounts hang on this population. Raises DatasetNotFoundError."""
        workspace_id = self._datasets.dataset(tx, dataset_id).workspace_id
        return self._workspaces.workspace(tx, workspace_id).population_id

    def status(self, tx: Transaction, grant_id: str) -> Grant:
        """Return a grant as it stands now; raises UnknownGrantError."""
        return repository.load(tx, grant_id)

    def budget(self, tx: Transaction, grant_id: str, *, limits: Limits, l0: int = 1) -> BudgetView:
        """Show a grant's budget as people, as questions left and as what an attacker could gain.

        Args:
            tx: any transaction.
            grant_id: whose; raises UnknownGrantError.
            limits: of the policy in force for its dataset.
            l0: cells of the wider question to price.
        """
        grant = self.status(tx, grant_id)
        spendable = reachable(tx, grant, limits, self._clock.now())
        return budget_view(grant, limits, l0=l0, reachable=spendable)

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
            The reservation; or a denial, when the grant is not active now or has less left, or the room was
            restored and is not reconciled.

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
        stopped = self.restored(tx)
        if stopped is not None:
            return stopped
        return spend(tx, grant, cost, analysis_id=analysis_id, base_id=base_id, now=self._clock.now())

    def settle(self, tx: Transaction, analysis_id: str) -> None:
        """Note that an analysis has released what its reservation paid for; a second time changes nothing.

        Raises:
            ReservationError: the analysis has reserved nothing.
        """
        movements = ledger.movements(tx, analysis_id)
        reserved = movements.get("reserved")
        if reserved is None:
            raise ReservationError("This analysis has no reservation.", remedy="Reserve before computing.")
        if "settled" not in movements:
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
            Whether it may be released: False when the share is used up, when it would pass the cap of an account
            that holds more than the policy now gives, or when the room was restored and is not reconciled; then
            nothing is charged.
        """
        now = self._clock.now()
        cost = Amount(rho_micro)
        if ledger.recorded(tx, "public", release_id) is not None:
            raise ReservationError(
                "This public release was charged before.", remedy="Show the stored figure."
            )
        if self.restored(tx) is not None:
            return False
        # Whoever gives a grant holds the total's lock too: no account changes between the look and the charge.
        ledger.lock_accounts(tx, population_id, [(AccountKind.TOTAL, ""), PUBLIC], now)
        if not fits_all(tx, population_id, cost, limits, now):
            return False
        ledger.take(tx, population_id, PUBLIC, cost, cap=None)
        self._journal.add(
            Allocation(release_id, population_id, ((AccountKind.PUBLIC.value, ""),), rho_micro, 0)
        )
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
            The grants that ended; none while a restored room waits to be reconciled, as what they have left is
            not known.
        """
        if self.restored(tx) is not None:
            return ()
        now = self._clock.now()
        due = (
            select(GrantRow.id)
            .where(GrantRow.status == GrantStatus.ACTIVE.value, GrantRow.expires_at <= now)
            .order_by(GrantRow.population_id, GrantRow.id)
        )
        ended = [end(tx, grant_id, GrantStatus.EXPIRED, now) for grant_id in tx.session.scalars(due)]
        return tuple(grant for grant in ended if grant is not None)

    def revoke(self, tx: Transaction, grant_id: str) -> Grant:
        """End a grant once; in a restored room that is not reconciled nothing returns. Raises UnknownGrantError."""
        grant = self.status(tx, grant_id)
        if grant.status is GrantStatus.ACTIVE and self.restored(tx) is not None:
            write_off(tx, grant_id, self._clock.now())
        return end(tx, grant_id, GrantStatus.REVOKED, self._clock.now()) or grant

    def revoke_on(self, tx: Transaction, dataset_id: str) -> tuple[Grant, ...]:
        """End every active grant on a dataset now."""
        return tuple(self.revoke(tx, grant_id) for grant_id in repository.active_on(tx, dataset_id))

    def revoke_all(self, tx: Transaction, organisation_id: str) -> tuple[Grant, ...]:
        """End every active grant that an organisation holds, acts on, or gave over its own people."""
        return tuple(self.revoke(tx, grant_id) for grant_id in repository.active_of(tx, organisation_id))

    def restored(self, tx: Transaction) -> Deny | None:
        """Return the refusal of everything that costs, while the database is a backup that was put back."""
        return None if self._log.restored(tx) is None else Deny((restored(),))

    def reconcile(
        self, tx: Transaction, receipts: Iterable[VerifiedReceipt] = (), *, events_missing: int | None = None
    ) -> Reconciled:
        """Charge everything that a restored database may have forgotten; the caller then adopts the log's head.

        A second time charges nothing more.

        Args:
            tx: the caller's transaction.
            receipts: of questions asked since the backup, verified with this room's key: they enter with their
                own cost and instant; the rest of every active grant counts as spent.
            events_missing: how many the database lacks at least, if anything outside it tells; for the log.
        """
        found = self._log.restored(tx)
        done = reconcile(
            tx,
            allocations=self._journal.read(),
            receipts=receipts,
            population_of=lambda dataset_id: self.population(tx, dataset_id),
            now=self._clock.now(),
        )
        tx.audit(
            "grants.reconciled",
            subject_id=self._log.verifier_key.partition("+")[0][:100],
            body={
                "events_held": found.held if found else None,
                "events_known": found.known if found else None,
                "events_missing": events_missing,
                "receipts_entered": done.receipts_entered,
                "grants_written_off": done.grants_written_off,
                "written_off_micro": done.written_off.rho_micro,
                "written_off_delta_pico": done.written_off.delta_pico,
                "allocations_lost": done.allocations_lost,
                "allocations_unchargeable": done.allocations_unchargeable,
            },
        )
        return done
