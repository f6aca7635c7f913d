"""Watches every commit of the unit of work in every test: which rows changed, by which services, with what event?

Methods and functions of services are found by introspection: whatever takes a transaction as `tx`. What a test writes
by itself, without any of them, is not a service's and not judged. A test that plays the database's owner, or the caller
who logs, says so with the marker `unlogged`.
"""

import ast
import functools
import importlib
import inspect
import pkgutil
import re
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, event
from sqlalchemy.orm import Session

import cleanroom
from cleanroom.db.database import Database, Transaction

# Not services: the unit of work itself, commands, and what runs apart from a room.
APART = ("cleanroom.cli", "cleanroom.db", "cleanroom.client", "cleanroom.demo", "cleanroom.redteam")
_WRITES = re.compile(r'\s*(INSERT INTO|UPDATE|DELETE FROM)\s+"?(\w+)"?', re.IGNORECASE)
_SET = re.compile(r'"?(\w+)"?\s*=')


# What commits without an event may change: a table, and of it everything or these columns.
UNLOGGED: dict[str, frozenset[str]] = {
    table: frozenset(columns)
    for table, columns in {
        # Made of the log, which they follow; each keeps a place in it.
        "notice_state": (), "notices": (), "webhook_state": (), "webhook_deliveries": (), "usage_cursor": (),
        "mail_messages": (), "alarm_watches": (), "audit_published": (), "audit_cosignatures": (),
        "audit_checkpoints": (), "audit_checks": (), "alarms": ("last_at", "last_index", "occurrences"),
        # What one person has read.
        "notice_reads": (), "notice_readers": (),
        # Counters, and what ends by itself.
        "signin_throttles": (), "sso_attempts": (), "idempotency_records": (), "used_assertions": (),
        "revoked_tokens": (), "known_devices": (), "alarm_state": (),
        # A session before and after somebody entered by it, which is an event.
        "web_sessions": (),
        # A second factor that was not confirmed yet counts for nothing.
        "credentials": ("totp_sealed", "totp_last_step"),
        # Leases, attempts and progress.
        "analyses": ("attempts",), "audit_witnesses": ("tried_at", "size", "detail"),
        "uploads": ("offset", "attempts", "rows_done", "rows_total"),
        "evidence_bundles": ("progress",),
        "compactions": ("state", "started_at", "done", "total", "due_at", "failures", "failure"),
        "key_rotations": ("state", "started_at", "done", "total", "due_at", "failures", "failure"),
        "policy_trials": ("state", "runner", "starts", "beat_at", "percent"),
        "api_clients": ("last_used_at",), "retired_keks": (),
        # When a receiver began to fail; that it is given up is an event. A secret whose end was told before.
        "webhook_endpoints": ("failing_since", "old_secret", "old_secret_until"),
    }.items()
}  # fmt: skip
# A row that is opened says what no row said: an account of which nothing is allocated, also when its grant is refused.
OPENED = {"budget_accounts"}

