"""Edits, visitors and random kills of panel, agent and nginx for as long as you like: nothing lost, doubled, failed.
May import: benchmarks, psutil, tests.product. Run: python -m benchmarks.soak [--minutes M] [--seed S]"""

from __future__ import annotations

import argparse
import random
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.client import HTTPException
from pathlib import Path

import psutil

from benchmarks.operator import Operator
from benchmarks.visitors import Failure, Visitors
from tests.product import Product, fetch, find_nginx, running_product, running_upstream, wait_until

STEADY = [f"steady-{number}.example.test" for number in range(4)]
EDITED = [f"edited-{number}.example.test" for number in range(20)]
CALM = (3.0, 9.0)  # seconds between two kills
RETRY_FOR = 60.0  # seconds that a person keeps trying to save while the panel is away
# Short, so that a kill often meets an apply in the middle.
HASTE = {"PANEL_APPLY_WINDOW": "0.2", "PANEL_APPLY_LONGEST_WAIT": "0.8"}
OPEN = "SELECT count(*) FROM command WHERE state IN ('queued', 'sent', 'running')"


@dataclass
class Kill:
    """One kill -9. `over_at` is time.monotonic() when nginx answered again; infinite until then."""

    name: str
    at: float
    over_at: float = float("inf")


@dataclass
class Editor:
    """One person who saves and applies without a pause, and remembers what the panel confirmed."""

    product: Product
    operator: Operator
    ports: tuple[int, int]
    dice: random.Random
    agent_id: str
    confirmed: dict[str, int] = field(default_factory=dict)
    saves: int = 0
    refusals: list[str] = field(default_factory=list)

    def edit(self) -> None:
        """One host is created, or gets the other upstream; tried until the panel has confirmed it."""
        name = self.dice.choice(EDITED)
        port = self.dice.choice([port for port in self.ports if port != self.confirmed.get(name)])
        deadline = time.monotonic() + RETRY_FOR
        while time.monotonic() < deadline:
            try:
                self._save(name, port)
            except (OSError, HTTPException):
                time.sleep(0.2)  # the panel is away; whether it saved is read before the next attempt
            except RuntimeError as refusal:
                self.refusals.append(str(refusal)[:200])
                return
            else:
                self.confirmed[name] = port
                self.saves += 1
                return
        self.refusals.append(f"{name} could not be saved for {RETRY_FOR:.0f} s")

    def _save(self, name: str, port: int) -> None:
        saved = self.read(name)
        if saved is not None and saved[1] == port:
            return  # the answer to the last attempt was lost, the save was not
        address = "/hosts/new" if saved is None else f"/hosts/{saved[0]}/edit"
        self.operator.open(address)
        self.operator.save_host(address, self.agent_id, name, port, "apply")

    def read(self, name: str) -> tuple[int, int] | None:
        """The host's id and port as saved."""
        statement = "SELECT id, forward_port FROM proxy_host WHERE json_extract(domain_names, '$[0]') = ?"
        rows = self.product.query(statement, name)
        return (int(rows[0][0]), int(rows[0][1])) if rows else None

    def bring_live(self) -> None:
        """What a person does who sees that an apply failed because its agent or nginx was killed: apply again."""
        for _ in range(5):
            wait_until(lambda: self.product.query(OPEN)[0][0] == 0, "no command is open", timeout=180)
            if not self.product.query("SELECT 1 FROM agent WHERE generation > applied_generation"):
                return
            self.operator.open("/changes")
            self.operator.post("/changes/apply")


def main(minutes: float, seed: int) -> int:
    """Prints commands, losses, doubles and failed requests; 1 when one of the last three is not 0."""
    print(f"{minutes:g} minutes, seed {seed}", flush=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        running_upstream("even") as even,
        running_upstream("odd") as odd,
        running_product(Path(folder) / "var", **HASTE) as product,
        Operator(product) as operator,
    ):
        operator.set_up(product.setup_link)
        product.wait_online()
        agent_id = product.query("SELECT id FROM agent")[0][0]
        editor = Editor(product, operator, (even, odd), random.Random(seed), agent_id)
        _create_steady(editor, even)
        with Visitors(product.http_port, dict.fromkeys(STEADY, "even")) as visitors:
            with killing(product, random.Random(seed + 1)) as kills:
                ends_at = time.monotonic() + 60 * minutes
                while time.monotonic() < ends_at:
                    editor.edit()
                    time.sleep(editor.dice.uniform(0.0, 0.5))
            product.wait_online()
            editor.bring_live()
        return report(editor, visitors, kills)


def _create_steady(editor: Editor, port: int) -> None:
    for name in STEADY:
        editor.operator.open("/hosts/new")
        editor.operator.save_host("/hosts/new", editor.agent_id, name, port, "apply")
    editor.bring_live()
    wait_until(lambda: all(serves(editor.product, name, "even") for name in STEADY), "steady hosts are served")


def serves(product: Product, name: str, text: str) -> bool:
    """Whether nginx answers for this name with that upstream."""
    try:
        return fetch(product.http_port, name).body.startswith(text)
    except (OSError, HTTPException):
        return False


@contextmanager
def killing(product: Product, dice: random.Random) -> Iterator[list[Kill]]:
    """Kills one of the three again and again inside the block; the last one has recovered when it ends."""
    kills: list[Kill] = []
    over = threading.Event()

    def work() -> None:
        while not over.wait(dice.uniform(*CALM)):
            _kill_one(product, dice.choice(("panel", "agent", "nginx")), kills)

    killer = threading.Thread(target=work)
    killer.start()
    try:
        yield kills
    finally:
        over.set()
        killer.join()


