"""The composition root: from settings to a room, made once and opened as often as needed."""

from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from zoneinfo import ZoneInfo

from cleanroom.access.service import Access, make_access
from cleanroom.access.token_keys import TokenKeys
from cleanroom.accounts.service import Accounts
from cleanroom.analyses.approving import Approving
from cleanroom.analyses.completing import Completing
from cleanroom.analyses.deciding import Deciding
from cleanroom.analyses.entering import Refusals
from cleanroom.analyses.facts import FactFinder
from cleanroom.analyses.public_sizes import PublicSizes
from cleanroom.analyses.queue import Queue
from cleanroom.analyses.reading import Reading
from cleanroom.analyses.removing import Removing
from cleanroom.analyses.resuming import Resuming
from cleanroom.analyses.service import Analyses
from cleanroom.audit.log import AuditLog
from cleanroom.audit.reading import sqlite_path
from cleanroom.client.receipts import verify_receipt
from cleanroom.clock import Clock, SystemClock
from cleanroom.consent.service import Consents
from cleanroom.datasets.cache import ColumnCache
from cleanroom.datasets.service import Datasets
from cleanroom.db.base import Base
from cleanroom.db.database import Database, open_engine
from cleanroom.db.migrate import upgrade
from cleanroom.errors import CleanroomError
from cleanroom.grants.journal import Journal
from cleanroom.grants.service import Grants
from cleanroom.grants.types import Reconciled
from cleanroom.ingestion.junk import JunkLists
from cleanroom.ingestion.rotation import Rotation
from cleanroom.ingestion.service import Ingestion
from cleanroom.marketplace.buyers import Buyers
from cleanroom.marketplace.service import Marketplace, make_marketplace
from cleanroom.marketplace.types import Review
from cleanroom.matching.service import Matching
from cleanroom.offboarding import Offboarding
from cleanroom.release import mechanism
from cleanroom.release.public import withhold_unmade
from cleanroom.release.receipts import Receipts
from cleanroom.release.service import ReleaseService
from cleanroom.rules.approvals import Approvals
from cleanroom.rules.service import Rules
from cleanroom.settings import Settings
from cleanroom.signin.service import SignIn, make_sign_in
from cleanroom.storage import LocalDirectory
from cleanroom.storage.leases import Leases
from cleanroom.uploads.files import UploadFiles
from cleanroom.uploads.service import Uploads
from cleanroom.uploads.types import Limits
from cleanroom.webhooks.service import Webhooks, make_webhooks
from cleanroom.workspaces.service import Workspaces
from crypto.checkpoint import CheckpointError, open_note
from crypto.durable import write_private
from crypto.keys import KeyProvider, LocalKeyFile, generate_signing_key, read_seed

# Importing the services has imported the tables of every slice.
METADATA = Base.metadata


class RoomMissingError(CleanroomError):
    """There is no room in this home, or a part of it is gone."""

    code = "bootstrap.room_missing"


class RoomExistsError(CleanroomError):
    """There is a room in this home already."""

    code = "bootstrap.room_exists"


@dataclass(frozen=True)
class Room:
    """An open room; surfaces, commands and tests use its services and nothing behind them."""

    settings: Settings
    clock: Clock
    db: Database
    keys: KeyProvider
    store: LocalDirectory
    audit: AuditLog
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
    consents: Consents
    rules: Rules
    approvals: Approvals
    grants: Grants
    matching: Matching
    receipts: Receipts
    analyses: Analyses
    public_sizes: PublicSizes
    removing: Removing
    marketplace: Marketplace
    webhooks: Webhooks

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


def init_room(settings: Settings, *, clock: Clock | None = None) -> Room:
    """Make a room in an empty home: keys first, the database last, so that a crash in between can be repeated.

    Args:
        settings: where and how.
        clock: tells the time.

    Raises:
        RoomExistsError: the home has a room already, or the database belongs to another one.
    """
    key_file, seed_file = settings.keys_dir / "keyring.json", settings.keys_dir / "log.key"
    marker = settings.keys_dir / "room"
    if marker.exists():
        raise RoomExistsError(
            "This home has a room already.", remedy="Open it, or choose an empty directory."
        )
    settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not key_file.exists():
        LocalKeyFile.create(key_file)
    if not seed_file.exists():
        write_private(seed_file, generate_signing_key())
    database = sqlite_path(settings.database_url)
    if database is not None and not database.exists():
        # SQLite gives its journals the mode of the database, and would make that readable to others.
        write_private(database, b"")
    settings.head_path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    room = _compose(settings, clock or SystemClock())
    upgrade(room.db.engine)
    _require_own(room)
    with room.db.transaction() as tx:
        if room.audit.size(tx) == 0:
            tx.audit(
                "room.created", subject_id=settings.origin, body={"verifier_key": room.audit.verifier_key}
            )
    with room.db.reading() as tx:
        # A crash just after its first event must not make it look restored; but one that was used is not healed here.
        if room.audit.size(tx) == 1:
            room.audit.adopt(tx)
    settings.verifier_key_path.write_text(room.audit.verifier_key + "\n", encoding="utf-8")
    write_private(marker, b"1\n")
    return room


