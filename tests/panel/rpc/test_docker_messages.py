"""Docker on the wire: names are hostile, reports may be endless, and commands carry what people asked for."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from panel.models import Command, CommandKind, CommandState
from panel.models.types import utcnow
from panel.rpc import docker_orders, docker_states, orders, results
from panel.services.upstreams import Upstream
from protos import command_stream_pb2 as pb


def command(kind: CommandKind, payload: dict[str, Any]) -> Command:
    expires_at = utcnow() + timedelta(hours=1)
    return Command(id="c1", seq=1, kind=kind, payload=payload, expires_at=expires_at, run_timeout=60.0)


def sent(kind: CommandKind, payload: dict[str, Any]) -> pb.Command:
    return orders.command(command(kind, payload)).command


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("\x1b[31mfront\x1b[0m", "front"),
        ("front\u202etropmi", "fronttropmi"),
        ("front\x00", "front"),
        ("front\nend", "frontend"),
        ("x" * 300, "x" * 253),
    ],
)
def test_a_name_that_is_another_one_when_clean_is_shown_and_not_acted_on(name: str, shown: str) -> None:
    read = docker_states.network(pb.DockerNetwork(name=name))
    assert read["name"] == shown
    assert read["attach_refusal"] == read["detach_refusal"] == docker_states.STRANGE_NAME


@pytest.mark.parametrize("name", ["front", "--privileged", '"><script>', "$(reboot)", "front end", "сеть", "../../etc"])
def test_a_name_that_is_only_ugly_stays_as_it_is(name: str) -> None:
    read = docker_states.network(pb.DockerNetwork(name=name))
    assert (read["name"], read["attach_refusal"]) == (name, "")


def test_a_report_is_capped_in_every_direction() -> None:
    endless = "x" * 5_000
    aliases = [endless] * 100
    container = pb.DockerContainer(
        name="c",
        image=endless,
        state=endless,
        ports=[pb.DockerPort(private=80, protocol=endless)] * 100,
        endpoints=[pb.DockerEndpoint(network=endless, address=endless, aliases=aliases)] * 100,
        labels={f"waypost.{number}": endless for number in range(100)} | {"other": endless},
    )
    network = pb.DockerNetwork(name="n", subnets=aliases, containers=["c"] * 1000, aliases=aliases)
    report = docker_states.report(
        pb.DockerReport(
            problem=endless,
            networks=[network] + [pb.DockerNetwork(name="n")] * 600,
            containers=[container] + [pb.DockerContainer(name="c")] * 1200,
        )
    )
    assert (len(report["networks"]), len(report["containers"])) == (500, 1000)
    first = report["containers"][0]
    assert (len(first["ports"]), len(first["endpoints"]), len(first["labels"])) == (50, 50, 20)
    assert len(first["image"]) == 512
    assert all(len(value) <= 2000 for value in first["labels"].values())
    assert {len(alias) for alias in first["endpoints"][0]["aliases"]} == {253}
    assert len(report["networks"][0]["containers"]) == 200
    assert len(report["problem"]) == 4096


def test_what_has_no_name_and_ports_that_are_none_are_left_out() -> None:
    ports = [pb.DockerPort(private=0), pb.DockerPort(private=70_000), pb.DockerPort(private=80, public=99_999)]
    report = docker_states.report(
        pb.DockerReport(
            networks=[pb.DockerNetwork()], containers=[pb.DockerContainer(), pb.DockerContainer(name="c", ports=ports)]
        )
    )
    assert report["networks"] == []
    assert [one["ports"] for one in report["containers"]] == [[{"private": 80, "public": 0, "protocol": ""}]]


def test_only_labels_for_waypost_are_kept() -> None:
    message = pb.DockerContainer(
        name="c", labels={"waypost.host": "a.example.com\x1b[0m", "secret": "x", "waypost": "y"}
    )
    assert docker_states.container(message)["labels"] == {"waypost.host": "a.example.com"}


def test_upstreams_are_cleaned_and_their_times_are_times() -> None:
    at = Timestamp(seconds=1_790_000_000)
    state = pb.UpstreamState(
        scheme="http", host="app", port=99_999, cause="refused\x00", sentence="\x1b[1mno", checked_at=at, milliseconds=9
    )
    read = docker_states.upstream(state)
    assert (read["port"], read["cause"], read["sentence"]) == (65535, "refused", "no")
    assert read["checked_at"] == "2026-09-21T14:13:20+00:00"
    assert docker_states.upstream(pb.UpstreamState(ok=True, cause="refused"))["cause"] == ""
    strange = pb.UpstreamState(checked_at=Timestamp(seconds=1 << 60))
    assert docker_states.upstream(strange)["checked_at"] is None
    assert len(docker_states.upstreams(pb.UpstreamReport(upstreams=[state] * 3000))) == 2000


def test_commands_carry_what_was_asked_for() -> None:
    attach = sent(CommandKind.ATTACH_NETWORK, {"network": "--front", "aliases": ["edge"]})
    assert attach.attach_network == pb.AttachNetwork(network="--front", aliases=["edge"])
    assert sent(CommandKind.DETACH_NETWORK, {"network": "front"}).detach_network.network == "front"
    assert sent(CommandKind.LIST_NETWORKS, {}).WhichOneof("action") == "list_networks"
    assert sent(CommandKind.LIST_CONTAINERS, {}).WhichOneof("action") == "list_containers"
    assert sent(CommandKind.CONTAINER_NETWORKS, {"container": "app"}).container_networks.container == "app"
    check = sent(CommandKind.CHECK_UPSTREAM, {"scheme": "https", "host": "app", "port": 443})
    assert check.check_upstream.upstream == pb.Upstream(scheme="https", host="app", port=443)


def test_upstreams_go_with_an_apply_and_never_make_it_too_large() -> None:
    row = command(CommandKind.APPLY_CONFIG, {"revision": "r"})
    files = orders.Files({"hosts/1-a.conf": "0" * 64}, {"0" * 64: 0}, {"0" * 64: ""})
    many = [Upstream("http", f"{'x' * 240}{number}", 80) for number in range(5000)]
    few = orders.command(row, files, many[:3])
    assert [one.host for one in few.command.apply_config.upstreams] == [one.host for one in many[:3]]
    full = orders.command(row, files, many)
    assert 100 < len(full.command.apply_config.upstreams) < 300
    assert full.ByteSize() < docker_orders.ROOM + 4096


def test_without_room_an_apply_goes_without_upstreams() -> None:
    message = pb.ApplyConfig()
    docker_orders.add_upstreams(message, [Upstream("http", "app", 80)], room=-1)
    assert not message.upstreams


def test_the_answers_of_commands_are_read_clean() -> None:
    reply = pb.CommandResult(
        outcome=pb.CommandResult.SUCCEEDED,
        attach_network=pb.AttachNetworkResult(network=pb.DockerNetwork(name="front", attached=True, wanted=True)),
    )
    outcome = results.outcome(command(CommandKind.ATTACH_NETWORK, {"network": "front"}), reply)
    assert outcome.state is CommandState.SUCCEEDED
    assert outcome.result["network"]["attached"]
    gone = pb.CommandResult(outcome=pb.CommandResult.SUCCEEDED, detach_network=pb.DetachNetworkResult())
    assert results.outcome(command(CommandKind.DETACH_NETWORK, {}), gone).result == {"network": None}
    answer = pb.CheckUpstreamResult(state=pb.UpstreamState(host="app", sentence="\x1b[0mclosed"))
    checked = pb.CommandResult(outcome=pb.CommandResult.SUCCEEDED, check_upstream=answer)
    assert results.outcome(command(CommandKind.CHECK_UPSTREAM, {}), checked).result["state"]["sentence"] == "closed"
    listed = pb.CommandResult(
        outcome=pb.CommandResult.SUCCEEDED,
        list_containers=pb.ListContainersResult(containers=[pb.DockerContainer(name="a\x00")]),
    )
    assert results.outcome(command(CommandKind.LIST_CONTAINERS, {}), listed).result["containers"][0]["name"] == "a"
    endpoint = pb.ContainerNetworksResult(endpoints=[pb.DockerEndpoint(network="front", address="10.0.0.2")])
    places = pb.CommandResult(outcome=pb.CommandResult.SUCCEEDED, container_networks=endpoint)
    read = results.outcome(command(CommandKind.CONTAINER_NETWORKS, {}), places).result
    assert read == {"endpoints": [{"network": "front", "address": "10.0.0.2", "aliases": []}]}


def test_an_agent_that_answers_something_else_is_not_believed() -> None:
    reply = pb.CommandResult(outcome=pb.CommandResult.SUCCEEDED, detach_network=pb.DetachNetworkResult())
    assert results.outcome(command(CommandKind.ATTACH_NETWORK, {}), reply).state is CommandState.FAILED
