"""The keyboard alone: a host is found and opened, a page reached by two keys, the list of keys read and switched off.
May import: tests.person, tests.product."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import expect

from tests.person import Person
from tests.product import Product

Visit = Callable[..., Person]
HOST = re.compile(r"/hosts/\d+$")


def open_palette(person: Person, keys: str = "Control+k") -> None:
    person.page.keyboard.press(keys)
    expect(person.page.get_by_role("combobox")).to_be_focused()


def test_a_host_is_found_and_opened_without_a_mouse(shared: Product, visit: Visit) -> None:
    person = visit(shared)
    page, keys = person.page, person.page.keyboard
    person.log_in()
    person.page.goto("/hosts/new")
    person.fill_host("findme.example.test", 9)
    person.button("Save only").click()
    page.wait_for_url(HOST)

    page.goto("/hosts")
    open_palette(person, "/")
    keys.type("findm")
    option = page.get_by_role("option", name="findme.example.test")
    expect(option).to_have_attribute("aria-selected", "true")
    expect(page.get_by_role("combobox")).to_have_attribute("aria-activedescendant", "palette-1")
    expect(page.locator("#palette-said")).to_have_text("1 result")
    keys.press("Enter")
    page.wait_for_url(HOST)

    page.locator("main a").first.focus()
    open_palette(person)
    expect(page.get_by_role("option").first).to_have_attribute("aria-selected", "true")
    keys.press("End")
    expect(page.get_by_role("option", name="Log out")).to_have_attribute("aria-selected", "true")
    keys.press("ArrowDown")
    expect(page.get_by_role("option").first).to_have_attribute("aria-selected", "true")
    keys.press("Escape")
    expect(page.locator("main a").first).to_be_focused()

    open_palette(person)
    keys.type("jobs")
    keys.press("Enter")  # before the answer is there
    page.wait_for_url("**/jobs")

    keys.type("gc")
    page.wait_for_url("**/certificates")
    keys.press("n")
    page.wait_for_url("**/hosts/new")
    page.locator("[name=forward_host]").fill("")
    page.locator("[name=forward_host]").focus()
    keys.type("n?/gh")  # in a field they are letters
    expect(page.locator("[name=forward_host]")).to_have_value("n?/gh")
    expect(page.locator("dialog[open]")).to_have_count(0)


def test_single_keys_are_listed_and_can_be_switched_off(shared: Product, visit: Visit) -> None:
    person = visit(shared)
    page, keys = person.page, person.page.keyboard
    person.log_in()
    page.goto("/account")
    keys.press("?")
    expect(page.get_by_role("dialog", name="Shortcuts")).to_be_visible()
    page.get_by_role("link", name="Switch them off").press("Enter")
    expect(page.get_by_role("dialog", name="Shortcuts")).to_be_hidden()
    page.get_by_role("switch", name="Single-key shortcuts").press("Space")
    page.get_by_role("button", name="Save shortcuts").press("Enter")
    expect(page.get_by_role("switch", name="Single-key shortcuts")).not_to_be_checked()
    page.locator("body").press("?")
    page.locator("body").press("/")
    expect(page.locator("dialog[open]")).to_have_count(0)
    open_palette(person)
    keys.type("dark")
    expect(page.get_by_role("option")).to_have_count(1)
    keys.press("Enter")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.goto("/account#keyboard")
    page.get_by_role("switch", name="Single-key shortcuts").press("Space")
    page.get_by_role("button", name="Save shortcuts").press("Enter")
    expect(page.get_by_role("switch", name="Single-key shortcuts")).to_be_checked()
    page.locator("body").press("?")
    expect(page.get_by_role("dialog", name="Shortcuts")).to_be_visible()
