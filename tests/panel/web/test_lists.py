"""Lists: filters, rows per page, tags, many rows at once, quick edit; and what a page asks of the database.
May import: panel and the fixtures of tests."""

from __future__ import annotations

import pytest
from bs4 import BeautifulSoup
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from panel.extensions import db, transaction
from panel.models import Agent, CommandKind, CommandState, ProxyHost, User
from panel.models.types import utcnow
from panel.services import commands, events, proxy_hosts
from tests.certificates import add_authority, add_certificate, add_wish, certificate
from tests.conftest import login, store
from tests.docking import container, network, report, tell
from tests.hosts import add_host, make_live
from tests.hosts import commands as all_commands
from tests.statements import counted

NOTHING = {
    "cause": "",
    "sentence": "",
    "next_step": "",
    "container": "",
    "network": "",
    "checked_at": None,
    "milliseconds": 1,
}
HTMX = {"HX-Request": "true"}


@pytest.fixture
def hosts(app: Flask, agent: Agent) -> list[int]:
    """Five hosts, a to e."""
    return [add_host(app, agent, f"{c}.example.com") for c in "abcde"]


def soup(response: TestResponse) -> BeautifulSoup:
    return BeautifulSoup(response.text, "html.parser")


def names(response: TestResponse) -> list[str]:
    return [a.text for a in soup(response).select("#rows .host > a")]


def change_host(app: Flask, host_id: int, **values: object) -> None:
    with app.app_context(), transaction():
        for name, value in values.items():
            setattr(proxy_hosts.get(host_id), name, value)


def state(app: Flask, *host_ids: int) -> list[ProxyHost]:
    with app.app_context():
        found = [proxy_hosts.get(host_id) for host_id in host_ids]
        for host in found:
            _ = host.tags
        db.session.expunge_all()
        return found


def test_rows_per_page_are_a_choice_that_is_kept(app: Flask, bobs: FlaskClient, agent: Agent) -> None:
    for number in range(30):
        add_host(app, agent, f"h{number:02}.example.com")
    assert len(names(bobs.get("/hosts"))) == 25
    shown = bobs.get("/hosts?per=50&sort=name")
    assert len(names(shown)) == 30
    assert "1 to 30 of 30" in shown.text
    assert [a["href"] for a in soup(shown).select(".sizes a")][-1] == "/hosts?sort=name&per=100"
    assert len(names(bobs.get("/hosts?per=7"))) == 25


def test_a_tag_is_a_chip_that_filters_and_a_word_that_is_searched(
    app: Flask, bobs: FlaskClient, hosts: list[int]
) -> None:
    change_host(app, hosts[1], tags=["staging", "<b>"])
    shown = bobs.get("/hosts")
    assert "<b>" not in [tag.name for tag in soup(shown).select(".host *")]
    chip = soup(shown).select_one("a.tag[href='/hosts?tag=staging']")
    assert chip
    assert names(bobs.get("/hosts?tag=staging")) == names(bobs.get("/hosts?q=STAG")) == ["b.example.com"]
    filtered = soup(bobs.get("/hosts?tag=staging"))
    assert filtered.select_one(".fchip.on[href='/hosts']")
    assert "staging (1)" in filtered.text
    assert "No host matches" in bobs.get("/hosts?tag=gone").text


def test_hosts_are_filtered_by_tls_and_by_upstream(
    app: Flask, bobs: FlaskClient, agent: Agent, hosts: list[int]
) -> None:
    fine, due = add_certificate(app, agent, "a.example.com"), add_certificate(app, agent, "b.example.com", left=9)
    wish = add_wish(app, agent, "c.example.com", failures=2)
    for host_id, certificate_id in zip(hosts, (fine, due, wish), strict=False):
        change_host(app, host_id, certificate_id=certificate_id)
    bad = {"scheme": "http", "host": "10.0.0.9", "port": 3000, "ok": False, **NOTHING}
    change_host(app, hosts[4], forward_host="10.0.0.9")
    with app.app_context(), transaction():
        known = db.session.get_one(Agent, agent.id)
        known.upstreams, known.upstreams_at = [{**bad, "ok": True, "port": 1}, bad], utcnow()
    found = {
        word: sorted(name[0] for name in names(bobs.get(f"/hosts?{word}")))
        for word in ("tls=https", "tls=plain", "tls=waiting", "tls=due", "tls=failing", "tls=x", "upstream=failing")
    }
    assert found == {
        "tls=https": ["a", "b"],
        "tls=plain": ["d", "e"],
        "tls=waiting": ["c"],
        "tls=due": ["b"],
        "tls=failing": ["c"],
        "tls=x": ["a", "b", "c", "d", "e"],
        "upstream=failing": ["e"],
    }


