"""The hosts list, a host's page and the buttons on it, through the client.
May import: panel and the fixtures of tests.conftest."""

from __future__ import annotations

import pytest
from bs4 import BeautifulSoup
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from panel.extensions import db, transaction
from panel.models import Agent, AgentStatus, Command, CommandKind, ProxyHost, User
from panel.services import proxy_hosts
from panel.services.proxy_hosts import ProxyHostSpec
from panel.web.hosts import view
from panel.web.hosts.listing import HOSTS
from panel.web.listing import ListQuery
from tests.conftest import login
from tests.hosts import add_host, commands, make_live, set_aside

HTMX = {"HX-Request": "true"}


def rows(response: TestResponse) -> list[str]:
    """The names in the list, in their order."""
    return [a.text for a in BeautifulSoup(response.text, "html.parser").select("#rows .host a")]


def test_the_empty_list_teaches_and_asks_for_an_agent_first(bobs: FlaskClient) -> None:
    shown = BeautifulSoup(bobs.get("/hosts").text, "html.parser").select_one("main")
    assert shown is not None
    assert "First, an agent" in shown.text
    assert not shown.select("a[href='/hosts/new']")


def test_the_empty_list_with_an_agent_leads_to_the_form(bobs: FlaskClient, agent: Agent) -> None:
    assert "Send your first name somewhere" in bobs.get("/hosts").text


def test_a_filter_that_finds_nothing_says_so_and_can_be_cleared(app: Flask, bobs: FlaskClient, agent: Agent) -> None:
    add_host(app, agent)
    shown = bobs.get("/hosts?q=zzz").text
    assert "No host matches" in shown
    assert "Clear filters" in shown


def test_search_finds_names_upstreams_and_international_names(app: Flask, bobs: FlaskClient, agent: Agent) -> None:
    add_host(app, agent, "xn--bcher-kva.example.com")
    add_host(app, agent, "git.example.com", host="gitea")
    assert rows(bobs.get("/hosts?q=bücher")) == ["bücher.example.com"]
    assert rows(bobs.get("/hosts?q=GITEA")) == ["git.example.com"]
    assert rows(bobs.get("/hosts?q=%25")) == []


def test_htmx_gets_the_list_alone(app: Flask, bobs: FlaskClient, agent: Agent) -> None:
    add_host(app, agent)
    shown = bobs.get("/hosts?q=app", headers=HTMX).text
    assert "<html" not in shown
    assert shown.lstrip().startswith("<section")


def test_the_search_text_is_escaped(app: Flask, bobs: FlaskClient, agent: Agent) -> None:
    add_host(app, agent)
    assert "<script>alert" not in bobs.get('/hosts?q="><script>alert(1)</script>').text


def test_sorting_is_a_link_that_says_which_way(app: Flask, bobs: FlaskClient, agent: Agent) -> None:
    add_host(app, agent, "b.example.com")
    add_host(app, agent, "a.example.com")
    response = bobs.get("/hosts?sort=name")
    assert rows(response) == ["a.example.com", "b.example.com"]
    heading = BeautifulSoup(response.text, "html.parser").select_one("th[aria-sort]")
    assert heading is not None
    assert heading["aria-sort"] == "ascending"
    link = heading.select_one("a")
    assert link is not None
    assert rows(bobs.get(str(link["href"]))) == ["b.example.com", "a.example.com"]


def test_pages_hold_25_and_keep_the_filter(app: Flask, bobs: FlaskClient, agent: Agent) -> None:
    for number in range(30):
        add_host(app, agent, f"h{number:02}.example.com")
    assert len(rows(bobs.get("/hosts"))) == 25
    response = bobs.get("/hosts?q=example&sort=name&page=2")
    assert rows(response) == [f"h{number}.example.com" for number in range(25, 30)]
    assert "26 to 30 of 30" in response.text
    assert "q=example" in response.text


