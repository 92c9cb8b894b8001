"""The panel as a host: what the form proposes, who may make it, and what is still to do."""

from __future__ import annotations

import socket
from dataclasses import replace
from typing import Any

import pytest
from bs4 import BeautifulSoup
from flask import Flask
from flask.testing import FlaskClient

from panel.config import Config
from panel.extensions import db, transaction
from panel.models import Agent, User
from panel.models.types import utcnow
from panel.nginx import render
from panel.nginx.render import NginxFacts
from panel.services import proxy_hosts, publishing
from panel.web import sse
from tests.certificates import add_certificate
from tests.conftest import login
from tests.hosts import commands, make_live

FORM = {"domain_names": "Panel.example.com", "forward_host": "127.0.0.1", "forward_port": "7800"}


@pytest.fixture
def config(config: Config) -> Config:
    return replace(config, port=7800, bundled_agent="local")


def publish(client: FlaskClient, agent: Agent, **values: str) -> Any:
    return client.post("/settings/publish", data={"agent_id": agent.id, **FORM, **values})


def soup(client: FlaskClient, path: str = "/settings/publish", **options: Any) -> BeautifulSoup:
    return BeautifulSoup(client.get(path, **options).text, "html.parser")


def value(page: BeautifulSoup, name: str) -> object:
    found = page.select_one(f"[name={name}]")
    assert found
    return found["value"]


def test_the_agent_beside_is_proposed_with_the_panels_own_address(alices: FlaskClient, agent: Agent) -> None:
    page = soup(alices)
    assert value(page, "agent_id") == agent.id
    assert (value(page, "forward_host"), value(page, "forward_port")) == ("127.0.0.1", "7800")
    assert "on the panel's machine" in page.get_text()


def reach(app: Flask, config: Config, **values: Any) -> publishing.Reach:
    with app.app_context():
        return publishing.reach(Agent(**{"name": "edge-1", "docker": {}, "hostname": "edge-1", **values}), config)


def test_an_address_that_cannot_be_known_is_explained_and_left_empty(app: Flask, config: Config) -> None:
    here = {"hostname": socket.gethostname()}
    assert reach(app, config, **here).host == "127.0.0.1"
    assert reach(app, replace(config, host="0.0.0.0"), **here).host == "127.0.0.1"
    alone = reach(app, config)
    assert (alone.host, "listens on its own machine only" in alone.why) == ("", True)
    everywhere = reach(app, replace(config, host="0.0.0.0"))
    assert (everywhere.host, "Enter the one that edge-1 reaches" in everywhere.why) == ("", True)
    assert reach(app, replace(config, host="192.0.2.9")).host == "192.0.2.9"


def container(name: str, *, own: bool) -> dict[str, Any]:
    endpoint = {"network": "waypost", "address": "172.18.0.2", "aliases": [name]}
    facts = {"id": name, "name": f"waypost-{name}-1", "image": name, "state": "running", "health": "", "labels": {}}
    return {**facts, "ports": [], "endpoints": [endpoint], "own": own}


def test_beside_nginx_in_a_container_the_panel_is_called_by_its_name(app: Flask, config: Config) -> None:
    docker = {"present": True, "problem": "", "version": "27", "nginx_container": "waypost-nginx", "networks": []}
    known = reach(app, config, name="local", docker={**docker, "containers": [container("panel", own=True)]})
    assert (known.host, known.port) == ("panel", 7800)
    strange = reach(app, config, name="local", docker={**docker, "containers": [container("panel", own=False)]})
    assert (strange.host, "nginx runs in a container" in strange.why) == ("", True)


def test_publishing_makes_a_host_and_applies_it(app: Flask, alices: FlaskClient, agent: Agent) -> None:
    assert publish(alices, agent).location == "/settings/publish"
    assert [command.kind for command in commands(app)] == ["apply_config"]
    with app.app_context():
        host = proxy_hosts.list_page().items[0]
        assert (host.domain_names, host.upstream_url) == (["panel.example.com"], "http://127.0.0.1:7800")
        assert (host.http2, host.websocket) == (True, False)
    page = soup(alices).get_text(" ")
    assert "This panel is panel.example.com" in page
    assert "It is not live yet." in page
    assert "PANEL_TRUSTED_PROXIES=1" in page
    assert "PANEL_PUBLIC_URL=https://panel.example.com:7443" in page


def test_what_is_wrong_stands_at_its_field(app: Flask, alices: FlaskClient, agent: Agent) -> None:
    for values, words in (
        ({"domain_names": "no spaces.example.com"}, "fields need a fix"),
        ({"forward_port": "x"}, "Enter the port that the panel listens on"),
        ({"agent_id": "gone"}, "Choose another one"),
    ):
        answer = publish(alices, agent, **values)
        assert answer.status_code == 422
        assert "need" in answer.text
        assert words in answer.text or "One field needs a fix" in answer.text
    assert commands(app) == []


def test_only_administrators_publish_the_panel(app: Flask, client: FlaskClient, bob: User, agent: Agent) -> None:
    login(client, bob)
    assert client.get("/settings/publish").status_code == 403
    assert publish(client, agent).status_code == 403
    assert "/settings/publish" not in client.get("/settings/authorities").text
    assert commands(app) == []


def test_the_steps_are_done_when_they_are(app: Flask, alices: FlaskClient, agent: Agent) -> None:
    publish(alices, agent)
    make_live(app, agent)
    certificate_id = add_certificate(app, agent, "panel.example.com")
    with app.app_context(), transaction():
        db.session.get_one(Agent, agent.id).letsencrypt_dir = "/etc/letsencrypt"
        proxy_hosts.list_page().items[0].certificate_id = certificate_id
    known = {"public_url": "https://panel.example.com:7443", "secure_cookies": True, "trusted_proxies": 1}
    app.config["WAYPOST"] = replace(app.config["WAYPOST"], **known)
    assert [found["class"] for found in soup(alices).select("#published li")] == [["done"]] * 3


def test_who_looks_through_nginx_is_told_when_the_panel_does_not_trust_it(
    app: Flask, alices: FlaskClient, agent: Agent
) -> None:
    publish(alices, agent)
    through = {"X-Forwarded-For": "203.0.113.9"}
    assert "Everybody seems to come from 127.0.0.1" in soup(alices, headers=through).get_text()
    assert "You reach the panel directly now" in soup(alices).get_text()
    assert utcnow()
    app.config["WAYPOST"] = replace(app.config["WAYPOST"], trusted_proxies=1)
    assert "Everybody seems" not in soup(alices, headers=through).get_text()


def test_streams_ping_more_often_than_nginx_gives_up() -> None:
    shared = render.render_shared([], NginxFacts("1.22.1", 80, 443, ipv6=False), http2=True)
    text = "".join(file.text for file in shared)
    assert "proxy_read_timeout 90s;" in text
    assert sse.PING_INTERVAL * 3 < 90