def test_saving_tags_alone_leaves_nothing_to_apply(app: Flask, bobs: FlaskClient, agent: Agent) -> None:
    host_id = add_host(app, agent)
    make_live(app, agent)
    count = len(all_commands(app))
    form = soup(bobs.get(f"/hosts/{host_id}/edit")).select_one("#host-form")
    assert form
    values = {
        "version": "1",
        "domain_names": "app.example.com",
        "forward_scheme": "http",
        "forward_host": "10.0.0.5",
        "forward_port": "3000",
        "websocket": "y",
        "http2": "y",
        "is_enabled": "y",
        "agent_id": agent.id,
        "tags": "Production, edge edge",
        "then": "apply",
    }
    response = bobs.post(f"/hosts/{host_id}/edit", data=values)
    assert response.location == f"/hosts/{host_id}"
    assert state(app, host_id)[0].tags == ["edge", "production"]
    assert len(all_commands(app)) == count
    assert "nginx needs nothing new" in bobs.get(f"/hosts/{host_id}").text
    history = soup(bobs.get(f"/hosts/{host_id}")).select_one(".hist .chg")
    assert history is not None
    assert [term.text for term in history.select("dt")] == ["Tags"]
    refused = bobs.post(f"/hosts/{host_id}/edit", data={**values, "version": "2", "tags": "a/b"})
    assert refused.status_code == 422
    assert "is not one word" in refused.text


def test_hosts_are_disabled_together_and_undone_from_the_toast(app: Flask, bobs: FlaskClient, hosts: list[int]) -> None:
    here = "/hosts?sort=name"
    response = bobs.post("/hosts/bulk", data={"action": "disable", "host": hosts[:3], "next": here})
    assert response.location == here
    assert [host.is_enabled for host in state(app, *hosts)] == [False, False, False, True, True]
    assert len(all_commands(app)) == 1
    shown = soup(bobs.get(here))
    assert "3 hosts disabled. nginx gets it now." in shown.text
    form = shown.select_one("#toasts form")
    assert form
    undone = bobs.post(str(form["action"]))
    assert undone.location == here
    assert all(host.is_enabled for host in state(app, *hosts))


def test_who_was_left_is_named_with_the_reason(app: Flask, bobs: FlaskClient, hosts: list[int]) -> None:
    change_host(app, hosts[0], is_enabled=False)
    shown = bobs.post("/hosts/bulk", data={"action": "disable", "host": hosts[:3]})
    assert shown.status_code == 200
    assert "2 hosts disabled" in shown.text
    assert "It was disabled already." in shown.text
    assert [chip.text for chip in soup(shown).select(".names .chip")] == ["a.example.com"]
    assert soup(shown).select_one("form[action^='/hosts/bulk/undo?']")


def test_a_deletion_asks_names_them_and_wants_the_phrase(app: Flask, bobs: FlaskClient, hosts: list[int]) -> None:
    asked = bobs.post("/hosts/bulk", data={"action": "delete", "host": hosts[:3]}, headers=HTMX)
    assert "<html" not in asked.text
    assert "Delete 3 hosts?" in asked.text
    assert "Visitors of these names get the default page" in asked.text
    assert [chip.text for chip in soup(asked).select(".names .chip")] == [f"{c}.example.com" for c in "abc"]
    assert soup(asked).select_one("#question-phrase[autofocus]")
    assert not state(app, hosts[0])[0].is_deleted
    values = {str(field["name"]): str(field["value"]) for field in soup(asked).select("input[type=hidden]")}
    values["host"] = hosts[:3]  # type: ignore[assignment]  # one field for each
    refused = bobs.post("/hosts/bulk", data={**values, "phrase": "delete"})
    assert refused.status_code == 422
    assert "Type “delete 3 hosts” to confirm." in refused.text
    assert not state(app, hosts[0])[0].is_deleted
    assert bobs.post("/hosts/bulk", data={**values, "phrase": "Delete 3 hosts "}).status_code == 303
    assert [host.is_deleted for host in state(app, *hosts)] == [True, True, True, False, False]
    assert "3 hosts deleted" in bobs.get("/hosts").text


