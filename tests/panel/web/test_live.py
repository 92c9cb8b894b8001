"""One stream per page: what may change while somebody looks, changes; what they may not see, and what the page shows
already, is not sent."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import gevent
import pytest
from bs4 import BeautifulSoup
from flask import Flask
from flask.testing import FlaskClient

from panel.extensions import db, transaction, wake_after_commit
from panel.models import Agent, Role, User
from panel.models.types import utcnow
from panel.services import accounts, authorities, browser_sessions, invitations, proxy_hosts
from panel.services.authorities import AuthoritySpec
from panel.services.browser_sessions import Visit
from panel.web import sse
from tests.certificates import add_certificate
from tests.conftest import login
from tests.hosts import add_host, make_live, set_aside


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


def stream_of(text: str) -> str:
    """The address of a page's stream."""
    found = re.search(r'hx-sse:connect="([^"]+)"', text)
    assert found
    return html.unescape(found[1])


def first_of(client: FlaskClient, url: str, last_id: str = "") -> str:
    """What a stream says at first, until it waits or has told its regions."""
    headers = {"Last-Event-ID": last_id} if last_id else {}
    told = ""
    with client.get(url, buffered=False, headers=headers) as response, gevent.Timeout(20):
        for chunk in response.iter_encoded():
            told += chunk.decode()
            if chunk != sse.NEWS.encode():
                break
    return told


def targets_of(told: str) -> list[str]:
    return re.findall(r'hx-target="([^"]+)"', told)


@pytest.fixture
def host_ids(app: Flask, agent: Agent) -> list[int]:
    """Some hosts that are live, one with HTTPS; a certificate, a job, and changes that can be taken back."""
    found = [add_host(app, agent, f"{name}.example.com") for name in "abc"]
    certificate_id = add_certificate(app, agent, "a.example.com")
    with app.app_context(), transaction():
        proxy_hosts.get(found[0]).certificate_id = certificate_id
    make_live(app, agent)
    return found


QUIET = [
    *(
        "/",
        "/hosts",
        "/hosts/1",
        "/hosts/1/edit",
        "/hosts/new",
        "/changes",
        "/certificates",
        "/certificates/1",
        "/jobs",
    ),
    *("/agents", "/agents/7d5f4a0e-0000-4000-8000-000000000001", "/networks", "/containers", "/audit", "/account"),
    *("/users", "/users/1", "/settings/authorities", "/settings/dns", "/settings/notifications", "/settings/publish"),
]


@pytest.mark.usefixtures("host_ids")
@pytest.mark.parametrize("path", QUIET)
def test_a_stream_sends_nothing_that_its_page_shows(app: Flask, client: FlaskClient, alice: User, path: str) -> None:
    app.config["WTF_CSRF_ENABLED"] = True
    login(client, alice)
    assert first_of(client, stream_of(client.get(path).text)) == sse.PING


@pytest.mark.usefixtures("host_ids")
@pytest.mark.parametrize("path", QUIET)
def test_every_region_of_a_stream_is_on_its_page_once(client: FlaskClient, alice: User, path: str) -> None:
    login(client, alice)
    text = client.get(path).text
    page = BeautifulSoup(text, "html.parser")
    told = first_of(client, re.sub(r"seen=[^&]*", "", stream_of(text)))
    assert targets_of(told)
    assert [target for target in targets_of(told) if len(page.select(target)) != 1] == []


def test_what_changed_before_the_stream_began_is_sent_and_nothing_else(
    app: Flask, client: FlaskClient, alice: User, host_ids: list[int]
) -> None:
    login(client, alice)
    url = stream_of(client.get("/hosts").text)
    set_aside(app, host_ids[1])
    told = first_of(client, url)
    assert "Refused" in told
    rows = {target.partition(" ")[0] for target in targets_of(told)} - {"#nav-hosts", "#menu-hosts", "#dock"}
    assert rows == {f"#host-{host_ids[1]}"} | {f"#{menu}-{noun}" for menu in ("nav", "menu") for noun in OTHERS}


OTHERS = ("certificates", "agents")  # the counts of a menu are told together


def test_who_comes_back_is_sent_what_changed_meanwhile(
    app: Flask, client: FlaskClient, alice: User, host_ids: list[int]
) -> None:
    login(client, alice)
    url = stream_of(client.get("/hosts").text)
    set_aside(app, host_ids[1])
    found = re.search(r"^id: (\S+)$", first_of(client, url), re.MULTILINE)
    assert found
    assert first_of(client, url, last_id=found[1]) == sse.PING
    set_aside(app, host_ids[2])
    told = first_of(client, url, last_id=found[1])
    assert any(target.startswith(f"#host-{host_ids[2]} ") for target in targets_of(told))
    assert not any(target.startswith(f"#host-{host_ids[1]} ") for target in targets_of(told))


def test_a_list_that_asks_by_itself_hears_of_news_before_its_stream_began(
    app: Flask, client: FlaskClient, alice: User, host_ids: list[int], agent: Agent
) -> None:
    login(client, alice)
    url = stream_of(client.get("/jobs").text)
    with app.app_context(), transaction():
        wake_after_commit("jobs")
    assert host_ids
    assert first_of(client, url).startswith(sse.NEWS)
    assert sse.NEWS not in first_of(client, stream_of(client.get("/jobs").text))


@pytest.mark.usefixtures("host_ids")
@pytest.mark.parametrize("seen", ["x", "1.", "1.AAAAA", "9" * 5000, "-1.AAAAA", "٣.AAAAA", "1." + "A" * 9000])
def test_who_says_nonsense_is_sent_everything(client: FlaskClient, alice: User, seen: str) -> None:
    login(client, alice)
    told = first_of(client, f"/live?topics=jobs,hosts&rows=1,2,3&seen={seen}")
    assert len(targets_of(told)) == 3 * 5 + 8
