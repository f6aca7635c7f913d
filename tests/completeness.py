"""A pytest plugin that watches every commit of the unit of work: which rows changed, by which services, with an event?

    pytest -p tests.completeness --completeness REPORT.json ...

Methods and functions of services are found by introspection: whatever takes a transaction as `tx`. What a test writes
by itself, without any of them, is not a service's and not judged.
"""

import ast
import functools
import importlib
import inspect
import json
import pkgutil
import re
import sys
import textwrap
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event

import cleanroom
from cleanroom.db.database import Database, Transaction

# Not services: the unit of work itself, commands, and what runs apart from a room.
APART = ("cleanroom.cli", "cleanroom.db", "cleanroom.client", "cleanroom.demo", "cleanroom.redteam")
_WRITES = re.compile(r'\s*(INSERT INTO|UPDATE|DELETE FROM)\s+"?(\w+)"?', re.IGNORECASE)
_SET = re.compile(r'"?(\w+)"?\s*=')


class Watch:
    """What happened, by driver connection and in all."""

    def __init__(self) -> None:
        self.guard = threading.Lock()
        self.changes: dict[int, set[tuple[str, str, tuple[str, ...]]]] = defaultdict(set)
        self.calls: dict[int, list[str]] = defaultdict(list)
        self.called: set[str] = set()
        self.unlogged: list[dict[str, Any]] = []
        self.logged: set[tuple[str, str]] = set()
        self.test = ""

    def executed(self, conn: Connection, cursor: Any, statement: str, *_: Any) -> None:
        found = _WRITES.match(statement)
        if found is None or cursor.rowcount == 0:
            return
        verb, table = found[1].split()[0].upper(), found[2]
        columns: tuple[str, ...] = ()
        if verb == "UPDATE":
            columns = tuple(_SET.findall(statement.partition(" SET ")[2].partition(" WHERE ")[0]))
        self.changes[_key(conn)].add((verb, table, columns))

    def ended(self, conn: Connection) -> None:
        self.changes.pop(_key(conn), None)
        self.calls.pop(_key(conn), None)

    def closed(self, tx: Transaction) -> None:
        key = _key(tx.session.connection())
        changes = self.changes.get(key, set())
        with self.guard:
            # The log appends in one statement with others where the database can; what it was given says more.
            if tx.events:
                self.logged |= {(verb, table) for verb, table, _ in changes}
            elif changes and self.calls.get(key):
                self.unlogged.append(
                    {
                        "test": self.test,
                        "calls": sorted(set(self.calls[key])),
                        "changes": sorted([verb, table, list(columns)] for verb, table, columns in changes),
                    }
                )


WATCH = Watch()


def _key(conn: Connection) -> int:
    return id(conn.connection.dbapi_connection)


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
    @functools.wraps(made)
    def noted(*args: Any, **kwargs: Any) -> Any:
        tx = kwargs.get("tx", args[1 if method else 0] if len(args) > (1 if method else 0) else None)
        if isinstance(tx, Transaction):
            WATCH.calls[_key(tx.session.connection())].append(called)
            WATCH.called.add(called)
        return made(*args, **kwargs)

    return noted


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--completeness", required=False, help="where the report is written")


def pytest_configure(config: pytest.Config) -> None:
    if not config.getoption("--completeness"):
        return
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
    close = Database._close

    def closing(self: Database, tx: Transaction) -> Any:
        head = close(self, tx)
        WATCH.closed(tx)
        return head

    Database._close = closing  # type: ignore[method-assign]


def pytest_runtest_setup(item: pytest.Item) -> None:
    WATCH.test = item.nodeid


def pytest_runtest_teardown(item: pytest.Item) -> None:
    path = item.config.getoption("--completeness")
    if path:
        report = {
            "called": sorted(WATCH.called),
            "unlogged": WATCH.unlogged,
            "logged": sorted(list(one) for one in WATCH.logged),
        }
        Path(path).write_text(json.dumps(report, indent=1), encoding="utf-8")
