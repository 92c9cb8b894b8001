"""A person at a browser: the actions of the main job in their words, and what no page may ever do.
May import: Playwright and panel.embedded."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, expect, sync_playwright

from panel.embedded.system_packages import find_program

NAME, PASSWORD = "ada", "four words in a row"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
DESKTOP: dict[str, Any] = {"viewport": {"width": 1440, "height": 900}}
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "has_touch": True}
SHAPES: dict[str, dict[str, Any]] = {
    "desktop-light": {**DESKTOP, "color_scheme": "light"},
    "desktop-dark": {**DESKTOP, "color_scheme": "dark"},
    "phone-light": {**PHONE, "color_scheme": "light"},
    "phone-dark": {**PHONE, "color_scheme": "dark"},
}
# Style attributes show only in the console, everything else as an event: both are collected.
_WATCH = """
document.addEventListener('securitypolicyviolation', (event) =>
  console.error('CSP: ' + event.violatedDirective + ' ' + event.blockedURI + ' ' + event.sample));
"""
# Ends with the fade from one page to the next, which Chromium plays on top of both.
_FADE = """async () => { await Promise.all(document.getAnimations()
  .filter((one) => one.effect.pseudoElement?.startsWith('::view-transition')).map((one) => one.finished)); }"""


@contextmanager
def running_browser() -> Iterator[Browser]:
    """Chromium of the system, or else Playwright's own."""
    program = find_program("chromium", "google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


class Person:
    """One browser with its own cookies. `complaints` collects what the console and the policy said on any page."""

    def __init__(self, browser: Browser, url: str, *, shape: str = "desktop-light", javascript: bool = True) -> None:
        options = {**SHAPES[shape], "reduced_motion": "reduce", "java_script_enabled": javascript}
        self.is_phone = SHAPES[shape]["viewport"] == PHONE["viewport"]
        self.context: BrowserContext = browser.new_context(base_url=url, **options)
        self.context.set_default_timeout(15_000)
        self.complaints: list[str] = []
        if javascript:
            self.context.add_init_script(_WATCH)
        self.page = self.open_tab()

    def open_tab(self) -> Page:
        """Another tab of the same person, watched too."""
        page = self.context.new_page()
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.complaints.append(f"{page.url}: {error}"))
        return page

    def _hear(self, message: ConsoleMessage) -> None:
        # A refused form is a 4xx that the console reports as an error; the page shows it, and it is expected.
        if message.type == "error" and "the server responded with a status of 4" not in message.text:
            self.complaints.append(f"{message.page.url if message.page else ''}: {message.text}")

    def forgive_lost_connections(self) -> None:
        """Drops what the console said while a test had the panel dead: the page shows that itself."""
        lost = ("net::ERR_", "htmx:sse:error", "Failed to fetch")
        self.complaints = [one for one in self.complaints if not any(sign in one for sign in lost)]

    def set_up(self, link: str) -> None:
        """Uses the setup link and logs in when it did not do so by itself."""
        self.page.goto(link)
        self.page.fill("[name=username]", NAME)
        self.page.fill("[name=password]", PASSWORD)
        self.page.fill("[name=repeat]", PASSWORD)
        self.page.click("main button")
        self.page.wait_for_url(lambda address: "/setup" not in address)
        if "/login" in self.page.url:
            self.log_in()

    def log_in(self, name: str = NAME) -> None:
        """Name and password, the same one for everybody."""
        self.page.goto("/login")
        self.page.fill("[name=username]", name)
        self.page.fill("[name=password]", PASSWORD)
        self.page.click("main button")
        self.page.wait_for_url(lambda address: "/login" not in address)

    def fill_host(self, name: str, port: int, host: str = "127.0.0.1") -> None:
        """Fills the open host form; names are chips with JavaScript and lines without."""
        chips = self.page.locator("#domain_names-add")
        if chips.count():
            chips.fill(name)
            chips.press("Enter")
        else:
            self.page.fill("[name=domain_names]", name)
        self.page.fill("[name=forward_host]", host)
        self.page.fill("[name=forward_port]", str(port))

    def button(self, name: str) -> Locator:
        """The visible button with exactly this text."""
        return self.page.get_by_role("button", name=name, exact=True)

    def save_and_apply(self) -> None:
        """Ends on the page of the job."""
        self.button("Save and apply").click()
        self.page.wait_for_url("**/jobs/*")

    def create_host(self, name: str, port: int, host: str = "127.0.0.1") -> None:
        """The form from empty to the page of its job."""
        self.page.goto("/hosts/new")
        self.fill_host(name, port, host)
        self.save_and_apply()

    def open_host(self, name: str) -> None:
        """Searches the list for it and ends on its page."""
        self.page.goto(f"/hosts?q={name}")
        self.page.locator("tbody").get_by_role("link", name=name, exact=True).first.click()
        self.page.wait_for_url(re.compile(r"/hosts/\d+$"))

    def edit_host(self, name: str) -> None:
        """Ends on its form."""
        self.open_host(name)
        self.page.get_by_role("link", name="Edit", exact=True).click()
        self.page.wait_for_url("**/edit")

    def sees(self, text: str, timeout: float = 30.0) -> None:
        """Waits until the page shows the text, without a reload. Seconds."""
        expect(self.page.locator("main")).to_contain_text(text, timeout=timeout * 1000)

    def photograph(self, folder: Path, name: str) -> Path:
        """The whole page, the viewport grown to it so that sticky parts are not cut."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{name}.png"
        size = self.page.viewport_size or {"width": 1440, "height": 900}
        height = int(self.page.evaluate("document.documentElement.scrollHeight"))
        self.page.set_viewport_size({"width": size["width"], "height": max(size["height"], height)})
        self.page.evaluate(_FADE)
        self.page.screenshot(path=path)
        self.page.set_viewport_size({"width": size["width"], "height": size["height"]})
        return path
