"""Hosts as people save them: names belong to one host, versions meet, undo works."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import create_engine, event, select, text
from sqlalchemy.engine import Connection

from panel.errors import Conflict, Forbidden, Invalid, NotFound
from panel.extensions import db, transaction
from panel.models import Agent, DomainName, Event, ProxyHost, User
from panel.models.types import utcnow
from panel.services import proxy_hosts
from panel.services.proxy_hosts import ProxyHostSpec
from tests.conftest import store

pytestmark = pytest.mark.usefixtures("context")


@pytest.fixture
def spec(agent: Agent) -> ProxyHostSpec:
    return ProxyHostSpec(agent.id, ("app.example.com", "www.example.com"), "http", "10.0.0.5", 3000)


@pytest.fixture
def other_agent(app: Flask) -> Agent:
    return store(app, Agent(id="7d5f4a0e-0000-4000-8000-000000000002", name="other", joined_at=utcnow()))


def create(spec: ProxyHostSpec, actor: User | None = None) -> ProxyHost:
    with transaction():
        return proxy_hosts.create(spec, actor)


def claimed(host: ProxyHost) -> list[str]:
    names = select(DomainName.name).where(DomainName.proxy_host_id == host.id).order_by(DomainName.name)
    return list(db.session.scalars(names))


def last_event() -> Event:
    found = db.session.scalar(select(Event).order_by(Event.id.desc()).limit(1))
    assert found is not None
    return found


def test_a_new_host_is_saved_and_not_live(spec: ProxyHostSpec, agent: Agent, bob: User) -> None:
    host = create(spec, bob)
    assert host.version == 1
    assert host.changed_generation == agent.generation == 1
    assert host.has_unapplied_changes
    assert not host.is_live
    assert claimed(host) == ["app.example.com", "www.example.com"]


def test_creating_is_recorded_with_its_values(spec: ProxyHostSpec, bob: User) -> None:
    host = create(spec, bob)
    recorded = last_event()
    assert (recorded.verb, recorded.actor_id, recorded.object_id) == ("proxy_host:create", bob.id, str(host.id))
    assert recorded.before is None
    assert recorded.after is not None
    assert recorded.after["domain_names"] == ["app.example.com", "www.example.com"]


def test_a_viewer_changes_nothing(spec: ProxyHostSpec, charlie: User) -> None:
    host = create(spec)
    with pytest.raises(Forbidden):
        create(replace(spec, domain_names=("new.example.com",)), charlie)
    with pytest.raises(Forbidden), transaction():
        proxy_hosts.update(host, spec, charlie, version=1)
    with pytest.raises(Forbidden), transaction():
        proxy_hosts.set_enabled(host, False, charlie)
    with pytest.raises(Forbidden), transaction():
        proxy_hosts.delete(host, charlie)
    with pytest.raises(Forbidden), transaction():
        proxy_hosts.restore(host, charlie)


def test_a_taken_name_is_refused_with_the_other_host_named(spec: ProxyHostSpec) -> None:
    create(spec)
    with pytest.raises(Invalid) as refusal:
        create(replace(spec, domain_names=("new.example.com", "www.example.com")))
    assert refusal.value.field == "domain_names"
    assert "www.example.com already belongs to the host app.example.com" in refusal.value.message
    assert db.session.query(ProxyHost).count() == 1


def test_a_disabled_host_keeps_its_names(spec: ProxyHostSpec) -> None:
    host = create(spec)
    with transaction():
        proxy_hosts.set_enabled(host, False, None)
    with pytest.raises(Invalid, match="which is disabled"):
        create(spec)


def test_the_same_name_may_be_on_two_agents(spec: ProxyHostSpec, other_agent: Agent) -> None:
    create(spec)
    assert create(replace(spec, agent_id=other_agent.id)).agent.name == "other"


def test_a_wildcard_may_overlap_with_a_name(spec: ProxyHostSpec) -> None:
    create(spec)
    assert create(replace(spec, domain_names=("*.example.com",))).primary_name == "*.example.com"


def test_a_name_taken_between_the_look_and_the_write_is_refused(spec: ProxyHostSpec, agent: Agent) -> None:
    rival = create(replace(spec, domain_names=("rival.example.com",)))
    rival_id, agent_id = rival.id, agent.id
    db.session.rollback()
    looks: list[str] = []

    def take_the_name(connection: Connection, _cursor: Any, statement: str, *_rest: Any) -> None:
        if not statement.startswith("SELECT domain_name"):
            return
        looks.append(statement)
        if len(looks) == 1:
            _insert_claim(connection, agent_id, "app.example.com", rival_id)

    event.listen(db.engine, "after_cursor_execute", take_the_name)
    with pytest.raises(Invalid, match=r"already belongs to the host rival\.example\.com"):
        create(spec)
    assert db.session.query(ProxyHost).count() == 1
    db.session.rollback()
    assert db.session.get_one(Agent, agent_id).generation == 1


def _insert_claim(connection: Connection, agent_id: str, name: str, host_id: int) -> None:
    connection.execute(
        text("INSERT INTO domain_name (agent_id, name, proxy_host_id) VALUES (:agent, :name, :host)"),
        {"agent": agent_id, "name": name, "host": host_id},
    )


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("domain_names", ("a.com; } server { listen 81;",)),
        ("domain_names", ()),
        ("forward_scheme", "ftp"),
        ("forward_host", "unix:/run/docker.sock"),
        ("forward_port", 70000),
        ("notes", "a\0b"),
        ("agent_id", "nobody"),
    ],
)
def test_a_value_that_no_form_would_pass_is_refused_at_its_field(spec: ProxyHostSpec, field: str, value: Any) -> None:
    with pytest.raises(Invalid) as refusal:
        create(replace(spec, **{field: value}))
    assert refusal.value.field == field
    assert db.session.query(ProxyHost).count() == 0


def test_a_revoked_agent_takes_no_host(spec: ProxyHostSpec, agent: Agent) -> None:
    with transaction():
        agent.revoked_at = utcnow()
    with pytest.raises(Invalid, match="does not exist any more"):
        create(spec)


def test_updating_gives_names_back_and_raises_version_and_generation(spec: ProxyHostSpec, agent: Agent) -> None:
    host = create(spec)
    with transaction():
        proxy_hosts.update(host, replace(spec, domain_names=("app.example.com", "x.example.com")), None, version=1)
    assert (host.version, host.changed_generation, agent.generation) == (2, 2, 2)
    assert claimed(host) == ["app.example.com", "x.example.com"]
    recorded = last_event()
    assert recorded.before is not None
    assert recorded.before["domain_names"] == ["app.example.com", "www.example.com"]


def test_saving_what_is_saved_changes_nothing(spec: ProxyHostSpec, agent: Agent) -> None:
    host = create(spec)
    with transaction():
        proxy_hosts.update(host, spec, None, version=1)
    assert (host.version, agent.generation) == (1, 1)


def test_saving_a_refused_host_unchanged_has_it_tried_again(spec: ProxyHostSpec) -> None:
    host = create(spec)
    with transaction():
        host.refused_generation, host.refused_text = host.changed_generation, "unknown directive"
    with transaction():
        proxy_hosts.update(host, spec, None, version=1)
    assert not host.is_refused
    assert host.refused_text == ""


def test_a_form_opened_before_somebody_else_saved_is_told(spec: ProxyHostSpec) -> None:
    host = create(spec)
    with transaction():
        proxy_hosts.update(host, replace(spec, forward_port=4000), None, version=1)
    with pytest.raises(Conflict, match="Somebody else saved"), transaction():
        proxy_hosts.update(host, replace(spec, forward_port=5000), None, version=1)
    assert host.forward_port == 4000


def test_a_host_loaded_before_somebody_else_saved_is_read_again(app: Flask, spec: ProxyHostSpec) -> None:
    host = create(spec)
    assert host.version == 1
    with create_engine(app.config["SQLALCHEMY_DATABASE_URI"]).begin() as outside:
        outside.execute(text("UPDATE proxy_host SET version = 2"))
    with pytest.raises(Conflict), transaction():
        proxy_hosts.update(host, replace(spec, forward_port=5000), None, version=1)


def test_moving_a_host_gives_both_agents_something_to_apply(
    spec: ProxyHostSpec, agent: Agent, other_agent: Agent
) -> None:
    host = create(spec)
    with transaction():
        host.live_path, host.live_sha256 = "hosts/1-app.example.com.conf", "0" * 64
    with transaction():
        proxy_hosts.update(host, replace(spec, agent_id=other_agent.id), None, version=1)
    assert (agent.generation, other_agent.generation) == (2, 1)
    assert host.changed_generation == 1
    assert host.agent.name == "other"
    assert not host.is_live
    assert create(spec).primary_name == "app.example.com"


def test_disabling_and_enabling_are_changes(spec: ProxyHostSpec, agent: Agent) -> None:
    host = create(spec)
    with transaction():
        proxy_hosts.set_enabled(host, False, None)
    assert last_event().verb == "proxy_host:disable"
    with transaction():
        proxy_hosts.set_enabled(host, False, None)
    assert agent.generation == 2
    with transaction():
        proxy_hosts.set_enabled(host, True, None)
    assert (agent.generation, host.is_enabled) == (3, True)


def test_a_deleted_host_frees_its_names_and_comes_back(spec: ProxyHostSpec, agent: Agent) -> None:
    host = create(spec)
    with transaction():
        proxy_hosts.delete(host, None)
    assert claimed(host) == []
    assert agent.generation == 2
    assert proxy_hosts.list_page().total == 0
    with transaction():
        proxy_hosts.restore(host, None)
    assert not host.is_deleted
    assert claimed(host) == ["app.example.com", "www.example.com"]
    assert agent.generation == 3


def test_a_deleted_host_whose_name_was_taken_stays_deleted(spec: ProxyHostSpec) -> None:
    host = create(spec)
    with transaction():
        proxy_hosts.delete(host, None)
    create(replace(spec, domain_names=("www.example.com",)))
    with pytest.raises(Conflict, match=r"www\.example\.com already belongs to"), transaction():
        proxy_hosts.restore(host, None)
    assert host.is_deleted


def test_a_deleted_host_is_not_changed(spec: ProxyHostSpec) -> None:
    host = create(spec)
    with transaction():
        proxy_hosts.delete(host, None)
    with pytest.raises(Conflict, match="was deleted"), transaction():
        proxy_hosts.update(host, spec, None, version=host.version)
    with pytest.raises(Conflict, match="was deleted"), transaction():
        proxy_hosts.set_enabled(host, False, None)


def test_a_clone_has_everything_but_the_names(spec: ProxyHostSpec) -> None:
    draft = proxy_hosts.clone(create(spec))
    assert draft == replace(spec, domain_names=())


@pytest.mark.parametrize("host_id", [0, -1, 7, 2**63])
def test_an_unknown_id_is_not_found(host_id: int) -> None:
    with pytest.raises(NotFound):
        proxy_hosts.get(host_id)
