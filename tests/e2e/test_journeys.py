"""Whole jobs in a real browser: fifty hosts at once, a search and the way back, a phone, the keyboard alone.
May import: panel, tests.{hosts,person,product}."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import select

from panel.app import create_app
from panel.config import Config
from panel.extensions import db
from panel.models import Agent
from tests.e2e.conftest import UPSTREAM
from tests.hosts import add_host
from tests.person import NAME, PASSWORD, Person
from tests.product import Product, fetch, running_product, wait_until

MANY = 50
Visit = Callable[..., Person]


@dataclass
class Shop:
    """A product with an administrator and fifty hosts that are saved and not live."""

    product: Product
    upstream: int


@pytest.fixture(scope="module")
def shop(browser: Browser, upstream: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """One for all journeys: each leaves what the next one needs."""
    with running_product(tmp_path_factory.mktemp("journeys") / "var", WAYPOST_TEST_AUTHORITY="off") as product:
        ada = Person(browser, product.url)
        ada.set_up(product.setup_link)
        ada.context.close()
        product.wait_online()
        app = create_app(Config.from_env({"PANEL_STATE_DIR": str(product.state / "panel")}))
        with app.app_context():
            agent = db.session.scalars(select(Agent)).one()
        for number in range(MANY):
            add_host(app, agent, f"site-{number:02}.example.test", host=f"127.0.1.{number}")
        yield Shop(product, upstream)


# Whether what has the focus shows it: an outline, or a shadow of the box that it stands in.
_SHOWS = """() => [document.activeElement, document.activeElement.closest('.chips')].filter(Boolean)
  .map((one) => getComputedStyle(one)).some((style) => style.outlineStyle !== 'none' || style.boxShadow !== 'none')"""


def tab_to(page: Page, selector: str) -> None:
    """Presses Tab until the focus is there, and can be seen there."""
    for _ in range(120):
        page.keyboard.press("Tab")
        if page.evaluate("(wanted) => document.activeElement.matches(wanted)", selector):
            assert page.evaluate(_SHOWS), f"{selector} does not show that it has the focus"
            return
    raise AssertionError(f"Tab does not lead to {selector}")


def test_the_keyboard_alone_brings_a_host_live(shop: Shop, visit: Visit) -> None:
    person = visit(shop.product)
    page = person.page
    page.goto("/login")
    expect(page.locator("[name=username]")).to_be_focused()
    page.keyboard.type(NAME)
    tab_to(page, "[name=password]")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(lambda address: "/login" not in address)
    tab_to(page, ".side a[href='/hosts']")
    page.keyboard.press("Enter")
    page.wait_for_url("**/hosts")
    tab_to(page, "a[href='/hosts/new']")
    page.keyboard.press("Enter")
    page.wait_for_url("**/hosts/new")
    tab_to(page, "#domain_names-add")
    page.keyboard.type("keys.example.test")
    page.keyboard.press("Enter")
    tab_to(page, "[name=forward_host]")
    page.keyboard.type("127.0.0.1")
    tab_to(page, "[name=forward_port]")
    page.keyboard.type(str(shop.upstream))
    tab_to(page, "button[value=apply]")
    page.keyboard.press("Enter")
    page.wait_for_url("**/jobs/*")
    person.sees("Succeeded", 60)
    assert UPSTREAM in fetch(shop.product.http_port, "keys.example.test").body


def switched_off(product: Product) -> int:
    """How many hosts."""
    return int(product.query("SELECT count(*) FROM proxy_host WHERE NOT is_enabled")[0][0])


def test_fifty_hosts_are_changed_by_one_job_and_back(shop: Shop, visit: Visit) -> None:
    person, product = visit(shop.product), shop.product
    person.log_in()
    person.page.goto("/hosts?q=site-")
    before = product.query("SELECT count(*) FROM command WHERE kind = 'apply_config'")[0][0]
    person.page.locator("tbody .cb").first.check()
    person.page.locator("[data-everything]").check()
    person.button("Disable").click()
    question = person.page.locator("#question")
    expect(question).to_contain_text(str(MANY))
    question.locator("button:not([type=button])").click()
    wait_until(lambda: switched_off(product) == MANY, "all are switched off", 60)
    wait_until(lambda: fetch(product.http_port, "site-07.example.test").status == 404, "they are off", 60)
    assert product.query("SELECT count(*) FROM command WHERE kind = 'apply_config'")[0][0] == before + 1
    assert UPSTREAM in fetch(product.http_port, "keys.example.test").body
    person.button("Undo").click()
    wait_until(lambda: fetch(product.http_port, "site-07.example.test").status != 404, "they are on again", 60)
    assert switched_off(product) == 0


def test_a_search_is_there_again_on_the_way_back(shop: Shop, visit: Visit) -> None:
    person = visit(shop.product)
    page = person.page
    person.log_in()
    page.goto("/hosts")
    page.fill("#q", "site-1")
    page.wait_for_url("**/hosts?q=site-1")
    expect(page.locator("tbody tr")).to_have_count(10)
    page.locator("th a", has_text=re.compile("^Host|^Name")).first.click()
    page.wait_for_url("**sort=*")
    sorted_at = page.url
    page.get_by_role("link", name="site-13.example.test").first.click()
    page.wait_for_url(re.compile(r"/hosts/\d+$"))
    page.go_back()
    page.wait_for_url(sorted_at)
    expect(page.locator("#q")).to_have_value("site-1")
    expect(page.locator("tbody tr")).to_have_count(10)
    page.reload()
    expect(page.locator("#q")).to_have_value("site-1")
    expect(page.locator("tbody tr")).to_have_count(10)


def test_a_phone_is_enough_to_edit_and_apply(shop: Shop, visit: Visit) -> None:
    person, product = visit(shop.product, shape="phone-light"), shop.product
    page = person.page
    person.log_in()
    page.get_by_label("Open menu").click()
    page.locator("#menu").get_by_role("link", name=re.compile("^Hosts")).click()
    page.wait_for_url("**/hosts")
    page.fill("#q", "site-20")
    page.get_by_role("link", name="site-20.example.test").first.click()
    page.get_by_role("link", name="Edit", exact=True).click()
    page.fill("[name=forward_host]", "127.0.0.1")
    page.fill("[name=forward_port]", str(shop.upstream))
    person.save_and_apply()
    person.sees("Succeeded", 60)
    assert UPSTREAM in fetch(product.http_port, "site-20.example.test").body
    for address in ("/", "/hosts", "/audit"):
        page.goto(address)
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"), address


def test_without_javascript_a_search_is_paged_sorted_and_changed_at_once(shop: Shop, visit: Visit) -> None:
    person, product = visit(shop.product, javascript=False), shop.product
    page = person.page
    person.log_in()
    page.goto("/hosts")
    page.fill("#q", "site-")
    page.press("#q", "Enter")
    page.get_by_role("navigation", name="Pages of hosts").get_by_role("link").last.click()
    assert "q=site-" in page.url
    for number in range(2):
        page.locator("tbody .cb").nth(number).check()
    person.button("Disable").click()
    wait_until(lambda: switched_off(product) == 2, "two are switched off")
