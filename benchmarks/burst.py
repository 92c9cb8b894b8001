"""Many hosts created by many people at once, each with "Save and apply": few reloads, no error, no dropped request.
May import: benchmarks, tests.product. Run: python -m benchmarks.burst [hosts [people]]"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from http.client import HTTPException
from pathlib import Path

from benchmarks.operator import Operator
from benchmarks.visitors import Visitors
from tests.product import Product, fetch, running_product, running_upstream, wait_until

SITE, TEXT = "steady.example.test", "steady"
AIM = 5  # reloads


def main(hosts: int, people: int) -> int:
    """Prints what came of it; 1 when something was refused, lost or dropped, or there were too many reloads."""
    with (
        tempfile.TemporaryDirectory() as folder,
        running_upstream(TEXT) as upstream,
        running_product(Path(folder) / "var") as product,
        Operator(product) as first,
    ):
        first.set_up(product.setup_link)
        product.wait_online()
        agent_id = product.query("SELECT id FROM agent")[0][0]
        first.open("/hosts/new")
        first.save_host("/hosts/new", agent_id, SITE, upstream, "apply")
        wait_until(lambda: fetch(product.http_port, SITE).body.startswith(TEXT), "the steady host is served")
        wait_until(lambda: not _open_commands(product), "no command runs")
        reloads = _applies(product)
        with Visitors(product.http_port, {SITE: TEXT}) as visitors:
            began = time.perf_counter()
            errors = create_at_once(product, agent_id, upstream, hosts, people)
            saved = time.perf_counter() - began
            wait_until(lambda: not _open_commands(product), "everything is applied", timeout=120)
            live = time.perf_counter() - began
        reloads = _applies(product) - reloads
        missing = [name for name in _names(hosts) if not fetch(product.http_port, name).body.startswith(TEXT)]
        print(f"{hosts} hosts by {people} people: saved in {saved:.1f} s, all live after {live:.1f} s")
        print(f"reloads {reloads} (aim: at most {AIM}), errors {len(errors)}, hosts that do not answer {len(missing)}")
        print(f"visits meanwhile {visitors.answered}, failed {len(visitors.failures)}", flush=True)
        complaints = [line for line in product.output if "locked" in line or "ERROR" in line]
        for words in [*errors, *complaints, *(failure.words for failure in visitors.failures)][:10]:
            print(f"  {words}")
        return int(reloads > AIM or bool(errors or missing or visitors.failures or complaints))


def create_at_once(product: Product, agent_id: str, upstream: int, hosts: int, people: int) -> list[str]:
    """Every person creates a share of the hosts as fast as the panel answers; what was not answered well."""
    names = _names(hosts)

    def work(number: int) -> list[str]:
        errors = []
        for name in names[number::people]:
            try:
                operators[number].open("/hosts/new")
                operators[number].save_host("/hosts/new", agent_id, name, upstream, "apply")
            except (RuntimeError, OSError, HTTPException) as error:
                errors.append(f"{name}: {error}")
        return errors

    with ExitStack() as sessions, ThreadPoolExecutor(people) as pool:
        operators = [sessions.enter_context(Operator(product)) for _ in range(people)]
        for operator in operators:
            operator.log_in()
        return [words for errors in pool.map(work, range(people)) for words in errors]


def _names(hosts: int) -> list[str]:
    return [f"burst-{number}.example.test" for number in range(hosts)]


def _open_commands(product: Product) -> int:
    return int(product.query("SELECT count(*) FROM command WHERE state IN ('queued', 'sent', 'running')")[0][0])


def _applies(product: Product) -> int:
    """Applies so far that reached nginx; each is one reload."""
    states = Counter(row[0] for row in product.query("SELECT state FROM command WHERE kind = 'apply_config'"))
    return states.total() - states["cancelled"] - states["expired"]


if __name__ == "__main__":
    sizes = [int(text) for text in sys.argv[1:]]
    sys.exit(main(*(sizes + [200, 8][len(sizes) :])))
