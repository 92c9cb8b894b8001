"""Every page in a real browser: axe, HTML, the policy, the console, the network, a narrow window, titles.
May import: tests.{faces,fleet,inspection,person,product,routes}."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.faces import ELSEWHERE, PAGES
from tests.fleet import Fleet, stock
from tests.inspection import Visitor, Window, html_errors
from tests.person import NAME, PASSWORD, Person
from tests.product import Product, running_product
from tests.routes import ROUTES

ADDRESSES = [address for addresses in PAGES.values() for address in addresses]
SAME_TITLE = re.compile(r"\?.*|\{\w+\}")  # filters and states of one page: its title names the page
FEW = "/hosts?q=app"  # where the list itself is not looked at: each row costs axe time
EMPTY = (
    "/",
    "/hosts",
    "/certificates",
    "/jobs",
    "/changes",
    "/audit",
    "/settings/dns",
    "/settings/notifications",
    "/networks",
)


@dataclass
class House:
    """One product for all tests of this file, which change it in their order: nobody, one person, everything."""

    product: Product
    browser: Browser
    visitors: dict[str, Visitor] = field(default_factory=dict)

    def open_browsers(self) -> Visitor:
        """A desk and a phone without a session."""
        shapes = ("desktop-light", "phone-light")
        return Visitor(tuple(Window(Person(self.browser, self.product.url, shape=shape)) for shape in shapes))

    def visitor(self, name: str) -> Visitor:
        """The browsers of a person, who is logged in."""
        if name not in self.visitors:
            self.visitors[name] = self.open_browsers()
            self.visitors[name].desk.person.log_in(name)
            self.visitors[name].share_session()
        return self.visitors[name]


@pytest.fixture(scope="module")
def house(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A product that nobody has set up."""
    state = tmp_path_factory.mktemp("pages") / "var"
    with running_product(state, WAYPOST_TEST_AUTHORITY="off") as product:
        house = House(product, browser)
        yield house
        for visitor in house.visitors.values():
            for window in visitor.windows:
                window.person.context.close()


@pytest.fixture(scope="module")
def ada(house: House) -> Visitor:
    """Its administrator; nothing is there but the agent of this machine."""
    visitor = house.visitors[NAME] = house.open_browsers()
    visitor.desk.person.set_up(house.product.setup_link)
    visitor.share_session()
    house.product.wait_online()
    return visitor


@pytest.fixture(scope="module")
def fleet(house: House, ada: Visitor) -> Fleet:
    """What was put into it."""
    return stock(house.product)


@pytest.fixture(scope="module")
def stranger(house: House) -> Visitor:
    """Somebody who is not logged in."""
    house.visitors[""] = house.open_browsers()
    return house.visitors[""]


@pytest.fixture(scope="module")
def titles() -> dict[str, str]:
    """Whose each title is."""
    return {}


def test_every_address_is_looked_at_or_is_no_page() -> None:
    pages = {line.split()[0] for line in ROUTES.strip().splitlines() if " GET:" in line}
    assert pages == PAGES.keys() | ELSEWHERE.keys()


def test_before_anybody_is_there(house: House, stranger: Visitor) -> None:
    stranger.open(house.product.setup_link)
    for page in stranger.pages:
        page.fill("[name=username]", "")
        page.fill("[name=password]", "short")
        page.click("main button")
        expect(page.get_by_role("alert")).to_be_visible()
    stranger.look()


@pytest.mark.parametrize("address", EMPTY)
def test_empty_pages(ada: Visitor, address: str) -> None:
    ada.open(address)


@pytest.mark.parametrize("address", ADDRESSES)
def test_pages(ada: Visitor, fleet: Fleet, titles: dict[str, str], address: str) -> None:
    ada.open(fleet.fill(address))
    template = SAME_TITLE.sub("", address)
    assert titles.setdefault(ada.desk.page.title(), template) == template


# What htmx asks for, and the element that it goes into.
PIECES = {
    "/hosts?q=site": "div",
    "/certificates": "div",
    "/agents": "div",
    "/jobs": "div",
    "/palette?q=app": "div",
    "/hosts/{app}/quick": "tbody",
    "/hosts/{app}/row": "tbody",
}


@pytest.mark.parametrize("address", PIECES)
def test_pieces_of_pages(ada: Visitor, fleet: Fleet, address: str) -> None:
    answer = ada.desk.person.context.request.get(fleet.fill(address), headers={"HX-Request": "true"})
    assert answer.status == 200
    assert html_errors(answer.text(), PIECES[address]) == []


# ---- people who are not logged in ----


