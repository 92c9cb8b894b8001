"""How long the panel takes to answer the host form, and the form itself, as hosts grow in number: it must not grow.
May import: benchmarks, tests.product. Run: python -m benchmarks.form_post [hosts …]"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.operator import Operator
from tests.product import Product, running_product, wait_until

ROUNDS = 15
AIM = 1.5  # largest size to smallest: flat, give or take a busy machine
OPEN = "SELECT count(*) FROM command WHERE state IN ('queued', 'sent', 'running')"


def main(sizes: list[int]) -> None:
    """Prints one row per size, in one run of one product, and how much the last is slower than the first."""
    with (
        tempfile.TemporaryDirectory() as folder,
        running_product(Path(folder) / "var") as product,
        Operator(product) as operator,
    ):
        operator.set_up(product.setup_link)
        product.wait_online()
        bench = Bench(product, operator)
        print(f"{'hosts':>6}" + "".join(f"{name:>16}" for name in bench.ways) + f"   medians of {ROUNDS}")
        rows = []
        for size in sizes:
            bench.grow_to(size)
            rows.append({name: bench.measure(way) for name, way in bench.ways.items()})
            print(f"{size:>6}" + "".join(f"{1000 * seconds:>13.1f} ms" for seconds in rows[-1].values()), flush=True)
        growth = {name: rows[-1][name] / rows[0][name] for name in bench.ways}
        words = "".join(f"{ratio:>16.2f}" for ratio in growth.values())
        print(f"{'ratio':>6}{words}   {sizes[-1]} hosts to {sizes[0]} (aim: at most {AIM})")


class Bench:
    """One product whose hosts grow in number, and the ways to talk to it that are measured."""

    def __init__(self, product: Product, operator: Operator) -> None:
        self._product, self._operator = product, operator
        self._agent_id = product.query("SELECT id FROM agent")[0][0]
        self._hosts = self._edits = 0
        self.ways: dict[str, Callable[[], float]] = {
            "create": lambda: self._create("save"),
            "edit": lambda: self._edit("save"),
            "edit and apply": lambda: self._edit("apply"),
            "open the form": lambda: self._open("/hosts/new"),
        }

    def grow_to(self, size: int) -> None:
        """Saves hosts until there are `size`, and applies them."""
        self._operator.open("/hosts/new")
        while self._hosts < max(size, 1):
            self._create("save")
        self._edit("apply")
        self._wait_quiet()

    def measure(self, way: Callable[[], float]) -> float:
        """The median in seconds, the agent being idle when each is asked."""
        seconds = []
        for _ in range(ROUNDS):
            self._wait_quiet()
            seconds.append(way())
        self._wait_quiet()
        return statistics.median(seconds)

    def _create(self, then: str) -> float:
        self._hosts += 1
        return self._save("/hosts/new", f"site-{self._hosts}.example.test", 9, then)

    def _edit(self, then: str) -> float:
        """Another name and port for the first host; its page is opened before, as a person does."""
        self._edits += 1
        self._operator.open("/hosts/1/edit")
        return self._save("/hosts/1/edit", f"edited-{self._edits}.example.test", 1024 + self._edits, then)

    def _save(self, address: str, name: str, port: int, then: str) -> float:
        began = time.perf_counter()
        self._operator.save_host(address, self._agent_id, name, port, then)
        return time.perf_counter() - began

    def _open(self, address: str) -> float:
        began = time.perf_counter()
        self._operator.open(address)
        return time.perf_counter() - began

    def _wait_quiet(self) -> None:
        wait_until(lambda: self._product.query(OPEN)[0][0] == 0, "no command runs", timeout=120)


if __name__ == "__main__":
    main([int(text) for text in sys.argv[1:]] or [0, 100, 500, 1000])
