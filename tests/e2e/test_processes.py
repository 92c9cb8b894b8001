"""Processes that are stopped, killed and started again: nothing is left over, nothing is lost.
May import: tests.product, tests.person."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator

import psutil
import pytest

from benchmarks.operator import Operator
from tests.e2e.conftest import UPSTREAM
from tests.person import Person
from tests.product import Product, fetch, running_product, wait_until

SITE = "app.example.test"
OPEN = ("queued", "sent", "running")


def everything_of(product: Product) -> list[psutil.Process]:
    """The supervisor's descendants: panel, agent, nginx and its workers."""
    assert product.process is not None
    return psutil.Process(product.process.pid).children(recursive=True)


def states(product: Product) -> list[str]:
    """Of all applies, the last one last."""
    wanted = "SELECT state FROM command WHERE kind = 'apply_config' ORDER BY created_at"
    return [state for (state,) in product.query(wanted)]


def served(product: Product, name: str = SITE) -> bool:
    try:
        return UPSTREAM in fetch(product.http_port, name).body
    except OSError:
        return False


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, upstream: int) -> Iterator[Product]:
    """A product that serves one host, for all tests of this file; each leaves it running and whole."""
    state = tmp_path_factory.mktemp("processes") / "var"
    with running_product(state, WAYPOST_TEST_AUTHORITY="off") as product:
        with Operator(product) as operator:
            operator.set_up(product.setup_link)
            product.wait_online()
            agent = product.query("SELECT id FROM agent")[0][0]
            operator.open("/hosts/new")
            operator.save_host("/hosts/new", agent, SITE, upstream, "apply")
        wait_until(lambda: served(product), "the host is served")
        yield product


@pytest.fixture
def owner(house: Product, visit: Callable[..., Person]) -> Person:
    """Its administrator at a browser."""
    wait_until(lambda: not set(states(house)) & set(OPEN), "no command runs")
    person = visit(house)
    person.log_in()
    return person


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_everything_and_the_next_run_goes_on_with_people_hosts_and_agent(
    house: Product, owner: Person, number: signal.Signals
) -> None:
    processes = everything_of(house)
    assert len(processes) >= 4  # panel, agent, nginx master and a worker
    began = time.monotonic()
    assert house.stop(number) == 0
    assert time.monotonic() - began < 10
    _, alive = psutil.wait_procs(processes, timeout=1)
    assert alive == []
    house.start().wait_online()
    assert not any("First visit" in line for line in house.output)
    assert served(house)
    owner.page.goto("/hosts")  # the session goes on too
    owner.sees(SITE)
    owner.forgive_lost_connections()
    assert house.query("SELECT count(*) FROM agent") == [(1,)]


def test_a_supervisor_that_is_killed_takes_its_children_along_and_the_next_one_starts(house: Product) -> None:
    processes = everything_of(house)
    house.stop(signal.SIGKILL)
    _, alive = psutil.wait_procs(processes, timeout=10)
    assert alive == []
    house.start().wait_online()
    assert served(house)


def test_a_panel_that_is_killed_comes_back_while_nginx_serves_on(house: Product, owner: Person) -> None:
    first = house.child("panel")
    lines = len(house.output)
    first.kill()
    assert served(house)
    house.wait_for_line("panel is started again", after=lines)
    wait_until(lambda: house.child("panel").pid != first.pid, "another panel runs")
    wait_until(lambda: fetch_status(house) == 200, "the panel answers")
    house.wait_online()
    owner.page.goto("/hosts")
    owner.sees("Serving")
    owner.forgive_lost_connections()


def fetch_status(product: Product) -> int:
    try:
        return fetch(product.ports["PANEL_PORT"], path="/healthz").status
    except OSError:
        return 0


def test_an_nginx_that_is_killed_comes_back_with_the_same_hosts(house: Product) -> None:
    house.child("nginx").kill()
    house.wait_for_line("nginx is started again")
    wait_until(lambda: served(house), "the host is served again")


def test_a_command_sent_to_an_agent_that_dies_unheard_is_delivered_again(
    house: Product, owner: Person, upstream: int
) -> None:
    agent = house.child("agent")
    agent.suspend()
    owner.create_host("unheard.example.test", upstream)
    wait_until(lambda: states(house)[-1] == "sent", "the command is sent")
    agent.kill()
    wait_until(lambda: states(house)[-1] == "succeeded", "the command succeeds", timeout=60)
    assert served(house, "unheard.example.test")


def test_a_command_whose_agent_dies_in_the_middle_ends_in_a_known_state(
    house: Product, owner: Person, upstream: int
) -> None:
    nginx, agent = house.child("nginx"), house.child("agent")
    nginx.suspend()  # the reload is never done, so that the command stays in the middle
    owner.create_host("middle.example.test", upstream)
    owner.sees("Reload")
    wait_until(lambda: states(house)[-1] == "running", "the command runs")
    agent.kill()
    nginx.resume()
    wait_until(lambda: states(house)[-1] not in OPEN, "the command ends", timeout=90)
    assert states(house)[-1] in {"succeeded", "failed"}
    house.wait_online()
    assert served(house)


def test_a_command_that_runs_while_the_panel_dies_is_finished_after_it_comes_back(
    house: Product, owner: Person, upstream: int
) -> None:
    nginx, lines = house.child("nginx"), len(house.output)
    nginx.suspend()
    owner.create_host("away.example.test", upstream)
    wait_until(lambda: states(house)[-1] == "running", "the command runs")
    house.child("panel").kill()
    nginx.resume()
    house.wait_for_line("panel is started again", after=lines)
    wait_until(lambda: states(house)[-1] not in OPEN, "the command ends", timeout=90)
    assert states(house)[-1] == "succeeded"
    assert served(house, "away.example.test")
    owner.forgive_lost_connections()
