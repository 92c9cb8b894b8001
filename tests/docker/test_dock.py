"""An agent's whole workshop beside a real Engine: what it tells the panel, and what it does when it is told."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest

from agent.config import AgentConfig
from agent.handlers.questions import is_question
from agent.handlers.workshop import Wires, Workshop
from agent.journal import Journal, State
from agent.nginx.setup import prepare
from protos import command_stream_pb2 as pb
from tests.docker.conftest import Yard
from tests.docker.engine import NGINX

WITHIN = 15.0  # seconds
_T = TypeVar("_T")


class Panel:
    """The far side of a workshop."""

    def __init__(self, config: AgentConfig) -> None:
        self._news = threading.Condition()
        self._reports: list[pb.Report] = []
        self._answers: dict[str, pb.CommandResult] = {}
        prepare(config)
        self.journal = Journal(config.journal_path)
        wires = Wires(self._hear, lambda result, _: self._take(result), lambda _: self._ring())
        self.workshop = Workshop(config, self.journal, wires, threading.Event())

    def start(self) -> Panel:
        self.workshop.start()
        self.workshop.connected()
        return self

    def stop(self) -> None:
        self.workshop.refuse_more()
        self.workshop.stop(10)

    def docker(self, true: Callable[[pb.DockerReport], _T | None]) -> _T:
        """Waits until the last report is such; what that says."""
        return self._until(lambda: self._last(lambda report: true(report.docker), "docker"))

    def upstream(self, true: Callable[[pb.UpstreamState], bool]) -> pb.UpstreamState:
        """Waits until an upstream is such."""
        return self._until(
            lambda: self._last(lambda report: next(filter(true, report.upstreams.upstreams), None), "upstreams")
        )

    def count(self) -> int:
        """How many reports about Docker came."""
        return sum(report.HasField("docker") for report in self._reports)

    def run(self, **action: object) -> pb.CommandResult:
        """Sends a command or a question; its end."""
        command = pb.Command(command_id=str(uuid.uuid4()), **action)  # type: ignore[arg-type]
        command.run_timeout.FromSeconds(30)
        if is_question(command):
            self.workshop.questions.begin(command)
            return self._until(lambda: self._answers.get(command.command_id))
        assert self.workshop.dispatcher.accept(command).verdict == pb.CommandAck.ACCEPTED
        self.workshop.dispatcher.begin(command)
        return self._until(lambda: self._result(command.command_id))

    def _result(self, command_id: str) -> pb.CommandResult | None:
        entry = self.journal.get(command_id)
        if entry is None or entry.state is not State.FINISHED or entry.result is None:
            return None
        return pb.CommandResult.FromString(entry.result)

    def _last(self, read: Callable[[pb.Report], _T | None], part: str) -> _T | None:
        told = [report for report in self._reports if report.HasField(part)]  # type: ignore[arg-type]
        return read(told[-1]) if told else None

    def _until(self, found: Callable[[], _T | None]) -> _T:
        with self._news:
            assert self._news.wait_for(found, WITHIN), self._reports[-1:]
            value = found()
        assert value
        return value

    def _hear(self, message: pb.AgentMessage) -> bool:
        with self._news:
            self._reports.append(message.report)
            self._news.notify_all()
        return True

    def _take(self, result: pb.CommandResult) -> None:
        with self._news:
            self._answers[result.command_id] = result
            self._news.notify_all()

    def _ring(self) -> None:
        with self._news:
            self._news.notify_all()


@pytest.fixture
def panel(config: AgentConfig, yard: Yard) -> Iterator[Panel]:
    """A workshop that runs beside nginx."""
    yard.container("nginx", image=NGINX, options=("--network", yard.network("front")))
    made = Panel(config).start()
    yield made
    made.stop()


def network(report: pb.DockerReport, name: str) -> pb.DockerNetwork:
    return next((one for one in report.networks if one.name == name), pb.DockerNetwork())


def container(report: pb.DockerReport, name: str) -> pb.DockerContainer:
    return next((one for one in report.containers if one.name == name), pb.DockerContainer())


def test_a_network_is_joined_told_of_and_left(panel: Panel, yard: Yard) -> None:
    back = yard.network("back")
    assert panel.docker(lambda report: network(report, back).id)
    attached = panel.run(attach_network=pb.AttachNetwork(network=back, aliases=["proxy"]))
    assert attached.error == ""
    found = attached.attach_network.network
    assert (found.attached, found.wanted, "proxy" in found.aliases) == (True, True, True)
    assert panel.docker(lambda report: network(report, back).attached)
    assert panel.run(attach_network=pb.AttachNetwork(network=back)).error == ""
    assert panel.run(detach_network=pb.DetachNetwork(network=back)).error == ""
    assert panel.docker(lambda report: network(report, back).id and not network(report, back).attached)
    refused = panel.run(detach_network=pb.DetachNetwork(network=yard.name("front")))
    assert "only network" in refused.error
    assert panel.docker(lambda report: network(report, yard.name("front")).detach_refusal)


def test_a_wanted_network_that_is_gone_is_told_as_missing(panel: Panel, yard: Yard) -> None:
    back = yard.network("back")
    panel.run(attach_network=pb.AttachNetwork(network=back))
    yard.docker("network", "disconnect", back, yard.name("nginx"))
    panel.docker(lambda report: network(report, back).attached)  # it was put back; now for good
    yard.docker("rm", "-f", yard.name("nginx"))
    yard.docker("network", "rm", back)
    missing = panel.docker(lambda report: network(report, back) if network(report, back).missing else None)
    assert (missing.wanted, missing.attached) == (True, False)


def test_containers_are_told_with_their_ports_names_and_our_labels(panel: Panel, yard: Yard) -> None:
    hostile = "<script>\x1b[31mx\u202e"
    options = ("--network", yard.name("front"), "--network-alias", "shop", "-p", "127.0.0.1::8080")
    labels = ("--label", "waypost.host=a.example", "--label", f"waypost.port={hostile}", "--label", "secret.key=1")
    name = yard.container("shop", options=(*options, *labels))
    found = panel.docker(lambda report: container(report, name) if container(report, name).ports else None)
    assert dict(found.labels) == {"waypost.host": "a.example", "waypost.port": "<script>x"}
    assert "shop" in found.endpoints[0].aliases
    assert found.ports[0].public > 0
    assert not found.own
    assert panel.docker(lambda report: container(report, yard.name("nginx")).own)


def test_what_does_not_differ_is_not_told_again(panel: Panel, yard: Yard) -> None:
    name = yard.container("quiet")
    panel.docker(lambda report: container(report, name).state == "running")
    told = panel.count()
    yard.docker("exec", name, "true")
    yard.docker("rename", name, f"{name}-2")  # news that ends the silence
    panel.docker(lambda report: container(report, f"{name}-2").id)
    assert panel.count() == told + 1


def test_questions_are_answered(panel: Panel, yard: Yard) -> None:
    networks = panel.run(list_networks=pb.ListNetworks()).list_networks.networks
    assert {"bridge", "host", yard.name("front")} <= {one.name for one in networks}
    containers = panel.run(list_containers=pb.ListContainers()).list_containers.containers
    assert yard.name("nginx") in {one.name for one in containers}
    places = panel.run(container_networks=pb.ContainerNetworks(container=yard.name("nginx")))
    assert [one.network for one in places.container_networks.endpoints] == [yard.name("front")]
    unknown = panel.run(container_networks=pb.ContainerNetworks(container="../<b>x</b>"))
    assert "There is no container" in unknown.error


def test_an_upstream_is_told_of_when_its_container_changes(panel: Panel, config: AgentConfig, yard: Yard) -> None:
    back = yard.network("back")
    shop = yard.container("shop", "nginx", "-g", "daemon off;", image=NGINX, options=("--network", back))
    upstream = pb.Upstream(scheme="http", host=shop, port=80)
    action = pb.ApplyConfig(bundle=pb.ConfigBundle(revision="none"), upstreams=[upstream])
    assert panel.run(apply_config=action).error, "an empty bundle is refused, and its upstreams are remembered"
    assert panel.upstream(lambda state: state.cause == "no_common_network").network == back
    panel.run(attach_network=pb.AttachNetwork(network=back))
    assert panel.upstream(lambda state: state.ok)
    yard.docker("stop", "-t", "0", shop)
    assert panel.upstream(lambda state: state.cause == "stopped").container == shop
    answer = panel.run(check_upstream=pb.CheckUpstream(upstream=upstream))
    assert answer.check_upstream.state.cause == "stopped"


def test_a_missing_socket_is_said_when_nginx_is_in_a_container(config: AgentConfig, tmp_path: Path) -> None:
    panel = Panel(replace(config, docker_host=f"unix://{tmp_path}/none.sock")).start()
    try:
        assert "There is no Docker Engine" in panel.docker(lambda report: report.problem)
        answer = panel.run(list_networks=pb.ListNetworks())
        assert "There is no Docker Engine" in answer.error
    finally:
        panel.stop()


@pytest.mark.parametrize("host", ["", "unix:///nowhere/docker.sock"])
def test_a_machine_without_docker_has_nothing_to_say(config: AgentConfig, host: str) -> None:
    panel = Panel(replace(config, docker_host=host, nginx_container="")).start()
    threads = {thread.name for thread in threading.enumerate()}
    try:
        assert panel.docker(lambda report: not report.present and not report.problem)
        assert not {"docker", "docker-news"} & threads
        refused = panel.run(attach_network=pb.AttachNetwork(network="x"))
        assert refused.error
    finally:
        panel.stop()
