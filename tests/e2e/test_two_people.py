"""Two people on one host, in two browsers: the second is told while typing, compares, chooses, and saves.
May import: tests.product, tests.person."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import expect

from tests.person import Person
from tests.product import Product

SITE = "two.example.test"


def test_the_second_person_compares_instead_of_overwriting(product: Product, visit: Callable[..., Person]) -> None:
    first = visit(product)
    first.set_up(product.setup_link)
    product.wait_online()
    first.page.goto("/hosts/new")
    first.fill_host(SITE, 4000)
    first.button("Save only").click()
    first.page.wait_for_url("**/hosts/1")
    second = visit(product)
    second.log_in()
    for person in (first, second):
        person.page.goto("/hosts/1/edit")
    second.page.fill("[name=forward_port]", "4002")
    second.page.fill("[name=notes]", "of the second")
    first.page.fill("[name=forward_port]", "4001")
    first.page.fill("[name=forward_host]", "127.0.0.2")
    first.button("Save only").click()
    first.page.wait_for_url("**/hosts/1")
    second.sees("saved this host")
    second.button("Compare both").click()
    expect(second.page.locator("table.versions tbody tr")).to_have_count(3)
    second.page.locator("input[name=keep-forward_port][value=yours]").check()
    second.button("Save only").click()
    second.page.wait_for_url("**/hosts/1")
    saved = product.query("SELECT forward_host, forward_port, notes FROM proxy_host")
    assert saved == [("127.0.0.2", 4002, "of the second")]
