"""The main job in a real browser: from the setup link to a site that curl gets, watched, broken, mended and undone;
the overview tells of it without a reload.
May import: tests.product, tests.person."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import Page, Response, expect

from tests.e2e.conftest import UPSTREAM
from tests.person import Person
from tests.product import Answer, Product, fetch, wait_until

SITE = "app.example.test"
DISCARD = 9  # nobody listens there; a port that was free a moment ago may be another test's by now


def get(product: Product, name: str = SITE) -> Answer:
    return fetch(product.http_port, name)


def test_a_person_gets_a_site_served_sees_why_it_fails_and_takes_it_back(
    product: Product, visit: Callable[..., Person], upstream: int
) -> None:
    ada = visit(product)
    ada.set_up(product.setup_link)
    ada.page.goto("/agents")
    ada.sees("Online")
    overview = ada.open_tab()
    overview.goto("/")
    expect(overview.locator("#fleet")).to_contain_text("0 hosts")
    overview.evaluate("window.stays = true")
    host_goes_live(ada, product, upstream)
    job_reads_the_same_elsewhere(ada)
    failure_says_why_and_retry_mends_it(ada, product)
    saved_is_not_live_until_applied(ada, product)
    deleted_host_comes_back_by_undo(ada, product)
    dead_upstream_is_told_on_the_overview(ada, overview)


def host_goes_live(ada: Person, product: Product, upstream: int) -> None:
    assert get(product).status == 404
    ada.page.goto("/hosts/new")
    ada.fill_host(SITE, upstream)
    ada.save_and_apply()
    expect(ada.page.locator(".steps li.done")).to_have_count(ada.page.locator(".steps li").count(), timeout=30_000)
    expect(ada.page.locator("#lines .ln").first).to_be_visible()
    answer = get(product)
    assert answer.status == 200
    assert UPSTREAM in answer.body


def job_reads_the_same_elsewhere(ada: Person) -> None:
    lines = ada.page.locator("#lines .ln").all_inner_texts()
    ada.page.reload()
    assert ada.page.locator("#lines .ln").all_inner_texts() == lines
    tab = ada.open_tab()
    tab.goto(ada.page.url)
    assert tab.locator("#lines .ln").all_inner_texts() == lines
    tab.close()


def failure_says_why_and_retry_mends_it(ada: Person, product: Product) -> None:
    nginx = product.child("nginx")
    nginx.suspend()  # a master that hangs: nginx serves on and never reloads
    ada.edit_host(SITE)
    ada.page.locator("label", has=ada.page.locator("[name=websocket]")).click()
    ada.save_and_apply()
    ada.sees("Putting the previous files back", 60)
    assert get(product).status == 200, "the last good configuration serves on"
    nginx.resume()
    expect(ada.page.get_by_role("alert")).to_contain_text("nginx did not take the configuration over", timeout=60_000)
    assert get(product).status == 200
    ada.button("Retry").first.click()
    ada.sees("Succeeded", 60)
    expect(ada.page.locator(".steps li.done")).to_have_count(ada.page.locator(".steps li").count())
    assert UPSTREAM in get(product).body


def saved_is_not_live_until_applied(ada: Person, product: Product) -> None:
    ada.edit_host(SITE)
    ada.page.locator("#domain_names-add").fill("www.example.test")
    ada.page.locator("#domain_names-add").press("Enter")
    ada.button("Save only").click()
    expect(ada.page.locator("#dock")).to_contain_text("saved but not live")
    assert get(product, "www.example.test").status == 404
    ada.page.locator("#dock").get_by_role("button", name=re.compile("^Apply")).click()
    wait_until(lambda: get(product, "www.example.test").status == 200, "the saved name is served")


def deleted_host_comes_back_by_undo(ada: Person, product: Product) -> None:
    ada.open_host(SITE)
    ada.page.get_by_label("More actions").click()
    ada.button("Delete").click()
    ada.page.wait_for_url("**/hosts")
    wait_until(lambda: get(product).status == 404, "the deleted host is gone")
    ada.button("Undo").click()
    wait_until(lambda: get(product).status == 200, "the host is served again")
    assert UPSTREAM in get(product).body


def dead_upstream_is_told_on_the_overview(ada: Person, overview: Page) -> None:
    """Which has been open since before the first host, and was never reloaded."""
    ada.create_host("dead.localhost", DISCARD)
    # A busy machine may give the panel other things to tell of, too.
    trouble = overview.locator("#attention li").filter(has_text="dead.localhost answers with 502")
    expect(trouble).to_be_visible(timeout=90_000)
    expect(overview.locator("#fleet")).to_contain_text("1 failing")
    expect(overview.locator("#nav-hosts")).to_have_text("2")
    expect(overview.locator("#changes")).to_contain_text("ada created host dead.localhost")
    assert overview.evaluate("window.stays")
    trouble.get_by_role("link", name="Open host").click()
    overview.wait_for_url("**/hosts/2")


def test_the_first_page_is_small(shared: Product, visit: Callable[..., Person]) -> None:
    person = visit(shared)
    answers: list[Response] = []
    person.page.on("response", lambda answer: answers.append(answer))  # noqa: PLW0108 - Playwright marks the function
    person.page.goto("/login")
    person.page.wait_for_load_state("networkidle")
    sizes = [answer.request.sizes()["responseBodySize"] for answer in answers]
    assert len(answers) <= 12
    assert sum(sizes) <= 100 * 1024