def test_what_is_typed_before_a_deletion_is_asked_for_in_german(bobs: FlaskClient, hosts: list[int]) -> None:
    bobs.set_cookie("language", "de")
    asked = soup(bobs.post("/hosts/bulk", data={"action": "delete", "host": hosts[:3]}, headers=HTMX))
    values = {str(field["name"]): str(field["value"]) for field in asked.select("input[type=hidden]")}
    values["host"] = hosts[:3]  # type: ignore[assignment]  # one field for each
    phrase = str(asked.select("#question-phrase")[0]["data-phrase"])
    assert phrase == "3 hosts löschen"
    assert bobs.post("/hosts/bulk", data={**values, "phrase": phrase}).status_code == 303
    assert "3 Hosts gelöscht" in bobs.get("/hosts").text


def test_two_hosts_want_no_phrase_and_the_safe_button_has_the_focus(bobs: FlaskClient, hosts: list[int]) -> None:
    asked = soup(bobs.post("/hosts/bulk", data={"action": "delete", "host": hosts[:2]}, headers=HTMX))
    assert not asked.select_one("#question-phrase")
    focused = asked.select_one("[autofocus]")
    assert focused
    assert focused.text == "Keep hosts"


def test_all_that_match_go_by_the_query_and_are_counted_again(
    app: Flask, bobs: FlaskClient, agent: Agent, hosts: list[int]
) -> None:
    everything = {"action": "enable", "everything": "y", "status": "disabled", "q": "example"}
    for host_id in hosts[:2]:
        change_host(app, host_id, is_enabled=False)
    asked = bobs.post("/hosts/bulk", data=everything)
    heading = soup(asked).select_one("h1")
    assert heading
    assert heading.text == "Enable 2 hosts?"
    values = {str(one["name"]): str(one["value"]) for one in soup(asked).select("#question input[type=hidden]")}
    assert (values["everything"], values["status"], values["q"]) == ("y", "disabled", "example")
    change_host(app, hosts[2], is_enabled=False)
    again = bobs.post("/hosts/bulk", data=values)
    assert again.status_code == 422
    assert "There are 3 of them now" in again.text
    assert bobs.post("/hosts/bulk", data={**values, "count": "3"}).status_code == 303
    assert all(host.is_enabled for host in state(app, *hosts))


def test_tags_are_added_and_taken_together(app: Flask, bobs: FlaskClient, hosts: list[int]) -> None:
    assert "Add a tag to 2 hosts" in bobs.post("/hosts/bulk", data={"action": "tag", "host": hosts[:2]}).text
    confirmed = {"host": hosts[:2], "confirmed": "y", "count": "2"}
    wrong = bobs.post("/hosts/bulk", data={"action": "tag", "tag": "a b", **confirmed})
    assert wrong.status_code == 422
    assert "is not one word" in wrong.text
    assert bobs.post("/hosts/bulk", data={"action": "tag", "tag": "Blue", **confirmed}).status_code == 303
    assert state(app, *hosts[:2])[0].tags == ["blue"]
    choices = soup(bobs.post("/hosts/bulk", data={"action": "untag", "host": hosts})).select("#question-field option")
    assert [choice.text for choice in choices] == ["blue (2 hosts)"]
    assert bobs.post("/hosts/bulk", data={"action": "untag", "tag": "blue", **confirmed}).status_code == 303
    assert all_commands(app) == []


def test_certificates_are_assigned_and_requested_together(
    app: Flask, bobs: FlaskClient, agent: Agent, hosts: list[int]
) -> None:
    add_authority(app, is_default=True)
    one = add_certificate(app, agent, "a.example.com", "b.example.com")
    asked = soup(bobs.post("/hosts/bulk", data={"action": "assign", "host": hosts[:3]}))
    assert [choice.text.partition(":")[2] for choice in asked.select("option")] == [" for 2 of 3"]
    confirmed = {"host": hosts[:3], "confirmed": "y", "count": "3"}
    shown = bobs.post("/hosts/bulk", data={"action": "assign", "certificate": str(one), **confirmed})
    assert "Certificate assigned to 2 hosts" in shown.text
    assert "is not for c.example.com" in shown.text
    requested = bobs.post("/hosts/bulk", data={"action": "request", **confirmed})
    assert "Certificates requested for 1 host" in requested.text
    assert "This host has a certificate already" in requested.text
    kinds = [command.kind for command in all_commands(app)]
    assert sorted(kinds) == ["apply_config", "issue_certificate"]


