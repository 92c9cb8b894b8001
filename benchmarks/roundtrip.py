"""The stream against a plain unary ping of the same server: a heartbeat, and a whole command with its rows and answer.
May import: panel, agent's identity file, tests.product. Run: python -m benchmarks.roundtrip"""

from __future__ import annotations

import panel.bootstrap  # noqa: F401 - first, as in every program of the panel

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import grpc
from flask import Flask
from gevent.pool import Pool

from panel.app import create_app
from panel.config import Config
from panel.extensions import db, transaction
from panel.models import Agent, Command, CommandKind
from panel.serve import Panel
from panel.services import commands
from tests.product import ROOT, find_nginx, free_ports, wait_until

ROUNDS, WARM_UP = 200, 20
PING = "/benchmark.Ping/Ping"
AT_ONCE = (1, 64)
PARTS = ("queued to sent", "sent to stored")


@dataclass(frozen=True)
class Times:
    """Round trips in seconds."""

    seconds: list[float]

    @property
    def median(self) -> float:
        """p50."""
        return statistics.median(self.seconds)

    @property
    def p99(self) -> float:
        """The slowest but one in a hundred."""
        return sorted(self.seconds)[int(len(self.seconds) * 0.99)]


class Ping(grpc.GenericRpcHandler):
    """Answers what it got, on the panel's own server: the floor of any call."""

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes] | None:
        """The one method; everything else is somebody else's."""
        if details.method != PING:
            return None
        return grpc.unary_unary_rpc_method_handler(lambda request, _context: request)


def main() -> None:
    """Prints two tables against the same pings: the wire alone, and the whole of a durable command."""
    with tempfile.TemporaryDirectory() as folder, running_panel(Path(folder)) as (app, panel):
        with running_agent(Path(folder), app, panel) as agent_id:
            trips = {at_once: measure_commands(app, agent_id, at_once) for at_once in AT_ONCE}
            spent = ", ".join(f"{part} {1000 * seconds:.1f} ms" for part, seconds in where_it_goes(app).items())
        # The real agent has left: its identity is free for a session that only beats.
        beats = {at_once: measure_far_end("beat", Path(folder), panel, at_once) for at_once in AT_ONCE}
        pings = {at_once: measure_far_end("ping", Path(folder), panel, at_once) for at_once in AT_ONCE}
    print(f"{'':<36} {'p50':>9} {'p99':>9}   {'unary p50':>9} {'p99':>9}   {'ratio p50':>9} {'p99':>6}")
    for at_once in AT_ONCE:
        report(f"wire alone, {at_once} at once (aim: 2)", beats[at_once], pings[at_once])
    for at_once in AT_ONCE:
        report(f"durable command, {at_once} at once", trips[at_once], pings[at_once])
    print(f"of one command at a time (medians): {spent}")


def report(name: str, trips: Times, pings: Times) -> None:
    """One row."""
    print(
        f"{name:<36} {1000 * trips.median:>6.2f} ms {1000 * trips.p99:>6.2f} ms   {1000 * pings.median:>6.2f} ms"
        f" {1000 * pings.p99:>6.2f} ms   {trips.median / pings.median:>9.1f} {trips.p99 / pings.p99:>6.1f}",
        flush=True,
    )


@contextmanager
def running_panel(folder: Path) -> Iterator[tuple[Flask, Panel]]:
    """The panel in this process."""
    state = folder / "panel"
    config = Config.from_env({"PANEL_STATE_DIR": str(state), "PANEL_BUNDLED_AGENT": "local", **_ports("PANEL")})
    app = create_app(config)
    with app.app_context():
        db.create_all()
    panel = Panel(app)
    # The floor is only a floor on the very same server, so it is added to it from outside.
    panel._stream.server.add_generic_rpc_handlers((Ping(),))  # noqa: SLF001
    panel.start()
    try:
        yield app, panel
    finally:
        panel.stop()


