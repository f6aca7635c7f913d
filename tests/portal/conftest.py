"""One furnished room and one browser for a module's tests."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.people_rooms import quick_hashes
from tests.portal.browser import launch
from tests.portal.world import Cabinet, Visitor, furnish, served, visiting
from tests.rooms import copied, sqlite_template

__all__ = ["quick_hashes", "sqlite_template"]

Visit = Callable[..., Visitor]
# A busy machine is no defect of a page.
expect.set_options(timeout=20_000)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Not kept for longer: while it is there a loop of asyncio runs in this thread, and nobody else can run one."""
    with sync_playwright() as playwright:
        opened = launch(playwright)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def cabinet(
    sqlite_template: Any, tmp_path_factory: pytest.TempPathFactory, quick_hashes: None
) -> Iterator[Cabinet]:
    """What tests of a module change in it, they change for the others."""
    stage = copied(sqlite_template, tmp_path_factory.mktemp("cabinet") / "home")
    people, made = furnish(stage)
    with served(stage) as one:
        one.people.update({name: type(who)(stage.room, who.user) for name, who in people.items()})
        one.made.update(made)
        yield one


@pytest.fixture
def visit(browser: Browser, cabinet: Cabinet) -> Iterator[Visit]:
    opened: list[Any] = []

    def make(**options: Any) -> Visitor:
        context = visiting(browser, cabinet, **options)
        opened.append(context)
        return context.__enter__()

    yield make
    for context in opened:
        context.__exit__(None, None, None)
