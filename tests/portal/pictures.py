"""Takes the pictures of the walk-through for compliance: `python -m tests.portal.pictures`, from the project's root.

A room is made in a temporary folder, peopled as for the tests, and looked at as its provider's compliance officer.
"""

import hashlib
import sys
import tempfile
from pathlib import Path

from argon2 import PasswordHasher
from PIL import Image
from playwright.sync_api import sync_playwright

from cleanroom.signin import passwords
from tests.portal.browser import launch
from tests.portal.world import Cabinet, Visitor, furnish, served, visiting
from tests.rooms import build, clients, email, people

SIZE = {"width": 1160, "height": 760}
COLOURS = 96
"""Enough for pages, and a third of the bytes."""
PAGES = {
    "compliance-questions": "/compliance/overview",
    "compliance-event": "/compliance/events/{event}",
    "compliance-release": "/compliance/releases/{answer}",
    "compliance-epoch": "/compliance/epochs/{dataset}/1",
    "compliance-erasures": "/compliance/erasures",
}


def main(out: Path) -> None:
    """Write the pictures into a folder."""
    # Nobody's password is worth the time here.
    passwords._HASHER = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    with tempfile.TemporaryDirectory() as folder:
        stage = build(Path(folder) / "home", rows=people(), base_rows=clients())
        found, made = furnish(stage)
        with served(stage) as cabinet, sync_playwright() as playwright:
            cabinet.made.update(made)
            officer = found["provider.officer"]
            cabinet.people["officer"] = type(officer)(stage.room, officer.user)
            browser = launch(playwright)
            with visiting(browser, cabinet, viewport=SIZE) as visitor:
                visitor.prefer("en")
                visitor.enter(cabinet.people["officer"])
                for name, path in PAGES.items():
                    visitor.go(path.format(**made))
                    _take(visitor, out / f"{name}.png")
                _person(visitor, cabinet, out)
            browser.close()


def _take(visitor: Visitor, path: Path) -> None:
    visitor.page.screenshot(path=str(path))
    with Image.open(path) as taken:
        taken.convert("RGB").quantize(COLOURS).save(path, optimize=True)


def _person(visitor: Visitor, cabinet: Cabinet, out: Path) -> None:
    visitor.go(f"/compliance/lookup?dataset={cabinet.made['dataset']}")
    visitor.page.locator("#digest").fill(hashlib.sha256(email(3).encode()).hexdigest())
    visitor.page.locator("#reference").fill("2026/17")
    visitor.page.get_by_role("button", name="Look up").click()
    visitor.page.wait_for_load_state("load")
    _take(visitor, out / "compliance-person.png")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/img"))
