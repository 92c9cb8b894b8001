"""Applies of the whole product: panel, agent and nginx as `make run` starts them.
May import: benchmarks.operator, panel.config, tests.product."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from benchmarks.operator import Operator
from panel.config import Config
from tests.product import Product, fetch, running_product, running_upstream, wait_until

SITE = "app.example.test"
HOST = "/hosts/1/edit"


@pytest.fixture(scope="module")
def ports() -> Iterator[tuple[int, int]]:
    """Two upstreams, which answer "even" and "odd"."""
    with running_upstream("even") as even, running_upstream("odd") as odd:
        yield even, odd


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """One for all tests here; an agent looks at its files with every heartbeat."""
    with running_product(tmp_path_factory.mktemp("whole") / "var", PANEL_HEARTBEAT_INTERVAL="1") as product:
        yield product


@pytest.fixture(scope="module")
def operator(product: Product, ports: tuple[int, int]) -> Iterator[Operator]:
    """A person who has one host served."""
    with Operator(product) as operator:
        operator.set_up(product.setup_link)
        product.wait_online()
        save(operator, product, "/hosts/new", SITE, ports[0])
        wait_served(product, "even")
        yield operator


def agent_id(product: Product) -> str:
    return str(product.query("SELECT id FROM agent")[0][0])


def save(operator: Operator, product: Product, address: str, name: str, port: int) -> None:
    operator.open(address)
    operator.save_host(address, agent_id(product), name, port, "apply")


def wait_served(product: Product, word: str, name: str = SITE) -> None:
    wait_until(lambda: fetch(product.http_port, name).body.startswith(word), f"{name} serves {word}")


def wait_quiet(product: Product) -> None:
    open_states = "SELECT count(*) FROM command WHERE state IN ('queued', 'sent', 'running')"
    behind = "SELECT count(*) FROM agent WHERE generation > applied_generation"
    wait_until(lambda: product.query(open_states)[0][0] == product.query(behind)[0][0] == 0, "all is live")


def live_file(product: Product) -> Path:
    (path,) = (product.state / "agent/nginx/current/hosts").glob(f"*-{SITE}.conf")
    return path


def drift(product: Product) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(product.query("SELECT drift FROM agent")[0][0])
    return found


def applies(product: Product) -> list[tuple[str, ...]]:
    kinds = "SELECT state, created_at, finished_at FROM command WHERE kind = 'apply_config' ORDER BY created_at"
    return product.query(kinds)


def moment(text: str) -> datetime:
    """A time as SQLite keeps it."""
    return datetime.fromisoformat(text)


def assert_starts_from_disk(product: Product) -> None:
    """`nginx -t` takes `current`, and an nginx that is started anew serves the same."""
    conf = str(product.state / "agent/nginx/current/nginx.conf")
    assert subprocess.run(["nginx", "-t", "-q", "-c", conf], capture_output=True).returncode == 0
    word = fetch(product.http_port, SITE).body.split("\n")[0]
    first = product.child("nginx")
    first.terminate()
    wait_until(lambda: product.child("nginx").pid != first.pid, "another nginx runs")
    wait_until(lambda: is_served(product, word), "it serves the same")


def is_served(product: Product, word: str) -> bool:
    try:
        return fetch(product.http_port, SITE).body.startswith(word)
    except OSError:
        return False


def test_a_hundred_edits_in_ten_seconds_are_few_reloads_and_the_last_one_is_live(
    product: Product, operator: Operator, ports: tuple[int, int]
) -> None:
    wait_quiet(product)
    before = len(applies(product))
    began = time.monotonic()
    operator.open(HOST)
    for number in range(100):
        save(operator, product, HOST, SITE, ports[number % 2])
        time.sleep(max(0.0, began + number / 10 - time.monotonic()))
    lasted = time.monotonic() - began
    wait_quiet(product)
    wait_served(product, "odd")
    made = applies(product)[before:]
    assert [row[0] for row in made] == ["succeeded"] * len(made)
    assert 2 <= len(made) <= 5
    # Nobody waits until the edits end: each apply comes after the longest wait at the latest.
    waits = [moment(row[2]) - moment(row[1]) for row in made]
    assert max(waits).total_seconds() < Config.apply_longest_wait + 1.5
    assert lasted > 9
    assert_starts_from_disk(product)


def test_a_hand_edit_is_reported_with_its_difference_and_put_back_when_a_person_wants_it(
    product: Product, operator: Operator, ports: tuple[int, int]
) -> None:
    save(operator, product, HOST, SITE, ports[0])
    wait_quiet(product)
    wait_served(product, "even")
    path = live_file(product)
    original = path.read_text()
    path.write_text(original.replace(str(ports[0]), str(ports[1])))
    edited_at = time.monotonic()
    wait_until(lambda: drift(product), "the edit is reported", timeout=60)
    assert time.monotonic() - edited_at < 60
    (entry,) = drift(product)
    assert str(entry["path"]).endswith(f"-{SITE}.conf")
    assert entry["is_loaded"] is False
    assert ["+", f"    server 127.0.0.1:{ports[1]};"] in entry["diff"]  # type: ignore[operator]
    page = operator.open(f"/agents/{agent_id(product)}")
    assert "1 file differs from what was applied" in page
    assert "nginx has not loaded it" in page
    assert live_file(product).read_text() != original  # reported and kept
    wait_served(product, "even")
    operator.post(f"/agents/{agent_id(product)}/put-back")
    wait_until(lambda: not drift(product), "all is as it was written")
    assert live_file(product).read_text() == original
    assert "changed by hand, " in operator.open(f"/agents/{agent_id(product)}")
    assert_starts_from_disk(product)


def test_a_broken_file_and_a_restarted_nginx_are_put_back_together(product: Product, operator: Operator) -> None:
    """The worst of hand edits: nginx does not come up again. Putting back must not need it."""
    wait_quiet(product)
    word = fetch(product.http_port, SITE).body.split("\n")[0]
    live_file(product).write_text("broken;\n")
    product.child("nginx").terminate()
    wait_until(lambda: drift(product), "the edit is reported", timeout=60)
    wait_until(lambda: not is_served(product, word), "nginx is down")
    operator.open(f"/agents/{agent_id(product)}")
    operator.post(f"/agents/{agent_id(product)}/put-back")
    wait_until(lambda: is_served(product, word), "nginx serves again", timeout=60)
    wait_quiet(product)
    assert applies(product)[-1][0] == "succeeded"
    assert_starts_from_disk(product)


def test_an_agent_that_heals_puts_back_by_itself_and_keeps_the_difference(product: Product, operator: Operator) -> None:
    wait_quiet(product)
    operator.open(f"/agents/{agent_id(product)}")
    operator.post(f"/agents/{agent_id(product)}/healing", heal="y")
    original = live_file(product).read_text()
    live_file(product).write_text(original + "# a note\n")
    events = "SELECT count(*) FROM event WHERE verb = 'agent:drift'"
    before = product.query(events)[0][0]
    wait_until(lambda: product.query(events)[0][0] > before, "the edit is recorded", timeout=60)
    wait_until(lambda: live_file(product).read_text() == original, "it is put back", timeout=60)
    wait_until(lambda: not drift(product), "nothing differs")
    kept = product.query("SELECT after FROM event WHERE verb = 'agent:drift' ORDER BY id DESC LIMIT 1")[0][0]
    assert "# a note" in kept
    assert_starts_from_disk(product)
