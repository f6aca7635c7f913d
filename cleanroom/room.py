"""The composition root: the services of a room, each made once from settings and handed what it needs."""

from dataclasses import dataclass
from importlib import import_module
from zoneinfo import ZoneInfo

from cleanroom.access.service import Access, make_access
from cleanroom.access.token_keys import TokenKeys
from cleanroom.accounts.service import Accounts
from cleanroom.alarms.service import Alarms, make_alarms
from cleanroom.analyses.approving import Approving
from cleanroom.analyses.completing import Completing
from cleanroom.analyses.deciding import Deciding
from cleanroom.analyses.entering import Refusals
from cleanroom.analyses.facts import FactFinder
from cleanroom.analyses.foreseeing import Foreseeing
from cleanroom.analyses.public_sizes import PublicSizes
from cleanroom.analyses.queue import Queue
from cleanroom.analyses.reading import Reading
from cleanroom.analyses.removing import Removing
from cleanroom.analyses.resuming import Resuming
from cleanroom.analyses.service import Analyses
from cleanroom.audit.checks import Checks
from cleanroom.audit.log import AuditLog
from cleanroom.audit.witnessing import Witnessing
from cleanroom.clock import Clock
from cleanroom.consent.epochs import Epochs
from cleanroom.consent.mirror import Mirror
from cleanroom.consent.optouts import OptOuts
from cleanroom.consent.recording import Recording
from cleanroom.consent.register import ConsentRegister
from cleanroom.consent.requests import ConsentRequests
from cleanroom.consent.service import Consents
from cleanroom.datasets.cache import ColumnCache
from cleanroom.datasets.service import Datasets
from cleanroom.db.base import Base
from cleanroom.db.database import Database, open_engine
from cleanroom.evidence.service import Bundles
from cleanroom.foureyes.deeds import Shredding, UnsafePolicy
from cleanroom.foureyes.evidence import EvidenceExport
from cleanroom.foureyes.service import FourEyes
from cleanroom.grants.journal import Journal
from cleanroom.grants.service import Grants
from cleanroom.incidents.service import Incidents
from cleanroom.ingestion.junk import JunkLists
from cleanroom.ingestion.rotation import Rotation
from cleanroom.ingestion.service import Ingestion
from cleanroom.key_stores import open_key_stores
from cleanroom.mail.service import Mail, make_mail
from cleanroom.marketplace.buyers import Buyers
from cleanroom.marketplace.service import Marketplace, make_marketplace
from cleanroom.marketplace.types import Review
from cleanroom.matching.service import Matching
from cleanroom.notices.service import Notices, make_notices
from cleanroom.offboarding import Offboarding
from cleanroom.rekeying.service import Rekeying
from cleanroom.release import mechanism
from cleanroom.release.receipts import Receipts
from cleanroom.release.service import ReleaseService
from cleanroom.rights.service import Rights, make_rights
from cleanroom.rights.waiting import waiting
from cleanroom.rules.approvals import Approvals
from cleanroom.rules.service import Rules
from cleanroom.rules.trials import Trials
from cleanroom.settings import Settings
from cleanroom.signin.making import make_sign_in
from cleanroom.signin.service import SignIn
from cleanroom.storage import LocalDirectory
from cleanroom.storage.leases import Leases
from cleanroom.subjects.lookups import Lookups
from cleanroom.subjects.propagation import Propagations
from cleanroom.uploads.files import UploadFiles
from cleanroom.uploads.service import Uploads
from cleanroom.uploads.types import Limits
from cleanroom.webhooks.service import Webhooks, make_webhooks
from cleanroom.workspaces.service import Workspaces
from crypto.keys import read_seed
from crypto.routed_keys import RoutedKeys

# Importing the services has imported the tables of every slice.
METADATA = Base.metadata


