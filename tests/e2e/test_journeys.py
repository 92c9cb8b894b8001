"""Whole jobs in a real browser: fifty hosts at once, a search and the way back, a phone, the keyboard alone.
May import: tests.{https,person,product}."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import FIFTY, UPSTREAM, switched_off
from tests.https import ask_tls
from tests.person import NAME, PASSWORD, Person
from tests.product import Product, fetch, wait_until

Visit = Callable[..., Person]
APPLIES = "SELECT count(*) FROM command WHERE kind = 'apply_config'"


def answers(product: Product, name: str) -> bool:
    """Whether nginx leads the name to the upstream."""
    return UPSTREAM in fetch(product.http_port, name).body


# ---- many hosts ----


@pytest.mark.usefixtures("fifty")
def test_fifty_hosts_are_changed_by_one_job_and_back(shared: Product, visit: Visit) -> None:
    ada = visit(shared)
    page = ada.page
    ada.log_in()
    page.goto("/hosts?q=site-&sort=name")
    page.locator("#dock").get_by_role("button", name=re.compile("^Apply")).click()
    wait_until(lambda: answers(shared, "site-49.example.test"), "they are live", 60)
    page.goto("/hosts?q=site-&sort=name")
    two_are_asked_about_and_kept(ada)

    applies = shared.query(APPLIES)[0][0]
    page.locator("[data-everything]").check()
    ada.button("Disable").click()
    question = page.locator("#question")
    expect(question).to_contain_text(str(FIFTY))
    question.locator("button:not([type=button])").click()
    page.locator(".toast").get_by_text(f"{FIFTY} hosts disabled").hover()  # a toast stays while it is pointed at
    assert "sort=name" in page.url
    assert switched_off(shared) == FIFTY
    rows = page.locator("#rows tr")
    expect(rows.first).to_contain_text("Disabled")
    wait_until(lambda: fetch(shared.http_port, "site-07.example.test").status == 404, "they are off", 60)

    page.locator(".toast").get_by_role("button", name="Undo").click()
    page.locator(".toast").get_by_text(f"Undone for {FIFTY} hosts").wait_for()
    for row in (rows.first, rows.last):
        expect(row).to_contain_text("Serving", timeout=60_000)
    assert answers(shared, "site-07.example.test")
    assert switched_off(shared) == 0
    assert shared.query(APPLIES)[0][0] == applies + 2


def two_are_asked_about_and_kept(ada: Person) -> None:
    page = ada.page
    bar, question = page.locator("#bulk"), page.locator("#question")
    expect(bar).to_be_hidden()
    for number in (0, 1):
        page.locator("#rows .cb").nth(number).check()
    expect(bar).to_contain_text("2 selected")
    bar.get_by_role("button", name="Delete", exact=True).click()
    expect(question.get_by_role("button", name="Keep hosts")).to_be_focused()
    page.keyboard.press("Escape")
    expect(question).to_be_hidden()
    expect(bar.get_by_role("button", name="Delete", exact=True)).to_be_focused()


@pytest.mark.usefixtures("fifty")
def test_a_list_is_as_it_was_on_the_way_back(shared: Product, visit: Visit) -> None:
    ada = visit(shared)
    page = ada.page
    ada.log_in()
    page.goto("/hosts")
    page.fill("#q", "site-1")
    page.wait_for_url("**/hosts?q=site-1")
    expect(page.locator("tbody tr")).to_have_count(10)
    page.locator("th a", has_text=re.compile("^Host")).click()
    page.wait_for_url("**sort=*")
    page.locator(".fchips summary", has_text="TLS").click()
    page.locator(".fchips .pop").get_by_role("link", name="Plain HTTP").click()
    page.wait_for_url("**tls=plain*")
    as_it_was = page.url
    page.get_by_role("link", name="site-13.example.test").first.click()
    page.wait_for_url(re.compile(r"/hosts/\d+$"))
    page.get_by_role("link", name="Edit", exact=True).click()
    page.wait_for_url("**/edit")
    page.go_back()
    expect(page.get_by_role("link", name="Edit", exact=True)).to_be_visible()
    page.go_back()
    page.wait_for_url(as_it_was)
    for _ in range(2):
        expect(page.locator("#q")).to_have_value("site-1")
        expect(page.locator("tbody tr")).to_have_count(10)
        expect(page.locator(".fchip.on")).to_contain_text("Plain HTTP")
        page.reload()


# ---- a phone ----


def test_a_phone_is_enough(shared: Product, visit: Visit, upstream: int) -> None:
    ada, name = visit(shared, shape="phone-light"), "phone.example.test"
    page = ada.page
    ada.log_in()
    choose_from_the_menu(ada, "Hosts")
    page.get_by_role("link", name="Add host").click()
    page.wait_for_url("**/hosts/new")
    ada.fill_host(name, upstream)
    fits(page)
    ada.save_and_apply()
    ada.sees("Succeeded")
    fits(page)
    assert answers(shared, name)

    choose_from_the_menu(ada, "Hosts")
    page.fill("#q", "phone")
    expect(page.locator("#rows tr")).to_have_count(1)
    fits(page)
    row = page.locator("#rows tr")
    act_on_the_row(ada, name, "Disable")
    expect(row).to_contain_text("Disabled")
    wait_until(lambda: fetch(shared.http_port, name).status == 404, "the host is off")
    ada.button("Undo").click()
    wait_until(lambda: answers(shared, name), "the host is on again")

    page.goto(f"/hosts?q={name}")
    act_on_the_row(ada, name, "Quick edit")
    expect(page.locator("tr.quick [name=forward_host]")).to_be_focused()
    fits(page)
    page.fill("tr.quick [name=tags]", "by-phone")
    ada.button("Save and apply").click()
    expect(row).to_contain_text("by-phone")
    for address in ("/", "/certificates", "/audit"):
        page.goto(address)
        fits(page)


def choose_from_the_menu(person: Person, name: str) -> None:
    """What is beside the page on a desk."""
    person.page.get_by_label("Open menu").click()
    person.page.locator("#menu").get_by_role("link", name=re.compile(f"^{name}")).click()
    person.page.wait_for_url(f"**/{name.lower()}")


def act_on_the_row(person: Person, name: str, action: str) -> None:
    person.page.get_by_label(f"Actions for {name}").click()
    person.page.locator("#rows .pop").get_by_text(action, exact=True).click()


def fits(page: Page) -> None:
    """Whether nothing scrolls sideways."""
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"), page.url


# ---- the keyboard alone ----

# What has the focus: whether it is seen (an outline, or that of the box or label it stands in), and not covered.
_FOCUS = """async () => {
  await new Promise(requestAnimationFrame).then(() => new Promise(requestAnimationFrame));
  const one = document.activeElement, inside = [one, one.closest('.chips'), one.closest('label')];
  const shows = inside.filter(Boolean).map((it) => getComputedStyle(it))
    .some((style) => style.outlineStyle !== 'none' || style.boxShadow !== 'none');
  const box = one.getBoundingClientRect(), x = box.left + box.width / 2, y = box.top + box.height / 2;
  const above = document.elementFromPoint(x, y);
  const isCovered = above && !one.contains(above) && !above.contains(one) && !above.closest('label')?.contains(one);
  return [one === document.body ? '' : one.outerHTML.slice(0, 120), shows, !isCovered];
}"""


def tab_to(page: Page, selector: str) -> None:
    """Presses Tab until the focus is there. Wherever it comes by, it is seen."""
    for _ in range(120):
        page.keyboard.press("Tab")
        element, shows, is_free = page.evaluate(_FOCUS)
        assert not element or shows, f"{page.url}: {element} does not show that it has the focus"
        assert not element or is_free, f"{page.url}: {element} has the focus and is covered"
        if page.evaluate("(wanted) => document.activeElement.matches(wanted)", selector):
            return
    raise AssertionError(f"Tab does not lead to {selector}")


def test_the_keyboard_alone_brings_a_host_live_with_https(shared: Product, visit: Visit, upstream: int) -> None:
    ada, name = visit(shared), "keys.example.test"
    page, keys = ada.page, ada.page.keyboard
    page.goto("/login")
    expect(page.locator("[name=username]")).to_be_focused()
    keys.type(NAME)
    tab_to(page, "[name=password]")
    keys.type(PASSWORD)
    keys.press("Enter")
    page.wait_for_url(lambda address: "/login" not in address)
    tab_to(page, ".side a[href='/hosts']")
    keys.press("Enter")
    page.wait_for_url("**/hosts")
    tab_to(page, "a[href='/hosts/new']")
    keys.press("Enter")
    page.wait_for_url("**/hosts/new")
    tab_to(page, "#domain_names-add")
    keys.type(name)
    keys.press("Enter")
    tab_to(page, "[name=forward_host]")
    keys.type("127.0.0.1")
    tab_to(page, "[name=forward_port]")
    keys.type(str(upstream))
    tab_to(page, "button[value=apply]")
    keys.press("Enter")
    page.wait_for_url("**/jobs/*")
    ada.sees("Succeeded")
    assert answers(shared, name)

    keys.press("/")
    expect(page.get_by_role("combobox")).to_be_focused()
    keys.type("keys.ex")
    keys.press("Enter")  # before the answer is there
    page.wait_for_url(re.compile(r"/hosts/\d+$"))
    a_dialog_keeps_the_focus_and_gives_it_back(page)
    keys.press("Shift+Tab")
    expect(page.get_by_role("button", name="Request SSL")).to_be_focused()
    keys.press("Enter")
    page.wait_for_url("**/jobs/*")
    ada.sees("Succeeded", 60)
    assert UPSTREAM in ask_tls(shared, name)[0]
    the_row_is_edited_and_gets_the_focus_back(page, name)


def a_dialog_keeps_the_focus_and_gives_it_back(page: Page) -> None:
    opener = "[commandfor=ssl-options]"
    tab_to(page, f"button{opener}:not(dialog *)")
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Request SSL")
    expect(dialog.get_by_role("button", name="Request SSL")).to_be_focused()
    for _ in range(8):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement === document.body || document.activeElement.closest('dialog')")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(page.locator(f"{opener}:not(dialog *)")).to_be_focused()


def the_row_is_edited_and_gets_the_focus_back(page: Page, name: str) -> None:
    page.goto(f"/hosts?q={name}")
    actions, menu = page.get_by_label(f"Actions for {name}"), page.locator("#rows .pop")
    tab_to(page, "tbody summary")
    page.keyboard.press("Enter")
    expect(menu).to_be_visible()
    page.keyboard.press("Shift+Tab")
    expect(menu).to_be_hidden()  # it would cover what has the focus
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("tr.quick [name=forward_host]")).to_be_focused()
    page.keyboard.press("Escape")
    expect(actions).to_be_focused()
