"""The containers page through the client: states, who leads there, offers by labels, and the form that is filled."""

from __future__ import annotations

from typing import Any

import pytest
from bs4 import BeautifulSoup, Tag
from flask import Flask
from flask.testing import FlaskClient

from panel.models import Agent, CommandKind, User
from tests.conftest import login
from tests.docking import HOSTILE, container, network, report, tell
from tests.hosts import add_host, commands

NETWORKS = [network("front", attached=True), network("back")]


def told(app: Flask, agent: Agent, *containers: dict[str, Any], **values: Any) -> None:
    with app.app_context():
        tell(agent, report(NETWORKS, containers, **values))


def page_of(client: FlaskClient, path: str) -> BeautifulSoup:
    return BeautifulSoup(client.get(path).text, "html.parser")


def value_of(page: BeautifulSoup, name: str) -> object:
    field = page.select_one(f"#host-form [name={name}]")
    assert isinstance(field, Tag)
    return field.text.strip() if field.name == "textarea" else field.get("value")


def new_host(agent: Agent, name: str) -> str:
    return f"/hosts/new?agent={agent.id}&container=id-of-{name}"


FORM = {
    "domain_names": "app.example.com",
    "forward_scheme": "http",
    "forward_host": "app",
    "forward_port": "8080",
    "is_enabled": "y",
    "then": "apply",
}


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ({}, "Running"),
        ({"health": "healthy"}, "Healthy"),
        ({"health": "unhealthy"}, "Unhealthy"),
        ({"health": "starting"}, "Starting"),
        ({"state": "exited", "health": "healthy"}, "Stopped"),
        ({"state": "paused"}, "Paused"),
        ({"state": "<b>odd</b>"}, "<b>odd</b>"),
        ({"state": ""}, "Unknown"),
    ],
)
def test_every_state_has_a_word(app: Flask, bobs: FlaskClient, agent: Agent, values: dict[str, Any], word: str) -> None:
    told(app, agent, container("app", "front", **values))
    pill = page_of(bobs, "/containers").select_one("tbody .pill")
    assert pill is not None
    assert pill.text.strip().lower() == word.lower()


def test_hosts_and_ports_are_shown_and_own_containers_take_none(app: Flask, bobs: FlaskClient, agent: Agent) -> None:
    add_host(app, agent, "shop.example.com", host="shop")
    ports = [(80, 8080)]
    told(app, agent, container("shop", "front", ports=ports), container("nginx", "front", own=True))
    page = page_of(bobs, "/containers")
    assert "shop.example.com" in page.text
    assert "80 as 8080" in page.text
    assert [link["aria-label"] for link in page.select("tbody a.btn")] == ["Add host for shop"]
    assert page_of(bobs, "/containers?status=proxied").select("tbody tr b")[0].text == "shop"
    assert "No container matches" in bobs.get("/containers?status=down").text


def test_add_host_fills_the_form_and_says_first_that_nginx_is_joined(
    app: Flask, bobs: FlaskClient, agent: Agent
) -> None:
    told(app, agent, container("app", "back", ports=[(8080, 0)], labels={"waypost.host": "app.example.com"}))
    page = page_of(bobs, new_host(agent, "app"))
    assert value_of(page, "domain_names") == "app.example.com"
    assert (value_of(page, "forward_host"), value_of(page, "forward_port")) == ("app", "8080")
    assert page.select_one("input[name=join][checked]") is not None
    assert "Attach nginx to back first" in page.get_text(" ", strip=True)
    response = bobs.post("/hosts/new", data={**FORM, "agent_id": agent.id, "join_for": "back", "join": "y"})
    assert response.status_code == 303
    sent = commands(app)
    assert [one.kind for one in sent] == [CommandKind.ATTACH_NETWORK, CommandKind.APPLY_CONFIG]
    assert sent[0].payload["network"] == "back"


@pytest.mark.parametrize(
    "said",
    [{"join_for": "back"}, {}, {"join": "y"}, {"join": "y", "join_for": "front"}, {"join": "y", "join_for": HOSTILE}],
)
def test_nothing_is_joined_that_was_not_said_and_wanted(
    app: Flask, bobs: FlaskClient, agent: Agent, said: dict[str, str]
) -> None:
    told(app, agent, container("app", "back", ports=[(8080, 0)]))
    assert bobs.post("/hosts/new", data={**FORM, "agent_id": agent.id, **said}).status_code == 303
    assert [one.kind for one in commands(app)] == [CommandKind.APPLY_CONFIG]


def test_the_preview_says_it_for_whatever_is_typed(app: Flask, bobs: FlaskClient, agent: Agent) -> None:
    told(app, agent, container("app", "back", ports=[(8080, 0)]), container("near", "front"))
    htmx = {"HX-Request": "true"}
    shown = bobs.post("/hosts/preview", data={**FORM, "agent_id": agent.id}, headers=htmx).text
    assert 'name="join_for" value="back"' in shown
    assert "checked" in shown
    unwanted = bobs.post("/hosts/preview", data={**FORM, "agent_id": agent.id, "join_for": "back"}, headers=htmx).text
    assert 'value="y" checked' not in unwanted.replace("\n", "")
    near = bobs.post("/hosts/preview", data={**FORM, "agent_id": agent.id, "forward_host": "near"}, headers=htmx).text
    assert "join_for" not in near


