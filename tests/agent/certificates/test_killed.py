"""The agent is killed at every step of a certificate, or its disk is full: one order, one truth, nginx goes on.
May import: agent, protos, tests.agent."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from agent.acme.lineage import mend
from agent.acme.state import Window
from agent.acme.store import Store
from agent.identity import save
from agent.nginx.setup import prepare
from protos import command_stream_pb2 as pb
from tests.agent.certificates.bench import CertificateBench
from tests.agent.conftest import Bench, wait_for
from tests.agent.far_side import AgentProcess, FarSide, Stream, command
from tests.faults.plant import limit_files
from tests.pebble import Pebble

HEARTBEAT = 3.0  # seconds; a loaded machine may pause for more than twice of less, and the agent would call again


@dataclass
class Machine:
    """An agent's process beside nginx, and the panel's end of its stream."""

    bench: CertificateBench
    far_side: FarSide
    agent: AgentProcess
    stream: Stream | None = None

    def start(self, **environ: str) -> Stream:
        self.agent.start(**environ)
        self.stream = self.far_side.next_stream()
        return self.stream

    def send(self, command_id: str, **action: Any) -> None:
        assert self.stream is not None
        self.stream.send(command=command(command_id, **action))

    def result(self, command_id: str) -> pb.CommandResult:
        assert self.stream is not None
        while True:
            result = self.stream.result(60)
            self.stream.confirm(result)
            if result.command_id == command_id:
                return result

    def text(self) -> str:
        assert self.stream is not None
        return "\n".join(line.text for line in self.stream.lines())

    def store(self) -> Store:
        return Store(self.bench.bench.config.acme_dir)


@pytest.fixture
def machine(bench: Bench, pebble: Pebble) -> Iterator[Machine]:
    """A host with https, whose certificate the agent that now begins has issued."""
    certificates = CertificateBench(bench, pebble).start()
    certificates.apply()
    certificates.has_https("k.example")
    certificates.stop()
    far_side = FarSide(heartbeat=HEARTBEAT)
    save(bench.config.identity_dir, far_side.identity())
    agent = AgentProcess(bench.config)
    yield Machine(certificates, far_side, agent)
    agent.kill()
    far_side.stop()


STEPS = [
    ("acme:order_stored", 1),
    ("certificate:obtained", 1),
    ("certificate:file", 4),
    ("certificate:written", 1),
    ("certificate:stored", 1),
    ("certificate:intent", 1),
    ("certificate:link", 3),
    ("certificate:switched", 1),
    ("certificate:served", 1),
    ("after_result", 1),
]


@pytest.mark.parametrize(("step", "nth"), STEPS, ids=[f"{step}-{nth}" for step, nth in STEPS])
def test_a_renewal_that_is_killed_anywhere_goes_on_and_orders_once(machine: Machine, step: str, nth: int) -> None:
    before, issued = machine.bench.serial("k.example"), machine.bench.pebble.issued()
    machine.start(AGENT_FAILPOINT=f"{step}:{nth}")
    machine.send("r1", renew_certificate=pb.RenewCertificate(name="k.example"))
    machine.agent.wait_dead()
    assert machine.bench.serial("k.example"), "nginx went on"
    prepare(machine.bench.bench.config)
    mend(machine.bench.root)
    assert machine.bench.lineages.look("k.example").problem == ""
    test = subprocess.run(["nginx", "-t", "-c", machine.bench.bench.layout.conf], capture_output=True)
    assert test.returncode == 0
    machine.start()
    result = machine.result("r1")
    assert result.error == "", machine.text()
    assert result.renew_certificate.certificate.serial == machine.bench.serial("k.example") != before
    assert machine.bench.pebble.issued() - issued == 1
    sight = machine.bench.lineages.look("k.example")
    assert sight.problem == ""
    assert sight.version == machine.bench.lineages.versions("k.example")[-1]
    challenges = machine.bench.bench.layout.webroot / ".well-known" / "acme-challenge"
    assert not challenges.exists() or list(challenges.iterdir()) == []


def test_a_first_certificate_that_is_killed_goes_on(machine: Machine) -> None:
    machine.start(AGENT_FAILPOINT="certificate:switched")
    spec = machine.bench.spec("first.example")
    machine.send("i1", issue_certificate=pb.IssueCertificate(spec=spec, accept_warnings=True))
    machine.agent.wait_dead()
    stream = machine.start()
    states = {entry.command_id: entry.state for entry in stream.seen[0].hello.open_commands}
    assert states["i1"] == pb.OpenCommand.RUNNING
    assert {provider.id for provider in stream.seen[0].hello.dns_providers} >= {"cloudflare", "manual", "rfc2136"}
    assert machine.result("i1").error == ""
    names = [
        {c.name for c in m.report.certificates.certificates} for m in stream.seen if m.report.HasField("certificates")
    ]
    while {"k.example", "first.example"} not in names:
        names.append({c.name for c in stream.expect("report").report.certificates.certificates})


def test_weeks_without_a_panel(machine: Machine) -> None:
    """The agent renews what is due by itself, nginx serves it, and everything is told on return."""
    make_due(machine)
    before = machine.bench.serial("k.example")
    machine.far_side.stop()
    machine.agent.start()
    wait_for(lambda: machine.bench.serial("k.example") not in {before, ""}, 30)
    store = machine.store()
    wait_for(lambda: (found := store.get("k.example")) and found.served and not found.install, 10)
    store.close()
    machine.agent.stop()
    machine.far_side = FarSide(heartbeat=HEARTBEAT)
    save(machine.bench.bench.config.identity_dir, machine.far_side.identity())
    stream = machine.start()
    (entry,) = [entry for entry in stream.seen[0].hello.open_commands if entry.HasField("started")]
    assert entry.started.renew_certificate.name == "k.example"
    assert entry.started.command_id == entry.command_id
    assert entry.started.started_at.ToDatetime(UTC) > datetime.now(UTC) - timedelta(minutes=5)
    assert entry.state == pb.OpenCommand.FINISHED
    result = machine.result(entry.command_id)
    assert result.error == ""
    assert result.renew_certificate.served
    assert "nginx serves the new certificate" in machine.text()


def test_a_certificate_that_vanishes_without_a_panel_leaves_plain_http_and_comes_back(
    machine: Machine, tmp_path: Path
) -> None:
    bench, live = machine.bench.bench, machine.bench.root / "live" / "k.example"
    machine.far_side.stop()
    machine.agent.start()
    live.rename(tmp_path / "away")
    wait_for(lambda: "whose certificate is gone" in bench.layout.conf.read_text(), 30)
    bench.stop()
    bench.start()
    assert bench.get("k.example") == (200, "hello")
    assert machine.bench.serial("k.example") == ""
    (tmp_path / "away").rename(live)
    wait_for(lambda: machine.bench.serial("k.example") != "", 30)


def test_a_renewal_that_begins_while_the_panel_listens_is_told_before_its_output(machine: Machine) -> None:
    stream = machine.start()
    stream.expect("report")
    machine.agent.stop()
    make_due(machine)
    stream = machine.start()
    started = [entry.started for entry in stream.seen[0].hello.open_commands if entry.HasField("started")]
    command_id = (started[0] if started else stream.expect("command_started").command_started).command_id
    result = machine.result(command_id)
    assert result.error == ""
    kinds = [m.WhichOneof("body") for m in stream.seen]
    if "command_started" in kinds:
        assert kinds.index("command_started") < kinds.index("command_output")


def test_a_full_disk_keeps_the_old_certificate_and_orders_nothing_twice(machine: Machine) -> None:
    before, issued = machine.bench.serial("k.example"), machine.bench.pebble.issued()
    machine.start()
    limit_files(machine.agent.pid, 3000)  # too little for a journal page, or for a chain
    assert machine.stream is not None
    machine.send("full", renew_certificate=pb.RenewCertificate(name="k.example"))
    ack = machine.stream.expect("command_ack").command_ack
    assert ack.verdict == pb.CommandAck.REJECTED
    assert machine.bench.serial("k.example") == before
    limit_files(machine.agent.pid, -1)
    machine.send("again", renew_certificate=pb.RenewCertificate(name="k.example"))
    assert machine.result("again").error == ""
    assert machine.bench.pebble.issued() - issued == 1


def make_due(machine: Machine) -> None:
    store = machine.store()
    leaf = machine.bench.lineages.look("k.example").leaf
    assert leaf is not None
    past = datetime.now(UTC) - timedelta(days=1)
    store.update("k.example", window=Window(leaf.sha256, past, past + timedelta(hours=1), past))
    store.close()
