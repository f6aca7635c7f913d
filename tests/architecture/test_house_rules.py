"""Rules of the house that no general linter knows; each is shown to catch what it forbids."""

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("cleanroom", "crypto", "policies", "provider_portal", "advertiser_api")
SURFACES = {"advertiser_api": "api", "provider_portal": "portal"}
"""What the codes of a surface's own errors begin with."""
MAX_LINES = 400
# Goes out with every bundle of evidence and runs alone: isolated, Python would not find a second file beside it.
ONE_FILE = "cleanroom/evidence/files/verify.py"
Rule = Callable[[ast.AST], Iterator[ast.AST]]


def sources() -> list[Path]:
    return [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def calls_of(*names: str) -> Rule:
    def find(tree: ast.AST) -> Iterator[ast.AST]:
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                called = (
                    node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                )
                if called in names:
                    yield node

    return find


def broken(rule: Rule, *, outside: str | tuple[str, ...]) -> list[str]:
    found = []
    for path in sources():
        place = path.relative_to(ROOT).as_posix()
        if not place.startswith(outside):
            found += [f"{place}:{node.lineno}" for node in rule(ast.parse(path.read_text(encoding="utf-8")))]
    return found


commits = calls_of("commit", "rollback")
figures = calls_of("ReleasedFigure", "release_cells", "add_noise")


def test_only_the_unit_of_work_commits() -> None:
    assert broken(commits, outside="cleanroom/db/") == []


def test_only_the_gate_makes_released_figures() -> None:
    # The red team plants faulty gates in a process of its own, which no server can reach (an import contract).
    assert broken(figures, outside=("cleanroom/release/", "cleanroom/redteam/plants/")) == []


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        (commits, "session.commit()"),
        (commits, "tx.session.rollback()"),
        (figures, "ReleasedFigure('overlap', 5, False, 1.0, None)"),
        (figures, "mechanism.add_noise([1], sigma=2.0)"),
    ],
)
def test_the_rules_catch_what_they_forbid(rule: Rule, code: str) -> None:
    assert list(rule(ast.parse(code)))


def test_every_error_has_a_code_of_its_own_slice() -> None:
    codes: dict[str, str] = {}
    for path in sources():
        folder = path.relative_to(ROOT).parts[1 if path.relative_to(ROOT).parts[0] == "cleanroom" else 0]
        slice_ = SURFACES.get(folder, folder.removesuffix(".py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.ClassDef) or not node.name.endswith("Error"):
                continue
            place = f"{path.relative_to(ROOT)}:{node.name}"
            own = [
                ast.literal_eval(line.value)
                for line in node.body
                if isinstance(line, ast.Assign) and getattr(line.targets[0], "id", "") == "code"
            ]
            assert len(own) == 1, f"{place} has no code"
            assert re.fullmatch(r"[a-z]+\.[a-z0-9_]+", own[0]), place
            assert own[0].split(".")[0] in (slice_, "cleanroom"), f"{place} has the code of another slice"
            assert own[0] not in codes, f"{place} and {codes[own[0]]} share a code"
            codes[own[0]] = place
    assert len(codes) > 40


def test_no_source_file_is_longer_than_400_lines() -> None:
    long = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines()) for path in sources()
    }
    too_long = {place for place, lines in long.items() if lines > MAX_LINES}
    assert too_long == {ONE_FILE}
    assert long[ONE_FILE] < 550


def test_hashes_are_never_called_anonymous_in_what_people_read() -> None:
    forbidden = re.compile(
        r"hash-anonymous|anonymi[sz]ed hash|обезличенн\w+ хеш|хеш\w* обезличен", re.IGNORECASE
    )
    assert forbidden.search("our Anonymised hashes")
    read = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *sources()]
    assert [str(path) for path in read if forbidden.search(path.read_text(encoding="utf-8"))] == []