def open_room(settings: Settings, *, clock: Clock | None = None) -> Room:
    """Open a room, bring its database up to date and clean up after crashes.

    A restored room opens too, but nothing is cleaned up: what an old database does not know would be taken for litter.

    Raises:
        RoomMissingError: there is no room in the home, or its keys are gone; never are new ones made instead.
        KeyFileExposedError: others can read the keys.
    """
    for name in ("room", "keyring.json", "log.key"):
        if not (settings.keys_dir / name).exists():
            raise RoomMissingError(
                f"This home has no room: {Path('keys') / name} is missing.",
                remedy="Make a room first, or restore the home from a backup together with its keys.",
            )
    room = _compose(settings, clock or SystemClock())
    upgrade(room.db.engine)
    with room.db.transaction() as tx:
        room.workspaces.recover(tx)
        room.marketplace.entitlements.expire(tx)
        room.access.sweep(tx)
        restored = room.grants.restored(tx) is not None
    if not restored:
        room.ingestion.recover()
        room.uploads.sweep()
    # A restored database may have forgotten that a question was answered: no worker may answer it again.
    room.analyses.recover(queued=restored)
    return room


def reconcile_room(room: Room, receipts: Iterable[bytes] = ()) -> Reconciled:
    """Make a restored room usable: charge what it may have forgotten, then take its log for the newest.

    Args:
        room: open; a crash in between can be repeated.
        receipts: files, of questions asked since the backup.

    Raises:
        ReceiptError: one is not this room's.
    """
    proven = [verify_receipt(receipt, verifier_key=room.audit.verifier_key) for receipt in receipts]
    room.analyses.recover(queued=True)
    with room.db.transaction() as tx:
        withhold_unmade(tx)
        done = room.grants.reconcile(tx, proven)
    with room.db.reading() as tx:
        room.audit.adopt(tx)
    return done


def _require_own(room: Room) -> None:
    """Leave alone a database with a log that another room's key has signed."""
    with room.db.reading() as tx:
        if room.audit.size(tx) == 0:
            return
        try:
            open_note(room.audit.head(tx), room.audit.verifier_key)
            return
        except CheckpointError:
            pass
    room.close()
    raise RoomExistsError(
        "The database belongs to another room.",
        remedy="Name another database, or restore that room's home with its keys.",
    )


def _compose(settings: Settings, clock: Clock) -> Room:
    keys = LocalKeyFile.open(settings.keys_dir / "keyring.json")
    audit = AuditLog(
        origin=settings.origin,
        seed=read_seed(settings.keys_dir / "log.key"),
        clock=clock,
        head_file=settings.head_path,
    )
    db = Database(open_engine(settings.database_url), audit)
    store = LocalDirectory(settings.objects_dir)
    leases = Leases(settings.home / "leases")
    accounts = Accounts(clock)
    token_keys = TokenKeys.open_or_create(settings.token_keys_path, clock.now())
    workspaces = Workspaces(keys, clock)
    datasets = Datasets(workspaces=workspaces, store=store, clock=clock)
    consents = Consents(db=db, workspaces=workspaces, datasets=datasets, store=store, clock=clock)
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
        issuer=settings.public_url,
        token_minutes=settings.token_minutes,
        allow_client_secret=settings.allow_client_secret,
    )
    webhooks = make_webhooks(db, clock, accounts, audit, keys, networks=settings.webhook_networks)
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
    return Room(
        settings=settings,
        clock=clock,
        db=db,
        keys=keys,
        store=store,
        audit=audit,
        accounts=accounts,
        access=access,
        token_keys=token_keys,
        signin=make_sign_in(db, clock, accounts, access.users, keys, public_url=settings.public_url),
        offboarding=Offboarding(access, grants, workspaces, webhooks.endpoints),
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
        rotation=Rotation(
            db=db,
            workspaces=workspaces,
            datasets=datasets,
            store=store,
            keys=keys,
            leases=leases,
            clock=clock,
            memory_bytes=settings.memory_bytes,
        ),
        consents=consents,
        rules=rules,
        approvals=approvals,
        grants=grants,
        matching=matching,
        receipts=receipts,
        analyses=Analyses(
            db=db,
            clock=clock,
            finder=FactFinder(workspaces, datasets, consents, rules, grants, accounts, approvals),
            deciding=Deciding(
                accounts, grants, matching, refusals, Approving(approvals), settings.release_tick_ms
            ),
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
        removing=Removing(datasets, consents, rules, grants, store, cache, clock),
        marketplace=make_marketplace(
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
        ),
        webhooks=webhooks,
    )