def test_too_many_requests_are_refused_politely(app: Flask, bobs: FlaskClient, agent: Agent) -> None:
    for number in range(101):
        add_host(app, agent, f"h{number}.example.com")
    asked = bobs.post("/hosts/bulk", data={"action": "request", "everything": "y"})
    assert "at most 100 hosts at a time" in asked.text
    assert not soup(asked).select_one("#question .btn.pri")


@pytest.mark.parametrize("data", [{}, {"action": "explode", "host": "1"}, {"action": "delete", "host": "x"}])
def test_nothing_selected_changes_nothing(bobs: FlaskClient, hosts: list[int], data: dict[str, str]) -> None:
    assert bobs.post("/hosts/bulk", data=data).location == "/hosts"
    assert "Select hosts first" in bobs.get("/hosts").text


def test_nobody_else_is_led_away(bobs: FlaskClient, hosts: list[int]) -> None:
    data = {"action": "disable", "host": hosts[0], "next": "//evil.example"}
    assert bobs.post("/hosts/bulk", data=data).location == "/hosts"


def test_a_viewer_sees_no_boxes(client: FlaskClient, charlie: User, hosts: list[int]) -> None:
    login(client, charlie)
    shown = soup(client.get("/hosts"))
    assert not shown.select(".cb, #bulk")
    assert shown.select_one("table.nosel")


def test_a_row_becomes_a_form_and_a_row_again(app: Flask, bobs: FlaskClient, agent: Agent) -> None:
    host_id = add_host(app, agent)
    make_live(app, agent)
    url = f"/hosts/{host_id}/quick"
    assert bobs.get(url).location == f"/hosts/{host_id}/edit"
    form = soup(bobs.get(url, headers=HTMX))
    assert form.select_one(f"tr#host-{host_id} input[name=forward_host][value='10.0.0.5']")
    assert form.select_one(f"[data-cancel][hx-get='/hosts/{host_id}/row']")
    values = {"version": "1", "forward_scheme": "http", "forward_host": "10.0.0.x y", "forward_port": "80", "tags": ""}
    refused = bobs.post(url, data=values, headers=HTMX)
    assert refused.status_code == 422
    assert soup(refused).select_one("[role=alert]")
    values |= {"forward_host": "10.0.0.7", "tags": "edge", "is_enabled": "y"}
    saved = bobs.post(url, data=values, headers=HTMX)
    assert "10.0.0.7:80" in saved.text
    assert "Host app.example.com saved." in saved.text
    host = state(app, host_id)[0]
    assert (host.forward_host, host.forward_port, host.tags, host.is_enabled) == ("10.0.0.7", 80, ["edge"], True)
    assert host.websocket
    assert len(all_commands(app)) == 2
    late = bobs.post(url, data=values, headers=HTMX)
    assert late.status_code == 409
    assert "Somebody else saved this host" in late.text
    assert bobs.get(f"/hosts/{host_id}/row", headers=HTMX).text.lstrip().startswith(f'<tr id="host-{host_id}"')


def test_certificates_are_filtered_by_authority_and_renewed_together(
    app: Flask, bobs: FlaskClient, agent: Agent
) -> None:
    authority = add_authority(app)
    ours = add_certificate(app, agent, "a.example.com", authority_id=authority)
    uploaded = add_certificate(app, agent, "b.example.com", source="upload")
    assert names(bobs.get(f"/certificates?authority={authority}")) == ["a.example.com"]
    data = {"action": "renew", "certificate": [ours, uploaded]}
    assert "Renew 2 certificates now?" in bobs.post("/certificates/bulk", data=data).text
    shown = bobs.post("/certificates/bulk", data={**data, "confirmed": "y", "count": "2"})
    assert "Renewal of 1 certificate asked for" in shown.text
    assert "b.example.com was uploaded." in shown.text
    assert [command.kind for command in all_commands(app)] == ["renew_certificate"]


def test_only_unused_certificates_are_deleted_together(app: Flask, bobs: FlaskClient, agent: Agent) -> None:
    used, unused = add_certificate(app, agent, "a.example.com"), add_certificate(app, agent, "b.example.com")
    change_host(app, add_host(app, agent, "a.example.com"), certificate_id=used)
    data = {"action": "delete", "certificate": [used, unused], "confirmed": "y", "count": "2"}
    shown = bobs.post("/certificates/bulk", data=data)
    assert "1 certificate deleted" in shown.text
    assert "is used by a.example.com" in shown.text
    assert certificate(app, used).name == "a.example.com"
    assert bobs.post("/certificates/bulk", data={"action": "renew"}).location == "/certificates"


