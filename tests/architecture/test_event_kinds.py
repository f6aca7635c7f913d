"""Every kind of event that the code writes stands in the reference of the log."""

import ast
import importlib
from pathlib import Path

from tests.completeness import NAMED_KINDS

ROOT = Path(__file__).resolve().parents[2]
APART = ("redteam",)


def written_kinds() -> set[str]:
    """Read the first argument of every call of `audit` on a transaction; a kind made at run time ends in a star."""
    found: set[str] = set()
    for path in sorted((ROOT / "cleanroom").rglob("*.py")):
        if path.relative_to(ROOT / "cleanroom").parts[0] in APART:
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "audit" and node.args:
                found |= kinds_of(node.args[0], path)
    return found


def kinds_of(node: ast.expr, path: Path) -> set[str]:
    if isinstance(node, ast.Constant):
        return {str(node.value)}
    if isinstance(node, ast.IfExp):
        return kinds_of(node.body, path) | kinds_of(node.orelse, path)
    if isinstance(node, ast.JoinedStr):
        assert isinstance(node.values[0], ast.Constant)
        return {f"{node.values[0].value}*"}
    assert isinstance(node, ast.Name), f"{path}: a kind that cannot be read off"
    module = importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
    value = getattr(module, node.id, None)
    # A parameter: of what is passed for it something has to be named.
    return {value} if isinstance(value, str) else {f"{path.relative_to(ROOT / 'cleanroom').parts[0]}.*"}


def test_every_kind_of_event_is_in_the_reference() -> None:
    kinds = written_kinds()
    assert len(kinds) > 60
    missing = {
        kind
        for kind in kinds
        if not (
            any(one.startswith(kind[:-1]) for one in NAMED_KINDS)
            if kind.endswith("*")
            else kind in NAMED_KINDS
        )
    }
    assert missing == set()
