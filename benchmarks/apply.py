"""From "Save and apply" to served, against the floor: the same nginx and the same files, and only a HUP.
May import: benchmarks, panel.models, sqlalchemy, tests.product. Run: python -m benchmarks.apply [hosts …] ("500tls":
every host but the measured one with a certificate of its own)"""

from __future__ import annotations

import signal
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, delete, insert, select, update

from benchmarks.operator import Operator
from benchmarks.parse import make_certificates
from panel.models import Agent, Certificate, ProxyHost
from tests.product import Product, command_line, fetch, running_product, running_upstream, wait_until

ROUNDS = 7
SITE = "bench.example.test"


def main(sizes: list[tuple[int, bool]]) -> None:
    """Prints one table; the sizes grow within one run of one product. The second of a pair: with certificates."""
    with (
        tempfile.TemporaryDirectory() as folder,
        running_upstream("even") as even,
        running_upstream("odd") as odd,
        running_product(Path(folder) / "var", LETSENCRYPT_DIR=f"{folder}/letsencrypt") as product,
        Operator(product) as operator,
    ):
        operator.set_up(product.setup_link)
        product.wait_online()
        agent_id = product.query("SELECT id FROM agent")[0][0]
        bench = Bench(product, operator, agent_id, (even, odd))
        bench.add(SITE, "apply", even)
        wait_until(lambda: served("even", product), "the measured host is served")
        print(
            f"{'hosts':>6} {'save to served':>16} {'HUP alone':>12} {'ratio':>7}   medians of {ROUNDS}; where it goes"
        )
        for size, tls in sizes:
            bench.grow_to(size)
            bench.secure(Path(folder) / "letsencrypt", size if tls else 0)
            bench.measure(size, tls=tls)


