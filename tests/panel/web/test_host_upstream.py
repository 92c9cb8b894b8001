"""Why 502: the host's page and the list say what the agent found, and offer what mends it."""

from __future__ import annotations

import pytest
from bs4 import BeautifulSoup, Tag
from flask import Flask
from flask.testing import FlaskClient

from panel.extensions import db
from panel.models import Agent, CommandKind, User
from tests.conftest import login
from tests.docking import HOSTILE, bring_online, network, report, tell, tell_upstreams, upstream
from tests.hosts import add_host, commands, make_live


@pytest.fixture
def host_id(app: Flask, agent: Agent) -> int:
    """A live host that leads to the container app."""
    made = add_host(app, agent, host="app")
    make_live(app, agent)
    return made


def found(app: Flask, agent: Agent, cause: str, **values: object) -> None:
    with app.app_context():
        tell_upstreams(agent, upstream("app", 3000, cause, **values))


def card_of(client: FlaskClient, host_id: int) -> Tag:
    card = BeautifulSoup(client.get(f"/hosts/{host_id}").text, "html.parser").select_one("[aria-labelledby=h-upstream]")
    assert isinstance(card, Tag)
    return card


@pytest.mark.parametrize(
    ("cause", "headline", "word"),
    [
        ("unresolved", "Why visitors get 502: name not found", "Name not found"),
        ("no_common_network", "Why visitors get 502: no common network", "No common network"),
        ("stopped", "Why visitors get 502: container stopped", "Container stopped"),
        ("unhealthy", "Visitors may get errors: unhealthy", "Unhealthy"),
        ("refused", "Why visitors get 502: port closed", "Port closed"),
        ("timeout", "Why visitors get 504: no answer in time", "No answer in time"),
        ("tls", "Why visitors get 502: TLS mismatch", "TLS mismatch"),
        ("unreachable", "Why visitors get 502: not reachable", "Not reachable"),
        ("<b>new</b>", "Why visitors get 502: not reachable", "Not reachable"),
    ],
)
def test_every_cause_has_a_headline_a_word_and_its_next_step(
    app: Flask, bobs: FlaskClient, agent: Agent, host_id: int, cause: str, headline: str, word: str
) -> None:
    found(app, agent, cause)
    text = card_of(bobs, host_id).get_text(" ", strip=True)
    for words in (headline, word, "app was looked at.", "Mend app."):
        assert words in text
    assert word in bobs.get("/hosts").text


def test_an_upstream_that_is_reached_is_said_so_and_one_without_a_look_too(
    app: Flask, bobs: FlaskClient, agent: Agent, host_id: int
) -> None:
    assert "Not checked" in card_of(bobs, host_id).text
    assert "Not checked" in bobs.get("/hosts").text
    found(app, agent, "")
    card = card_of(bobs, host_id)
    assert card.get("role") is None
    assert "connected in 3 ms" in card.text
    assert "Reachable" in bobs.get("/hosts").text


def test_the_fix_is_a_button_where_there_is_one(app: Flask, bobs: FlaskClient, agent: Agent, host_id: int) -> None:
    found(app, agent, "no_common_network", network="back")
    assert card_of(bobs, host_id).select("form[action='/networks/attach']") == []
    with app.app_context():
        tell(agent, report([network("back")]))
    form = card_of(bobs, host_id).select_one("form[action='/networks/attach']")
    assert isinstance(form, Tag)
    values = {str(field["name"]): str(field["value"]) for field in form.select("input[name]")}
    assert bobs.post("/networks/attach", data=values).status_code == 303
    assert commands(app)[-1].kind == CommandKind.ATTACH_NETWORK
    with app.app_context():
        tell(agent, report([network("back", attach_refusal="No.")]))
    assert card_of(bobs, host_id).select("form[action='/networks/attach']") == []


def test_check_again_asks_the_agent_once(app: Flask, bobs: FlaskClient, host_id: int) -> None:
    for _ in range(3):
        assert bobs.post(f"/hosts/{host_id}/check-upstream").location == f"/hosts/{host_id}"
    asked = [one for one in commands(app) if one.kind == CommandKind.CHECK_UPSTREAM]
    assert [one.payload for one in asked] == [{"scheme": "http", "host": "app", "port": 3000}]
    assert "The agent is looking now." in card_of(bobs, host_id).text
    assert "http://app:3000" in bobs.get(f"/jobs/{asked[0].id}").text


def test_of_an_agent_that_is_away_the_last_look_is_shown_as_old(
    app: Flask, bobs: FlaskClient, agent: Agent, host_id: int
) -> None:
    found(app, agent, "refused")
    with app.app_context():
        db.session.get_one(Agent, agent.id).is_connected = False
        db.session.get_one(Agent, agent.id).last_seen_at = None
        db.session.commit()
    card = card_of(bobs, host_id)
    assert "local is away now" in card.text
    assert card.select("form[action$='check-upstream']") == []
    assert bobs.post(f"/hosts/{host_id}/check-upstream").status_code == 409
    bring_online(app, agent)
    assert card_of(bobs, host_id).select("form[action$='check-upstream']") != []


def test_what_the_agent_says_is_only_text(app: Flask, bobs: FlaskClient, agent: Agent, host_id: int) -> None:
    with app.app_context():
        tell(agent, report([network(HOSTILE)]))
    found(app, agent, "unresolved", sentence=HOSTILE, next_step=HOSTILE, container=HOSTILE, network=HOSTILE)
    card = card_of(bobs, host_id)
    assert card.select("img") == []
    assert f"Attach nginx to {HOSTILE}" in card.get_text(" ", strip=True)
    assert BeautifulSoup(bobs.get("/hosts").text, "html.parser").select("main img") == []


def test_viewers_see_the_cause_and_no_button(
    app: Flask, client: FlaskClient, charlie: User, agent: Agent, host_id: int
) -> None:
    found(app, agent, "refused")
    login(client, charlie)
    card = card_of(client, host_id)
    assert "Port closed" in card.text
    assert card.select("form") == []
    assert client.post(f"/hosts/{host_id}/check-upstream").status_code == 403
    assert client.get(f"/hosts/{host_id}/check-upstream").status_code == 405
