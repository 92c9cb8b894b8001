"""The agents pages through the client: cards, joining, asking, revoking.
May import: panel and the fixtures of tests.conftest."""

from __future__ import annotations

import re

import pytest
from bs4 import BeautifulSoup
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select

from panel import pki
from panel.config import Config
from panel.extensions import db, transaction
from panel.models import Agent, CommandKind, User
from panel.models.types import utcnow
from panel.services import drift
from panel.services.drift import Edit
from panel.web.agents import view
from tests.conftest import login
from tests.hosts import add_host, commands, make_live


@pytest.fixture
def alices(alices: FlaskClient, config: Config) -> FlaskClient:
    """Alice's browser; the panel has its CA."""
    pki.open_authority(config.pki_dir, utcnow())
    return alices


def count_agents(app: Flask) -> int:
    with app.app_context():
        return db.session.scalar(select(func.count(Agent.id))) or 0


def test_without_agents_the_page_teaches(alices: FlaskClient) -> None:
    assert "Add the first agent" in alices.get("/agents").text


def test_a_card_says_what_is_live_and_what_waits(app: Flask, alices: FlaskClient, agent: Agent) -> None:
    add_host(app, agent)
    shown = alices.get("/agents").text
    assert "The last configuration keeps serving." in shown
    assert "Nothing applied yet, 1 change behind" in shown
    make_live(app, agent)
    shown = alices.get("/agents").text
    assert "Online" in shown
    assert "in sync" in shown
    assert "1 host" in shown


def test_a_new_agent_gets_one_command_with_a_token_that_is_shown_once(app: Flask, alices: FlaskClient) -> None:
    response = alices.post("/agents/new", data={"name": "Edge-1"})
    assert response.status_code == 200
    assert response.headers["Cache-Control"] == "no-store"
    found = re.search(r"make agent PANEL=http://localhost TOKEN=(wp1\.[\w-]+\.[0-9a-f]{64})", response.text)
    assert found is not None
    assert "expires" in response.text
    assert "PANEL_HOST=0.0.0.0" in response.text
    with app.app_context():
        agent = db.session.scalars(select(Agent)).one()
    assert agent.name == "edge-1"
    for path in ("/agents", f"/agents/{agent.id}"):
        assert found.group(1) not in alices.get(path).text


def test_the_public_url_is_what_agents_are_told(app: Flask, config: Config) -> None:
    join = view.join("wp1.a.b", None, "https://panel.example.com", config)
    assert join.command == "make agent PANEL=https://panel.example.com TOKEN=wp1.a.b"


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "-edge",
        "edge_1",
        "edge 1",
        "a" * 64,
        "ädge",
        "../../etc/passwd",
        "edge\x00",
        "edge\n1",
        "$(reboot)",
        "{{ config }}",
        "<script>alert(1)</script>",
        "edge;reboot",
    ],
)
def test_a_bad_name_stays_in_the_form(app: Flask, alices: FlaskClient, name: str) -> None:
    response = alices.post("/agents/new", data={"name": name})
    assert response.status_code == 422
    shown = BeautifulSoup(response.text, "html.parser")
    control = shown.select_one("#name")
    assert control is not None
    assert control["aria-invalid"] == "true"
    assert shown.select_one("[role=alert] a[href='#name']") is not None
    assert "<script>alert" not in response.text
    assert count_agents(app) == 0


def test_a_taken_name_is_refused(app: Flask, alices: FlaskClient, agent: Agent) -> None:
    response = alices.post("/agents/new", data={"name": "local"})
    assert response.status_code == 422
    assert "already an agent with the name local" in response.text
    assert count_agents(app) == 1


def test_a_new_join_command_ends_the_one_before(app: Flask, alices: FlaskClient, agent: Agent) -> None:
    first = alices.post(f"/agents/{agent.id}/join-command").text
    second = alices.post(f"/agents/{agent.id}/join-command").text
    assert re.findall(r"wp1\.[\w-]+", first)[0] != re.findall(r"wp1\.[\w-]+", second)[0]


@pytest.mark.parametrize(
    ("verb", "kind"),
    [("check", CommandKind.CHECK_NGINX), ("reload", CommandKind.RELOAD), ("apply", CommandKind.APPLY_CONFIG)],
)
def test_a_button_becomes_a_job(app: Flask, alices: FlaskClient, agent: Agent, verb: str, kind: CommandKind) -> None:
    response = alices.post(f"/agents/{agent.id}/{verb}")
    job = commands(app)[0]
    assert job.kind == kind
    assert response.location == f"/jobs/{job.id}"


def test_revoking_shuts_the_agent_out_and_says_so(app: Flask, alices: FlaskClient, agent: Agent) -> None:
    assert "Keep agent" in alices.get(f"/agents/{agent.id}").text
    response = alices.post(f"/agents/{agent.id}/revoke")
    assert response.location == f"/agents/{agent.id}"
    with app.app_context():
        assert db.session.get_one(Agent, agent.id).is_revoked
    shown = alices.get(f"/agents/{agent.id}").text
    assert "Revoked" in shown
    assert "/reload" not in shown
    assert alices.post(f"/agents/{agent.id}/revoke").status_code == 409
    for verb in ("check", "reload", "apply"):
        assert alices.post(f"/agents/{agent.id}/{verb}").status_code == 409
    assert commands(app) == []