class Bench:
    """One product with many hosts, one of which is edited again and again."""

    def __init__(self, product: Product, operator: Operator, agent_id: str, ports: tuple[int, int]) -> None:
        self._product, self._operator, self._agent_id, self._ports = product, operator, agent_id, ports
        self._others = 0

    def add(self, name: str, then: str, port: int) -> None:
        """One more host."""
        self._operator.open("/hosts/new")
        self._operator.save_host("/hosts/new", self._agent_id, name, port, then)

    def grow_to(self, size: int) -> None:
        """Saves hosts until there are `size` besides the measured one, and applies them together."""
        while self._others < size:
            last = self._others == size - 1
            self.add(f"site-{self._others}.example.test", "apply" if last else "save", 9)
            self._others += 1
        self._wait_live()

    def secure(self, folder: Path, count: int) -> None:
        """Gives so many of the hosts a certificate, or takes it from all, as if the agent had reported them."""
        if count and not (folder / "live").exists():
            folder.mkdir(exist_ok=True)
            make_certificates(folder / "live", count)
        engine = create_engine(f"sqlite:///{self._product.state}/panel/panel.sqlite3")
        with engine.begin() as connection:
            agent = update(Agent).where(Agent.id == self._agent_id)
            raised = agent.values(generation=Agent.generation + 1, letsencrypt_dir=str(folder))
            generation = connection.scalar(raised.returning(Agent.generation))
            others = select(ProxyHost.id).where(ProxyHost.id > 1).order_by(ProxyHost.id)
            plain = {"certificate_id": None, "force_ssl": False, "changed_generation": generation}
            connection.execute(update(ProxyHost).where(ProxyHost.id > 1).values(plain))
            connection.execute(delete(Certificate))
            for number, host_id in enumerate(connection.scalars(others.limit(count)).all(), 1):
                made = insert(Certificate).values(_certificate(folder, self._agent_id, number))
                certificate_id = connection.scalar(made.returning(Certificate.id))
                linked = {"certificate_id": certificate_id, "force_ssl": True}
                connection.execute(update(ProxyHost).where(ProxyHost.id == host_id).values(linked))
        engine.dispose()
        self._save_and_apply(0)
        self._wait_live()

    def _wait_live(self) -> None:
        wait_until(
            lambda: self._product.query("SELECT count(*) FROM agent WHERE generation > applied_generation")[0][0] == 0,
            "everything is live",
            timeout=120,
        )

    def measure(self, size: int, *, tls: bool) -> None:
        """Prints the row of one size: both ways in turn, so that both meet the same machine."""
        saves, floors, spent = [], [], defaultdict[str, list[float]](list)
        for turn in range(ROUNDS):
            saves.append(self._save_and_apply(turn + 1))
            for name, seconds in self._stages().items():
                spent[name].append(seconds)
            floors.append(self._only_a_hup(turn + 1))
        saved, floor = statistics.median(saves), statistics.median(floors)
        where = "  ".join(f"{name} {1000 * statistics.median(values):.0f}" for name, values in spent.items())
        name = f"{size}tls" if tls else str(size)
        times = f"{1000 * saved:>13.0f} ms {1000 * floor:>9.0f} ms {saved / floor:>7.2f}"
        print(f"{name:>6} {times}   {where} ms", flush=True)

    def _save_and_apply(self, turn: int) -> float:
        """The person's way, in seconds: one post, until the new upstream answers."""
        self._wait_quiet()
        self._operator.open("/hosts/1/edit")
        word, port = ("even", "odd")[turn % 2], self._ports[turn % 2]
        began = time.perf_counter()
        self._operator.save_host("/hosts/1/edit", self._agent_id, SITE, port, "apply")
        wait_served(word, self._product)
        return time.perf_counter() - began

    def _only_a_hup(self, turn: int) -> float:
        """The time of nginx itself, in seconds: the live file edited in place and a HUP, until the other answers."""
        self._wait_quiet()
        (path,) = (self._product.state / "agent" / "nginx" / "current" / "hosts").glob(f"*-{SITE}.conf")
        before, here, there = path.read_text(), self._ports[turn % 2], self._ports[(turn + 1) % 2]
        nginx = self._product.child("nginx")
        path.chmod(0o644)
        path.write_text(before.replace(f":{here}", f":{there}"))
        began = time.perf_counter()
        nginx.send_signal(signal.SIGHUP)
        wait_served(("even", "odd")[(turn + 1) % 2], self._product)
        took = time.perf_counter() - began
        path.write_text(before)
        nginx.send_signal(signal.SIGHUP)
        wait_served(("even", "odd")[turn % 2], self._product)
        return took

    def _wait_quiet(self) -> None:
        """No command is open and old workers are gone: the next measure meets an idle nginx."""
        open_states = "SELECT count(*) FROM command WHERE state IN ('queued', 'sent', 'running')"
        wait_until(lambda: self._product.query(open_states)[0][0] == 0, "no command runs")
        nginx = self._product.child("nginx")
        wait_until(lambda: not any("shutting down" in command_line(w) for w in nginx.children()), "old workers end")
        time.sleep(1.1)  # past the window in which a second edit waits to join the first one's reload

    def _stages(self) -> dict[str, float]:
        """Where the last apply spent its time, in seconds, from its row and its output."""
        self._wait_quiet()
        command_id, created, finished = self._product.query(
            "SELECT id, created_at, finished_at FROM command ORDER BY created_at DESC LIMIT 1"
        )[0]
        rows = self._product.query(
            "SELECT stage, at FROM command_output WHERE command_id = ? AND level = 'stage' ORDER BY seq", command_id
        )
        marks = [("deliver", created), *((stage, at) for stage, at in rows), ("", finished)]
        times = [(name, datetime.fromisoformat(at)) for name, at in marks]
        return {name: (after - at).total_seconds() for (name, at), (_, after) in pairwise(times)}


def _certificate(folder: Path, agent_id: str, number: int) -> dict[str, Any]:
    name = f"host-{number}.example.test"
    paths = {"chain_path": f"{folder}/live/{name}/fullchain.pem", "key_path": f"{folder}/live/{name}/privkey.pem"}
    return {"agent_id": agent_id, "name": name, "domain_names": [name], "is_present": True, **paths}


def served(word: str, product: Product) -> bool:
    """Whether nginx answers with this upstream now."""
    return fetch(product.http_port, SITE).body.startswith(word)


def wait_served(word: str, product: Product) -> None:
    """Asks on fresh connections until the upstream with this word answers."""
    deadline = time.perf_counter() + 60
    while not served(word, product):
        if time.perf_counter() > deadline:
            raise TimeoutError(f"{word} was not served within 60 s")
        time.sleep(0.001)


if __name__ == "__main__":
    wanted = sys.argv[1:] or ["0", "100", "500", "500tls", "1000"]
    main([(int(text.removesuffix("tls")), text.endswith("tls")) for text in wanted])
