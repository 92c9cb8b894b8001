"""The whole way without JavaScript: plain forms, and reloads that show the truth.
May import: tests.{entry,https,person,product}."""

from __future__ import annotations

import re
from collections.abc import Callable

from tests.e2e.conftest import UPSTREAM, switched_off
from tests.entry import accept, code_of_now, invite, log_in_in_two_steps, log_out, set_up_second_factor
from tests.https import ask_tls
from tests.person import Person
from tests.product import Product, fetch, wait_until

SITE = "plain.example.test"


def test_from_an_invitation_to_https_and_many_hosts_by_plain_forms(
    shared: Product, fifty: None, visit: Callable[..., Person], upstream: int
) -> None:
    ada, nils = visit(shared, javascript=False), visit(shared, javascript=False)
    ada.log_in()
    accept(nils, invite(ada, "Nils"), "nils")
    secret, _ = set_up_second_factor(nils)
    log_out(nils)
    log_in_in_two_steps(nils, "nils", code_of_now(secret), "/hosts/new")
    refused_form_keeps_its_values_and_names_the_field(nils, shared)
    host_goes_live(nils, upstream)
    assert UPSTREAM in fetch(shared.http_port, SITE).body
    https_is_requested_with_its_options(nils)
    assert UPSTREAM in ask_tls(shared, SITE)[0]
    two_of_a_search_are_changed_at_once(nils, shared)


def refused_form_keeps_its_values_and_names_the_field(nils: Person, product: Product) -> None:
    before = product.query("SELECT count(*) FROM proxy_host")
    nils.fill_host("bad_name;.example.test", 99999)
    nils.button("Save and apply").click()
    assert nils.page.get_by_role("alert").is_visible()
    assert nils.page.input_value("[name=forward_port]") == "99999"
    assert nils.page.get_attribute("[name=forward_port]", "aria-invalid") == "true"
    assert product.query("SELECT count(*) FROM proxy_host") == before


def host_goes_live(nils: Person, port: int) -> None:
    """From the form that was refused."""
    nils.fill_host(SITE, port)
    nils.save_and_apply()
    watch_by_reloading(nils)
    steps = nils.page.locator(".steps li")
    assert steps.count() == nils.page.locator(".steps li.done").count() > 0
    assert nils.page.locator("#lines .ln").count() > 3


def watch_by_reloading(nils: Person) -> None:
    def reloaded() -> bool:
        nils.page.reload()
        return "Succeeded" in nils.page.locator("#status").inner_text()

    wait_until(reloaded, "the job ends", 60)


def https_is_requested_with_its_options(nils: Person) -> None:
    nils.page.goto(f"/hosts?q={SITE}")
    nils.page.get_by_role("link", name=SITE).first.click()
    nils.page.get_by_role("link", name="Options").click()
    nils.button("Request certificate").click()
    nils.page.wait_for_url("**/jobs/*")
    watch_by_reloading(nils)
    nils.page.get_by_role("link", name="Open certificate").click()
    assert SITE in nils.page.locator("main").inner_text()


def two_of_a_search_are_changed_at_once(nils: Person, product: Product) -> None:
    page = nils.page
    page.goto("/hosts")
    page.fill("#q", "site-")
    page.press("#q", "Enter")
    page.locator("th a", has_text=re.compile("^Host")).click()
    page.get_by_role("navigation", name="Pages of hosts").get_by_role("link").last.click()
    assert "q=site-" in page.url
    assert "sort=name" in page.url
    for number in range(2):
        page.locator("tbody .cb").nth(number).check()
    nils.button("Disable").click()
    assert switched_off(product) == 2
    nils.button("Undo").click()
    assert switched_off(product) == 0
