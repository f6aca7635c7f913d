"""Every kind of event that the sources write to the log has words in the timeline."""

import ast
from collections.abc import Iterator
from pathlib import Path

import cleanroom
from provider_portal.event_words import EVENTS, SLICES
from tests.completeness import NAMED_KINDS

HOME = Path(cleanroom.__file__).parent


def _constants(tree: ast.AST) -> dict[str, str]:
    """Texts that a module gives names to."""
    return {
        target.id: node.value.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def _kinds(node: ast.expr, known: dict[str, str]) -> Iterator[str]:
    """What the first argument of `tx.audit` can be; one that is put together ends in a star."""
    if isinstance(node, ast.Constant):
        yield str(node.value)
    elif isinstance(node, ast.IfExp):
        yield from _kinds(node.body, known)
        yield from _kinds(node.orelse, known)
    elif isinstance(node, ast.Name) and node.id in known:
        yield known[node.id]
    elif isinstance(node, ast.JoinedStr):
        start = node.values[0]
        assert isinstance(start, ast.Constant)
        yield f"{start.value}*"


def written() -> set[str]:
    trees = {
        path: ast.parse(path.read_text(encoding="utf-8"))
        for path in HOME.rglob("*.py")
        if "redteam" not in path.parts
    }
    known: dict[str, str] = {}
    for tree in trees.values():
        known |= _constants(tree)
    return {
        kind
        for tree in trees.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "audit" and node.args
        for kind in _kinds(node.args[0], known)
        if "." in kind
    }


def test_the_words_and_the_reference_of_the_log_name_the_same_kinds() -> None:
    assert set(EVENTS) == NAMED_KINDS


def test_every_kind_that_is_written_has_words() -> None:
    kinds = written()
    assert len(kinds) > 80
    missing = {kind for kind in kinds if not kind.endswith("*") and kind not in EVENTS}
    starts = {kind[:-1] for kind in kinds if kind.endswith("*")}
    assert missing == set()
    assert {start for start in starts if not any(kind.startswith(start) for kind in EVENTS)} == set()


def test_kinds_stand_in_order_under_slices_that_have_words() -> None:
    assert list(EVENTS) == sorted(EVENTS)
    assert {kind.partition(".")[0] for kind in EVENTS} == set(SLICES)