# Many kinds are put together as the room runs, so no look at the sources finds them all.
NAMED_KINDS = frozenset(
    re.findall(
        r"^\| `([a-z_]+\.[a-z_]+)`",
        (Path(__file__).parents[1] / "docs" / "reference" / "events.md").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
)

Change = tuple[str, str, tuple[str, ...]]


@dataclass
class Doings:
    """What a transaction has done so far."""

    changes: frozenset[Change] = frozenset()
    called: frozenset[str] = frozenset()
    savepoints: dict[str, "Doings"] = field(default_factory=dict)


class Watch:
    """What happened on each connection, and what of it nobody has explained yet."""

    def __init__(self) -> None:
        self.guard = threading.Lock()
        self.silent: list[tuple[Change, tuple[str, ...]]] = []
        self.unnamed: set[str] = set()

    def executed(self, conn: Connection, cursor: Any, statement: str, *_: Any) -> None:
        """Note what a statement has changed, or taken back."""
        doings = _doings(conn)
        if statement.startswith(("SAVEPOINT", "ROLLBACK")):
            name = statement.rsplit(maxsplit=1)[-1]
            if statement.startswith("SAVEPOINT"):
                doings.savepoints[name] = replace(doings)
            elif name in doings.savepoints:
                kept = doings.savepoints[name]
                doings.changes, doings.called = kept.changes, kept.called
            return
        found = _WRITES.match(statement)
        if found is None or cursor.rowcount == 0:
            return
        verb, table = found[1].split()[0].upper(), found[2]
        columns: tuple[str, ...] = ()
        if verb == "UPDATE":
            columns = tuple(_SET.findall(statement.partition(" SET ")[2].partition(" WHERE ")[0]))
        doings.changes |= {(verb, table, columns)}

    def called(self, tx: Transaction, name: str) -> None:
        """Note that a service was called."""
        # One that only reads has yet to be given a connection.
        if not isinstance(tx.opened, Engine):
            doings = _doings(tx.opened)
            doings.called |= {name}

    def began(self, session: Session, _transaction: Any, conn: Connection) -> None:
        """Note what a session works on."""
        session.info["on"] = conn

    def ended(self, conn: Connection) -> None:
        """Forget a transaction."""
        conn.info.pop("doings", None)

    def closed(self, tx: Transaction) -> None:
        """Judge a transaction that is about to commit."""
        with self.guard:
            self.unnamed |= {one.kind for one in tx.events} - NAMED_KINDS
        # The log appends in one statement with others where the database can; what it was given says more.
        if tx.events or isinstance(tx.opened, Engine):
            return
        conn = tx.opened.info.get("on") if isinstance(tx.opened, Session) else tx.opened
        called = _doings(tx.opened).called
        if conn is not None and called:
            silent = sorted(change for change in _doings(conn).changes if not explained(change))
            with self.guard:
                self.silent += [(change, tuple(sorted(called))) for change in silent]

    def take(self) -> tuple[list[tuple[Change, tuple[str, ...]]], set[str]]:
        """Return what nobody has explained since the last time, and kinds of events that the reference lacks."""
        with self.guard:
            silent, self.silent = self.silent, []
            unnamed, self.unnamed = self.unnamed, set()
        return silent, unnamed


def explained(change: Change) -> bool:
    """Tell whether a commit without an event may make a change."""
    verb, table, columns = change
    if verb == "INSERT" and table in OPENED:
        return True
    allowed = UNLOGGED.get(table)
    return allowed is not None and (not allowed or (verb == "UPDATE" and set(columns) <= allowed))


WATCH = Watch()


def _doings(of: Connection | Session) -> Doings:
    doings: Doings = of.info.setdefault("doings", Doings())
    return doings


def takes_transaction(made: Any) -> bool:
    """Tell whether a function is one that is called with a transaction first."""
    if not inspect.isfunction(made):
        return False
    names = [name for name in inspect.signature(made).parameters if name != "self"]
    return bool(names) and names[0] == "tx"


def service_functions() -> Iterator[tuple[Any, str, Any, str]]:
    """Yield every function of a service: its holder, its name there, itself, and what to call it."""
    for found in pkgutil.walk_packages(cleanroom.__path__, "cleanroom."):
        if found.name.startswith(APART):
            continue
        module = importlib.import_module(found.name)
        for name, made in list(vars(module).items()):
            if getattr(made, "__module__", None) != found.name:
                continue
            if takes_transaction(made):
                yield module, name, made, f"{found.name}.{name}"
            elif inspect.isclass(made):
                for inner, method in list(vars(made).items()):
                    if takes_transaction(method):
                        yield made, inner, method, f"{found.name}.{name}.{inner}"


def writes(made: Any) -> bool:
    """Tell whether a function's own code changes rows: adds or deletes them, or executes a writing statement."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(made)))
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            of_session = isinstance(node.func, ast.Attribute) and ast.unparse(node.func.value).endswith(
                "session"
            )
            if (of_session and name in ("add", "add_all", "delete", "merge")) or (
                isinstance(node.func, ast.Name) and name in ("insert", "update", "delete")
            ):
                return True
    return False


def _noting(made: Callable[..., Any], called: str, *, method: bool) -> Callable[..., Any]:
    place = 1 if method else 0

    @functools.wraps(made)
    def noted(*args: Any, **kwargs: Any) -> Any:
        tx = kwargs["tx"] if "tx" in kwargs else args[place] if len(args) > place else None
        if isinstance(tx, Transaction):
            WATCH.called(tx, called)
        return made(*args, **kwargs)

    return noted


@functools.cache
def watch() -> None:
    """Have every service say when it is called, and every transaction judged before it commits."""
    replaced: dict[int, Any] = {}
    for holder, name, made, called in list(service_functions()):
        noted = _noting(made, called, method=inspect.isclass(holder))
        replaced[id(made)] = noted
        setattr(holder, name, noted)

    # Others have imported a function by its name.
    for module in list(sys.modules.values()):
        if getattr(module, "__name__", "").startswith(("cleanroom.", "advertiser_api.", "provider_portal.")):
            for name, value in list(vars(module).items()):
                if inspect.isfunction(value) and id(value) in replaced:
                    setattr(module, name, replaced[id(value)])
    event.listen(Engine, "after_cursor_execute", WATCH.executed)
    event.listen(Engine, "commit", WATCH.ended)
    event.listen(Engine, "rollback", WATCH.ended)
    event.listen(Session, "after_begin", WATCH.began)
    close = Database._close

    def closing(self: Database, tx: Transaction) -> Any:
        head = close(self, tx)
        WATCH.closed(tx)
        return head

    Database._close = closing  # type: ignore[method-assign]
