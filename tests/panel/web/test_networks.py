"""The networks page through the client: what is wanted and what is, who may change it, and names that are hostile."""

from __future__ import annotations

from typing import Any

import pytest
from bs4 import BeautifulSoup, Tag
from flask import Flask
from flask.testing import FlaskClient

from panel.extensions import db
from panel.models import Agent, CommandKind, User
from panel.models.types import utcnow
from tests.conftest import login
from tests.docking import HOSTILE, OPTION, bring_online, container, network, report, tell
from tests.hosts import add_host, commands

CHANGES = ("/networks/attach", "/networks/detach")


def told(app: Flask, agent: Agent, said: dict[str, Any]) -> None:
    with app.app_context():
        tell(agent, said)


def row_of(client: FlaskClient, name: str, path: str = "/networks") -> Tag:
    """The row of a network."""
    for row in BeautifulSoup(client.get(path).text, "html.parser").select("tbody tr"):
        heading = row.select_one("b")
        if heading is not None and heading.text == name:
            return row
    raise AssertionError(name)


def buttons(row: Tag) -> list[str]:
    return [button.text for button in row.select("form button")]


def test_without_agents_the_page_says_what_comes_first(bobs: FlaskClient) -> None:
    assert "First, an agent" in bobs.get("/networks").text


def test_an_engine_that_cannot_be_reached_is_said_with_what_to_do(app: Flask, bobs: FlaskClient, agent: Agent) -> None:
    told(app, agent, report(present=False, problem="The agent may not use the socket: permission denied."))
    for path in ("/networks", "/containers", f"/agents/{agent.id}"):
        shown = bobs.get(path).text
        assert "permission denied" in shown, path
        assert "AGENT_DOCKER_HOST" in shown, path
    assert "Docker is not reachable on this agent" in bobs.get("/networks").text


def test_an_agent_that_never_told_is_not_called_broken(bobs: FlaskClient, agent: Agent) -> None:
    assert "It has not told the panel about Docker yet." in bobs.get("/networks").text
    assert "Not told yet" in bobs.get(f"/agents/{agent.id}").text


@pytest.mark.parametrize(
    ("values", "word", "wanted", "labels"),
    [
        ({"attached": True, "wanted": True}, "Attached", "wanted", ["Detach"]),
        ({"attached": True}, "Attached", "not asked for", ["Keep", "Detach"]),
        ({"wanted": True}, "Not attached", "wanted", ["Detach"]),
        ({"wanted": True, "missing": True}, "Network is gone", "wanted", ["Forget"]),
        ({}, "Not attached", "", ["Attach"]),
    ],
)
def test_a_row_shows_what_is_wanted_and_what_is(
    app: Flask, bobs: FlaskClient, agent: Agent, values: dict[str, Any], word: str, wanted: str, labels: list[str]
) -> None:
    told(app, agent, report([network("front", "app", **values)]))
    row = row_of(bobs, "front")
    cell = row.select("td")[5]
    assert cell.get_text(" ", strip=True) == f"{word} {wanted}".strip()
    assert buttons(row) == labels
    assert "172.20.0.0/16" in row.text


def test_a_reason_stands_where_the_button_would(app: Flask, bobs: FlaskClient, agent: Agent) -> None:
    stay = network("own", attached=True, wanted=True, detach_refusal="The agent reaches nginx by it.")
    told(app, agent, report([network("host", attach_refusal="It is the machine's own."), stay]))
    for name, reason in (("host", "It is the machine's own."), ("own", "The agent reaches nginx by it.")):
        row = row_of(bobs, name)
        assert buttons(row) == []
        assert reason in row.text


def test_an_nginx_on_the_machine_has_no_buttons(app: Flask, bobs: FlaskClient, agent: Agent) -> None:
    told(app, agent, report([network("front")], nginx_container=""))
    row = row_of(bobs, "front")
    assert "Not needed" in row.text
    assert buttons(row) == []


def test_hosts_that_lead_into_a_network_are_named_and_warned_of(app: Flask, bobs: FlaskClient, agent: Agent) -> None:
    add_host(app, agent, "shop.example.com", host="shop")
    there = [network("front", "shop", attached=True, wanted=True)]
    told(app, agent, report(there, [container("shop", "front")]))
    row = row_of(bobs, "front")
    assert "shop.example.com" in row.text
    form = row.select_one("form[action='/networks/detach']")
    assert form is not None
    assert "Visitors of shop.example.com may get an error (502) then." in form["data-confirm"]


