"""What no page may have: violations of WCAG 2.2 AA as axe sees them, HTML with errors, a sideways scroll.
May import: Playwright, axe-playwright-python (axe-core), html5lib, tests.person."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any
from xml.etree import ElementTree as ET

import html5lib
from html5lib.constants import E as PARSE_ERRORS
from playwright.sync_api import Page, Request, Response

from tests.person import Person

TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
# The only rules of axe that read colours: what the others say in light, they say in dark.
COLOUR_RULES = ["color-contrast", "link-in-text-block"]
WIDE, PHONE, NARROW = (1440, 900), (390, 844), (320, 700)
Shape = tuple[tuple[int, int], str]
EVERY_SHAPE: tuple[Shape, ...] = ((WIDE, "light"), (WIDE, "dark"), (PHONE, "light"), (PHONE, "dark"))
# For what differs little from a page that was looked at in every shape.
BOTH_ENDS: tuple[Shape, ...] = ((WIDE, "light"), (PHONE, "dark"))
_AXE = (resources.files("axe_playwright_python") / "axe.min.js").read_text()
_RUN = """async ([scope, chosen]) => {
  const found = await axe.run(scope || document, { resultTypes: ['violations'], preload: false, runOnly: chosen });
  return found.violations.map((one) => [one.id, one.help, one.nodes.map((node) => [
    node.target.join(' '), node.any.concat(node.all, node.none).map((check) => check.message).join('; ')])]);
}"""
_FACTS = """() => ({
  h1: document.querySelectorAll('h1').length,
  lang: document.documentElement.lang,
  title: document.title,
  ids: [...document.querySelectorAll('[id]')].map((one) => one.id),
})"""
# Colours fade after a switch, and what inherits one begins when that has ended; what turns for ever has no end.
_FADED = """async () => {
  const isFading = (one) => one instanceof CSSTransition && one.playState === 'running';
  while (document.getAnimations().some(isFading)) await new Promise((next) => setTimeout(next, 20));
}"""
_OVERHANG = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


class Inspector:
    """Looks at the pages of one tab. What the network did wrong meanwhile is in `failures`."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.failures: list[str] = []
        page.on("requestfailed", self._failed)
        page.on("response", self._answered)

    def _failed(self, request: Request) -> None:
        # Whoever leaves a page ends its stream, and whatever else is still on its way.
        if "ERR_ABORTED" not in (request.failure or ""):
            self.failures.append(f"{request.method} {request.url}: {request.failure}")

    def _answered(self, response: Response) -> None:
        if response.status >= 400 and response.status != 422 and not response.request.is_navigation_request():
            self.failures.append(f"{response.request.method} {response.url}: {response.status}")

    def open(self, address: str, status: int = 200) -> list[str]:
        """Opens a page; what is wrong with what the server sent."""
        response = self.page.goto(address)
        if response is None or response.status != status:
            return [f"{address}: {response.status if response else 'nothing'} instead of {status}"]
        return html_errors(response.text())

    def look(self, shapes: Sequence[Shape], scope: str = "") -> list[str]:
        """What is wrong with the page as it stands, in each shape; for axe only in what the selector names, if any."""
        found, seen = self._structure(), set()
        for size, scheme in shapes:
            self._resize((size, scheme))
            rules = COLOUR_RULES if size in seen else []
            found += [f"{scheme} {size[0]}: {one}" for one in axe(self.page, scope, rules)]
            seen.add(size)
        found += self._overhang()
        self._resize(shapes[0])
        return found

    def _resize(self, shape: Shape) -> None:
        (width, height), scheme = shape
        self.page.set_viewport_size({"width": width, "height": height})
        self.page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        self.page.evaluate(_FADED)

    def _structure(self) -> list[str]:
        facts = self.page.evaluate(_FACTS)
        found = [f"id {name!r} stands {count} times" for name, count in Counter(facts["ids"]).items() if count > 1]
        if facts["h1"] != 1:
            found.append(f"{facts['h1']} h1")
        if not facts["lang"]:
            found.append("no lang")
        return found

    def _overhang(self) -> list[str]:
        self.page.set_viewport_size({"width": NARROW[0], "height": NARROW[1]})
        over = self.page.evaluate(_OVERHANG)
        return [f"scrolls sideways by {over} px at {NARROW[0]}"] if over > 0 else []


@dataclass
class Visitor:
    """Somebody at a browser, whose pages are looked at."""

    person: Person
    inspector: Inspector

    def open(self, address: str, status: int = 200, shapes: tuple[Shape, ...] = BOTH_ENDS) -> None:
        """Opens a page and looks at it from all sides."""
        found = self.inspector.open(address, status)
        assert not found, "\n".join([address, *found])
        self.look(shapes)

    def look(self, shapes: tuple[Shape, ...] = BOTH_ENDS, scope: str = "") -> None:
        """Looks at the page as it stands; `scope` leaves aside what lies behind something that is open."""
        self.person.page.wait_for_load_state("load")
        found = self.inspector.look(shapes, scope)
        found += [*self.inspector.failures, *self.person.complaints]
        self.inspector.failures.clear()
        self.person.complaints.clear()
        assert not found, "\n".join([self.person.page.url, *found])


def axe(page: Page, scope: str = "", rules: Iterable[str] = ()) -> list[str]:
    """The violations of the page, or of what the selector names: one line for each element.

    axe comes by the debugger's door, so the page keeps its Content-Security-Policy.
    """
    if not page.evaluate("typeof axe === 'object'"):
        page.evaluate(_AXE)
    chosen: dict[str, Any] = {"type": "tag", "values": TAGS}
    if rules:
        chosen = {"type": "rule", "values": list(rules)}
    violations = page.evaluate(_RUN, [scope, chosen])
    return [f"{rule} ({help_}): {target}: {why}" for rule, help_, nodes in violations for target, why in nodes]


def html_errors(text: str, container: str = "") -> list[str]:
    """What the HTML standard calls a parse error, and ids that stand twice in what was sent: a page, or a piece that
    htmx puts into an element of the name `container`."""
    parser = html5lib.HTMLParser(tree=html5lib.getTreeBuilder("etree"), namespaceHTMLElements=False)
    root: ET.Element = parser.parseFragment(text, container) if container else parser.parse(text)
    found = [
        f"line {place[0]}, column {place[1]}: {PARSE_ERRORS[code] % values}" for place, code, values in parser.errors
    ]
    ids = Counter(name for element in root.iter() if (name := element.get("id")))
    return found + [f"id {name!r} stands {count} times" for name, count in ids.items() if count > 1]
