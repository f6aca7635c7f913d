"""A page as somebody without a mouse goes through it: nothing here clicks, fills, or moves the focus by script."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

from tests.portal.world import Visitor

# So many stops no page has.
_MOST = 150
_HERE = """() => {
  const it = document.activeElement;
  if (!it || it === document.body || it === document.documentElement) return null;
  const style = getComputedStyle(it), box = it.getBoundingClientRect();
  const marked = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2;
  const onScreen = box.width > 1 && box.height > 1 && box.bottom > 0 && box.right > 0
    && box.top < innerHeight && box.left < innerWidth;
  return {kind: it.type ?? it.localName, at: it.outerHTML.slice(0, 160), seen: marked && onScreen};
}"""
# What a Tab should come to; of the radio buttons of a group it comes to one.
_CONTROLS = """() => {
  const groups = new Set(), found = [];
  const wanted = 'a[href], button, input, select, textarea, summary, [tabindex="0"]';
  for (const one of document.querySelectorAll(wanted)) {
    if (one.disabled || one.tabIndex < 0 || one.type === 'hidden') continue;
    if (!one.checkVisibility({visibilityProperty: true})) continue;
    if (one.type === 'radio') {
      const group = [...document.getElementsByName(one.name)].filter((other) => other.form === one.form);
      const checked = group.find((other) => other.checked);
      if (checked ? checked !== one : group[0] !== one) continue;
    }
    found.push(one);
  }
  window.controls = found;
}"""
_GROUP = """name => {
  const it = document.activeElement;
  return it.type === 'radio' && [...document.getElementsByName(it.name)].some((one) => one.form === it.form
    && one.labels[0].textContent.trim().startsWith(name));
}"""


@dataclass(frozen=True)
class Stop:
    """What has the focus: its accessible name and role as the browser tells them, and how it looks."""

    name: str
    role: str
    kind: str
    at: str
    seen: bool

    def called(self, name: str | re.Pattern[str]) -> bool:
        if isinstance(name, re.Pattern):
            return bool(name.search(self.name))
        # A box to be ticked bears its hint in its name, after what it is called.
        boxed = self.kind in ("radio", "checkbox") and self.name.startswith(name + " ")
        return self.name == name or boxed

    def faults(self) -> list[str]:
        """What a person who cannot see a pointer, or the page, would miss."""
        found = [] if self.name else [f"no name: {self.at}"]
        return found if self.seen else [*found, f"the focus is not seen: {self.at}"]


class Keyboard:
    """The keys of a visitor. Every stop on the way must have a name and a focus that is seen."""

    def __init__(self, visitor: Visitor) -> None:
        self.page: Page = visitor.page
        self._tools = visitor.context.new_cdp_session(visitor.page)

    def here(self) -> Stop | None:
        """What has the focus; None when nothing has it, as after the page's last control."""
        look = self.page.evaluate(_HERE)
        if look is None:
            return None
        asked: dict[str, Any] = {"expression": "document.activeElement", "objectGroup": "stop"}
        found = self._tools.send("Runtime.evaluate", asked)["result"]["objectId"]
        told = self._tools.send(
            "Accessibility.getPartialAXTree", {"objectId": found, "fetchRelatives": False}
        )["nodes"][0]
        self._tools.send("Runtime.releaseObjectGroup", {"objectGroup": "stop"})
        name = " ".join(told.get("name", {}).get("value", "").split())
        return Stop(name, told.get("role", {}).get("value", ""), **look)

    def press(self, *keys: str) -> None:
        """Press keys one after another."""
        for key in keys:
            self.page.keyboard.press(key)

    def tab(self, *, back: bool = False) -> Stop | None:
        """Go one on; raises AssertionError when the stop has no name or its focus is not seen."""
        self.press("Shift+Tab" if back else "Tab")
        stop = self.here()
        assert stop is None or stop.faults() == [], stop.faults()
        return stop

    def reach(
        self, name: str | re.Pattern[str], *, role: str = "", back: bool = False, most: int = _MOST
    ) -> Stop:
        """Tab until what bears a name has the focus; a role where several bear it."""
        passed = []
        for _ in range(most):
            stop = self.tab(back=back)
            if stop and stop.called(name) and role in ("", stop.role):
                return stop
            passed.append(stop.name if stop else "(the end of the page)")
        raise AssertionError(f"the keyboard does not come to {name!r}, only to {passed}")

    def enter(self) -> None:
        """Press Enter where it leads to another page, and wait for that."""
        with self.page.expect_navigation():
            self.press("Enter")

    def follow(self, name: str, *, role: str = "") -> None:
        """Go to a link or a button and use it."""
        self.reach(name, role=role)
        self.enter()

    def skip(self, words: str) -> None:
        """Use the first link of the page, which leads past the menu."""
        assert self.reach(words, most=1).role == "link"
        self.press("Enter")

    def write(self, name: str, text: str) -> None:
        """Go to a field and replace what stands in it."""
        self.reach(name)
        self.press("Control+a", "Delete")
        self.page.keyboard.type(text)

    def tick(self, name: str) -> None:
        """Go to a box, and tick it or take the tick away."""
        assert self.reach(name).role == "checkbox"
        self.press("Space")

    def pick(self, name: str) -> None:
        """Go to the group that has a radio button of a name, and on to it with the arrows."""
        for _ in range(_MOST):
            self.tab()
            if self.page.evaluate(_GROUP, name):
                break
        for _ in range(20):
            stop = self.here()
            if stop and stop.role == "radio" and stop.called(name):
                # The first of a group without a choice has the focus and is not chosen.
                self.press("Space")
                return
            self.press("ArrowDown")
        raise AssertionError(f"no way to the choice {name!r}")

    def choose(self, name: str, option: str) -> None:
        """Go to a list, and on with the arrow until an option is chosen."""
        self.reach(name)
        self.press("Home")
        for _ in range(60):
            # Asked of the focus each time: a list that is drawn anew by each choice must keep it.
            if self.page.evaluate("document.activeElement.selectedOptions?.[0]?.text.trim()") == option:
                return
            self.press("ArrowDown")
        raise AssertionError(f"the list {name!r} has no {option!r} that the arrow comes to")

    def give(self, name: str, path: Path) -> None:
        """Put a file into a field; what opens it is the system's own dialogue, which no page can reach."""
        self.reach(name)
        self.page.locator(":focus").set_input_files(path)

    def round(self) -> tuple[list[Stop], list[str]]:
        """Go once through the whole page; return the stops, and the controls that were not among them.

        Raises:
            AssertionError: the focus does not get out of a part of the page.
        """
        self.page.evaluate(_CONTROLS)
        stops: list[Stop] = []
        places: list[int] = []
        for _ in range(400):
            self.press("Tab")
            stop = self.here()
            place = int(self.page.evaluate("controls.indexOf(document.activeElement)"))
            # After the last control the browser begins again at the top, with or without a stop in between.
            if places and place == places[0]:
                missed: list[str] = self.page.evaluate(
                    "reached => controls.filter((one, at) => !reached.includes(at))"
                    ".map((one) => one.outerHTML.slice(0, 160))",
                    places,
                )
                return stops, missed
            # A day is typed into parts of its field, each of which is a stop.
            if stop is None or (stop.kind.startswith("date") and places and place == places[-1]):
                continue
            assert place < 0 or place not in places, f"the focus is trapped at {stop.at}"
            stops.append(stop)
            places.append(place)
        raise AssertionError("Tab does not come back to where it began")
