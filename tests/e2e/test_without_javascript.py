"""The main job without JavaScript: plain forms, and reloads that show the truth.
May import: tests.product, tests.person."""

from __future__ import annotations

from collections.abc import Callable

from tests.e2e.conftest import UPSTREAM
from tests.person import Person
from tests.product import Product, fetch, wait_until

SITE = "plain.example.test"


def test_a_host_is_created_and_watched_by_reloading(
    product: Product, visit: Callable[..., Person], upstream: int
) -> None:
    person = visit(product, javascript=False)
    person.set_up(product.setup_link)
    product.wait_online()
    person.create_host(SITE, upstream)

    def reloaded() -> bool:
        person.page.reload()
        steps = person.page.locator(".steps li")
        return steps.count() == person.page.locator(".steps li.done").count() > 0

    wait_until(reloaded, "all steps are done")
    assert person.page.locator("#lines .ln").count() > 3
    assert UPSTREAM in fetch(product.http_port, SITE).body


def test_a_form_that_is_refused_keeps_its_values_and_names_the_field(
    product: Product, visit: Callable[..., Person]
) -> None:
    person = visit(product, javascript=False)
    person.set_up(product.setup_link)
    product.wait_online()
    person.page.goto("/hosts/new")
    person.fill_host("bad_name;.example.test", 99999)
    person.button("Save and apply").click()
    assert person.page.get_by_role("alert").is_visible()
    assert person.page.input_value("[name=forward_port]") == "99999"
    assert person.page.get_attribute("[name=forward_port]", "aria-invalid") == "true"
    assert product.query("SELECT count(*) FROM proxy_host") == [(0,)]
