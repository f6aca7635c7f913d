"""Files of the pages: groups of modules under one address, and the bundle that was recorded."""

import hashlib
import re
from pathlib import Path

import pytest

import provider_portal

FOLDER = Path(provider_portal.__file__).parent / "static"
WIZARD = sorted((FOLDER / "wizard").glob("*.js"))


def test_the_bundle_is_the_one_that_was_recorded() -> None:
    content = (FOLDER / "wizard" / "libraries.min.js").read_bytes()
    assert hashlib.sha256(content).hexdigest() in (FOLDER / "LICENCES.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", [one for one in WIZARD if "min" not in one.name], ids=lambda path: path.name)
def test_modules_name_modules_that_are_there(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    named = re.findall(r'from "\./([^"]+)"', text) + re.findall(r'new URL\("\./([^"]+)"', text)
    assert {name for name in named if not (FOLDER / "wizard" / name).is_file()} == set()
    assert len(text.splitlines()) <= 400
