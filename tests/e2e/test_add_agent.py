"""A second machine joins by the command that the panel shows, and is shut out by one button.
May import: tests.product, tests.person."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.e2e.conftest import UPSTREAM
from tests.person import Person
from tests.product import Product, fetch, wait_until


@pytest.fixture
def machine(tmp_path: Path, product: Product) -> Iterator[Product]:
    """Another machine: agent and nginx with a folder and ports of their own; not started."""
    with ended(Product(tmp_path / "machine", {"AGENT_PANEL_URL": product.url}, ("--agent-only",))) as other:
        yield other


@pytest.fixture
def thief(tmp_path: Path, product: Product) -> Iterator[Product]:
    """Where somebody tries a token that was used; not started."""
    environment = {"AGENT_PANEL_URL": product.url}
    with ended(Product(tmp_path / "thief", environment, ("--agent-only",), ready="Stopped.")) as other:
        yield other


@contextmanager
def ended(machine: Product) -> Iterator[Product]:
    """What was started of it is stopped."""
    yield machine
    if machine.process is not None:
        machine.stop()


def shown_token(person: Person) -> str:
    """The one-time token in the command that the page shows."""
    command = person.page.locator("code", has_text="make agent").first.inner_text()
    found = re.search(r"wp1\.[\w-]+\.[0-9a-f]{64}", command)
    assert found, command
    return found.group()


def test_a_second_agent_joins_by_the_shown_token_serves_a_host_and_is_revoked(
    product: Product, machine: Product, thief: Product, visit: Callable[..., Person], upstream: int
) -> None:
    person = visit(product)
    person.set_up(product.setup_link)
    product.wait_online()
    person.page.goto("/agents/new")
    person.page.fill("[name=name]", "second")
    person.page.locator("main form button").first.click()
    machine.environment["AGENT_JOIN_TOKEN"] = thief.environment["AGENT_JOIN_TOKEN"] = shown_token(person)
    machine.start()
    person.sees("second has arrived and is online")

    thief.start()
    assert thief.process is not None
    assert thief.process.wait(20) == 1
    assert any("agent join failed" in line for line in thief.output), "the token works once"

    person.page.goto("/hosts/new")
    person.page.select_option("[name=agent_id]", label="second")
    person.fill_host("second.example.test", upstream)
    person.save_and_apply()
    wait_until(lambda: UPSTREAM in fetch(machine.http_port, "second.example.test").body, "the second nginx serves it")
    assert fetch(product.http_port, "second.example.test").status == 404

    identifier = product.query("SELECT id FROM agent WHERE name = 'second'")[0][0]
    person.page.goto(f"/agents/{identifier}")
    person.button("Revoke agent").click()
    person.button("Revoke second").click()
    expect(person.page.locator("main")).to_contain_text("Revoked")
    wait_until(
        lambda: product.query("SELECT is_connected FROM agent WHERE id = ?", identifier) == [(0,)],
        "the stream is closed",
    )
    assert UPSTREAM in fetch(machine.http_port, "second.example.test").body, "its nginx serves on"