@pytest.mark.parametrize("name", ["nobody", "own", "%00", "x" * 2000, "%22%3E%3Cscript%3E"])
def test_a_container_that_cannot_be_led_to_gives_an_empty_form(
    app: Flask, bobs: FlaskClient, agent: Agent, name: str
) -> None:
    told(app, agent, container("own", "front", own=True))
    page = page_of(bobs, new_host(agent, name))
    assert not value_of(page, "forward_host")
    assert "Filled from" not in page.text
    assert bobs.get(f"/hosts/new?agent=nobody&container=id-of-{name}").status_code == 200


def test_a_hostile_container_is_text_in_the_form(app: Flask, bobs: FlaskClient, agent: Agent) -> None:
    labels = {"waypost.host": HOSTILE}
    told(app, agent, container(HOSTILE, "front", ports=[(80, 0)], labels=labels))
    page = page_of(bobs, f"/hosts/new?agent={agent.id}&container=id-of-%22%3E%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E")
    assert value_of(page, "forward_host") == "172.20.0.9"
    assert page.select("main img") == []
    assert f"container {HOSTILE} on local" in page.get_text(" ", strip=True)


def test_an_offer_becomes_a_host_by_one_click(app: Flask, bobs: FlaskClient, agent: Agent) -> None:
    told(app, agent, container("app", "front", ports=[(80, 0)], labels={"waypost.host": "app.example.com"}))
    form = page_of(bobs, "/containers").select_one("form[action='/containers/accept']")
    assert isinstance(form, Tag)
    response = bobs.post("/containers/accept", data={"agent": agent.id, "container": "id-of-app"})
    assert response.location == "/hosts/1"
    assert "app.example.com" in bobs.get("/hosts/1").text
    assert page_of(bobs, "/containers").select("form[action='/containers/accept']") == []
    again = bobs.post("/containers/accept", data={"agent": agent.id, "container": "id-of-app"})
    assert again.status_code == 404


def test_a_taken_name_is_told_and_nothing_is_made(app: Flask, bobs: FlaskClient, agent: Agent) -> None:
    add_host(app, agent, "app.example.com")
    told(
        app, agent, container("app", "front", ports=[(80, 0)], labels={"waypost.host": "b.example.com app.example.com"})
    )
    response = bobs.post(
        "/containers/accept", data={"agent": agent.id, "container": "id-of-app"}, follow_redirects=True
    )
    assert "app.example.com already belongs to" in response.text
    assert commands(app) == []


def test_labels_that_cannot_be_used_have_no_button(app: Flask, bobs: FlaskClient, agent: Agent) -> None:
    told(app, agent, container("app", "front", ports=[(80, 0)], labels={"waypost.host": HOSTILE}))
    page = page_of(bobs, "/containers")
    assert "has labels that cannot be used" in page.text
    assert page.select("#offers form, #offers img") == []


def test_viewers_see_offers_and_no_button(app: Flask, client: FlaskClient, charlie: User, agent: Agent) -> None:
    told(app, agent, container("app", "front", ports=[(80, 0)], labels={"waypost.host": "app.example.com"}))
    login(client, charlie)
    page = page_of(client, "/containers")
    assert "app.example.com" in page.text
    assert page.select("main form[method=post], tbody a.btn") == []
    assert client.post("/containers/accept", data={"agent": agent.id}).status_code == 403


def test_only_administrators_trust_labels(
    app: Flask, client: FlaskClient, alice: User, bob: User, agent: Agent
) -> None:
    told(app, agent, container("app", "front", ports=[(80, 0)], labels={"waypost.host": "app.example.com"}))
    path = f"/agents/{agent.id}/labels"
    login(client, bob)
    assert client.post(path, data={"trust": "y"}).status_code == 403
    assert "Trust labels" not in client.get(f"/agents/{agent.id}").text
    login(client, alice)
    assert "Trust labels" in client.get(f"/agents/{agent.id}").text
    response = client.post(path, data={"trust": "y"}, follow_redirects=True)
    assert "become hosts by themselves" in response.text
    assert "Ask a person again" in response.text
    assert "app.example.com" in client.get("/hosts").text
    assert "a person confirms" in client.post(path, follow_redirects=True).text


def test_the_agents_page_tells_of_its_engine(app: Flask, bobs: FlaskClient, agent: Agent) -> None:
    told(app, agent, version="27.3.1<b>")
    card = page_of(bobs, f"/agents/{agent.id}").select_one("[aria-labelledby=h-docker]")
    assert isinstance(card, Tag)
    text = card.get_text(" ", strip=True)
    for words in ("27.3.1<b>", "waypost-nginx-1", "The agent is away. It reported this"):
        assert words in text