def test_a_problem_is_shown_in_nginx_own_words_and_escaped(app: Flask, alices: FlaskClient, agent: Agent) -> None:
    with app.app_context(), transaction():
        db.session.get_one(Agent, agent.id).apply_error = "bind() failed <script>alert(1)</script>"
    for path in ("/agents", f"/agents/{agent.id}"):
        shown = alices.get(path).text
        assert "bind() failed &lt;script&gt;" in shown
        assert "<script>alert" not in shown


def test_an_operator_asks_but_neither_adds_nor_revokes(
    app: Flask, client: FlaskClient, bob: User, agent: Agent
) -> None:
    login(client, bob)
    shown = client.get(f"/agents/{agent.id}").text
    assert "/reload" in shown
    assert "/revoke" not in shown
    assert "/join-command" not in shown
    assert "/agents/new" not in client.get("/agents").text
    assert client.get("/agents/new").status_code == 403
    assert client.post("/agents/new", data={"name": "edge-1"}).status_code == 403
    assert client.post(f"/agents/{agent.id}/revoke").status_code == 403
    assert client.post(f"/agents/{agent.id}/join-command").status_code == 403
    assert count_agents(app) == 1
    with app.app_context():
        assert not db.session.get_one(Agent, agent.id).is_revoked


def test_a_viewer_looks_only(app: Flask, client: FlaskClient, charlie: User, agent: Agent) -> None:
    login(client, charlie)
    main = BeautifulSoup(client.get(f"/agents/{agent.id}").text, "html.parser").select_one("main")
    assert main is not None
    assert main.select("form") == []
    for verb in ("check", "reload", "apply", "revoke", "join-command"):
        assert client.post(f"/agents/{agent.id}/{verb}").status_code == 403
    assert commands(app) == []


@pytest.mark.parametrize("verb", ["check", "reload", "apply", "revoke", "join-command"])
def test_buttons_need_the_token_of_the_form(app: Flask, alices: FlaskClient, agent: Agent, verb: str) -> None:
    app.config["WTF_CSRF_ENABLED"] = True
    assert alices.post(f"/agents/{agent.id}/{verb}").status_code == 400
    assert commands(app) == []


def test_unknown_agents_are_not_found(alices: FlaskClient) -> None:
    assert alices.get("/agents/nobody").status_code == 404
    for verb in ("check", "reload", "apply", "revoke", "join-command"):
        assert alices.post(f"/agents/nobody/{verb}").status_code == 404


def test_the_join_page_turns_live_when_the_agent_arrives(app: Flask, alices: FlaskClient, agent: Agent) -> None:
    make_live(app, agent)
    with alices.get(f"/live?topics=agents&arrival={agent.id}", buffered=False) as response:
        first = next(response.iter_encoded()).decode()
    assert f'hx-target="#arrival-{agent.id}"' in first
    assert "has arrived and is online" in first


def edit_by_hand(app: Flask, agent: Agent) -> None:
    with app.app_context(), transaction():
        known, text = db.session.get_one(Agent, agent.id), "evil <b>text</b>\n"
        edit = Edit("hosts/1-app.example.com.conf", "changed", "", text, "", is_truncated=False, is_loaded=False)
        drift.report(known, [edit], 0, utcnow())


def test_hand_edits_are_shown_with_their_meaning_and_a_way_back(app: Flask, alices: FlaskClient, agent: Agent) -> None:
    add_host(app, agent)
    make_live(app, agent)
    edit_by_hand(app, agent)
    assert "1 file changed by hand." in alices.get("/agents").text
    page = alices.get(f"/agents/{agent.id}").text
    assert "1 file differs from what was applied" in page
    assert "nginx has not loaded it" in page
    assert "evil &lt;b&gt;text" in page
    answer = alices.post(f"/agents/{agent.id}/put-back")
    assert answer.status_code == 303
    assert commands(app)[-1].payload["exact"]


def test_healing_is_a_setting_of_each_agent(app: Flask, alices: FlaskClient, agent: Agent) -> None:
    assert "left until a person decides" in alices.get(f"/agents/{agent.id}").text
    alices.post(f"/agents/{agent.id}/healing", data={"heal": "y"})
    assert "are put back within a minute" in alices.get(f"/agents/{agent.id}").text
    alices.post(f"/agents/{agent.id}/healing")
    assert "left until a person decides" in alices.get(f"/agents/{agent.id}").text


def test_a_hand_edit_that_is_over_stays_readable(app: Flask, alices: FlaskClient, agent: Agent) -> None:
    edit_by_hand(app, agent)
    with app.app_context(), transaction():
        drift.report(db.session.get_one(Agent, agent.id), [], 0, utcnow())
    page = alices.get(f"/agents/{agent.id}").text
    assert "differs from what was applied" not in page
    assert "1 file changed by hand, " in page
    assert "evil &lt;b&gt;text" in page
