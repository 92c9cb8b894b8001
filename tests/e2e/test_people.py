"""Two people on one host, from an invitation on: who saves second compares and chooses, and takes it back.
May import: tests.entry, tests.person, tests.product."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import expect

from tests.e2e.conftest import UPSTREAM
from tests.entry import accept, code_of_now, invite, log_in_in_two_steps, log_out, set_up_second_factor
from tests.person import Person
from tests.product import Product, fetch, running_upstream, wait_until

Visit = Callable[..., Person]
SITE, OTHER = "two.example.test", "hello from the other upstream"


@pytest.fixture(scope="module")
def other_upstream() -> Iterator[int]:
    with running_upstream(OTHER) as port:
        yield port


def test_from_an_invitation_to_an_edit_beside_somebody_elses_and_back(
    shared: Product, visit: Visit, upstream: int, other_upstream: int
) -> None:
    ada, maya = visit(shared), visit(shared)
    ada.log_in()
    recovery_codes = maya_comes_in(ada, maya)
    number = host_is_saved(ada)
    maya_saves_second_and_chooses(ada, maya, number, (other_upstream, upstream))
    wait_until(lambda: UPSTREAM in body(shared), "her upstream answers")
    assert saved(shared, number) == (upstream, 0, "of maya")
    maya.button("Undo").press("Enter")
    maya.page.wait_for_url(f"**/hosts/{number}")
    expect(maya.page.locator("#toasts")).to_contain_text("Undone:")
    wait_until(lambda: OTHER in body(shared), "the upstream that ada chose answers")
    assert saved(shared, number) == (other_upstream, 0, "")
    ada_takes_the_undoing_back(ada)
    wait_until(lambda: UPSTREAM in body(shared), "maya's upstream answers again")
    what_is_open_in_the_history_stays_open(ada, maya, number)
    sessions_end_from_elsewhere(ada, maya, visit(shared, shape="phone-light"), recovery_codes)


def body(product: Product) -> str:
    return fetch(product.http_port, SITE).body


def saved(product: Product, number: int) -> tuple[object, ...]:
    return product.query("SELECT forward_port, websocket, notes FROM proxy_host WHERE id = ?", number)[0]


def maya_comes_in(ada: Person, maya: Person) -> list[str]:
    """Accepts, sets up a second factor, logs out and in again; her recovery codes."""
    accept(maya, invite(ada, "Maya"), "maya")
    secret, recovery_codes = set_up_second_factor(maya)
    log_out(maya)
    log_in_in_two_steps(maya, "maya", code_of_now(secret), "/users")
    maya.sees("Not allowed")  # people are for administrators
    ada.page.goto("/users")
    ada.sees("password and second factor")
    return recovery_codes


def host_is_saved(ada: Person) -> int:
    """Its number. It leads nowhere and is not applied."""
    ada.page.goto("/hosts/new")
    ada.fill_host(SITE, 9)
    ada.button("Save only").click()
    ada.page.wait_for_url(re.compile(r"/hosts/\d+$"))
    return int(ada.page.url.rpartition("/")[2])


def maya_saves_second_and_chooses(ada: Person, maya: Person, number: int, ports: tuple[int, int]) -> None:
    """Both open the form, ada saves first. What one of them touched is taken, what both touched is chosen."""
    for person, port in zip((ada, maya), ports, strict=True):
        person.page.goto(f"/hosts/{number}/edit")
        person.page.fill("[name=forward_port]", str(port))
    maya.page.fill("[name=notes]", "of maya")
    ada.page.locator("label", has=ada.page.locator("[name=websocket]")).click()
    ada.button("Save only").click()
    ada.page.wait_for_url(f"**/hosts/{number}")
    maya.sees("saved this host")
    maya.button("Compare both").click()
    rows = maya.page.locator("table.versions tbody tr")
    expect(rows).to_have_count(3)
    expect(rows.filter(has_text="Port").locator("td").nth(0)).to_have_text("9")
    expect(rows.filter(has_text="Port").locator("td").nth(1)).to_have_text(str(ports[0]))
    expect(rows.filter(has_text="Port").locator("td").nth(2)).to_have_text(str(ports[1]))
    maya.page.locator("input[name=keep-forward_port][value=yours]").check()
    maya.save_and_apply()
    maya.button("Undo").focus()  # a toast with the focus in it stays
    maya.sees("Succeeded")


def ada_takes_the_undoing_back(ada: Person) -> None:
    """In the log, where what was changed since cannot be taken back."""
    ada.page.goto(f"/audit?kind=proxy_host&q={SITE}")
    rows = ada.page.locator("tbody tr")
    expect(rows).to_have_count(4)
    expect(rows.nth(1)).to_contain_text("Changed since")
    rows.first.locator("summary").click()
    expect(rows.first.locator("del")).to_contain_text(["of maya"])
    rows.first.get_by_role("button", name="Undo").click()
    expect(rows).to_have_count(5)


def what_is_open_in_the_history_stays_open(ada: Person, maya: Person, number: int) -> None:
    """While somebody else changes the host."""
    ada.page.goto(f"/hosts/{number}")
    history = ada.page.locator("ul.hist")
    expect(history.locator("li")).to_have_count(5)
    history.locator("summary").first.click()
    maya.page.goto(f"/hosts/{number}")
    maya.page.get_by_label("More actions").click()
    maya.button("Disable").click()
    expect(history.locator("li")).to_have_count(6)
    expect(history.locator("li").nth(1).locator("details[open] ins")).to_contain_text(["of maya"])
    expect(history.locator("details[open]")).to_have_count(1)


def sessions_end_from_elsewhere(ada: Person, maya: Person, phone: Person, recovery_codes: list[str]) -> None:
    """A second session of hers comes by a recovery code; she ends it, and ada ends all. Each page notices by itself."""
    log_in_in_two_steps(phone, "maya", recovery_codes[0])
    maya.page.goto("/account")
    maya.button("End all others").click()
    expect(maya.button("End all others")).to_have_count(0)
    phone.page.wait_for_url("**/login?next=**")
    ada.page.goto("/users")
    ada.page.get_by_role("link", name="maya").click()
    ada.button("Disable maya").click()
    ada.page.click("#confirm-yes")
    ada.sees("Disabled")
    maya.page.wait_for_url("**/login?next=**")
    for person in (maya, phone):
        person.forgive_lost_connections()