@pytest.mark.parametrize("address", ["/login", "/login?next=/hosts", "/invite?token={invitation_secret}", "/invite"])
def test_pages_of_strangers(house: House, fleet: Fleet, stranger: Visitor, address: str) -> None:
    stranger.open(fleet.fill(address), status=404 if address == "/invite" else 200)


def test_a_login_that_is_refused_and_its_second_step(stranger: Visitor, fleet: Fleet) -> None:
    stranger.go("/login")
    for page in stranger.pages:
        try_to_log_in(page, "bob", "something else")
        expect(page.get_by_role("alert")).to_be_visible()
    stranger.look()
    for page in stranger.pages:
        try_to_log_in(page, "eve", PASSWORD)
        expect(page.locator("[name=code]")).to_be_visible()
    stranger.look()
    for page in stranger.pages:
        page.fill("[name=code]", "000000")
        page.click("main button")
        expect(page.get_by_role("alert")).to_be_visible()
    stranger.look()


def try_to_log_in(page: Page, name: str, password: str) -> None:
    page.fill("[name=username]", name)
    page.fill("[name=password]", password)
    page.click("main button")


# ---- errors ----


@contextmanager
def broken(product: Product, table: str) -> Iterator[None]:
    """The panel's database lacks a table: a page that needs it cannot be made."""

    def rename(old: str, new: str) -> None:
        with closing(sqlite3.connect(product.state / "panel" / "panel.sqlite3", timeout=30)) as database, database:
            database.execute("PRAGMA legacy_alter_table = ON")  # nothing else is to follow the name
            database.execute(f"ALTER TABLE {old} RENAME TO {new}")

    rename(table, f"{table}_lost")
    try:
        yield
    finally:
        rename(f"{table}_lost", table)


def test_error_pages(house: House, ada: Visitor, fleet: Fleet, stranger: Visitor) -> None:
    ada.open("/nothing-here", status=404)
    house.visitor("charlie").open("/users", status=403)
    stranger.open("/nothing-here", status=404)
    with broken(house.product, "notification_channel"):
        answer = ada.go("/settings/notifications")[0]
    assert answer is not None
    assert answer.status == 500
    assert html_errors(answer.text()) == []
    for window in ada.windows:
        window.person.complaints = [one for one in window.person.complaints if "a status of 500" not in one]
    ada.look()


def test_a_lost_connection_is_told(ada: Visitor, fleet: Fleet) -> None:
    """The events that tell of it come from the test, because real ones would go on while the page is looked at."""
    says_so = "document.documentElement.dataset.follows = ''"
    for page in ada.pages:
        page.add_init_script(f"document.addEventListener('htmx:sse:after:connection', () => {says_so})")
    ada.go(FEW)
    for page in ada.pages:
        expect(page.locator("html[data-follows]")).to_have_count(1)
        for _ in range(3):
            page.evaluate("document.dispatchEvent(new CustomEvent('htmx:sse:error', { detail: {} }))")
        expect(page.locator("#connection .offline")).to_be_visible()
    ada.look()


# ---- what a page becomes when somebody uses it ----


@dataclass(frozen=True)
class Refusal:
    """A form with values that are refused, and the button that sends them."""

    address: str
    button: str
    values: dict[str, str] = field(default_factory=dict)


REFUSALS = (
    Refusal("/hosts/new", "Save and apply", {"forward_host": "bad name", "forward_port": "99999"}),
    Refusal("/certificates/new", "Request certificate"),
    Refusal("/certificates/upload", "Upload certificate", {"certificate_pem": "no PEM"}),
    Refusal("/agents/new", "Add agent", {"name": "no name!"}),
    Refusal("/settings/authorities/new", "Add authority", {"directory_url": "http://plain.example.com"}),
    Refusal("/settings/dns/new?agent={edge}&provider=cloudflare", "Add credential"),
    Refusal("/settings/notifications/new?kind=smtp", "Add channel"),
    Refusal("/account", "Change password", {"current": "wrong", "password": "short", "repeat": "other"}),
)


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: refusal.address)
def test_refused_forms(ada: Visitor, fleet: Fleet, refusal: Refusal) -> None:
    ada.go(fleet.fill(refusal.address))
    for window in ada.windows:
        for name, value in refusal.values.items():
            window.page.fill(f"[name={name}]", value)
        window.person.button(refusal.button).click()
        expect(window.page.locator("main [role=alert]").first).to_be_visible()
    ada.look()


