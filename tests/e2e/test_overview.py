"""The overview in a browser: what another person does appears on it without a reload."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import expect

from tests.person import Person
from tests.product import Product

DISCARD = 9  # nobody listens there; a port that was free a moment ago may be another test's by now


def test_the_overview_changes_while_somebody_looks(product: Product, visit: Callable[..., Person]) -> None:
    product.wait_online()
    ada = visit(product)
    ada.set_up(product.setup_link)
    watching = ada.open_tab()
    watching.goto("/")
    expect(watching.locator("#fleet")).to_contain_text("0 hosts")
    watching.evaluate("window.stays = true")
    ada.create_host("dead.localhost", DISCARD)
    # A busy machine may give the panel other things to tell of, too.
    trouble = watching.locator("#attention li").filter(has_text="dead.localhost answers with 502")
    expect(trouble).to_be_visible(timeout=90_000)
    expect(watching.locator("#fleet")).to_contain_text("1 failing")
    expect(watching.locator("#nav-hosts")).to_have_text("1")
    expect(watching.locator("#changes")).to_contain_text("ada created host dead.localhost")
    assert watching.evaluate("window.stays")
    trouble.get_by_role("link", name="Open host").click()
    watching.wait_for_url("**/hosts/1")