@dataclass(frozen=True)
class Room:
    """An open room; surfaces, commands and tests use its services and nothing behind them."""

    settings: Settings
    clock: Clock
    db: Database
    keys: RoutedKeys
    store: LocalDirectory
    audit: AuditLog
    checks: Checks
    bundles: Bundles
    witnessing: Witnessing
    accounts: Accounts
    access: Access
    token_keys: TokenKeys
    signin: SignIn
    offboarding: Offboarding
    workspaces: Workspaces
    datasets: Datasets
    ingestion: Ingestion
    uploads: Uploads
    junk_lists: JunkLists
    rotation: Rotation
    rekeying: Rekeying
    four_eyes: FourEyes
    incidents: Incidents
    consents: Consents
    consent_register: ConsentRegister
    consent_recording: Recording
    consent_requests: ConsentRequests
    opt_outs: OptOuts
    lookups: Lookups
    propagations: Propagations
    rules: Rules
    approvals: Approvals
    trials: Trials
    grants: Grants
    matching: Matching
    receipts: Receipts
    analyses: Analyses
    public_sizes: PublicSizes
    removing: Removing
    rights: Rights
    marketplace: Marketplace
    webhooks: Webhooks
    mail: Mail
    notices: Notices
    alarms: Alarms

    def warm_up(self) -> None:
        """Load what the first question of a process would wait for; for a server, before it takes requests.

        Nothing is read or written. A command that asks at most once gains nothing by it.
        """
        # Numpy loads this with its first `unique`.
        import_module("numpy.ma")
        mechanism.warm_up()

    def close(self) -> None:
        """Let go of the database and of decrypted columns."""
        self.matching.close()
        self.webhooks.sending.close()
        self.db.engine.dispose()


