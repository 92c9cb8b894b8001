"""Joining nginx to networks and taking it out: who may, what is refused, what is remembered of it."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from panel.errors import Conflict, Forbidden, NotFound
from panel.extensions import db, transaction
from panel.models import Agent, Command, CommandKind, CommandState, Event, User
from panel.models.types import utcnow
from panel.services import docker_facts, networks, outcomes
from panel.services.transitions import CommandOutcome
from tests.docking import OPTION, network, report, tell

pytestmark = pytest.mark.usefixtures("context")


def attach(agent: Agent, name: str, actor: User | None = None) -> Command:
    with transaction():
        return networks.attach(agent, name, actor)


def end(command: Command, result: dict[str, object]) -> None:
    """The agent reports success."""
    with transaction():
        command.state = CommandState.RUNNING
        db.session.flush()
        outcomes.record(command, CommandOutcome(CommandState.SUCCEEDED, result=result), utcnow())


def verbs() -> list[str]:
    return list(db.session.scalars(select(Event.verb).where(Event.noun == "agent").order_by(Event.id)))


def test_attaching_sends_one_command_for_docker_and_is_written_down(agent: Agent, bob: User) -> None:
    known = tell(agent, report([network(OPTION, aliases=["edge"])]))
    command = attach(known, OPTION, bob)
    assert (command.kind, command.resource) == (CommandKind.ATTACH_NETWORK, "docker")
    assert command.payload == {"network": OPTION, "aliases": ["edge"]}
    assert attach(known, OPTION, bob).id == command.id
    event = db.session.scalars(select(Event).where(Event.verb == "agent:attach-network")).one()
    assert (event.actor_id, event.after, event.command_id) == (bob.id, {"network": OPTION}, command.id)


def test_a_detach_that_follows_an_attach_is_a_command_of_its_own(agent: Agent) -> None:
    known = tell(agent, report([network("front")]))
    first = attach(known, "front")
    with transaction():
        second = networks.detach(known, "front", None)
    assert first.id != second.id
    assert networks.under_way(known)["front"].id == second.id


def test_viewers_join_nothing(agent: Agent, charlie: User) -> None:
    known = tell(agent, report([network("front")]))
    for act in (networks.attach, networks.detach):
        with pytest.raises(Forbidden), transaction():
            act(known, "front", charlie)


def test_what_the_agent_refuses_is_refused_here_with_its_reason(agent: Agent) -> None:
    refused = network("host", attach_refusal="It is the machine's own.", detach_refusal="nginx must stay.")
    known = tell(agent, report([refused]))
    with pytest.raises(Conflict, match=r"nginx cannot be joined to host\. It is the machine's own\."):
        attach(known, "host")
    with pytest.raises(Conflict, match=r"nginx cannot leave host\. nginx must stay\."), transaction():
        networks.detach(known, "host", None)


@pytest.mark.parametrize("name", ["", "back", "id-of-front", "front\x00", "x" * 5000])
def test_only_networks_that_the_agent_has_can_be_named(agent: Agent, name: str) -> None:
    known = tell(agent, report([network("front")]))
    with pytest.raises(NotFound):
        attach(known, name)


def test_without_docker_nothing_is_sent_and_the_reason_is_said(agent: Agent) -> None:
    known = tell(agent, report(present=False, problem="The socket is missing."))
    with pytest.raises(Conflict, match=r"Docker is not reachable on local\. The socket is missing\."):
        attach(known, "front")
    assert db.session.scalars(select(Command)).all() == []


def test_an_nginx_on_the_machine_needs_no_network(agent: Agent) -> None:
    known = tell(agent, report([network("front")], nginx_container=""))
    with pytest.raises(Conflict, match="runs on the machine itself"):
        attach(known, "front")


def test_the_answer_of_a_command_is_newer_than_the_report(agent: Agent) -> None:
    known = tell(agent, report([network("front"), network("back")]))
    end(attach(known, "front"), {"network": network("front", attached=True, wanted=True)})
    found = docker_facts.of(known).network("front")
    assert found is not None
    assert (found.is_attached, found.is_wanted) == (True, True)
    with transaction():
        command = networks.detach(known, "front", None)
    end(command, {"network": None})
    assert [one.name for one in docker_facts.of(known).networks] == ["back"]


def test_an_answer_about_another_network_changes_only_its_own(agent: Agent) -> None:
    known = tell(agent, report([network("front"), network("back")]))
    end(attach(known, "front"), {"network": network("back", attached=True)})
    back = docker_facts.of(known).network("back")
    assert back is not None
    assert not back.is_attached


def test_what_nginx_lost_and_got_back_is_history(agent: Agent) -> None:
    known = tell(agent, report([network("front", attached=True, wanted=True)]))
    tell(known, report([network("front", wanted=True)]))
    tell(known, report([network("front", wanted=True)]))
    tell(known, report([network("front", attached=True, wanted=True)]))
    tell(known, report(present=False, problem="gone"))
    assert verbs() == ["agent:docker-found", "agent:network-lost", "agent:network-back", "agent:docker-lost"]
