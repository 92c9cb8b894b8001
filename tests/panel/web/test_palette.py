"""The palette: what it finds, in which order, for whom; its page; the keys and their switch."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from bs4 import BeautifulSoup
from flask import Flask
from flask.testing import FlaskClient

from panel.extensions import db, transaction
from panel.models import Agent, Event, User
from panel.services import events, proxy_hosts
from panel.web.palette import commands
from tests.certificates import add_certificate
from tests.conftest import login
from tests.hosts import add_host, set_aside
from tests.routes import ROUTES
from tests.statements import counted

Find = Callable[..., dict[str, list[str]]]


@pytest.fixture
def find(client: FlaskClient) -> Find:
    """The labels of the palette's options by group, for what was typed."""

    def ask(query: str) -> dict[str, list[str]]:
        page = BeautifulSoup(client.get("/palette", query_string={"q": query}).text, "html.parser")
        groups = page.select("[role=group]")
        return {str(one["aria-label"]): [name.text for name in one.select(".name")] for one in groups}

    return ask


def test_the_beginning_of_a_name_comes_before_that_of_a_label_and_that_before_the_middle(
    app: Flask, client: FlaskClient, agent: Agent, bob: User, find: Find
) -> None:
    login(client, bob)
    for name in ("snapshots.example.com", "shop.example.com", "old.shop.example.com", "workshop.example.com"):
        add_host(app, agent, name)
    add_host(app, agent, "b.example.com", "shop2.example.com")
    expected = [
        "shop.example.com",
        "shop2.example.com",
        "old.shop.example.com",
        "workshop.example.com",
    ]
    assert find("shop")["Hosts"] == expected
    assert find(" SHOP ")["Hosts"] == expected


def test_a_host_is_found_once_by_its_upstream_and_by_unicode_and_not_when_it_is_deleted(
    app: Flask, client: FlaskClient, agent: Agent, bob: User, find: Find
) -> None:
    login(client, bob)
    host_id = add_host(app, agent, "bücher.example", "www.bücher.example", host="10.9.8.7")
    assert find("bücher")["Hosts"] == find("10.9.8")["Hosts"] == ["bücher.example"]
    assert "Hosts" not in find("100%") | find("_")
    with app.app_context(), transaction():
        proxy_hosts.delete(proxy_hosts.get(host_id), None)
    assert "Hosts" not in find("bücher")


@pytest.mark.parametrize("typed", ["müll", "MÜLL", "mu\u0308ll", "üller", "ller.exam", "müller.example", "xn--mll"])
def test_a_part_of_an_international_name_is_found_as_it_is_read(
    app: Flask, client: FlaskClient, agent: Agent, bob: User, find: Find, typed: str
) -> None:
    login(client, bob)
    add_certificate(app, agent, "www.example.com")
    add_host(app, agent, "muller.example")
    name = "xn--mller-kva.example"
    host_id = add_host(app, agent, "www.example.com", name)
    add_certificate(app, agent, "shop.example.com", name)
    found = find(typed)
    assert sorted(found["Hosts"]) == (["muller.example"] if typed == "ller.exam" else []) + ["müller.example"]
    assert found["Certificates"] == ["müller.example"]
    rows = BeautifulSoup(client.get("/hosts", query_string={"q": typed, "sort": "name"}).text, "html.parser")
    assert rows.select_one(f"#host-{host_id}")
    assert len(rows.select("#rows > tr")) == len(found["Hosts"])
    listed = BeautifulSoup(client.get("/certificates", query_string={"q": typed}).text, "html.parser")
    assert len(listed.select("tbody > tr")) == 1
    with app.app_context(), transaction():
        proxy_hosts.set_enabled(proxy_hosts.get(host_id), False, None)
        events.record(None, "proxy_host", "disable", host_id, name)
    changes = BeautifulSoup(client.get("/audit", query_string={"q": typed}).text, "html.parser")
    assert [link.text for link in changes.select("td.did a")][:1] == ["müller.example"]


def test_certificates_agents_and_for_administrators_people_are_found(
    app: Flask, client: FlaskClient, agent: Agent, alice: User, bob: User, find: Find
) -> None:
    add_certificate(app, agent, "*.example.com", "example.com")
    login(client, bob)
    assert find("example")["Certificates"] == ["example.com"]
    assert find("*.exam")["Certificates"] == ["*.example.com"]
    assert find("loc")["Agents"] == ["local"]
    assert "People" not in find("ali")
    login(client, alice)
    assert find("ali")["People"] == ["alice"]


