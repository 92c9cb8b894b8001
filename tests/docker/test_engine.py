"""What the agent sees of a real Engine, and the words it has when there is none."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from agent.docker.engine import DockerRefused, Engine
from agent.docker.knock import DockerUnavailable
from tests.docker.conftest import Yard


def test_containers_tell_their_names_networks_ports_and_labels(engine: Engine, yard: Yard) -> None:
    network = yard.network("front", "--subnet", "10.213.7.0/24")
    options = ("--network", network, "--network-alias", "shop", "-p", "127.0.0.1::8080", "--label", "waypost.host=a.b")
    name = yard.container("web", options=options)
    container = engine.find_container(name)
    assert container is not None
    assert container.is_running
    assert container.labels["waypost.host"] == "a.b"
    endpoint = container.endpoint(network)
    assert endpoint is not None
    assert endpoint.address.startswith("10.213.7.")
    assert [(port.private, port.protocol) for port in container.ports] == [(8080, "tcp")]
    assert container.ports[0].public > 0


def test_networks_tell_their_subnets_and_members(engine: Engine, yard: Yard) -> None:
    network = yard.network("front", "--subnet", "10.213.8.0/24", "--internal")
    name = yard.container("web", options=("--network", network))
    found = engine.find_network(network)
    assert found is not None
    assert (found.subnets, found.is_internal, found.members, found.refusal) == (("10.213.8.0/24",), True, (name,), "")


@pytest.mark.parametrize("name", ["host", "none"])
def test_networks_that_cannot_be_joined_say_why(engine: Engine, name: str) -> None:
    network = engine.find_network(name)
    assert network is not None
    assert network.refusal


@pytest.mark.parametrize(
    "name", ["", "..", "../networks", "x?all=1", "x/json", "<b>x</b>", "-v", "\x1b[31m", "x" * 5000]
)
def test_hostile_names_are_names_of_nothing(engine: Engine, name: str) -> None:
    assert engine.find_container(name) is None
    assert engine.find_network(name) is None


def test_a_container_may_be_called_by_its_short_id(engine: Engine, yard: Yard) -> None:
    name = yard.container("web")
    container = engine.find_container(name)
    assert container is not None
    assert engine.find_container(container.id[:12]) == container
    assert engine.find_container(container.id[:11]) is None


def test_health_is_told(engine: Engine, yard: Yard) -> None:
    options = ("--health-cmd", "false", "--health-interval", "200ms", "--health-retries", "1")
    name = yard.container("sick", options=options)
    stream = engine.events()
    try:
        for event in stream:
            if str(event.get("Action", "")).startswith("health_status: unhealthy"):
                break
    finally:
        stream.close()
    container = engine.find_container(name)
    assert container is not None
    assert container.health == "unhealthy"


def test_programs_run_without_a_shell(engine: Engine, yard: Yard) -> None:
    container = engine.find_container(yard.container("web"))
    assert container is not None
    assert engine.run(container, ["echo", "$HOME; exit 3"], 5.0) == (0, b"$HOME; exit 3\n")
    assert engine.run(container, ["false"], 5.0)[0] == 1


def test_a_program_that_does_not_end_is_given_up(engine: Engine, yard: Yard) -> None:
    container = engine.find_container(yard.container("web"))
    assert container is not None
    with pytest.raises(DockerUnavailable, match="did not answer in time"):
        engine.run(container, ["sleep", "30"], 1.0)


def test_processes_tell_their_titles_and_parents(engine: Engine, yard: Yard) -> None:
    container = engine.find_container(yard.container("web"))
    assert container is not None
    processes = {process.title: process for process in engine.processes(container)}
    sleeping = next(process for title, process in processes.items() if title.startswith("sleep"))
    assert sleeping.parent in {process.pid for process in processes.values()}
    assert 0 <= sleeping.age < 60


def test_what_the_engine_refuses_is_told_in_its_words(engine: Engine, yard: Yard) -> None:
    network = yard.network("front")
    container, joined = (
        engine.find_container(yard.container("web", options=("--network", network))),
        engine.find_network(network),
    )
    assert container is not None
    assert joined is not None
    with pytest.raises(DockerRefused, match="already"):
        engine.connect(joined, container)


def test_a_missing_socket_is_named(tmp_path: Path) -> None:
    with pytest.raises(DockerUnavailable, match=r"There is no Docker Engine at .*AGENT_DOCKER_HOST"):
        Engine(f"unix://{tmp_path}/none.sock").containers()


def test_a_socket_that_nobody_serves_is_told_from_a_missing_one(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "dead.sock"))
    with pytest.raises(DockerUnavailable, match="does not run"):
        Engine(f"unix://{tmp_path}/dead.sock").containers()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody without the right to the socket")
def test_a_forbidden_socket_says_whose_right_is_missing(docker_host: str) -> None:
    os.seteuid(65534)
    try:
        with pytest.raises(DockerUnavailable, match="may not use the Docker Engine"):
            Engine(docker_host).containers()
    finally:
        os.seteuid(0)


def test_events_end_when_they_are_closed(engine: Engine) -> None:
    stream = engine.events()
    stream.close()
    assert list(stream) == []
