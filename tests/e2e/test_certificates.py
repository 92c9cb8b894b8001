"""From a host to HTTPS in a real browser: one click, the steps as they happen, a site that answers with it, and back.
May import: tests.{https,person,product}."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.e2e.conftest import UPSTREAM
from tests.https import ask_tls
from tests.person import Person
from tests.product import Product, fetch, wait_until

STEPS = ["Check first", "Order created", "Challenge in place", "Validation", "Issued", "Installed", "nginx reloaded"]
STAGES = ["check", "order", "challenge", "validation", "issued", "cleanup", "installed", "reload", "served"]


@pytest.fixture
def ada(shared: Product, visit: Callable[..., Person]) -> Person:
    """The administrator."""
    person = visit(shared)
    person.log_in()
    return person


def host_is_served(ada: Person, name: str, upstream: int) -> None:
    """By plain HTTP; ends on its page."""
    ada.create_host(name, upstream)
    ada.sees("Succeeded")
    ada.open_host(name)


def test_one_click_gives_a_host_https_the_page_tells_it_as_it_happens_and_it_can_be_taken_back(
    shared: Product, ada: Person, upstream: int
) -> None:
    site = "shop.example.test"
    host_is_served(ada, site, upstream)
    host = ada.page.url
    https_comes_by_one_click(ada, shared, site)
    ada.page.goto(host)
    ada.sees("days")
    assert ada.page.locator(f'a[href^="https://{site}:"]').count() == 1
    ada.page.goto("/certificates")
    ada.sees("Valid")
    ada.page.get_by_role("link", name=site).first.click()
    certificate_is_renewed(ada, shared, site)
    ada.page.goto("/certificates")
    ada.page.get_by_role("link", name=site).first.click()
    certificate_is_deleted(ada, shared, site)


def applies(product: Product) -> int:
    return int(product.query("SELECT count(*) FROM command WHERE kind = 'apply_config'")[0][0])


def https_comes_by_one_click(ada: Person, product: Product, site: str) -> None:
    ada.sees("no HTTPS")
    ada.button("Request SSL").click()
    ada.page.wait_for_url("**/jobs/*")
    job = ada.page.url.rpartition("/")[2]
    done = ada.page.locator(".steps li.done")
    for step in STEPS:
        expect(done.filter(has_text=step)).to_be_visible(timeout=60_000)
    ada.sees("Succeeded", 60)
    assert ada.page.locator("#lines .ln").count() > 5
    stages = "SELECT stage FROM command_output WHERE command_id = ? AND level = 'stage' ORDER BY seq"
    assert [stage for (stage,) in product.query(stages, job)] == STAGES
    body, leaf = ask_tls(product, site)
    assert UPSTREAM in body
    assert leaf
    redirect = fetch(product.http_port, site)
    assert redirect.status == 301
    assert redirect.headers["Location"] == f"https://{site}:{product.ports['AGENT_HTTPS_PORT']}/"


def certificate_is_renewed(ada: Person, product: Product, site: str) -> None:
    """Which changes no configuration."""
    before, (_, leaf) = applies(product), ask_tls(product, site)
    ada.sees("browsers do not trust these certificates")
    ada.button("Renew now").click()
    ada.page.wait_for_url("**/jobs/*")
    ada.sees("Succeeded", 60)
    wait_until(lambda: ask_tls(product, site)[1] != leaf, "nginx serves the new one")
    assert applies(product) == before


def certificate_is_deleted(ada: Person, product: Product, site: str) -> None:
    """The host gets plain HTTP back, by one apply."""
    before, files = applies(product), product.state / "letsencrypt" / "live" / site
    rows = "SELECT count(*) FROM certificate WHERE name = ?"
    assert files.exists()
    ada.page.get_by_label("More actions").click()
    ada.page.get_by_role("link", name="Delete").click()
    ada.button("Unlink and delete").click()
    wait_until(lambda: product.query(rows, site) == [(0,)], "it is deleted", 60)
    assert not files.exists()
    assert UPSTREAM in fetch(product.http_port, site).body
    assert applies(product) == before + 1


def test_a_check_shows_its_findings_in_the_page_and_a_wildcard_is_explained(shared: Product, ada: Person) -> None:
    before = shared.query("SELECT count(*) FROM certificate")
    ada.page.goto("/certificates/new")
    names = ada.page.locator("#domain_names-add")
    names.fill("www.example.test")
    names.press("Enter")
    ada.button("Check first").click()
    expect(ada.page.locator("#check .dns li").first).to_be_visible(timeout=30_000)
    expect(ada.page.locator("#check #status .pill")).to_contain_text(re.compile("Nothing|doubts|mended"))
    assert shared.query("SELECT count(*) FROM certificate") == before

    names.fill("*.example.test")
    names.press("Enter")
    switch = ada.button("Switch to DNS-01")
    expect(switch).to_be_visible()
    switch.click()
    expect(ada.page.locator('[name=challenge][value="dns-01"]')).to_be_checked()
    expect(switch).to_have_count(0)
    expect(ada.page.locator(".chip")).to_have_text(["www.example.test", "*.example.test"])


def test_a_doubt_asks_a_failure_says_why_and_a_retry_mends_it(shared: Product, ada: Person, upstream: int) -> None:
    site = "doubt.example.test"
    host_is_served(ada, site, upstream)
    set_address(shared, site, "192.0.2.1")  # nobody answers there (RFC 5737)
    ada.button("Request SSL").click()
    ada.page.wait_for_url("**/jobs/*")
    ada.sees("Shall it be requested anyway?", 60)
    ada.button("Request anyway").click()
    ada.sees("Why it failed", 90)
    expect(ada.page.locator("#failure details")).to_contain_text("authority's own words")
    assert UPSTREAM in fetch(shared.http_port, site).body, "the host is served by plain HTTP meanwhile"
    set_address(shared, site, "127.0.0.1")
    ada.button("Retry").first.click()
    ada.sees("Succeeded", 90)
    assert UPSTREAM in ask_tls(shared, site)[0]


def set_address(product: Product, site: str, address: str) -> None:
    """Where the test authority's name server lets the name lead, and nowhere else."""
    door = f"http://127.0.0.1:{product.ports['PEBBLE_DNS_MANAGEMENT_PORT']}"
    for path, wish in (("clear-a", {"host": site}), ("add-a", {"host": site, "addresses": [address]})):
        urllib.request.urlopen(urllib.request.Request(f"{door}/{path}", json.dumps(wish).encode())).close()