def test_each_role_is_offered_what_it_may_do(client: FlaskClient, charlie: User, bob: User, find: Find) -> None:
    login(client, charlie)
    assert find("")["Commands"] == ["Set up second factor", "Switch between light and dark", "Log out"]
    assert "Users" not in find("")["Pages"]
    login(client, bob)
    assert find("new")["Commands"] == ["Add host", "Request certificate"]
    assert find("cert auth")["Pages"] == ["Certificate authorities"]
    assert find("invite") == {}


def test_commands_name_the_roles_that_their_addresses_ask_for(app: Flask) -> None:
    methods = {
        line.split()[0]: dict(one.split(":") for one in line.split()[1:]) for line in ROUTES.strip().splitlines()
    }
    with app.test_request_context():
        for one in (*commands.PAGES, *commands.COMMANDS):
            assert methods[one.url]["POST" if one.is_post else "GET"] in {one.lowest, "anyone"}, one.label


def test_without_a_query_the_last_changed_hosts_come_first(
    app: Flask, client: FlaskClient, agent: Agent, bob: User, find: Find
) -> None:
    login(client, bob)
    for number in range(7):
        add_host(app, agent, f"h{number}.example.com")
    assert find("")["Last changed hosts"] == [f"h{number}.example.com" for number in (6, 5, 4, 3, 2)]
    assert list(find("")) == ["Last changed hosts", "Pages", "Commands"]


def test_the_number_of_queries_does_not_grow(app: Flask, client: FlaskClient, agent: Agent, bob: User) -> None:
    login(client, bob)

    def count() -> int:
        with counted(app) as asked:
            assert client.get("/palette?q=example").status_code == 200
        return len(asked)

    add_host(app, agent, "a.example.com")
    before = count()
    for number in range(6):
        set_aside(app, add_host(app, agent, f"b{number}.example.com", f"c{number}.example.com"))
        add_certificate(app, agent, f"b{number}.example.com")
    assert count() == before <= 6


def test_what_was_typed_is_shown_as_text(client: FlaskClient, bob: User) -> None:
    login(client, bob)
    hostile = '"><script>alert(1)</script>'
    for address in ("/palette", "/search"):
        text = client.get(address, query_string={"q": hostile}).text
        assert "<script>alert" not in text
        assert "alert(1)" in text


def test_the_page_of_the_search_has_links_and_forms(app: Flask, client: FlaskClient, agent: Agent, bob: User) -> None:
    login(client, bob)
    host_id = add_host(app, agent, "shop.example.com")
    page = BeautifulSoup(client.get("/search?q=shop").text, "html.parser")
    assert page.select_one(f'main a[href="/hosts/{host_id}"]')
    assert page.select_one("main [role=status]").text == "1 result"  # type: ignore[union-attr]
    page = BeautifulSoup(client.get("/search?q=log+out").text, "html.parser")
    assert page.select_one('main form[method=post][action="/logout"] [name=csrf_token]')
    assert "Nothing fits" in client.get("/search?q=zzz").text


def test_single_keys_are_switched_off_by_each_person(app: Flask, client: FlaskClient, charlie: User) -> None:
    login(client, charlie)
    assert 'data-keys="g h"' in client.get("/hosts").text
    client.post("/account/shortcuts")
    text = client.get("/account").text
    assert 'data-keys="g h"' not in text
    assert "Single-key shortcuts are off" in text
    assert re.search(r'id="shortcuts"[^>]*data-on', text) is None
    client.post("/account/shortcuts", data={"shortcuts": "1"})
    client.post("/account/shortcuts", data={"shortcuts": "1"})
    assert 'data-keys="g h"' in client.get("/hosts").text
    with app.app_context():
        recorded: list[Any] = [one.after for one in db.session.query(Event).filter_by(verb="user:switch_shortcuts")]
    assert recorded == [{"has_shortcuts": False}, {"has_shortcuts": True}]


def test_no_two_commands_have_the_same_keys() -> None:
    keys = [one.keys for one in (*commands.PAGES, *commands.COMMANDS) if one.keys]
    assert len(keys) == len(set(keys))
    assert not {one for one in keys if len(one) == 1} & {"g", "/", "?"}
