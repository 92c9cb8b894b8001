"""One stream per page: what may change while somebody looks, changes; what they may not see is not sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import gevent
import pytest
from flask import Flask
from flask.testing import FlaskClient

from panel.extensions import db, transaction, wake_after_commit
from panel.models import Agent, Role, User
from panel.models.types import utcnow
from panel.services import accounts, authorities, browser_sessions, invitations
from panel.services.authorities import AuthoritySpec
from panel.services.browser_sessions import Visit
from tests.certificates import add_certificate
from tests.conftest import login
from tests.hosts import add_host, set_aside


@contextmanager
def following(client: FlaskClient, query: str) -> Iterator[Callable[[], str]]:
    """The messages of one stream; each call waits for the next that has regions."""
    with client.get(f"/live?{query}", buffered=False) as response, gevent.Timeout(20):
        assert response.status_code == 200
        chunks = response.iter_encoded()

        def read() -> str:
            while True:
                chunk: str = next(chunks).decode()
                if "hx-partial" in chunk:
                    return chunk

        yield read


def add_invitation(app: Flask, _agent: Agent, _alice: User) -> str:
    with app.app_context(), transaction():
        invitations.create(Role.VIEWER, "night shift", 1, None)
    return "night shift"


def make_viewer(app: Flask, _agent: Agent, _alice: User) -> str:
    with app.app_context(), transaction():
        found = db.session.scalars(db.select(User).where(User.username == "bob")).one()
        accounts.set_role(found, Role.VIEWER, None)
    return "Viewer"


def log_in_elsewhere(app: Flask, _agent: Agent, alice: User) -> str:
    with app.app_context(), transaction():
        person = db.session.get_one(User, alice.id)
        browser_sessions.start(person, Visit("198.51.100.9", "curl/8"), by="a test")
    return "198.51.100.9"


def add_authority(app: Flask, _agent: Agent, _alice: User) -> str:
    with app.app_context(), transaction():
        authorities.create(AuthoritySpec("Our own CA", "https://ca.example/directory"), None)
    return "Our own CA"


def name_agent(app: Flask, _agent: Agent, _alice: User) -> str:
    with app.app_context(), transaction():
        db.session.add(Agent(id="b", name="edge-2", joined_at=utcnow()))
        wake_after_commit("agents")
    return "edge-2"


def save_host(app: Flask, agent: Agent, _alice: User) -> str:
    add_host(app, agent, "new.example.com")
    return "new.example.com"


@pytest.mark.parametrize(
    ("topics", "change", "region"),
    [
        ("users", add_invitation, "invitations"),
        ("users", make_viewer, "people"),
        ("account", log_in_elsewhere, "sessions"),
        ("authorities", add_authority, "authorities"),
        ("agents", name_agent, "list-80cd9cc6"),
        ("changes", save_host, "change-list"),
    ],
)
@pytest.mark.usefixtures("bob")
def test_a_page_changes_while_somebody_looks(
    app: Flask,
    client: FlaskClient,
    alice: User,
    agent: Agent,
    topics: str,
    change: Callable[[Flask, Agent, User], str],
    region: str,
) -> None:
    login(client, alice)
    with following(client, f"topics=jobs,{topics}") as read:
        assert f'hx-target="#{region}"' in read()
        words = change(app, agent, alice)
        told = read()
        while f'hx-target="#{region}"' not in told:
            told = read()
    assert words in told


def test_one_persons_page_changes_too(app: Flask, client: FlaskClient, alice: User, bob: User, agent: Agent) -> None:
    login(client, alice)
    with following(client, f"topics=jobs,users&user={bob.id}") as read:
        assert "End all sessions" not in read()
        log_in_elsewhere(app, agent, bob)
        assert "End all sessions" in read()


def test_who_may_not_see_people_is_sent_none(client: FlaskClient, bob: User) -> None:
    login(client, bob)
    with following(client, "topics=users") as read:
        assert "people" not in read()


def test_the_counts_of_every_page_change_and_only_its_own_topics_are_news(
    app: Flask, client: FlaskClient, alice: User, agent: Agent
) -> None:
    login(client, alice)
    with client.get("/live?topics=jobs", buffered=False) as response, gevent.Timeout(20):
        chunks = response.iter_encoded()
        next(chunks)
        host_id = add_host(app, agent)
        counted = next(chunks).decode()
        assert '<hx-partial hx-target="#nav-hosts" hx-swap="innerMorph"><span class="n">1</span>' in counted
        assert 'hx-target="#menu-hosts"' in counted
        set_aside(app, host_id)
        add_certificate(app, agent, left=10)
        assert '<span class="n flag">1 refused</span>' in next(chunks).decode()


@pytest.mark.parametrize("path", ["/", "/hosts", "/certificates", "/agents", "/networks", "/containers", "/jobs"])
def test_every_page_has_one_stream_and_ids_that_are_its_own(
    client: FlaskClient, alice: User, agent: Agent, path: str
) -> None:
    login(client, alice)
    text = client.get(path).text
    assert text.count("hx-sse:connect") == 1
    assert agent
    for menu in ("nav", "menu"):
        assert text.count(f'id="{menu}-hosts"') == 1
