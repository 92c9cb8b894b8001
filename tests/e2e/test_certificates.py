"""From a host to HTTPS in a real browser: one click, the steps as they happen, a site that answers with it.
May import: tests.product, tests.person."""

from __future__ import annotations

import http.client
import json
import re
import ssl
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.e2e.conftest import UPSTREAM
from tests.person import SHAPES, Person
from tests.product import Product, fetch, wait_until

SITE = "shop.example.test"
STEPS = ["Check first", "Order created", "Challenge in place", "Validation", "Issued", "Installed", "nginx reloaded"]


def ask_tls(product: Product, name: str) -> tuple[str, bytes]:
    """What a browser that trusts the test authority gets from https://name/: the body and the certificate."""
    port = product.ports["PEBBLE_MANAGEMENT_PORT"]
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # Pebble's own door, to fetch its root
    with urllib.request.urlopen(f"https://127.0.0.1:{port}/roots/0", context=context) as answer:
        root = answer.read().decode()
    trusting = ssl.create_default_context(cadata=root)
    connection = Connection(name, product.ports["AGENT_HTTPS_PORT"], trusting)
    try:
        connection.request("GET", "/")
        body = connection.getresponse().read().decode()
        leaf = connection.sock.getpeercert(binary_form=True)
    finally:
        connection.close()
    return body, leaf or b""


class Connection(http.client.HTTPSConnection):
    """HTTPS to this machine, whatever DNS says of the name."""

    def __init__(self, name: str, port: int, context: ssl.SSLContext) -> None:
        super().__init__(name, port, context=context, timeout=10)
        self._trusting = context

    def connect(self) -> None:
        """To the loopback address, with the name in SNI."""
        plain = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        plain.connect()
        self.sock = self._trusting.wrap_socket(plain.sock, server_hostname=self.host)


@pytest.fixture
def owner(product: Product, visit: Callable[..., Person], upstream: int) -> Person:
    """The administrator of a product that serves one host by plain HTTP; her browser is on the host's page."""
    person = visit(product)
    person.set_up(product.setup_link)
    product.wait_online()
    person.create_host(SITE, upstream)
    person.sees("Succeeded")
    person.page.goto("/hosts/1")
    return person


def test_one_click_gives_a_host_https_and_the_page_tells_it_as_it_happens(
    product: Product, owner: Person, visit: Callable[..., Person], artifacts: Path
) -> None:
    owner.sees("no HTTPS")
    owner.button("Request SSL").click()
    owner.page.wait_for_url("**/jobs/*")
    done = owner.page.locator(".steps li.done")
    for step in STEPS:
        expect(done.filter(has_text=step)).to_be_visible(timeout=60_000)
    owner.sees("Succeeded", 60)
    assert owner.page.locator("#lines .ln").count() > 5
    owner.photograph(artifacts, "certificate-job")

    body, leaf = ask_tls(product, SITE)
    assert UPSTREAM in body
    assert leaf
    redirect = fetch(product.http_port, SITE)
    assert redirect.status == 301
    assert redirect.headers["Location"] == f"https://{SITE}:{product.ports['AGENT_HTTPS_PORT']}/"

    owner.page.goto("/hosts/1")
    owner.sees("days")
    assert owner.page.locator(f'a[href^="https://{SITE}:"]').count() == 1
    owner.page.goto("/certificates")
    owner.sees("Valid")
    owner.photograph(artifacts, "certificates")
    owner.page.goto("/certificates/1")
    owner.sees("browsers do not trust these certificates")
    owner.button("Renew now").click()
    owner.page.wait_for_url("**/jobs/*")
    owner.sees("Succeeded", 60)
    wait_until(lambda: ask_tls(product, SITE)[1] != leaf, "nginx serves the new one")
    photograph_everything(product, visit, artifacts)


def photograph_everything(product: Product, visit: Callable[..., Person], artifacts: Path) -> None:
    """Each page of certificates in each shape; none of them scrolls sideways."""
    addresses = {
        "certificates": "/certificates",
        "certificate": "/certificates/1",
        "request": "/certificates/new",
        "upload": "/certificates/upload",
        "authorities": "/settings/authorities",
        "dns": "/settings/dns/new",
        "host-tls": "/hosts/1",
    }
    for shape in SHAPES:
        person = visit(product, shape=shape)
        person.log_in()
        for name, address in addresses.items():
            person.page.goto(address)
            assert person.photograph(artifacts, f"{name}-{shape}").stat().st_size > 0
            width = person.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert width <= 0, f"{name} scrolls sideways ({shape})"


def test_a_check_shows_its_findings_in_the_page_and_a_wildcard_is_explained(product: Product, owner: Person) -> None:
    owner.page.goto("/certificates/new")
    names = owner.page.locator("#domain_names-add")
    names.fill("www.example.test")
    names.press("Enter")
    owner.button("Check first").click()
    expect(owner.page.locator("#check .dns li").first).to_be_visible(timeout=30_000)
    expect(owner.page.locator("#check #status .pill")).to_contain_text(re.compile("Nothing|doubts|mended"))
    assert product.query("SELECT count(*) FROM certificate") == [(0,)]

    names.fill("*.example.test")
    names.press("Enter")
    switch = owner.button("Switch to DNS-01")
    expect(switch).to_be_visible()
    switch.click()
    expect(owner.page.locator('[name=challenge][value="dns-01"]')).to_be_checked()
    expect(switch).to_have_count(0)
    expect(owner.page.locator(".chip")).to_have_text(["www.example.test", "*.example.test"])


def test_a_doubt_asks_a_failure_says_why_and_a_retry_mends_it(product: Product, owner: Person, artifacts: Path) -> None:
    set_address(product, "192.0.2.1")  # nobody answers there (RFC 5737)
    owner.button("Request SSL").click()
    owner.page.wait_for_url("**/jobs/*")
    owner.sees("Shall it be requested anyway?", 60)
    owner.photograph(artifacts, "certificate-doubt")
    owner.button("Request anyway").click()
    owner.sees("Why it failed", 90)
    expect(owner.page.locator("#failure details")).to_contain_text("authority's own words")
    owner.photograph(artifacts, "certificate-failed")
    assert UPSTREAM in fetch(product.http_port, SITE).body, "the host is served by plain HTTP meanwhile"
    set_address(product, "127.0.0.1")
    owner.button("Retry").first.click()
    owner.sees("Succeeded", 90)
    assert UPSTREAM in ask_tls(product, SITE)[0]


def set_address(product: Product, address: str) -> None:
    """Where the test authority's name server lets the site lead, and nowhere else."""
    door = f"http://127.0.0.1:{product.ports['PEBBLE_DNS_MANAGEMENT_PORT']}"
    for path, wish in (("clear-a", {"host": SITE}), ("add-a", {"host": SITE, "addresses": [address]})):
        urllib.request.urlopen(urllib.request.Request(f"{door}/{path}", json.dumps(wish).encode())).close()


def test_without_javascript_a_certificate_is_requested_and_watched_by_reloading(
    product: Product, owner: Person, visit: Callable[..., Person]
) -> None:
    person = visit(product, javascript=False)
    person.log_in()
    person.page.goto("/certificates/new")
    person.page.fill("[name=domain_names]", "plain.example.test")
    person.button("Request certificate").click()
    person.page.wait_for_url("**/jobs/*")

    def reloaded() -> bool:
        person.page.reload()
        return "Succeeded" in person.page.locator("#status").inner_text()

    wait_until(reloaded, "the job ends", 60)
    person.page.get_by_role("link", name="Open certificate").click()
    assert "plain.example.test" in person.page.locator("main").inner_text()