@contextmanager
def running_agent(folder: Path, app: Flask, panel: Panel) -> Iterator[str]:
    """A real agent in a process of its own, joined and online, beside a real nginx. The agent's id."""
    environment = _agent_environment(folder, panel)
    subprocess.run([sys.executable, "-m", "agent", "prepare"], cwd=ROOT, env=environment, check=True)
    conf = folder / "agent" / "nginx" / "current" / "nginx.conf"
    nginx = subprocess.Popen([find_nginx(), "-e", "stderr", "-c", str(conf), "-g", "daemon off;"])
    agent = subprocess.Popen([sys.executable, "-m", "agent", "run"], cwd=ROOT, env=environment)
    try:
        yield wait_until(lambda: _online(app), "the agent is online")
    finally:
        for process in (agent, nginx):
            process.terminate()
            process.wait()


def _ports(prefix: str) -> dict[str, str]:
    names = (f"{prefix}_PORT", f"{prefix}_STREAM_PORT", f"{prefix}_ENROLL_PORT")
    return {name: str(port) for name, port in zip(names, free_ports(3), strict=True)}


def _agent_environment(folder: Path, panel_process: Panel) -> dict[str, str]:
    http, https, status = free_ports(3)
    return {
        **os.environ,
        "AGENT_STATE_DIR": str(folder / "agent"),
        "AGENT_PANEL_URL": f"http://127.0.0.1:{panel_process.config.port}",
        "AGENT_JOIN_TOKEN_FILE": str(panel_process.config.state_dir / "bundled-agent.token"),
        "AGENT_NGINX_BINARY": find_nginx(),
        "AGENT_HTTP_PORT": str(http),
        "AGENT_HTTPS_PORT": str(https),
        "AGENT_STATUS_PORT": str(status),
    }


def _online(app: Flask) -> str | None:
    with app.app_context():
        agent = db.session.query(Agent).filter_by(is_synced=True).first()
        return None if agent is None else agent.id


def measure_commands(app: Flask, agent_id: str, at_once: int) -> Times:
    """check_nginx, enqueued by a service and awaited until its result is stored."""

    def trip() -> float:
        began = time.perf_counter()
        with app.app_context():
            with transaction():
                agent = db.session.get(Agent, agent_id)
                if agent is None:
                    raise RuntimeError("the agent is gone")
                command_id = commands.enqueue(agent, CommandKind.CHECK_NGINX).id
            command = commands.wait(command_id, 15)
            if not command.has_succeeded:
                raise RuntimeError(f"check_nginx ended as {command.state}: {command.error}")
        return time.perf_counter() - began

    return Times(_repeat(trip, at_once))


def _repeat(trip: Callable[[], float], at_once: int) -> list[float]:
    pool = Pool(at_once)
    for _ in range(WARM_UP):
        trip()
    tasks = [pool.spawn(trip) for _ in range(ROUNDS if at_once == 1 else 2 * ROUNDS)]
    return [task.get() for task in tasks]


def measure_far_end(verb: str, folder: Path, panel: Panel, at_once: int) -> Times:
    """Pings or heartbeats from a process like the agent: plain threads, the agent's own certificate."""
    identity, port = str(folder / "agent" / "identity"), str(panel.config.stream_port)
    command = [sys.executable, "-m", "benchmarks.pings", verb, identity, port, str(at_once)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return Times([float(line) for line in done.stdout.split()])


def where_it_goes(app: Flask) -> dict[str, float]:
    """Medians in seconds between the times of the first rows, which ran one at a time."""
    with app.app_context():
        rows = db.session.query(Command).order_by(Command.created_at).limit(ROUNDS).all()
        times = [(row.created_at, row.sent_at, row.finished_at) for row in rows]
    complete = [[at for at in row if at is not None] for row in times]
    spans = [[(after - at).total_seconds() for at, after in pairwise(row)] for row in complete]
    return {
        part: statistics.median(span[index] for span in spans if len(span) == len(PARTS))
        for index, part in enumerate(PARTS)
    }


if __name__ == "__main__":
    main()
