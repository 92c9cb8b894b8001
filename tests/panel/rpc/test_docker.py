"""Docker over a real stream: reports are stored, joining is asked for before the apply, and answers count at once.
May import: panel, protos, tests.panel.rpc."""

from __future__ import annotations

from typing import Any

from flask import Flask

from panel.config import Config
from panel.extensions import db, transaction
from panel.models import Agent, CommandState
from panel.services import agents, commands, deployments, form_checks, networks, proxy_hosts, sessions, upstreams
from panel.services.proxy_hosts import ProxyHostSpec
from protos import command_stream_pb2 as pb
from tests.panel.rpc.conftest import APPLIED
from tests.panel.rpc.wire import Identity, Wire, until


def docker(**network: Any) -> pb.DockerReport:
    front = pb.DockerNetwork(id="1", name="front\x1b[31m<b>" if network.pop("odd", False) else "front", **network)
    return pb.DockerReport(present=True, version="27.3.1", nginx_container="nginx", networks=[front])


def stored(app: Flask, agent_id: str) -> dict[str, Any]:
    with app.app_context():
        report: dict[str, Any] = db.session.get_one(Agent, agent_id).docker
        return report


def finished(app: Flask, command_id: str) -> None:
    def is_over() -> bool:
        with app.app_context():
            return commands.get(command_id).state == CommandState.SUCCEEDED

    until(is_over)


def test_a_report_is_stored_clean(app: Flask, live: Config, ready: tuple[str, Identity]) -> None:
    agent_id, identity = ready
    with Wire(live, identity) as wire:
        wire.greet(revision=APPLIED)
        wire.send(report=pb.Report(docker=docker(odd=True)))
        until(lambda: "networks" in stored(app, agent_id))
    (network,) = stored(app, agent_id)["networks"]
    assert network["name"] == "front<b>"
    assert "hidden characters" in network["attach_refusal"]


def test_a_report_without_nginx_changes_nothing_of_nginx(app: Flask, live: Config, ready: tuple[str, Identity]) -> None:
    agent_id, identity = ready

    def facts() -> tuple[int, int, str]:
        with app.app_context():
            agent = db.session.get_one(Agent, agent_id)
            return agent.http_port, agent.https_port, agent.nginx_version

    with Wire(live, identity) as wire:
        wire.greet(revision=APPLIED)
        before = facts()
        wire.send(report=pb.Report(docker=docker()))
        until(lambda: "networks" in stored(app, agent_id))
        assert facts() == before != (0, 0, "")


def test_a_session_that_was_replaced_reports_nothing(app: Flask, live: Config, ready: tuple[str, Identity]) -> None:
    agent_id, identity = ready
    with Wire(live, identity) as wire:
        wire.greet(revision=APPLIED)
        with app.app_context(), transaction():
            agents.get(agent_id).session_epoch += 1
            assert not sessions.is_current(agent_id, 1)
        wire.send(report=pb.Report(docker=docker()))
        wire.expect("goodbye")
    assert stored(app, agent_id) == {}


def test_nginx_is_joined_before_the_apply_that_needs_it(app: Flask, live: Config, ready: tuple[str, Identity]) -> None:
    agent_id, identity = ready
    with Wire(live, identity) as wire:
        wire.greet(revision=APPLIED)
        wire.send(report=pb.Report(docker=docker()))
        until(lambda: "networks" in stored(app, agent_id))
        with app.app_context(), transaction():
            agent = agents.get(agent_id)
            host = proxy_hosts.create(ProxyHostSpec(agent_id, ("app.example.com",), "https", "app", 8443), None)
            networks.attach(agent, "front", None)
            deployments.apply(agent, None, at_once=True)
            host_id = host.id
        attach, apply = wire.expect("command"), wire.expect("command")
        assert attach.attach_network.network == "front"
        assert list(apply.apply_config.upstreams) == [pb.Upstream(scheme="https", host="app", port=8443)]
        joined = pb.DockerNetwork(id="1", name="front", attached=True, wanted=True)
        wire.send(
            command_result=pb.CommandResult(
                command_id=attach.command_id,
                outcome=pb.CommandResult.SUCCEEDED,
                attach_network=pb.AttachNetworkResult(network=joined),
            )
        )
        finished(app, attach.command_id)
        assert stored(app, agent_id)["networks"][0]["attached"]
        state = pb.UpstreamState(scheme="https", host="app", port=8443, cause="tls", sentence="It speaks no TLS.")
        wire.send(report=pb.Report(upstreams=pb.UpstreamReport(upstreams=[state])))

        def cause() -> str:
            with app.app_context():
                found = upstreams.health(proxy_hosts.get(host_id))
                return found.cause if found else ""

        until(lambda: cause() == "tls")


def test_where_names_lead_to_is_asked_and_answered_over_the_wire(
    app: Flask, live: Config, ready: tuple[str, Identity]
) -> None:
    agent_id, identity = ready
    with Wire(live, identity) as wire:
        wire.greet(revision=APPLIED)
        with app.app_context(), transaction():
            form_checks.look_up(agents.get(agent_id), ["app.example.com"], None)
        asked = wire.expect("command")
        assert asked.check_addresses == pb.CheckAddresses(names=["app.example.com"])
        found = pb.Finding(level=pb.Finding.OK, check="address", subject="app.example.com", sentence="\x1b[31mHere.")
        wire.send(
            command_result=pb.CommandResult(
                command_id=asked.command_id,
                outcome=pb.CommandResult.SUCCEEDED,
                check_addresses=pb.CheckAddressesResult(findings=[found]),
            )
        )
        finished(app, asked.command_id)
    with app.app_context():
        known = form_checks.addresses_of(agents.get(agent_id), ["app.example.com"])
    assert known["app.example.com"]["sentence"] == "Here."