@pytest.mark.parametrize(
    "query",
    [
        "page=0",
        "page=-5",
        "page=999999999999999999999",
        "page=x",
        "page=%00",
        "sort=password_hash",
        "sort=name;drop table",
        "order=sideways",
        "status=nonsense",
        "agent=../../etc",
        "agent=7d5f4a0e-0000-4000-8000-00000000000f",
        "sort=name&sort=upstream",
    ],
)
def test_parameters_out_of_range_do_no_harm(app: Flask, bobs: FlaskClient, agent: Agent, query: str) -> None:
    add_host(app, agent)
    response = bobs.get(f"/hosts?{query}")
    assert response.status_code == 200
    assert rows(response) == ["app.example.com"]


def test_a_query_without_end_is_cut(bobs: FlaskClient, agent: Agent) -> None:
    assert bobs.get("/hosts?q=" + "x" * 5000).status_code == 200


def test_urls_hold_only_what_differs_from_the_default() -> None:
    assert ListQuery(HOSTS).url() == "/hosts"
    changed = ListQuery(HOSTS, HOSTS.facets, query="a&b", chosen={"status": "refused"}, page=3)
    assert changed.url() == "/hosts?q=a%26b&status=refused"
    assert changed.url(page=2) == "/hosts?q=a%26b&status=refused&page=2"


def test_each_status_has_a_word_and_a_shape(app: Flask, agent: Agent) -> None:
    host_id = add_host(app, agent)
    with app.app_context():
        host = proxy_hosts.get(host_id)
        assert view.host_status(host, AgentStatus.ONLINE).word == "Not live yet"
    make_live(app, agent)
    with app.app_context(), transaction():
        host = proxy_hosts.get(host_id)
        assert view.host_status(host, AgentStatus.ONLINE).word == "Serving"
        assert view.host_status(host, AgentStatus.OFFLINE).word == "Agent offline"
        proxy_hosts.set_enabled(host, False, None)
        assert view.host_status(host, AgentStatus.ONLINE).word == "Changed, not live"
    make_live(app, agent)
    with app.app_context(), transaction():
        host = proxy_hosts.get(host_id)
        assert view.host_status(host, AgentStatus.ONLINE).word == "Disabled"
        proxy_hosts.delete(host, None)
        assert view.host_status(host, AgentStatus.ONLINE).word == "Deleted"


def test_the_page_of_a_refused_host_says_why_where_and_what_to_do(app: Flask, bobs: FlaskClient, agent: Agent) -> None:
    host_id = add_host(app, agent)
    make_live(app, agent)
    set_aside(app, host_id)
    shown = bobs.get(f"/hosts/{host_id}").text
    assert "host not found in upstream &#34;nowhere&#34; &lt;b&gt;" in shown
    assert "line 12" in shown
    assert f'href="/hosts/{host_id}/edit#forward_host"' in shown
    assert "last good version keeps serving" in shown
    assert "Refused by nginx" in bobs.get("/hosts?status=refused").text


def test_a_changed_host_shows_live_and_saved_side_by_side(app: Flask, bobs: FlaskClient, agent: Agent) -> None:
    host_id = add_host(app, agent)
    make_live(app, agent)
    with app.app_context(), transaction():
        spec = ProxyHostSpec(agent.id, ("app.example.com",), "http", "10.0.0.77", 3000)
        proxy_hosts.update(proxy_hosts.get(host_id), spec, None, version=1)
    shown = BeautifulSoup(bobs.get(f"/hosts/{host_id}").text, "html.parser")
    assert "10.0.0.77" in " ".join(line.text for line in shown.select(".diff .add"))
    assert "10.0.0.5" in " ".join(line.text for line in shown.select(".diff .del"))


def test_delete_applies_at_once_and_can_be_undone(app: Flask, bobs: FlaskClient, agent: Agent) -> None:
    host_id = add_host(app, agent)
    assert bobs.post(f"/hosts/{host_id}/delete").location == "/hosts"
    assert [command.kind for command in commands(app)] == [CommandKind.APPLY_CONFIG]
    shown = bobs.get("/hosts").text
    assert "Host app.example.com deleted." in shown
    assert f'action="/hosts/{host_id}/restore"' in shown
    assert "This host is deleted." in bobs.get(f"/hosts/{host_id}").text
    assert bobs.get(f"/hosts/{host_id}/edit").status_code == 409
    assert bobs.post(f"/hosts/{host_id}/restore").location == f"/hosts/{host_id}"
    with app.app_context():
        assert not proxy_hosts.get(host_id).is_deleted