def compose(settings: Settings, clock: Clock) -> Room:
    """Wire a room's services; nothing is written but a key for access tokens when there is none.

    Args:
        settings: where and how.
        clock: tells the time.

    Raises:
        KeyFileExposedError: others can read the keys.
        KeyServiceMissingError, KeyServiceUnavailableError, KeyServiceRefusedError: a store of keys outside cannot be
            used.
    """
    keys = open_key_stores(settings)
    seed = read_seed(settings.keys_dir / "log.key")
    audit = AuditLog(
        origin=settings.origin,
        seed=seed,
        clock=clock,
        head_file=settings.head_path,
        restored_file=settings.restored_path,
    )
    db = Database(open_engine(settings.database_url), audit)
    store = LocalDirectory(settings.objects_dir)
    leases = Leases(settings.home / "leases")
    bundles = Bundles(db, audit, clock, settings.evidence_dir, leases)
    accounts = Accounts(clock)
    token_keys = TokenKeys.open_or_create(settings.token_keys_path, clock.now())
    workspaces = Workspaces(keys, clock)
    datasets = Datasets(workspaces=workspaces, store=store, clock=clock)
    consents = Consents(
        db=db,
        workspaces=workspaces,
        datasets=datasets,
        store=store,
        clock=clock,
        mirror=Mirror(settings.mirror_path, settings.origin),
    )
    register = ConsentRegister(clock=clock)
    rules = Rules(clock)
    approvals = Approvals(clock)
    grants = Grants(
        clock=clock,
        accounts=accounts,
        workspaces=workspaces,
        datasets=datasets,
        log=audit,
        journal=Journal(settings.allocations_path),
    )
    access = make_access(
        db=db,
        clock=clock,
        accounts=accounts,
        token_keys=token_keys,
        seed=seed,
        issuer=settings.public_url,
        token_minutes=settings.token_minutes,
        allow_client_secret=settings.allow_client_secret,
    )
    webhooks = make_webhooks(db, clock, accounts, audit, keys, networks=settings.webhook_networks)
    signin = make_sign_in(
        db,
        clock,
        accounts,
        access.users,
        keys,
        public_url=settings.public_url,
        require_second_factor=settings.require_second_factor,
        providers=settings.sso,
    )
    mail = make_mail(
        db,
        clock,
        accounts,
        signin.secret,
        signin.throttle,
        signin.links,
        settings=settings.mail,
        public_url=settings.public_url,
    )
    receipts = Receipts(audit, settings.receipts_dir)
    cache = ColumnCache(settings.cache_bytes)
    matching = Matching(
        workspaces=workspaces,
        datasets=datasets,
        consents=consents,
        cache=cache,
    )
    gate = ReleaseService(grants)
    refusals = Refusals(gate, clock)
    rotation = Rotation(
        db=db,
        workspaces=workspaces,
        datasets=datasets,
        store=store,
        keys=keys,
        leases=leases,
        clock=clock,
        memory_bytes=settings.memory_bytes,
    )
    finder = FactFinder(workspaces, datasets, consents, rules, grants, accounts, approvals, waiting)
    deciding = Deciding(accounts, grants, matching, refusals, Approving(approvals), settings.release_tick_ms)
    ingestion = Ingestion(
        db=db,
        accounts=accounts,
        workspaces=workspaces,
        datasets=datasets,
        consents=consents,
        store=store,
        leases=leases,
        clock=clock,
        memory_bytes=settings.memory_bytes,
    )
    marketplace = make_marketplace(
        clock=clock,
        accounts=accounts,
        workspaces=workspaces,
        datasets=datasets,
        rules=rules,
        grants=grants,
        log=audit,
        buyers=Buyers(accounts, clock),
        review=Review(settings.listing_review),
        fee_bp=settings.operator_fee_bp,
        zone=ZoneInfo(settings.billing_zone),
    )
    closing = marketplace.closing
    removing = Removing(workspaces, datasets, consents, rules, closing.end_datasets, store, cache, clock)
    return Room(
        settings=settings,
        clock=clock,
        db=db,
        keys=keys,
        store=store,
        audit=audit,
        checks=Checks(clock, audit.verifier_key),
        bundles=bundles,
        witnessing=Witnessing(db, clock, settings.publishing),
        accounts=accounts,
        access=access,
        token_keys=token_keys,
        signin=signin,
        offboarding=Offboarding(access, closing, workspaces, webhooks.endpoints),
        workspaces=workspaces,
        datasets=datasets,
        ingestion=ingestion,
        uploads=Uploads(
            db=db,
            accounts=accounts,
            workspaces=workspaces,
            datasets=datasets,
            ingestion=ingestion,
            files=UploadFiles(settings.uploads_path),
            leases=leases,
            limits=Limits(settings.upload_max_bytes, settings.upload_days, settings.uploads_open),
            clock=clock,
        ),
        junk_lists=JunkLists(workspaces=workspaces, datasets=datasets, store=store, clock=clock),
        rotation=rotation,
        rekeying=Rekeying(db, clock, workspaces, rotation, leases),
        incidents=Incidents(clock, accounts),
        four_eyes=FourEyes(
            clock,
            accounts,
            (Shredding(workspaces, rules, closing), UnsafePolicy(rules), EvidenceExport(accounts, bundles)),
        ),
        consents=consents,
        consent_register=register,
        consent_recording=Recording(register=register, clock=clock),
        consent_requests=ConsentRequests(consents=consents, clock=clock),
        opt_outs=OptOuts(db=db, workspaces=workspaces, datasets=datasets, consents=consents, clock=clock),
        lookups=Lookups(
            db,
            clock,
            workspaces,
            datasets,
            consents,
            Epochs(workspaces=workspaces, store=store, clock=clock),
        ),
        propagations=Propagations(audit, datasets),
        rules=rules,
        approvals=approvals,
        trials=Trials(clock),
        grants=grants,
        matching=matching,
        receipts=receipts,
        analyses=Analyses(
            db=db,
            clock=clock,
            finder=finder,
            deciding=deciding,
            foreseeing=Foreseeing(finder, deciding, audit, clock),
            queue=Queue(
                db=db,
                clock=clock,
                completing=Completing(db, clock, datasets, consents, rules, matching, gate, refusals),
                resuming=Resuming(datasets, consents, matching),
                grants=grants,
                receipts=receipts,
                leases=leases,
            ),
            reading=Reading(clock, audit, datasets, grants, receipts),
            grants=grants,
            receipts=receipts,
            leases=leases,
        ),
        public_sizes=PublicSizes(db, clock, workspaces, datasets, consents, rules, grants),
        removing=removing,
        rights=make_rights(
            db=db,
            clock=clock,
            accounts=accounts,
            workspaces=workspaces,
            datasets=datasets,
            consents=consents,
            removing=removing,
            log=audit,
            store=store,
            cache=cache,
            leases=leases,
            keys=keys,
            origin=settings.origin,
            erasure_hours=settings.erasure_hours,
        ),
        marketplace=marketplace,
        webhooks=webhooks,
        mail=mail,
        notices=make_notices(clock, audit, grants, rules, mail, public_url=settings.public_url),
        alarms=make_alarms(clock, audit, settings.alarms),
    )