def test_two_people_at_one_form(ada: Visitor, fleet: Fleet) -> None:
    """Each window in turn is the one that saves second, and shows what differs."""
    for second in ada.windows:
        ada.go(fleet.fill("/hosts/{off}/edit"))
        first = next(window for window in ada.windows if window is not second)
        first.page.fill("[name=forward_port]", str(10_000 + first.width))
        first.person.button("Save only").click()
        first.page.wait_for_url(fleet.fill("**/hosts/{off}"))
        expect(second.page.locator("#meanwhile")).to_contain_text("saved this host")
        Visitor((second,)).look()
        second.page.fill("[name=forward_port]", str(20_000 + second.width))
        second.person.button("Save only").click()
        expect(second.page.locator("#conflict")).to_be_visible()
        Visitor((second,)).look()


# The page, what opens something on it (one after the other), and what is then seen.
OPENINGS: dict[str, tuple[str, str, str]] = {
    "menu of the account": (FEW, ".top details.menu summary", ".top .pop"),
    "filter of a list": (FEW, ".fchips summary", ".fchips .pop"),
    "more actions of a host": ("/hosts/{app}", ".head details.menu summary", ".head .pop"),
    "options of Request SSL": ("/hosts/{off}", "[commandfor=ssl-options]", "#ssl-options"),
    "revoke a certificate": ("/certificates/{good}", ".head summary, [data-open=revoke]", "#revoke"),
    "delete a certificate": ("/certificates/{good}", ".head summary, [data-open=delete]", "#delete"),
    "a question": ("/networks", "form[data-confirm] button", "#confirm"),
    "the palette's results": (FEW, ".top .find", "#palette [role=option]"),
    "rows that are ticked": (FEW, "tbody .cb", ".bulk"),
    "what to do with rows": (FEW, "tbody .cb, .bulk [value=delete]", "dialog[open] form"),
    "a tag for rows": (FEW, "tbody .cb, .bulk [value=tag]", "dialog[open] form"),
    "what to do with certificates": ("/certificates", "tbody .cb, .bulk [value=delete]", "dialog[open] form"),
    "a menu of a row": (FEW, "tbody details.menu summary", "tbody .pop"),
    "a row": (FEW, "tbody details.menu summary, tbody .pop [hx-get]", "tr.quick form"),
    "a toast with Undo": ("/hosts/{saved}", ".head details.menu summary, .head .pop button", ".toast"),
    "what an entry changed": ("/audit?q=app", "main details:not(.menu) summary", "main details[open]"),
    "earlier edits by hand": ("/agents/{attic}", "main details:not(.menu) summary", "main details[open]"),
}


@pytest.mark.parametrize("name", OPENINGS)
def test_what_opens(ada: Visitor, fleet: Fleet, name: str) -> None:
    address, opener, opened = OPENINGS[name]
    ada.go(fleet.fill(address))
    for page in ada.pages:
        open_one_after_the_other(page, opener, opened)
    ada.look(scope=opened)  # what lies half behind it is not for use now


def open_one_after_the_other(page: Page, opener: str, opened: str) -> None:
    """Clicks the first of each that is seen."""
    for one in opener.split(", "):
        page.locator(one).locator("visible=true").first.click()
    expect(page.locator(opened).first).to_be_visible()
    page.locator(opened).first.hover()  # a toast stays while it is pointed at


def test_the_list_of_keys(ada: Visitor, fleet: Fleet) -> None:
    ada.go(FEW)
    for page in ada.pages:
        page.keyboard.press("?")
        expect(page.locator("#shortcuts")).to_be_visible()
    ada.look(scope="#shortcuts")


def test_a_row_that_is_refused(ada: Visitor, fleet: Fleet) -> None:
    ada.go(FEW)
    for page in ada.pages:
        open_one_after_the_other(page, "tbody details.menu summary, tbody .pop [hx-get]", "tr.quick form")
        page.locator("tr.quick [name=forward_port]").fill("99999")
        page.locator("tr.quick button").first.click()
        expect(page.locator("tr.quick [role=alert]")).to_be_visible()
    ada.look()


def test_the_drawer_of_a_phone(ada: Visitor, fleet: Fleet) -> None:
    page = ada.phone.page
    page.goto(FEW)
    page.get_by_label("Open menu").click()
    expect(page.locator("#menu")).to_be_visible()
    Visitor((ada.phone,)).look(scope="#menu")


@pytest.mark.parametrize("address", [FEW, "/hosts/{app}", "/certificates/{good}", "/jobs/{refused}", "/agents"])
def test_what_a_viewer_sees(house: House, fleet: Fleet, address: str) -> None:
    house.visitor("charlie").open(fleet.fill(address))
