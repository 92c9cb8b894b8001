"""The demo: a fresh panel is filled by the services, another one is left alone, and it says what it is."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient

from panel import cli
from panel.demo import keep
from panel.demo.fleet import PEOPLE, SITES
from panel.demo.seed import SENTENCE, seed
from panel.errors import Conflict
from panel.extensions import db, transaction
from panel.models import Agent, AgentStatus, Certificate, Command, Event, Notification, ProxyHost, User
from panel.models.types import utcnow
from panel.services import agents, certificate_queries, deployments, jobs
from panel.services.jobs import JobResult
from tests.conftest import login

PASSWORD = "a demo password"
MORE = 10  # hosts than the story has, as measures want them


def count(model: type[object], *conditions: object) -> int:
    return db.session.query(model).filter(*conditions).count()  # type: ignore[arg-type]


def people_and_agents(app: Flask) -> None:
    assert [user.username for user in db.session.query(User)] == [name for name, _ in PEOPLE]
    statuses = [agents.status(agent, utcnow(), app.config["WAYPOST"]) for agent in db.session.query(Agent)]
    assert sorted(statuses) == [AgentStatus.OFFLINE, AgentStatus.ONLINE, AgentStatus.ONLINE]


def hosts_and_certificates() -> None:
    assert count(ProxyHost, ProxyHost.deleted_at.is_(None)) == len(SITES) + MORE + 1
    assert count(ProxyHost, ProxyHost.forward_host == "10.9.0.4", ProxyHost.live_sha256 != "") == MORE
    assert len(deployments.unapplied_hosts()) >= 3
    for status in ("due", "failing", "unused", "paused", "found"):
        assert certificate_queries.list_page(status=status).items, status
    certificates = db.session.query(Certificate).all()
    assert {one.source for one in certificates} == {"acme", "upload", "certbot"}
    assert {bool(one.authority and one.authority.is_test) for one in certificates} == {True, False}
    assert any(one.not_after and one.not_after < utcnow() for one in certificates)
    assert any(name.startswith("*.") for one in certificates for name in one.names)


def jobs_and_news() -> None:
    for result in JobResult:
        assert jobs.list_page(kind=None, result=result).items, result
    assert all(command.created_at <= utcnow() for command in db.session.query(Command))
    assert count(Notification) > 0
    assert count(Notification, Notification.next_attempt_at.is_not(None)) == 0  # nothing is sent to anybody
    assert any(agent.drift for agent in db.session.query(Agent))


def test_a_fresh_panel_gets_a_team_with_all_that_it_has(app: Flask, client: FlaskClient) -> None:
    with app.app_context():
        seed(PASSWORD, app.config["WAYPOST"], hosts=len(SITES) + MORE)
        people_and_agents(app)
        hosts_and_certificates()
        jobs_and_news()
        times = [event.at for event in db.session.query(Event).order_by(Event.id)]
        assert times[-1] > times[0]
        assert [e.after["what"] for e in db.session.query(Event).filter_by(verb="panel:demo") if e.after] == [SENTENCE]
        maya = db.session.query(User).filter_by(username="maya").one()
        addresses = [f"/jobs/{command.id}" for command in db.session.query(Command)]
        addresses += [f"/hosts/{host.id}" for host in db.session.query(ProxyHost).limit(5)]
        addresses += [f"/agents/{agent.id}" for agent in db.session.query(Agent)]
        with pytest.raises(Conflict, match="has people already"):
            seed(PASSWORD, app.config["WAYPOST"])
        away = db.session.query(Agent).filter_by(name="edge-sin-1").one()
        with transaction():
            for agent in db.session.query(Agent):
                agent.is_connected = False
        keep.beat(keep.agents_of_demo())
        assert {one.name for one in db.session.query(Agent) if one.is_connected} == {"edge-fra-1", "edge-iad-1"}
        assert not away.is_connected
        login(client, maya)
    lists = ("/", "/hosts", "/certificates", "/agents", "/jobs", "/networks", "/containers", "/changes", "/users")
    for address in (*lists, "/settings/notifications", *addresses):
        assert client.get(address).status_code == 200, address


def test_a_panel_in_use_is_left_alone(app: Flask, alice: User) -> None:
    cli.register(app)
    result = app.test_cli_runner().invoke(args=["demo", "seed", "--password-stdin"], input=f"{PASSWORD}\n")
    assert result.exit_code == 1
    assert "This panel has people already" in result.output
    assert "no demo" in app.test_cli_runner().invoke(args=["demo", "keep"]).output
    with app.app_context():
        assert count(Event) == count(Agent) == 0
