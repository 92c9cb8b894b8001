"""An edit taken back from its toast, and again from the audit log, in a real browser.
May import: tests.product, tests.person."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import expect

from tests.e2e.conftest import UPSTREAM
from tests.person import Person
from tests.product import Product, fetch, wait_until

SITE = "app.example.test"


def test_an_edit_goes_live_and_is_taken_back_from_its_toast_and_from_the_log(
    product: Product, visit: Callable[..., Person], upstream: int
) -> None:
    ada = visit(product)
    ada.set_up(product.setup_link)
    ada.create_host(SITE, upstream)
    wait_until(lambda: fetch(product.http_port, SITE).status == 200, "the host is served")
    ada.page.goto("/hosts/1/edit")
    ada.page.locator("#domain_names-add").fill("www.example.test")
    ada.page.locator("#domain_names-add").press("Enter")
    ada.save_and_apply()
    ada.page.get_by_role("button", name="Undo", exact=True).focus()  # a toast with the focus in it stays
    wait_until(lambda: fetch(product.http_port, "www.example.test").status == 200, "the new name is served")
    ada.button("Undo").press("Enter")
    ada.page.wait_for_url("**/hosts/1")
    expect(ada.page.locator("#toasts")).to_contain_text("Undone:")
    wait_until(lambda: fetch(product.http_port, "www.example.test").status == 404, "the new name is gone")
    assert UPSTREAM in fetch(product.http_port, SITE).body
    ada.page.goto("/audit?kind=proxy_host")
    expect(ada.page.locator("tbody tr").nth(1)).to_contain_text("Changed since")
    ada.page.locator("tbody tr").first.locator("summary").click()
    expect(ada.page.locator("tbody tr").first.locator("del")).to_contain_text("www.example.test")
    ada.page.locator("tbody tr").first.get_by_role("button", name="Undo").click()
    expect(ada.page.locator("tbody tr")).to_have_count(4)
    wait_until(lambda: fetch(product.http_port, "www.example.test").status == 200, "the new name is served again")
    what_is_open_in_the_history_stays_open(ada)


def what_is_open_in_the_history_stays_open(ada: Person) -> None:
    ada.page.goto("/hosts/1")
    history = ada.page.locator("ul.hist")
    history.locator("summary").first.click()
    elsewhere = ada.open_tab()
    elsewhere.goto("/hosts/1")
    elsewhere.get_by_label("More actions").click()
    elsewhere.get_by_role("button", name="Disable", exact=True).click()
    expect(history.locator("li")).to_have_count(5)
    expect(history.locator("li").nth(1).locator("details[open] ins")).to_contain_text("www.example.test")
    expect(history.locator("details[open]")).to_have_count(1)