@pytest.mark.parametrize("name", [HOSTILE, OPTION, "{{ 7*7 }}", "a'b", "сеть", "x" * 253])
def test_hostile_names_are_text_and_reach_the_agent_as_they_are(
    app: Flask, bobs: FlaskClient, agent: Agent, name: str
) -> None:
    told(app, agent, report([network(name, HOSTILE)], [container(HOSTILE, name, image="<b>x</b>")]))
    row = row_of(bobs, name)
    form = row.select_one("form[action='/networks/attach']")
    assert form is not None
    assert f"Attach nginx to {name}?" in form["data-confirm"]
    for path in ("/networks", "/containers"):
        page = BeautifulSoup(bobs.get(path).text, "html.parser")
        assert page.select("main img, main script, main b b") == []
    values = {field["name"]: field["value"] for field in form.select("input[name]") if field["name"] != "csrf_token"}
    response = bobs.post("/networks/attach", data=values)
    (command,) = commands(app)
    assert response.location == f"/jobs/{command.id}"
    assert (command.kind, command.payload["network"]) == (CommandKind.ATTACH_NETWORK, name)
    job = BeautifulSoup(bobs.get(f"/jobs/{command.id}").text, "html.parser")
    assert name in job.select_one("dl.kv").text  # type: ignore[union-attr]  # the facts are always there
    assert "Watch" in row_of(bobs, name).text


@pytest.mark.parametrize("path", CHANGES)
@pytest.mark.parametrize(
    ("data", "status"),
    [
        ({}, 404),
        ({"network": "front"}, 404),
        ({"agent": "x" * 4000, "network": "front"}, 404),
        ({"agent": "AGENT"}, 404),
        ({"agent": "AGENT", "network": "back"}, 404),
        ({"agent": "AGENT", "network": "host"}, 409),
    ],
)
def test_what_is_not_the_agents_is_refused(
    app: Flask, bobs: FlaskClient, agent: Agent, path: str, data: dict[str, str], status: int
) -> None:
    refused = network("host", attach_refusal="No.", detach_refusal="No.")
    told(app, agent, report([network("front"), refused]))
    sent = {name: agent.id if value == "AGENT" else value for name, value in data.items()}
    assert bobs.post(path, data=sent).status_code == status
    assert commands(app) == []


@pytest.mark.parametrize("path", CHANGES)
def test_only_posts_change_something_and_viewers_see_no_button(
    app: Flask, client: FlaskClient, charlie: User, agent: Agent, path: str
) -> None:
    told(app, agent, report([network("front")]))
    login(client, charlie)
    for method in ("GET", "PUT", "DELETE", "PATCH"):
        assert client.open(path, method=method).status_code == 405
    assert client.post(path, data={"agent": agent.id, "network": "front"}).status_code == 403
    assert buttons(row_of(client, "front")) == []
    assert commands(app) == []


def test_an_agent_that_is_away_is_shown_with_the_age_of_its_report(app: Flask, bobs: FlaskClient, agent: Agent) -> None:
    told(app, agent, report([network("front")]))
    shown = bobs.get("/networks").text
    assert "local is away." in shown
    assert "front" in shown
    bring_online(app, agent)
    assert "is away" not in bobs.get("/networks").text


def test_the_list_is_searched_filtered_sorted_and_cut(app: Flask, bobs: FlaskClient, agent: Agent) -> None:
    many = [network(f"net{number:03}", attached=number == 7) for number in range(60)]
    told(app, agent, report(many))
    assert "1 to 25 of 60" in bobs.get("/networks").text
    assert "51 to 60 of 60" in bobs.get("/networks?page=99").text
    assert row_of(bobs, "net059", "/networks?order=desc")
    assert "1 to 1 of 1" in bobs.get("/networks?q=NET007").text
    assert "1 to 1 of 1" in bobs.get("/networks?status=attached").text
    assert "No network matches" in bobs.get("/networks?q=%3Cscript%3E").text
    assert "1 to 25 of 60" in bobs.get("/networks?sort=evil&status=evil&agent=evil&page=-1").text


def test_htmx_gets_the_list_alone(app: Flask, bobs: FlaskClient, agent: Agent) -> None:
    told(app, agent, report([network("front")]))
    for path in ("/networks", "/containers"):
        assert "<html" not in bobs.get(path, headers={"HX-Request": "true"}).text


def test_revoked_agents_are_left_out(app: Flask, bobs: FlaskClient, agent: Agent) -> None:
    told(app, agent, report([network("front")]))
    with app.app_context():
        db.session.get_one(Agent, agent.id).revoked_at = utcnow()
        db.session.commit()
    assert "front" not in bobs.get("/networks").text


@pytest.mark.parametrize(("path", "topic"), [("/networks", "networks"), ("/containers", "containers")])
def test_the_stream_draws_the_list_that_is_shown_and_no_other(
    app: Flask, bobs: FlaskClient, agent: Agent, path: str, topic: str
) -> None:
    told(app, agent, report([network("front"), network("back")], [container("front-app", "front")]))
    page = BeautifulSoup(bobs.get(f"{path}?q=front").text, "html.parser")
    region = page.select_one("[id^=list-]")
    assert region is not None
    with bobs.get(f"/live?topics={topic}&q=front", buffered=False) as response:
        first = next(response.iter_encoded()).decode()
    assert f'hx-target="#{region["id"]}"' in first
    assert 'hx-target="#engines"' in first
    assert "front" in first
    assert ">back<" not in first
    with bobs.get(f"/live?topics={topic}", buffered=False) as response:
        assert f'hx-target="#{region["id"]}"' not in next(response.iter_encoded()).decode()
