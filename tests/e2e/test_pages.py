"""Every page in a real browser: axe, HTML, the policy, the console, the network, a narrow window, titles.
May import: tests.{faces,fleet,inspection,person,product,routes}."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import Browser, expect

from tests.faces import ELSEWHERE, PAGES
from tests.fleet import Fleet, stock
from tests.inspection import BOTH_ENDS, EVERY_SHAPE, PHONE, Inspector, Visitor, html_errors
from tests.person import NAME, PASSWORD, Person
from tests.product import Product, running_product
from tests.routes import ROUTES

ADDRESSES = [address for addresses in PAGES.values() for address in addresses]
FIRST_FACES = {addresses[0] for addresses in PAGES.values()}  # of each template one is looked at in every shape
SAME_TITLE = re.compile(r"\?.*|\{\w+\}")  # filters and states of one page: its title names the page
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

    def open_browser(self, **options: object) -> Visitor:
        """A browser without a session."""
        person = Person(self.browser, self.product.url, **options)  # type: ignore[arg-type]
        return Visitor(person, Inspector(person.page))

    def visitor(self, name: str) -> Visitor:
        """The one browser of a person, who is logged in."""
        if name not in self.visitors:
            self.visitors[name] = self.open_browser()
            self.visitors[name].person.log_in(name)
        return self.visitors[name]


@pytest.fixture(scope="module")
def house(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A product that nobody has set up."""
    state = tmp_path_factory.mktemp("pages") / "var"
    with running_product(state, WAYPOST_TEST_AUTHORITY="off") as product:
        house = House(product, browser)
        yield house
        for visitor in house.visitors.values():
            visitor.person.context.close()


@pytest.fixture(scope="module")
def ada(house: House) -> Visitor:
    """Its administrator; nothing is there but the agent of this machine."""
    visitor = house.open_browser()
    visitor.person.set_up(house.product.setup_link)
    house.product.wait_online()
    house.visitors[NAME] = visitor
    return visitor


@pytest.fixture(scope="module")
def fleet(house: House, ada: Visitor) -> Fleet:
    """What was put into it."""
    return stock(house.product)


@pytest.fixture(scope="module")
def stranger(house: House) -> Visitor:
    """Somebody who is not logged in."""
    house.visitors[""] = house.open_browser()
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
    page = stranger.person.page
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
    ada.open(fleet.fill(address), shapes=EVERY_SHAPE if address in FIRST_FACES else BOTH_ENDS)
    template = SAME_TITLE.sub("", address)
    assert titles.setdefault(ada.person.page.title(), template) == template


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
    answer = ada.person.context.request.get(fleet.fill(address), headers={"HX-Request": "true"})
    assert answer.status == 200
    assert html_errors(answer.text(), PIECES[address]) == []


# ---- people who are not logged in ----


@pytest.mark.parametrize("address", ["/login", "/login?next=/hosts", "/invite?token={invitation_secret}", "/invite"])
def test_pages_of_strangers(house: House, fleet: Fleet, stranger: Visitor, address: str) -> None:
    stranger.open(fleet.fill(address), status=404 if address == "/invite" else 200)


def test_a_wrong_password(stranger: Visitor, fleet: Fleet) -> None:
    page = stranger.person.page
    page.goto("/login")
    page.fill("[name=username]", "bob")
    page.fill("[name=password]", "something else")
    page.click("main button")
    expect(page.get_by_role("alert")).to_be_visible()
    stranger.look()


def test_the_second_step_of_a_login(stranger: Visitor, fleet: Fleet) -> None:
    page = stranger.person.page
    page.goto("/login")
    page.fill("[name=username]", "eve")
    page.fill("[name=password]", PASSWORD)
    page.click("main button")
    expect(page.locator("[name=code]")).to_be_visible()
    stranger.look()
    page.fill("[name=code]", "000000")
    page.click("main button")
    expect(page.get_by_role("alert")).to_be_visible()
    stranger.look()


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
        found = ada.inspector.open("/settings/notifications", status=500)
    assert found == []
    ada.person.complaints = [one for one in ada.person.complaints if "a status of 500" not in one]
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
    page = ada.person.page
    page.goto(fleet.fill(refusal.address))
    for name, value in refusal.values.items():
        page.fill(f"[name={name}]", value)
    ada.person.button(refusal.button).click()
    expect(page.locator("main [role=alert]").first).to_be_visible()
    ada.look()


def press(selector: str, visitor: Visitor) -> None:
    """Clicks the first that is seen."""
    visitor.person.page.locator(selector).locator("visible=true").first.click()


# The page, what opens something on it (one after the other), and what is then seen.
OPENINGS: dict[str, tuple[str, str, str]] = {
    "menu of the account": ("/hosts", ".top details.menu summary", ".top .pop"),
    "filter of a list": ("/hosts", ".fchips summary", ".fchips .pop"),
    "more actions of a host": ("/hosts/{app}", ".head details.menu summary", ".head .pop"),
    "options of Request SSL": ("/hosts/{off}", "[commandfor=ssl-options]", "#ssl-options"),
    "revoke a certificate": ("/certificates/{good}", ".head summary, [data-open=revoke]", "#revoke"),
    "delete a certificate": ("/certificates/{good}", ".head summary, [data-open=delete]", "#delete"),
    "a question": ("/networks", "form[data-confirm] button", "#confirm"),
    "the palette's results": ("/hosts", ".top .find", "#palette [role=option]"),
    "rows that are ticked": ("/hosts", "tbody .cb", ".bulk"),
    "what to do with rows": ("/hosts", "tbody .cb, .bulk [value=delete]", "dialog[open] form"),
    "a row": ("/hosts", "tbody details.menu summary, tbody .pop [hx-get]", "tr.quick form"),
    "earlier edits by hand": ("/agents/{attic}", "main details:not(.menu) summary", "main details[open]"),
}


@pytest.mark.parametrize("name", OPENINGS)
def test_what_opens(ada: Visitor, fleet: Fleet, name: str) -> None:
    address, opener, opened = OPENINGS[name]
    page = ada.person.page
    page.goto(fleet.fill(address))
    for one in opener.split(", "):
        press(one, ada)
    expect(page.locator(opened).first).to_be_visible()
    ada.look(scope=opened)  # what lies half behind it is not for use now


def test_the_drawer_of_a_phone(ada: Visitor, fleet: Fleet) -> None:
    page = ada.person.page
    page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
    page.goto("/hosts")
    page.get_by_label("Open menu").click()
    expect(page.locator("#menu")).to_be_visible()
    ada.look(shapes=((PHONE, "light"), (PHONE, "dark")))


@pytest.mark.parametrize("address", ["/hosts", "/hosts/{app}", "/certificates/{good}", "/jobs/{refused}", "/agents"])
def test_what_a_viewer_sees(house: House, fleet: Fleet, address: str) -> None:
    house.visitor("charlie").open(fleet.fill(address))