def test_agents_have_pages_and_a_search_once_there_are_many(app: Flask, bobs: FlaskClient, agent: Agent) -> None:
    assert "Search agents" not in bobs.get("/agents").text
    for number in range(30):
        store(app, Agent(id=f"7d5f4a0e-0000-4000-8000-{number + 100:012}", name=f"edge-{number:02}"))
    first = soup(bobs.get("/agents"))
    assert len(first.select("article.agent")) == 25
    assert "1 to 25 of 31" in first.text
    assert len(soup(bobs.get("/agents?page=2")).select("article.agent")) == 6
    assert len(soup(bobs.get("/agents?q=EDGE-0", headers=HTMX)).select("article.agent")) == 10


def fill(app: Flask, agents: list[Agent], first: int, last: int) -> None:
    """Hosts with tags, certificates, events and jobs, on several agents in turn."""
    for number in range(first, last):
        agent = agents[number % len(agents)]
        host_id = add_host(app, agent, f"h{number}.example.com", host=f"10.0.0.{number}")
        certificate_id = add_certificate(app, agent, f"h{number}.example.com")
        change_host(app, host_id, certificate_id=certificate_id, tags=[f"t{number % 7}", "all"])
        with app.app_context(), transaction():
            known = db.session.get_one(Agent, agent.id)
            command = commands.enqueue(known, CommandKind.RELOAD)
            command.state = CommandState.SUCCEEDED
            events.record(None, "proxy_host", "update", host_id, "h", before={}, after={})


def tell_of_docker(app: Flask, agents: list[Agent], count: int) -> None:
    """So many networks and containers in all, which belong to hosts."""
    for number, agent in enumerate(agents):
        mine = range(number, count, len(agents))
        networks = [network(f"net-{n}", f"c{n}", attached=n % 2 == 0) for n in mine]
        containers = [container(f"c{n}", f"net-{n}", ports=[(80, 0)], labels={"waypost.host": "a.b"}) for n in mine]
        with app.app_context():
            tell(db.session.get_one(Agent, agent.id), report(networks, containers))


PAGES_OF_MANY = (
    *("/", "/hosts", "/changes", "/certificates", "/jobs", "/agents", "/users", "/audit", "/audit.csv"),
    *("/networks", "/containers"),
)


def change_all_that_is_live(app: Flask, agents: list[Agent]) -> None:
    """Every host is served, and waits with another version: one of them disabled, one refused, one deleted."""
    for agent in agents:
        make_live(app, agent)
    with app.app_context(), transaction():
        hosts = list(db.session.scalars(select(ProxyHost).where(ProxyHost.deleted_at.is_(None))).unique())
        for host in hosts:
            host.forward_port += 1
            proxy_hosts.mark_changed(host)
        hosts[0].is_enabled = False
        proxy_hosts.set_aside(hosts[1], "nginx refused it.")
        proxy_hosts.delete(hosts[2], None)


def test_a_page_asks_as_often_for_60_rows_as_for_5(app: Flask, client: FlaskClient, alice: User) -> None:
    login(client, alice)
    facts = {"joined_at": utcnow(), "letsencrypt_dir": "/etc/letsencrypt"}
    others = [Agent(id=f"7d5f4a0e-0000-4000-8000-{n + 100:012}", name=f"edge-{n}", **facts) for n in range(5)]
    agents = [store(app, other) for other in others]
    counts = []
    for first, last in ((0, 5), (5, 60)):
        fill(app, agents, first, last)
        tell_of_docker(app, agents, last)
        change_all_that_is_live(app, agents)
        counts.append({path: count_statements(app, client, f"{path}?per=100") for path in PAGES_OF_MANY})
    few, many = counts
    assert {path: (few[path], many[path]) for path in PAGES_OF_MANY if many[path] > few[path]} == {}


def count_statements(app: Flask, client: FlaskClient, path: str) -> int:
    """How often the page asks when it is opened for the second time, and not written to since."""
    for _ in range(2):
        with counted(app) as statements:
            assert client.get(path).status_code == 200
    return len(statements)


def test_the_numbers_of_an_agent_count_what_waits(app: Flask, bobs: FlaskClient, agent: Agent) -> None:
    add_host(app, agent, "a.example.com")
    make_live(app, agent)
    add_host(app, agent, "b.example.com")
    assert "1 change behind" in bobs.get("/agents").text