def test_undo_is_refused_when_the_name_was_given_away(app: Flask, bobs: FlaskClient, agent: Agent) -> None:
    host_id = add_host(app, agent)
    bobs.post(f"/hosts/{host_id}/delete")
    add_host(app, agent)
    response = bobs.post(f"/hosts/{host_id}/restore")
    assert response.status_code == 409
    assert "app.example.com already belongs to" in response.text


def test_disable_and_enable_apply_at_once_and_go_back_to_the_list(app: Flask, bobs: FlaskClient, agent: Agent) -> None:
    host_id = add_host(app, agent)
    assert bobs.post(f"/hosts/{host_id}/disable", data={"next": "/hosts?page=2"}).location == "/hosts?page=2"
    with app.app_context():
        assert not proxy_hosts.get(host_id).is_enabled
    assert bobs.post(f"/hosts/{host_id}/enable").location == f"/hosts/{host_id}"
    assert len(commands(app)) == 1


@pytest.mark.parametrize("target", ["//evil.example", "https://evil.example", "/\\evil.example", "/%2f/evil"])
def test_the_way_back_never_leaves_the_panel(app: Flask, bobs: FlaskClient, agent: Agent, target: str) -> None:
    host_id = add_host(app, agent)
    assert bobs.post(f"/hosts/{host_id}/disable", data={"next": target}).location == f"/hosts/{host_id}"


def test_a_saved_host_is_tested(app: Flask, bobs: FlaskClient, agent: Agent) -> None:
    host_id = add_host(app, agent)
    response = bobs.post(f"/hosts/{host_id}/test")
    job = commands(app)[0]
    assert job.kind == CommandKind.TEST_CONFIG
    assert response.location == f"/jobs/{job.id}"


@pytest.mark.parametrize("verb", ["test", "enable", "disable", "delete", "restore"])
def test_buttons_need_an_editor_a_token_and_a_host(
    app: Flask, client: FlaskClient, bob: User, charlie: User, agent: Agent, verb: str
) -> None:
    host_id = add_host(app, agent)
    login(client, charlie)
    assert client.post(f"/hosts/{host_id}/{verb}").status_code == 403
    login(client, bob)
    assert client.post(f"/hosts/999/{verb}").status_code == 404
    assert client.get(f"/hosts/{host_id}/{verb}").status_code == 405
    app.config["WTF_CSRF_ENABLED"] = True
    assert client.post(f"/hosts/{host_id}/{verb}").status_code == 400
    with app.app_context():
        assert db.session.scalar(select(func.count(ProxyHost.id)).where(ProxyHost.deleted_at.is_(None))) == 1
        assert db.session.scalar(select(func.count(Command.id))) == 0


def test_a_viewer_sees_no_button_that_would_fail(app: Flask, client: FlaskClient, charlie: User, agent: Agent) -> None:
    host_id = add_host(app, agent)
    login(client, charlie)
    for path in ("/hosts", f"/hosts/{host_id}", "/changes"):
        main = BeautifulSoup(client.get(path).text, "html.parser").select_one("main")
        assert main is not None
        assert main.select("form[method=post]") == []
        assert main.select('a[href*="/edit"], a[href*="/new"]') == []


@pytest.mark.parametrize("path", ["/hosts/999", "/hosts/0", "/hosts/99999999999999999999", "/hosts/x", "/hosts/-1"])
def test_unknown_hosts_are_not_found(bobs: FlaskClient, path: str) -> None:
    assert bobs.get(path).status_code == 404


def test_the_live_stream_sends_the_rows_that_are_shown(app: Flask, bobs: FlaskClient, agent: Agent) -> None:
    host_id = add_host(app, agent)
    other_id = add_host(app, agent, "other.example.com")
    with bobs.get(f"/live?topics=hosts&rows={host_id},999,x&total=1", buffered=False) as response:
        first = next(response.iter_encoded()).decode()
    assert f'hx-target="#host-{host_id} [data-cell=status]"' in first
    assert f"#host-{other_id} " not in first
    assert "1 new, refresh" in first
    assert 'hx-target="#dock"' in first
