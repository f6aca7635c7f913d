"""The docs lead somewhere: every relative link and picture exists, every page is in the navigation."""

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
PAGES = (*sorted((ROOT / "docs").rglob("*.md")), *sorted(ROOT.glob("*.md")))
PICTURE_BYTES = 150_000
_FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")


def targets(page: Path) -> list[str]:
    """What a page links to or shows inside the project."""
    text = _FENCED.sub("", page.read_text(encoding="utf-8"))
    return [one for one in _LINK.findall(text) if not re.match(r"[a-z]+:", one)]


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as the site makes them."""
    text = _FENCED.sub("", page.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {
        re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", re.sub(r"\]\([^)]*\)", "", one)).strip().lower())
        for one in headings
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_and_picture_is_there(page: Path) -> None:
    broken = []
    for target in targets(page):
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        if not there.exists() or (anchor and there.suffix == ".md" and anchor not in anchors(there)):
            broken.append(target)
    assert broken == []


def test_links_are_found() -> None:
    assert sum(len(targets(page)) for page in PAGES) > 150


def test_every_page_is_in_the_navigation() -> None:
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")

    def leaves(node: object) -> set[str]:
        if isinstance(node, str):
            return {node}
        parts = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
        return {leaf for part in parts for leaf in leaves(part)}

    listed = leaves(yaml.safe_load(text)["nav"])
    records = (ROOT / "docs" / "adr" / "index.md").read_text(encoding="utf-8")
    for page in (ROOT / "docs").rglob("*.md"):
        name = page.relative_to(ROOT / "docs").as_posix()
        if page.parent.name == "adr" and page.name != "index.md":
            assert f"({page.name})" in records, name
        else:
            assert name in listed, name


def test_every_picture_is_shown_and_small() -> None:
    shown = {(page.parent / target).resolve() for page in PAGES for target in targets(page)}
    for picture in (ROOT / "docs" / "img").iterdir():
        assert picture in shown, f"{picture.name} is on no page"
        assert picture.stat().st_size < PICTURE_BYTES, picture.name
