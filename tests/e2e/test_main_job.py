"""The main job in a real browser: from the setup link to a site that curl gets, watched, broken, mended and undone.
May import: tests.product, tests.person."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Response, expect

from tests.e2e.conftest import UPSTREAM
from tests.person import SHAPES, Person
from tests.product import Answer, Product, fetch, wait_until

SITE = "app.example.test"


def get(product: Product, name: str = SITE) -> Answer:
    return fetch(product.http_port, name)


def test_a_person_gets_a_site_served_sees_why_it_fails_and_takes_it_back(
    product: Product, visit: Callable[..., Person], upstream: int, artifacts: Path
) -> None:
    ada = visit(product)
    ada.set_up(product.setup_link)
    agent_comes_online(ada, artifacts)
    host_goes_live(ada, product, upstream, artifacts)
    job_reads_the_same_elsewhere(ada)
    failure_says_why_and_retry_mends_it(ada, product, artifacts)
    saved_is_not_live_until_applied(ada, product)
    deleted_host_comes_back_by_undo(ada, product)


def agent_comes_online(ada: Person, artifacts: Path) -> None:
    ada.page.goto("/agents")
    ada.sees("Online")
    ada.photograph(artifacts, "agents")


def host_goes_live(ada: Person, product: Product, upstream: int, artifacts: Path) -> None:
    assert get(product).status == 404
    ada.page.goto("/hosts/new")
    ada.fill_host(SITE, upstream)
    ada.photograph(artifacts, "host-form")
    ada.save_and_apply()
    expect(ada.page.locator(".steps li.done")).to_have_count(ada.page.locator(".steps li").count(), timeout=30_000)
    expect(ada.page.locator("#lines .ln").first).to_be_visible()
    answer = get(product)
    assert answer.status == 200
    assert UPSTREAM in answer.body
    ada.photograph(artifacts, "job-live")


def job_reads_the_same_elsewhere(ada: Person) -> None:
    lines = ada.page.locator("#lines .ln").all_inner_texts()
    ada.page.reload()
    assert ada.page.locator("#lines .ln").all_inner_texts() == lines
    tab = ada.open_tab()
    tab.goto(ada.page.url)
    assert tab.locator("#lines .ln").all_inner_texts() == lines
    tab.close()


def failure_says_why_and_retry_mends_it(ada: Person, product: Product, artifacts: Path) -> None:
    nginx = product.child("nginx")
    nginx.suspend()  # a master that hangs: nginx serves on and never reloads
    ada.page.goto("/hosts")
    ada.page.get_by_role("link", name=SITE).first.click()
    ada.page.get_by_role("link", name="Edit", exact=True).click()
    ada.page.locator("label", has=ada.page.locator("[name=websocket]")).click()
    ada.save_and_apply()
    failure = ada.page.get_by_role("alert")
    expect(failure).to_contain_text("nginx", timeout=90_000)
    ada.photograph(artifacts, "job-failed")
    assert get(product).status == 200, "the last good configuration serves on"
    nginx.resume()
    ada.button("Retry").first.click()
    ada.sees("Succeeded", 60)
    expect(ada.page.locator(".steps li.done")).to_have_count(ada.page.locator(".steps li").count())
    assert UPSTREAM in get(product).body


def saved_is_not_live_until_applied(ada: Person, product: Product) -> None:
    ada.page.goto("/hosts")
    ada.page.get_by_role("link", name=SITE).first.click()
    ada.page.get_by_role("link", name="Edit", exact=True).click()
    ada.page.locator("#domain_names-add").fill("www.example.test")
    ada.page.locator("#domain_names-add").press("Enter")
    ada.button("Save only").click()
    expect(ada.page.locator("#dock")).to_contain_text("saved but not live")
    assert get(product, "www.example.test").status == 404
    ada.page.locator("#dock").get_by_role("button", name=re.compile("^Apply")).click()
    wait_until(lambda: get(product, "www.example.test").status == 200, "the saved name is served")


def deleted_host_comes_back_by_undo(ada: Person, product: Product) -> None:
    ada.page.goto("/hosts")
    ada.page.get_by_role("link", name=SITE).first.click()
    ada.page.get_by_label("More actions").click()
    ada.button("Delete").click()
    ada.page.wait_for_url("**/hosts")
    wait_until(lambda: get(product).status == 404, "the deleted host is gone")
    ada.button("Undo").click()
    wait_until(lambda: get(product).status == 200, "the host is served again")
    assert UPSTREAM in get(product).body


def test_every_page_is_photographed_in_light_dark_and_on_a_phone(
    product: Product, visit: Callable[..., Person], upstream: int, artifacts: Path
) -> None:
    first = visit(product)
    first.set_up(product.setup_link)
    first.create_host(SITE, upstream)
    first.sees("Succeeded")
    addresses = {"hosts": "/hosts", "host": "/hosts/1", "edit": "/hosts/1/edit", "jobs": "/jobs", "agents": "/agents"}
    for shape in SHAPES:
        person = visit(product, shape=shape)
        person.log_in()
        for name, address in {**addresses, "job": first.page.url}.items():
            person.page.goto(address)
            assert person.photograph(artifacts, f"{name}-{shape}").stat().st_size > 0
            width = person.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert width <= 0, f"{name} scrolls sideways ({shape})"


def test_the_first_page_is_small(product: Product, visit: Callable[..., Person]) -> None:
    person = visit(product)
    answers: list[Response] = []
    person.page.on("response", lambda answer: answers.append(answer))  # noqa: PLW0108 - Playwright marks the function
    person.page.goto("/login")
    person.page.wait_for_load_state("networkidle")
    sizes = [answer.request.sizes()["responseBodySize"] for answer in answers]
    assert len(answers) <= 12
    assert sum(sizes) <= 100 * 1024
