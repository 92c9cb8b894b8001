"""A command through the stream (database, stream, real agent, and back) against a plain unary ping of the same server.
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
PARTS = ("queued to sent", "sent to acknowledged", "acknowledged to stored")


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
    """Prints one table: both ways, one at a time and 64 at once, in the same processes."""
    with tempfile.TemporaryDirectory() as folder, running_pair(Path(folder)) as (app, panel, agent_id):
        print(f"{'':>12} {'command p50':>14} {'p99':>9} {'unary p50':>12} {'p99':>9} {'ratio p50':>10} {'p99':>6}")
        for at_once in (1, 64):
            trips = measure_commands(app, agent_id, at_once)
            pings = measure_pings(Path(folder), panel.config.stream_port, at_once)
            print(
                f"{at_once:>3} at once  {1000 * trips.median:>11.2f} ms {1000 * trips.p99:>6.2f} ms "
                f"{1000 * pings.median:>9.2f} ms {1000 * pings.p99:>6.2f} ms "
                f"{trips.median / pings.median:>10.1f} {trips.p99 / pings.p99:>6.1f}",
                flush=True,
            )
            if at_once == 1:
                spent = ", ".join(f"{part} {1000 * seconds:.1f} ms" for part, seconds in where_it_goes(app).items())
                print(f"             of which (medians): {spent}")


@contextmanager
def running_pair(folder: Path) -> Iterator[tuple[Flask, Panel, str]]:
    """The panel in this process and a real agent in another one, joined and online."""
    state = folder / "panel"
    config = Config.from_env({"PANEL_STATE_DIR": str(state), "PANEL_BUNDLED_AGENT": "local", **_ports("PANEL")})
    app = create_app(config)
    with app.app_context():
        db.create_all()
    panel_process = Panel(app)
    # The floor is only a floor on the very same server, so it is added to it from outside.
    panel_process._stream.server.add_generic_rpc_handlers((Ping(),))  # noqa: SLF001
    panel_process.start()
    agent = subprocess.Popen(
        [sys.executable, "-m", "agent", "run"], cwd=ROOT, env=_agent_environment(folder, panel_process)
    )
    try:
        yield app, panel_process, wait_until(lambda: _online(app), "the agent is online")
    finally:
        agent.terminate()
        agent.wait()
        panel_process.stop()


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


def measure_pings(folder: Path, port: int, at_once: int) -> Times:
    """Unary calls from a process like the agent: plain threads, the agent's own certificate."""
    command = [sys.executable, "-m", "benchmarks.pings", str(folder / "agent" / "identity"), str(port), str(at_once)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return Times([float(line) for line in done.stdout.split()])


def where_it_goes(app: Flask) -> dict[str, float]:
    """Medians in seconds between the times of the first rows, which ran one at a time."""
    with app.app_context():
        rows = db.session.query(Command).order_by(Command.created_at).limit(ROUNDS).all()
        times = [(row.created_at, row.sent_at, row.acked_at, row.finished_at) for row in rows]
    complete = [[at for at in row if at is not None] for row in times]
    spans = [[(after - at).total_seconds() for at, after in pairwise(row)] for row in complete]
    return {
        part: statistics.median(span[index] for span in spans if len(span) == len(PARTS))
        for index, part in enumerate(PARTS)
    }


if __name__ == "__main__":
    main()
