"""What no page may have: violations of WCAG 2.2 AA as axe sees them, HTML with errors, a sideways scroll.
May import: Playwright, axe-playwright-python (axe-core), html5lib, tests.person."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any, Literal
from xml.etree import ElementTree as ET

import html5lib
from html5lib.constants import E as PARSE_ERRORS
from playwright.sync_api import Page, Request, Response

from tests.person import Person

TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
# The only rules of axe that read colours: what the others say in light, they say in dark.
COLOUR_RULES = ["color-contrast", "link-in-text-block"]
EVERYTHING: dict[str, Any] = {"type": "tag", "values": TAGS}
COLOURS: dict[str, Any] = {"type": "rule", "values": COLOUR_RULES}
SCHEMES: tuple[tuple[Literal["light", "dark"], dict[str, Any]], ...] = (("light", EVERYTHING), ("dark", COLOURS))
NARROW = 320
REFUSALS = {409, 422}  # a form that somebody must look at again
_AXE = (resources.files("axe_playwright_python") / "axe.min.js").read_text()
# Begins, and answers before it has ended, so that another window can be looked at meanwhile. Colours fade after a
# switch, and what inherits one begins when that has ended; what turns for ever has no end.
_BEGIN = """([scope, chosen]) => {
  const isFading = (one) => one instanceof CSSTransition && one.playState === 'running';
  const look = async () => {
    while (document.getAnimations().some(isFading)) await new Promise((next) => setTimeout(next, 20));
    const found = await axe.run(scope || document, { resultTypes: ['violations'], preload: false, runOnly: chosen });
    return found.violations.map((one) => [one.id, one.help, one.nodes.map((node) => [
      node.target.join(' '), node.any.concat(node.all, node.none).map((check) => check.message).join('; ')])]);
  };
  window.looking = new Promise((next) => setTimeout(next)).then(look);
}"""
_FACTS = """() => ({
  h1: document.querySelectorAll('h1').length,
  lang: document.documentElement.lang,
  ids: [...document.querySelectorAll('[id]')].map((one) => one.id),
})"""
_OVERHANG = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


class Window:
    """The tab of one person at one size, which is looked at."""

    def __init__(self, person: Person) -> None:
        self.person, self.page = person, person.page
        self._failures: list[str] = []  # of the network, since the last look
        self.page.on("requestfailed", self._failed)
        self.page.on("response", self._answered)

    def _failed(self, request: Request) -> None:
        # Whoever leaves a page ends its stream, and whatever else is still on its way.
        if "ERR_ABORTED" not in (request.failure or ""):
            self._failures.append(f"{request.method} {request.url}: {request.failure}")

    def _answered(self, response: Response) -> None:
        if response.status >= 400 and response.status not in REFUSALS and not response.request.is_navigation_request():
            self._failures.append(f"{response.request.method} {response.url}: {response.status}")

    @property
    def width(self) -> int:
        """In CSS pixels."""
        return (self.page.viewport_size or {"width": 0})["width"]

    def begin(self, scheme: Literal["light", "dark"], chosen: Mapping[str, Any], scope: str) -> None:
        """Begins to look with axe. axe comes by the debugger's door, so the page keeps its Content-Security-Policy."""
        self.page.emulate_media(color_scheme=scheme)
        if not self.page.evaluate("typeof axe === 'object'"):
            self.page.evaluate(_AXE)
        self.page.evaluate(_BEGIN, [scope, chosen])

    def violations(self) -> list[str]:
        """What axe found since begin(): one line for each element."""
        found = self.page.evaluate("window.looking")
        return [f"{rule} ({help_}): {target}: {why}" for rule, help_, nodes in found for target, why in nodes]

    def structure(self) -> list[str]:
        """What is wrong with the document as it stands, whatever its size."""
        facts = self.page.evaluate(_FACTS)
        found = [f"id {name!r} stands {count} times" for name, count in Counter(facts["ids"]).items() if count > 1]
        if facts["h1"] != 1:
            found.append(f"{facts['h1']} h1")
        if not facts["lang"]:
            found.append("no lang")
        return found

    def overhang(self) -> list[str]:
        """Whether the page scrolls sideways: as it is, and on a phone as narrow as there are."""
        size = self.page.viewport_size
        assert size is not None
        found = self._overhang(size["width"])
        if self.person.is_phone:
            self.page.set_viewport_size({**size, "width": NARROW})
            found += self._overhang(NARROW)
            self.page.set_viewport_size(size)
        return found

    def _overhang(self, width: int) -> list[str]:
        over = self.page.evaluate(_OVERHANG)
        return [f"scrolls sideways by {over} px at {width}"] if over > 0 else []

    def complaints(self) -> list[str]:
        """What the network, the policy and the console said since this was asked last."""
        found = [*self._failures, *self.person.complaints]
        self._failures.clear()
        self.person.complaints.clear()
        return found


@dataclass
class Visitor:
    """Somebody at a desk and at a phone, who does the same at both; both are looked at, in light and in dark."""

    windows: tuple[Window, ...]

    @property
    def desk(self) -> Window:
        """The wide one."""
        return self.windows[0]

    @property
    def phone(self) -> Window:
        """The narrow one."""
        return self.windows[-1]

    def share_session(self) -> None:
        """Who is logged in at the desk is logged in at the phone."""
        self.phone.person.context.add_cookies(self.desk.person.context.cookies())  # type: ignore[arg-type]

    @property
    def pages(self) -> list[Page]:
        """What is to be clicked in."""
        return [window.page for window in self.windows]

    def go(self, address: str) -> list[Response | None]:
        """Opens a page in all windows at once."""
        answers = [page.goto(address, wait_until="commit") for page in self.pages]
        for page in self.pages:
            page.wait_for_load_state("load")
        return answers

    def open(self, address: str, status: int = 200) -> None:
        """Opens a page, reads what the server sent, and looks at it from all sides."""
        answer = self.go(address)[0]
        assert answer is not None
        assert answer.status == status, address
        found = html_errors(answer.text())
        assert not found, "\n".join([address, *found])
        self.look()

    def look(self, scope: str = "") -> None:
        """Looks at the page as it stands; `scope` names what axe is to look at, when it lies before all else."""
        found = []
        for page in self.pages:
            page.wait_for_load_state("load")
        for scheme, chosen in SCHEMES:
            for window in self.windows:
                window.begin(scheme, chosen, scope)
            for window in self.windows:
                found += [f"{scheme} {window.width}: {one}" for one in window.violations()]
        for window in self.windows:
            window.page.emulate_media(color_scheme="light")
            found += [*window.structure(), *window.overhang(), *window.complaints()]
        assert not found, "\n".join([self.windows[0].page.url, *found])


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