def _kill_one(product: Product, name: str, kills: list[Kill]) -> None:
    """Kills it; a killed nginx is awaited, because nobody can be served meanwhile."""
    victim = product.child(name)
    kill = Kill(name, time.monotonic())
    kills.append(kill)
    victim.kill()
    psutil.wait_procs([victim], timeout=5)
    if name == "nginx":
        wait_until(lambda: product.child("nginx").pid != victim.pid, "another nginx runs", timeout=60)
        wait_until(lambda: serves(product, STEADY[0], "even"), "nginx answers", timeout=60)
    kill.over_at = time.monotonic()


def report(editor: Editor, visitors: Visitors, kills: list[Kill]) -> int:
    """Prints what came of it all."""
    product = editor.product
    ends = Counter(product.query("SELECT kind, state, reason, error FROM command"))
    lost, doubled = find_losses(editor), find_doubles(product, kills)
    excused, failed = sort_failures(visitors.failures, kills)
    killed = Counter(kill.name for kill in kills)
    print("kills      " + ", ".join(f"{name} {count}" for name, count in sorted(killed.items())))
    for (kind, state, reason, error), count in sorted(ends.items()):
        print(f"           {count:>6} {kind} {state} {reason.lower()} {error[:90]}")
    print(f"visits     {visitors.answered} answered, {len(excused)} not while nginx itself was killed")
    print(f"saves      {editor.saves} confirmed")
    print(f"commands   {ends.total()}")
    print(f"losses     {len(lost)}")
    print(f"doubles    {len(doubled)}")
    print(f"failed     {len(failed)} requests", flush=True)
    for words in [*lost, *doubled, *(f"{failure.site}: {failure.words}" for failure in failed)][:20]:
        print(f"  {words}")
    return int(bool(lost or doubled or failed))


def find_losses(editor: Editor) -> list[str]:
    """Commands without an end, confirmed saves that are not saved or not served, and an nginx that could not start."""
    product = editor.product
    lost = [f"{kind} {state} has no end" for kind, state in _rows(product, "state IN ('queued', 'sent', 'running')")]
    lost += editor.refusals
    lost += [f"{name} failed: {error}" for name, error in product.query("SELECT name, apply_error FROM agent") if error]
    for name, port in editor.confirmed.items():
        saved = editor.read(name)
        if saved is None or saved[1] != port:
            lost.append(f"{name}: {port} was confirmed, {saved} is saved")
        elif not serves(product, name, "even" if port == editor.ports[0] else "odd"):
            lost.append(f"{name}: {port} is saved and not served")
    configuration = product.state / "agent" / "nginx" / "current" / "nginx.conf"
    test = subprocess.run([find_nginx(), "-t", "-c", str(configuration)], capture_output=True, text=True, check=False)
    return [*lost, *([f"nginx would not start from disk: {test.stderr}"] if test.returncode else [])]


def find_doubles(product: Product, kills: list[Kill]) -> list[str]:
    """Commands that began a stage twice, by the agent's own lines; and hosts that exist twice. An agent that was killed
    between the two goes on with what it had begun, which is no second run."""
    wall = time.time() - time.monotonic()
    agent_kills = [wall + kill.at for kill in kills if kill.name == "agent"]
    begun, doubled = dict[tuple[str, str], float](), list[str]()
    for at, command_id, stage in _stages(product):
        before = begun.get((command_id, stage))
        if before is not None and not any(before <= killed <= at for killed in agent_kills):
            doubled.append(f"command {command_id} did {stage} twice")
        begun[command_id, stage] = at
    names = "SELECT json_extract(domain_names, '$[0]') FROM proxy_host GROUP BY 1 HAVING count(*) > 1"
    return doubled + [f"{name} exists twice" for (name,) in product.query(names)]


def sort_failures(failures: list[Failure], kills: list[Kill]) -> tuple[list[Failure], list[Failure]]:
    """Those that overlap with nginx being away because it was killed itself, and the others."""
    away = [kill for kill in kills if kill.name == "nginx"]

    def is_excused(failure: Failure) -> bool:
        return any(failure.at <= kill.over_at and failure.until >= kill.at for kill in away)

    return [one for one in failures if is_excused(one)], [one for one in failures if not is_excused(one)]


def _rows(product: Product, condition: str) -> list[tuple[str, str]]:
    return [
        (str(kind), str(state)) for kind, state in product.query(f"SELECT kind, state FROM command WHERE {condition}")
    ]


def _stages(product: Product) -> list[tuple[float, str, str]]:
    """When the stages of all commands began, in this order, in seconds since the epoch. The agent's journal, read only,
    forgets lines that the panel has, so the panel's copy is asked too."""
    path = product.state / "agent" / "journal.sqlite3"
    columns = "SELECT command_id, seq, stage, at FROM"
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        kept = connection.execute(f"{columns} line WHERE level = 'stage'").fetchall()
    found = {(command_id, seq): (at, command_id, stage) for command_id, seq, stage, at in kept}
    for command_id, seq, stage, at in product.query(f"{columns} command_output WHERE level = 'stage'"):
        began = datetime.fromisoformat(at).replace(tzinfo=UTC).timestamp()
        found.setdefault((command_id, seq), (began, command_id, stage))
    return sorted(found.values())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="soak", description="Edits and random kills; nothing may be lost.")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 16))
    options = parser.parse_args()
    sys.exit(main(options.minutes, options.seed))
