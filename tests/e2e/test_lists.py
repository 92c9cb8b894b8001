"""Many hosts at once, in a browser and beside a real nginx: ticked, disabled by one job, and taken back from the toast.
May import: tests.person, tests.product."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import expect

from tests.person import Person
from tests.product import Product, fetch, wait_until

Visit = Callable[..., Person]
APPLIES = "SELECT count(*) FROM command WHERE kind = 'apply_config'"
NAMES = ("a.example.com", "b.example.com", "c.example.com")


def test_two_of_three_hosts_are_disabled_together_and_undone(product: Product, upstream: int, visit: Visit) -> None:
    ada = visit(product)
    ada.set_up(product.setup_link)
    product.wait_online()
    for name in NAMES:
        ada.create_host(name, upstream)
        ada.sees("Succeeded", 60)
    page = ada.page
    page.goto("/hosts?sort=name")
    rows, bar = page.locator("#rows tr"), page.locator("#bulk")
    expect(bar).to_be_hidden()
    for number in (0, 1):
        rows.nth(number).locator(".cb").check()
    expect(bar).to_contain_text("2 selected")

    bar.get_by_role("button", name="Delete", exact=True).click()
    dialog = page.locator("#question")
    expect(dialog.get_by_role("button", name="Keep hosts")).to_be_focused()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()

    applies = product.query(APPLIES)[0][0]
    bar.get_by_role("button", name="Disable").click()
    page.locator(".toast").get_by_text("2 hosts disabled").hover()  # a toast stays while it is pointed at
    assert "sort=name" in page.url
    expect(rows.nth(0)).to_contain_text("Disabled")
    port = product.ports["AGENT_HTTP_PORT"]
    wait_until(lambda: fetch(port, NAMES[1]).status != 200, "the hosts are gone")
    assert fetch(port, NAMES[2]).status == 200
    page.locator(".toast").get_by_role("button", name="Undo").click()
    page.locator(".toast").get_by_text("Undone for 2 hosts").wait_for()
    for number in range(3):
        expect(rows.nth(number)).to_contain_text("Serving", timeout=30_000)
    assert product.query(APPLIES)[0][0] == applies + 2

    rows.nth(0).get_by_label("Actions for a.example.com").click()
    page.get_by_role("link", name="Quick edit").click()
    expect(page.locator("tr.quick [name=forward_host]")).to_be_focused()
    page.keyboard.press("Escape")
    expect(rows.nth(0).get_by_label("Actions for a.example.com")).to_be_focused()
