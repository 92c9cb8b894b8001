"""Hosts in a browser: a field of the form is checked when it is left, a list says that it searches, a phone edits.
May import: tests.{person,product}."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Request, Route, expect

from tests.person import Person
from tests.product import Product

Visit = Callable[..., Person]


def test_a_field_is_checked_when_it_is_left_and_a_phone_edits_a_row(product: Product, visit: Visit) -> None:
    ada = visit(product)
    ada.set_up(product.setup_link)
    product.wait_online()
    page = ada.page
    page.goto("/hosts/new")
    asked: list[str] = []

    def note(request: Request) -> None:
        if "/hosts/check-field" in request.url:
            asked.append(request.url.partition("field=")[2])

    page.on("request", note)
    port, said = page.locator("#forward_port"), page.locator("#forward_port-m")
    port.press_sequentially("808O")
    assert asked == []
    port.press("Tab")
    expect(said).to_contain_text("the letter O: use the digit 0")
    expect(port).to_have_attribute("aria-invalid", "true")
    assert asked == ["forward_port"]
    port.fill("8080")
    expect(said).not_to_be_empty()
    port.press("Tab")
    expect(said).to_be_empty()
    expect(port).to_have_attribute("aria-invalid", "false")
    assert asked == ["forward_port"] * 2

    names = page.locator("#domain_names-add")
    names.press_sequentially("a_b.example.com")
    names.press("Enter")
    names.press_sequentially("next")  # while the answer comes
    expect(page.locator("#domain_names-m")).to_contain_text("a_b.example.com")
    expect(names).to_have_attribute("aria-invalid", "true")
    expect(names).to_have_value("next")
    expect(names).to_be_focused()
    page.get_by_label("Remove a_b.example.com").click()
    expect(page.locator("#domain_names-m")).not_to_contain_text("a_b.example.com")

    names.fill("app.example.com")
    names.press("Enter")
    page.get_by_label("Remove next").click()
    page.fill("[name=forward_host]", "127.0.0.1")
    ada.button("Save only").click()
    page.wait_for_url("**/hosts/1")

    page.goto("/hosts")
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/hosts?q=app", hold)
    page.fill("#q", "app")
    expect(page.locator("#hosts")).to_have_attribute("aria-busy", "true")
    held[0].continue_()
    expect(page.locator("#hosts[aria-busy]")).to_have_count(0)
    expect(page.locator("#rows tr")).to_have_count(1)

    pocket = visit(product, shape="phone-light")
    pocket.log_in()
    phone = pocket.page
    phone.goto("/hosts")
    phone.get_by_label("Actions for app.example.com").click()
    phone.get_by_role("link", name="Quick edit").click()
    form = phone.locator("tr.quick form")
    form.locator("[name=forward_port]").fill("8081")
    width = phone.evaluate("document.documentElement.scrollWidth")
    assert width <= 390
    form.get_by_role("button", name="Save and apply").click()
    expect(phone.locator("#host-1")).to_contain_text("127.0.0.1:8081")
