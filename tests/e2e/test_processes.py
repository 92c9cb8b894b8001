"""Processes that are stopped, killed and started again: nothing is left over, nothing is lost.
May import: tests.product, tests.person."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

import psutil
import pytest

from tests.e2e.conftest import UPSTREAM
from tests.person import Person
from tests.product import Product, fetch, wait_until

SITE = "app.example.test"
OPEN = ("queued", "sent", "running")


def everything_of(product: Product) -> list[psutil.Process]:
    """The supervisor's descendants: panel, agent, nginx and its workers."""
    assert product.process is not None
    return psutil.Process(product.process.pid).children(recursive=True)


def states(product: Product) -> list[str]:
    return [row[0] for row in product.query("SELECT state FROM command ORDER BY created_at")]


def served(product: Product) -> bool:
    try:
        return UPSTREAM in fetch(product.http_port, SITE).body
    except OSError:
        return False


@pytest.fixture
def owner(product: Product, visit: Callable[..., Person], upstream: int) -> Person:
    """The administrator of a product that serves one host."""
    person = visit(product)
    person.set_up(product.setup_link)
    product.wait_online()
    person.create_host(SITE, upstream)
    person.sees("Succeeded")
    assert served(product)
    return person


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_everything_within_ten_seconds_and_leaves_no_process(
    product: Product, number: signal.Signals
) -> None:
    product.wait_online()
    processes = everything_of(product)
    assert len(processes) >= 4  # panel, agent, nginx master and a worker
    began = time.monotonic()
    assert product.stop(number) == 0
    assert time.monotonic() - began < 10
    _, alive = psutil.wait_procs(processes, timeout=1)
    assert alive == []


def test_a_supervisor_that_is_killed_takes_its_children_along_and_the_next_one_starts(product: Product) -> None:
    processes = everything_of(product)
    product.stop(signal.SIGKILL)
    _, alive = psutil.wait_procs(processes, timeout=10)
    assert alive == []
    product.start().wait_online()


def test_a_second_run_goes_on_with_the_same_people_hosts_and_agent(product: Product, owner: Person) -> None:
    assert product.stop() == 0
    product.start().wait_online()
    assert not any("First visit" in line for line in product.output)
    assert served(product)
    owner.page.goto("/hosts")  # the session goes on too
    owner.sees(SITE)
    owner.forgive_lost_connections()
    assert product.query("SELECT count(*) FROM agent") == [(1,)]


def test_a_panel_that_is_killed_comes_back_while_nginx_serves_on(product: Product, owner: Person) -> None:
    first = product.child("panel")
    first.kill()
    assert served(product)
    product.wait_for_line("panel is started again")
    wait_until(lambda: product.child("panel").pid != first.pid, "another panel runs")
    wait_until(lambda: fetch_status(product) == 200, "the panel answers")
    product.wait_online()
    owner.page.goto("/hosts")
    owner.sees("Serving")
    owner.forgive_lost_connections()


def fetch_status(product: Product) -> int:
    try:
        return fetch(product.ports["PANEL_PORT"], path="/healthz").status
    except OSError:
        return 0


def test_an_nginx_that_is_killed_comes_back_with_the_same_hosts(product: Product, owner: Person) -> None:
    product.child("nginx").kill()
    product.wait_for_line("nginx is started again")
    wait_until(lambda: served(product), "the host is served again")


def test_a_command_sent_to_an_agent_that_dies_unheard_is_delivered_again(
    product: Product, owner: Person, upstream: int
) -> None:
    agent = product.child("agent")
    agent.suspend()
    owner.create_host("second.example.test", upstream)
    wait_until(lambda: states(product)[-1] == "sent", "the command is sent")
    agent.kill()
    wait_until(lambda: states(product)[-1] == "succeeded", "the command succeeds", timeout=60)
    assert UPSTREAM in fetch(product.http_port, "second.example.test").body


def test_a_command_whose_agent_dies_in_the_middle_ends_in_a_known_state(
    product: Product, owner: Person, upstream: int
) -> None:
    nginx, agent = product.child("nginx"), product.child("agent")
    nginx.suspend()  # the reload is never done, so that the command stays in the middle
    owner.create_host("second.example.test", upstream)
    owner.sees("Reload")
    wait_until(lambda: states(product)[-1] == "running", "the command runs")
    agent.kill()
    nginx.resume()
    wait_until(lambda: states(product)[-1] not in OPEN, "the command ends", timeout=90)
    assert states(product)[-1] in {"succeeded", "failed"}
    product.wait_online()
    assert served(product)


def test_a_command_that_runs_while_the_panel_dies_is_finished_after_it_comes_back(
    product: Product, owner: Person, upstream: int
) -> None:
    nginx = product.child("nginx")
    nginx.suspend()
    owner.create_host("second.example.test", upstream)
    wait_until(lambda: states(product)[-1] == "running", "the command runs")
    product.child("panel").kill()
    nginx.resume()
    product.wait_for_line("panel is started again")
    wait_until(lambda: states(product)[-1] not in OPEN, "the command ends", timeout=90)
    assert states(product)[-1] == "succeeded"
    assert UPSTREAM in fetch(product.http_port, "second.example.test").body
    owner.forgive_lost_connections()
