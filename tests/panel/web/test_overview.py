"""The overview: what needs a person, how everything stands, who changed what, and the first steps."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import gevent
import pytest
from bs4 import BeautifulSoup
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import insert

from panel.extensions import db, transaction, vitals
from panel.models import Agent, DomainName, ProxyHost, User
from panel.models.types import utcnow
from panel.services import deployments, proxy_hosts
from tests.certificates import add_certificate
from tests.conftest import login
from tests.hosts import add_host, make_live
from tests.statements import counted


@pytest.fixture(autouse=True)
def _well(app: Flask, agent: Agent) -> Iterator[None]:
    """A panel whose servers stand and whose clock runs, and an agent with an nginx that runs."""
    before = vitals.is_stream_listening, vitals.clock_ticked_at
    vitals.is_stream_listening, vitals.clock_ticked_at = True, utcnow()
    with app.app_context(), transaction():
        known = db.session.get_one(Agent, agent.id)
        known.is_connected = known.is_synced = known.nginx_running = True
        known.last_seen_at = utcnow()
    yield
    vitals.is_stream_listening, vitals.clock_ticked_at = before


@pytest.fixture
def charlies(client: FlaskClient, charlie: User) -> FlaskClient:
    login(client, charlie)
    return client


def page(client: FlaskClient, path: str = "/") -> BeautifulSoup:
    response = client.get(path)
    assert response.status_code == 200
    return BeautifulSoup(response.text, "html.parser")


def text(soup: BeautifulSoup, selector: str) -> str:
    found = soup.select_one(selector)
    assert found, selector
    return " ".join(found.get_text(" ").split())


def test_a_calm_panel_says_that_nothing_needs_you(alices: FlaskClient) -> None:
    soup = page(alices)
    assert "Nothing needs you." in text(soup, "#attention")
    assert soup.select_one('nav.side a[href="/"][aria-current=page]')
    assert text(soup, "#fleet") == (
        "Fleet 0 hosts none yet 0 certificates none yet 1 agent 1 online Revisions nothing applied yet"
    )


def test_what_needs_somebody_comes_with_its_button(app: Flask, alices: FlaskClient, agent: Agent) -> None:
    add_host(app, agent)
    make_live(app, agent)
    with app.app_context(), transaction():
        known = db.session.get_one(Agent, agent.id)
        known.is_connected, known.last_seen_at = False, utcnow() - timedelta(minutes=4)
    soup = page(alices)
    found = text(soup, "#attention li")
    assert "Agent local stopped reporting" in found
    assert "Last heard from 4 min ago" in found
    button = soup.select_one("#attention li a.btn")
    assert button
    assert button["href"] == f"/agents/{agent.id}"
    assert text(soup, "#nav-agents") == "0/1 online"
    assert "1 gone" in text(soup, "#fleet")


def test_those_who_only_look_get_no_button_that_changes(app: Flask, charlies: FlaskClient, agent: Agent) -> None:
    certificate_id = add_certificate(app, agent, left=-1)
    soup = page(charlies)
    assert not soup.select("#attention form")
    link = soup.select_one("#attention li a.btn")
    assert link
    assert link["href"] == f"/certificates/{certificate_id}"
    assert not soup.select("#checklist section")


def test_those_who_may_edit_mend_it_here(app: Flask, alices: FlaskClient, agent: Agent) -> None:
    certificate_id = add_certificate(app, agent, left=-1)
    form = page(alices).select_one("#attention li form")
    assert form
    assert form["action"] == f"/certificates/{certificate_id}/renew"


def test_the_fleet_shows_real_numbers_as_bars(app: Flask, alices: FlaskClient, agent: Agent) -> None:
    off = [add_host(app, agent, f"{name}.example.com") for name in ("a", "b", "c", "d")][3]
    with app.app_context(), transaction():
        proxy_hosts.set_enabled(proxy_hosts.get(off), False, None)
    make_live(app, agent)
    add_host(app, agent, "e.example.com")
    add_certificate(app, agent)
    add_certificate(app, agent, "due.example.com", left=20)
    soup = page(alices)
    assert "5 hosts 1 not live, 1 off" in text(soup, "#fleet")
    assert "2 certificates 1 due" in text(soup, "#fleet")
    assert "behind" in text(soup, "#fleet")
    bars = [[str(part["class"][0]) for part in bar.select("rect")] for bar in soup.select("#fleet svg")]
    assert bars == [["f-ok", "f-warn", "f-off"], ["f-ok", "f-warn"], ["f-ok"], ["f-warn"]]


def test_recent_changes_name_the_person_the_object_and_the_job(
    app: Flask, alices: FlaskClient, alice: User, agent: Agent
) -> None:
    with app.app_context(), transaction():
        person = db.session.get_one(User, alice.id)
        host = proxy_hosts.create(
            proxy_hosts.ProxyHostSpec(agent.id, ("xn--bcher-kva.example",), "http", "10.0.0.5", 80), person
        )
        proxy_hosts.update(
            host,
            proxy_hosts.ProxyHostSpec(agent.id, ("xn--bcher-kva.example",), "http", "10.0.0.6", 80),
            person,
            version=host.version,
        )
        host_id = host.id
    make_live(app, agent)
    with app.app_context(), transaction():
        job = deployments.apply(db.session.get_one(Agent, agent.id), None, at_once=True).id
    soup = page(alices)
    assert "alice changed host bücher.example" in text(soup, "#changes li")
    assert soup.select_one(f'#changes a[href="/hosts/{host_id}"]')
    assert job
    assert "logged in" not in text(soup, "#changes")
    assert soup.select_one('#changes header a[href="/audit"]')
    undo = soup.select_one("#changes form")
    assert undo
    assert alices.post(str(undo["action"]), data={"next": "/"}).location == "/"
    with app.app_context():
        assert proxy_hosts.get(host_id).forward_host == "10.0.0.5"


def test_certificates_come_in_the_order_of_their_ends(app: Flask, alices: FlaskClient, agent: Agent) -> None:
    for number in range(12):
        add_certificate(app, agent, f"c{number:02}.example.com", left=80 - number)
    soup = page(alices)
    names = [found.get_text() for found in soup.select("#expiries li a")]
    assert names == [f"c{number:02}.example.com" for number in range(11, 1, -1)]
    assert text(soup, "#expiries header a") == "All 12"


def test_first_steps_are_read_from_what_is_there_and_can_be_put_away(
    app: Flask, alices: FlaskClient, agent: Agent
) -> None:
    steps = page(alices).select("#checklist li")
    done = [step.select_one("b").get_text() for step in steps if "done" in (step.get("class") or [])]  # type: ignore[union-attr]
    assert len(steps) == 7
    assert done == ["Set up this panel", "Connect an agent"]
    add_host(app, agent)
    assert "3 of 7 done" in text(page(alices), "#checklist header")
    hidden = alices.post("/first-steps/hide", follow_redirects=True)
    assert "First steps hidden." in hidden.text
    assert "/first-steps/show" in hidden.text
    assert not page(alices).select("#checklist section")
    alices.post("/first-steps/show")
    assert page(alices).select("#checklist section")


def test_operators_see_the_steps_that_they_can_take(client: FlaskClient, bob: User) -> None:
    login(client, bob)
    titles = [found.get_text() for found in page(client).select("#checklist b")]
    assert titles == ["Add the first host", "Get the first certificate", "Turn on your second factor"]


def test_each_card_changes_by_itself(app: Flask, alices: FlaskClient, agent: Agent) -> None:
    with alices.get("/live?topics=jobs,overview", buffered=False) as response:
        chunks = response.iter_encoded()
        with gevent.Timeout(20):
            first = next(chunks).decode()
            for region in ("attention", "fleet", "changes", "expiries", "checklist", "nav-hosts", "menu-hosts"):
                assert f'hx-target="#{region}"' in first
            add_host(app, agent)
            news = next(chunks).decode()
            after = next(chunks).decode()
    assert news == "event: news\ndata: ok\n\n"
    assert "1 host" in after
    assert 'hx-target="#nav-hosts"' in after
    assert 'hx-target="#expiries"' not in after


def count_statements(client: FlaskClient, app: Flask) -> int:
    """How many statements one visit of the overview takes."""
    with counted(app) as found:
        assert client.get("/").status_code == 200
    return len(found)


def test_the_number_of_questions_does_not_grow_with_the_fleet(app: Flask, alices: FlaskClient, agent: Agent) -> None:
    add_host(app, agent)
    add_certificate(app, agent, left=-1)
    make_live(app, agent)
    few = count_statements(alices, app)
    with app.app_context(), transaction():
        rows = [
            {"agent_id": agent.id, "domain_names": [f"h{n}.example.com"], "forward_host": "10.0.0.9"}
            | {"forward_port": 80, "refused_generation": 9 if n % 2 else None, "changed_generation": 9}
            for n in range(2000)
        ]
        db.session.execute(insert(ProxyHost), rows)
        db.session.execute(
            insert(DomainName),
            [{"agent_id": agent.id, "name": f"h{n}.example.com", "proxy_host_id": n + 2} for n in range(2000)],
        )
    for number in range(30):
        add_certificate(app, agent, f"c{number}.example.com", left=5 if number % 2 else -1, failures=number % 3)
    assert count_statements(alices, app) == few
    assert few < 40
    assert "1000 hosts" in text(page(alices), "#attention").replace(",", "")
