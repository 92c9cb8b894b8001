"""What hosts lead to: sent with an apply, reported after each round, asked for by a person."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from panel.errors import Conflict, Forbidden
from panel.extensions import db, transaction
from panel.models import Agent, Command, CommandState, ProxyHost, User
from panel.models.types import utcnow
from panel.services import bundles, outcomes, upstreams
from panel.services.transitions import CommandOutcome
from panel.services.upstreams import Upstream
from tests.docking import tell_upstreams, upstream
from tests.panel.services.deploying import enqueue, send

pytestmark = pytest.mark.usefixtures("context")


@pytest.fixture
def host(save: Callable[..., ProxyHost], agent: Agent) -> ProxyHost:
    made = save("app.example.com", forward_host="app", forward_port=80)
    with transaction():
        made.agent.is_connected = True
    return made


def check(host: ProxyHost, actor: User | None = None) -> Command:
    with transaction():
        return upstreams.check(host, actor)


def answer(command: Command, outcome: CommandOutcome) -> None:
    with transaction():
        command.state = CommandState.RUNNING
        db.session.flush()
        outcomes.record(command, outcome, utcnow())


def test_an_apply_names_each_upstream_of_its_hosts_once(save: Callable[..., ProxyHost], agent: Agent) -> None:
    save("a.example.com", forward_host="app")
    save("b.example.com", forward_host="app")
    save("c.example.com", forward_host="fd00::5", forward_scheme="https", forward_port=443)
    save("off.example.com", forward_host="off", is_enabled=False)
    command = send(enqueue(db.session.get_one(Agent, agent.id), at_once=True))
    manifest = bundles.manifest_for(command)
    assert upstreams.of_files(agent, manifest) == [Upstream("http", "app", 3000), Upstream("https", "fd00::5", 443)]


def test_the_health_of_a_host_is_that_of_its_upstream_as_saved(host: ProxyHost) -> None:
    assert upstreams.health(host) is None
    tell_upstreams(host.agent, upstream("app", 80, "refused", container="app"), upstream("other", 80))
    found = upstreams.health(host)
    assert found is not None
    assert (found.is_ok, found.cause, found.container) == (False, "refused", "app")
    with transaction():
        host.forward_port = 81
    assert upstreams.health(host) is None


def test_a_check_is_asked_once_and_its_answer_joins_the_last_round(host: ProxyHost) -> None:
    tell_upstreams(host.agent, upstream("app", 80, "refused"), upstream("other", 80))
    command = check(host)
    assert command.payload == {"scheme": "http", "host": "app", "port": 80}
    assert check(host).id == command.id
    answer(command, CommandOutcome(CommandState.SUCCEEDED, result={"state": upstream("evil", 1)}))
    found = upstreams.health(host)
    assert found is not None
    assert found.is_ok
    assert sorted(one["host"] for one in host.agent.upstreams) == ["app", "other"]
    assert check(host).id != command.id


def test_a_check_that_failed_leaves_what_was_known(host: ProxyHost) -> None:
    tell_upstreams(host.agent, upstream("app", 80, "refused"))
    answer(check(host), CommandOutcome(CommandState.FAILED, "FAILED", "No."))
    found = upstreams.health(host)
    assert found is not None
    assert found.cause == "refused"


def test_an_agent_that_is_away_cannot_look(host: ProxyHost) -> None:
    with transaction():
        host.agent.is_connected = False
    with pytest.raises(Conflict, match="not connected"):
        check(host)


def test_viewers_ask_nothing(host: ProxyHost, charlie: User) -> None:
    with pytest.raises(Forbidden):
        check(host, charlie)
