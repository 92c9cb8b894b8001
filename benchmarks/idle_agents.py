"""Many idle agents on one panel: memory per agent, CPU at rest, and the round trip of a command against one agent's.
May import: panel, benchmarks, tests.product. Run: python -m benchmarks.idle_agents [agents]"""

from __future__ import annotations

import panel.bootstrap  # noqa: F401 - first, as in every program of the panel

import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import gevent
import psutil
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from flask import Flask

from benchmarks.roundtrip import Times, measure_commands
from panel import metrics, pki
from panel.app import create_app
from panel.config import Config
from panel.extensions import db, transaction
from panel.models import Agent
from panel.models.types import utcnow
from panel.serve import Panel
from panel.services import agents, enrollments
from tests.product import ROOT, free_ports

PER_CLIENT = 250  # agents of one client process
SETTLE, REST = 20.0, 30.0  # seconds until nothing is left of the connecting, and of watching the panel rest
TRIPS = 5  # measured agents; medians and p99 over all of them


def main(count: int) -> None:
    """Prints the panel with one agent and with `count`, in one run of one panel."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    with tempfile.TemporaryDirectory() as name, running_panel(Path(name), count) as (app, panel_process, identities):
        bench = Bench(app, panel_process.config.stream_port, identities, count)
        with ExitStack() as stack:
            stack.enter_context(bench.connected(0, 1))
            alone = bench.measure("1 agent", [0])
            before = _resident()
            began = time.monotonic()
            for first in range(1, count, PER_CLIENT):
                stack.enter_context(bench.connected(first, min(first + PER_CLIENT, count)))
            took = time.monotonic() - began
            gevent.sleep(SETTLE)
            grown = (_resident() - before) / max(1, count - 1)
            many = bench.measure(f"{count} agents", random.Random(1).sample(range(count), TRIPS))
        print(f"{count} agents connected in {took:.1f} s; memory per agent {grown:.0f} KiB")
        print(f"round trip {count} : 1   p50 {many.median / alone.median:.2f}   p99 {many.p99 / alone.p99:.2f}")


class Bench:
    """The panel of this process and its fake agents."""

    def __init__(self, app: Flask, port: int, identities: Path, count: int) -> None:
        self._app, self._port, self._identities = app, port, identities
        self._ids = [agent["id"] for agent in json.loads(identities.read_text())["agents"]]

    @contextmanager
    def connected(self, first: int, end: int) -> Iterator[None]:
        """The agents from `first` to before `end`, in a process of their own without gevent."""
        words = ["benchmarks.idle_clients", str(self._identities), str(self._port), str(first), str(end)]
        command = [sys.executable, "-m", *words]
        client = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        with client:
            assert client.stdout is not None
            assert client.stdin is not None
            if client.stdout.readline() != "ready\n":
                raise RuntimeError("the agents could not connect")
            yield
            client.stdin.close()

    def measure(self, name: str, chosen: list[int]) -> Times:
        """Prints CPU and lag at rest, then round trips to the chosen agents one at a time."""
        process, lags = psutil.Process(), Lags()
        used, began = sum(process.cpu_times()[:2]), time.monotonic()
        gevent.sleep(REST)
        share = 100 * (sum(process.cpu_times()[:2]) - used) / (time.monotonic() - began)
        trips = [seconds for n in chosen for seconds in measure_commands(self._app, self._ids[n], 1).seconds]
        times = Times(trips)
        print(
            f"{name:>12}: CPU at rest {share:.1f} %, late at rest {1000 * lags.mean():.2f} ms on average, "
            f"round trip p50 {1000 * times.median:.2f} ms, p99 {1000 * times.p99:.2f} ms",
            flush=True,
        )
        return times


class Lags:
    """How late the hub was, on average, since this was made."""

    def __init__(self) -> None:
        self._before = self._read()

    def mean(self) -> float:
        """Seconds."""
        seconds, count = (now - before for now, before in zip(self._read(), self._before, strict=True))
        return seconds / max(1.0, count)

    def _read(self) -> tuple[float, float]:
        samples = {sample.name: sample.value for metric in metrics.hub_lag.collect() for sample in metric.samples}
        return samples["waypost_hub_lag_seconds_sum"], samples["waypost_hub_lag_seconds_count"]


@contextmanager
def running_panel(state: Path, count: int) -> Iterator[tuple[Flask, Panel, Path]]:
    """The panel in this process, with so many agents that have joined; the file holds their certificates."""
    names = ("PANEL_PORT", "PANEL_STREAM_PORT", "PANEL_ENROLL_PORT")
    ports = {name: str(port) for name, port in zip(names, free_ports(3), strict=True)}
    app = create_app(Config.from_env({"PANEL_STATE_DIR": str(state), **ports}))
    with app.app_context():
        db.create_all()
    panel_process = Panel(app)
    identities = state / "identities.json"
    identities.write_text(json.dumps(_join(app, count)))
    panel_process.start()
    try:
        yield app, panel_process, identities
    finally:
        panel_process.stop()


def _join(app: Flask, count: int) -> dict[str, object]:
    """Agents that have their certificates and nothing to apply; they share one key, which only saves time."""
    config: Config = app.config["WAYPOST"]
    authority = pki.open_authority(config.pki_dir, utcnow())
    key = ec.generate_private_key(ec.SECP256R1())
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    csr_pem = request.public_bytes(serialization.Encoding.PEM)
    joined = []
    for number in range(count):
        with app.app_context(), transaction():
            _, token = agents.create(f"idle-{number}", None, config)
            found = enrollments.enroll(token.split(".")[1], csr_pem, "idle", authority, utcnow())
            db.session.get_one(Agent, found.agent_id).applied_revision = "idle"
            joined.append({"id": found.agent_id, "certificate_pem": found.certificate_pem.decode()})
    encoding, layout = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    key_pem = key.private_bytes(encoding, layout, serialization.NoEncryption()).decode()
    return {"agents": joined, "key_pem": key_pem, "ca_pem": authority.pem.decode()}


def _resident() -> float:
    """KiB."""
    return float(psutil.Process().memory_info().rss) / 1024


if __name__ == "__main__":
    main(int((sys.argv[1:] or ["1000"])[0]))
