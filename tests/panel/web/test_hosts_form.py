"""The host form through the client: what it accepts, what it refuses, and that nothing typed is lost.
May import: panel and the fixtures of tests.conftest."""

from __future__ import annotations

import pytest
from bs4 import BeautifulSoup
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from panel.extensions import db, transaction
from panel.models import Agent, Command, CommandKind, Event, ProxyHost, User
from panel.services import proxy_hosts
from panel.web.hosts import field_checks
from tests.conftest import login
from tests.hosts import add_host

HTMX = {"HX-Request": "true"}


def values(agent: Agent, **changes: str) -> dict[str, str]:
    """What a browser posts for a good host; a change to "" takes a checkbox away."""
    good = {
        "domain_names": "app.example.com",
        "forward_scheme": "http",
        "forward_host": "10.0.0.5",
        "forward_port": "3000",
        "websocket": "y",
        "agent_id": agent.id,
        "is_enabled": "y",
        "notes": "",
        "then": "save",
    }
    return {name: value for name, value in (good | changes).items() if value or name not in {"websocket", "is_enabled"}}


def page(response: TestResponse) -> BeautifulSoup:
    """The answer as a tree."""
    return BeautifulSoup(response.text, "html.parser")


def count_hosts(app: Flask) -> int:
    with app.app_context():
        return db.session.scalar(select(func.count(ProxyHost.id))) or 0


def test_a_host_is_saved_and_not_yet_live(app: Flask, bobs: FlaskClient, agent: Agent) -> None:
    response = bobs.post("/hosts/new", data=values(agent, domain_names="App.Example.com\r\nwww.example.com"))
    assert response.status_code == 303
    assert response.location == "/hosts/1"
    with app.app_context():
        host = proxy_hosts.get(1)
        assert host.domain_names == ["app.example.com", "www.example.com"]
        assert db.session.scalar(select(func.count(Command.id))) == 0
    shown = bobs.get("/hosts/1").text
    assert "Not live yet" in shown
    assert "Host app.example.com saved." in shown


def test_save_and_apply_leads_to_the_job(app: Flask, bobs: FlaskClient, agent: Agent) -> None:
    response = bobs.post("/hosts/new", data=values(agent, then="apply"))
    with app.app_context():
        job = db.session.scalars(select(Command)).one()
        assert job.kind == CommandKind.APPLY_CONFIG
        assert response.location == f"/jobs/{job.id}"


def test_htmx_is_sent_on_by_a_header(bobs: FlaskClient, agent: Agent) -> None:
    response = bobs.post("/hosts/new", data=values(agent), headers=HTMX)
    assert response.status_code == 200
    assert response.headers["HX-Redirect"] == "/hosts/1"


BAD = [
    ("domain_names", ""),
    ("domain_names", "b.com; } server { listen 82; root /etc; #"),
    ("domain_names", "a.com\rinclude /etc/passwd;"),
    ("domain_names", "a.com\x00"),
    ("domain_names", "a.com\u2028b.com"),
    ("domain_names", "a.com\u0085"),
    ("domain_names", "$host.example.com"),
    ("domain_names", "a.com\\"),
    ("domain_names", "{{ config }}"),
    ("domain_names", "../../nginx.conf"),
    ("domain_names", "_"),
    ("domain_names", "default_server"),
    ("domain_names", "localhost"),
    ("domain_names", "*.*.example.com"),
    ("domain_names", "*.com"),
    ("domain_names", "a..example.com"),
    ("domain_names", "-a.example.com"),
    ("domain_names", "a_b.example.com"),
    ("domain_names", "~^(www\\.)?a\\.com$"),
    ("domain_names", "10.0.0.5"),
    ("domain_names", "[::1]"),
    ("domain_names", "a.com:8080"),
    ("domain_names", "https://a.com/path"),
    ("domain_names", "a" * 64 + ".example.com"),
    ("domain_names", ".".join(["abcdefgh"] * 32)),
    ("domain_names", "a.com\nA.COM"),
    ("domain_names", "\n".join(f"h{n}.example.com" for n in range(101))),
    ("domain_names", "<script>alert(1)</script>"),
    ("forward_scheme", ""),
    ("forward_scheme", "ftp"),
    ("forward_scheme", "http://evil; #"),
    ("forward_host", ""),
    ("forward_host", "127.0.0.1$request_uri"),
    ("forward_host", "unix:/var/run/docker.sock"),
    ("forward_host", "app; } location / { root /; "),
    ("forward_host", "app\nroot /;"),
    ("forward_host", "app\rroot"),
    ("forward_host", "app\x00"),
    ("forward_host", 'app"'),
    ("forward_host", "app\\"),
    ("forward_host", "{{ 7 * 7 }}"),
    ("forward_host", "http://app"),
    ("forward_host", "app/path"),
    ("forward_host", "user@app"),
    ("forward_host", "2130706433"),
    ("forward_host", "0x7f.1"),
    ("forward_host", "10.0.0.256"),
    ("forward_host", "169.254.169.254"),
    ("forward_host", "fe80::1%eth0"),
    ("forward_host", "waypost_1"),
    ("forward_host", "a" * 254),
    ("forward_port", ""),
    ("forward_port", "808O"),
    ("forward_port", "0"),
    ("forward_port", "65536"),
    ("forward_port", "-1"),
    ("forward_port", "80.0"),
    ("forward_port", "1e3"),
    ("forward_port", "99999999999999999999"),
    ("forward_port", "\u0663\u0660\u0660\u0660"),
    ("forward_port", "80; root /"),
    ("forward_port", "80\n81"),
    ("agent_id", ""),
    ("agent_id", "no-such-agent"),
    ("agent_id", "7d5f4a0e-0000-4000-8000-000000000001' OR 1=1 --"),
    ("notes", "a\x00b"),
    ("notes", "a\x1b[31mb"),
    ("notes", "x" * 20_001),
]


@pytest.mark.parametrize(("field", "value"), BAD)
def test_bad_input_stays_in_the_form_with_a_sentence(
    app: Flask, bobs: FlaskClient, agent: Agent, field: str, value: str
) -> None:
    response = bobs.post("/hosts/new", data=values(agent, notes="keep me") | {field: value, "then": "apply"})
    assert response.status_code == 422
    shown = page(response)
    summary = shown.select_one("[role=alert]")
    assert summary is not None
    link = summary.select_one(f'a[href="#{field}"]')
    assert link is not None
    control = shown.select_one(f"#{field}")
    assert control is not None
    assert control["aria-invalid"] == "true"
    described = shown.select_one(f"#{str(control['aria-describedby']).split()[0]}")
    assert described is not None
    assert described.text.strip().endswith((".", "”"))
    assert [other["name"] for other in shown.select("[aria-invalid]")] == [field]
    if field != "notes":
        assert "keep me" in response.text
    assert "<script>alert" not in response.text
    assert count_hosts(app) == 0
    with app.app_context():
        assert db.session.scalar(select(func.count(Command.id))) == 0
        assert db.session.scalars(select(Event.verb)).all() == ["user:login"]


def test_an_edit_is_refused_by_the_same_rules_and_changes_nothing(app: Flask, bobs: FlaskClient, agent: Agent) -> None:
    host_id = add_host(app, agent)
    response = bobs.post(f"/hosts/{host_id}/edit", data=values(agent, forward_port="808O", version="1"))
    assert response.status_code == 422
    assert 'value="808O"' in response.text
    with app.app_context():
        assert proxy_hosts.get(host_id).forward_port == 3000
        assert proxy_hosts.get(host_id).version == 1


def test_a_refused_post_of_htmx_gets_only_the_form_back(bobs: FlaskClient, agent: Agent) -> None:
    response = bobs.post("/hosts/new", data=values(agent, forward_port="x"), headers=HTMX)
    assert response.status_code == 422
    assert "<html" not in response.text
    assert page(response).select_one("form#host-form") is not None


def test_a_taken_name_names_the_host_that_has_it(app: Flask, bobs: FlaskClient, agent: Agent) -> None:
    add_host(app, agent, "shop.example.com")
    response = bobs.post("/hosts/new", data=values(agent, domain_names="new.example.com\nSHOP.example.com"))
    assert response.status_code == 422
    assert "shop.example.com already belongs to" in response.text
    assert count_hosts(app) == 1


def test_punycode_and_its_letters_are_one_name(app: Flask, bobs: FlaskClient, agent: Agent) -> None:
    bobs.post("/hosts/new", data=values(agent, domain_names="bücher.example.com"))
    with app.app_context():
        assert proxy_hosts.get(1).domain_names == ["xn--bcher-kva.example.com"]
    shown = bobs.get("/hosts/1").text
    assert "bücher.example.com" in shown
    assert "xn--bcher-kva.example.com" in shown
    response = bobs.post("/hosts/new", data=values(agent, domain_names="xn--bcher-kva.example.com"))
    assert response.status_code in {303, 422}
    assert count_hosts(app) == 1


def test_a_double_click_makes_one_host(app: Flask, bobs: FlaskClient, agent: Agent) -> None:
    first = bobs.post("/hosts/new", data=values(agent))
    second = bobs.post("/hosts/new", data=values(agent))
    assert (first.status_code, second.status_code) == (303, 303)
    assert second.location == "/hosts/1"
    assert count_hosts(app) == 1


@pytest.mark.parametrize("version", ["", "x", "-1", "99999999999999999999", "2"])
def test_a_tampered_version_saves_nothing(app: Flask, bobs: FlaskClient, agent: Agent, version: str) -> None:
    host_id = add_host(app, agent)
    response = bobs.post(f"/hosts/{host_id}/edit", data=values(agent, forward_port="4000", version=version))
    assert response.status_code == 409
    with app.app_context():
        assert proxy_hosts.get(host_id).forward_port == 3000


def test_the_second_click_of_an_edit_is_no_conflict(app: Flask, bobs: FlaskClient, agent: Agent) -> None:
    host_id = add_host(app, agent)
    posted = values(agent, forward_port="4000", version="1")
    assert bobs.post(f"/hosts/{host_id}/edit", data=posted).status_code == 303
    assert bobs.post(f"/hosts/{host_id}/edit", data=posted).status_code == 303


def test_moving_a_host_applies_on_both_agents(app: Flask, bobs: FlaskClient, agent: Agent) -> None:
    host_id = add_host(app, agent)
    with app.app_context(), transaction():
        db.session.add(Agent(id="7d5f4a0e-0000-4000-8000-000000000002", name="other", nginx_version="1.22.1"))
    posted = values(agent, agent_id="7d5f4a0e-0000-4000-8000-000000000002", version="1", then="apply")
    assert bobs.post(f"/hosts/{host_id}/edit", data=posted).location == "/jobs"
    with app.app_context():
        assert db.session.scalar(select(func.count(Command.id))) == 2


def test_the_form_without_an_agent_says_what_is_missing(bobs: FlaskClient) -> None:
    response = bobs.post("/hosts/new", data={"domain_names": "a.example.com"})
    assert response.status_code == 422
    assert "There is no agent yet" in response.text


def test_a_clone_takes_everything_but_the_names(app: Flask, bobs: FlaskClient, agent: Agent) -> None:
    host_id = add_host(app, agent)
    shown = page(bobs.get(f"/hosts/new?clone={host_id}"))
    names, upstream = shown.select_one("#domain_names"), shown.select_one("#forward_host")
    assert names is not None
    assert upstream is not None
    assert names.text.strip() == ""
    assert upstream["value"] == "10.0.0.5"
    assert bobs.get("/hosts/new?clone=999").status_code == 404
    assert bobs.get("/hosts/new?clone=x").status_code == 200


def test_the_preview_shows_the_file_and_saves_nothing(app: Flask, bobs: FlaskClient, agent: Agent) -> None:
    response = bobs.post("/hosts/preview", data=values(agent), headers=HTMX)
    assert response.status_code == 200
    assert "server_name app.example.com" in response.text
    assert 'hx-target="#route"' in response.text
    assert count_hosts(app) == 0


def test_the_preview_without_scripts_is_the_whole_page(bobs: FlaskClient, agent: Agent) -> None:
    response = bobs.post("/hosts/preview", data=values(agent))
    assert response.status_code == 200
    assert "<html" in response.text
    assert "server_name app.example.com" in response.text


@pytest.mark.parametrize("field", ["domain_names", "forward_host", "forward_port", "forward_scheme", "notes"])
def test_the_preview_escapes_what_was_typed(bobs: FlaskClient, agent: Agent, field: str) -> None:
    hostile = '"><script>alert(1)</script><hx-partial hx-target="body">'
    for headers in ({}, HTMX):
        response = bobs.post("/hosts/preview", data=values(agent) | {field: hostile}, headers=headers)
        assert response.status_code == 200
        assert "<script>alert" not in response.text
        assert '<hx-partial hx-target="body">' not in response.text


def test_a_half_filled_preview_marks_the_hop(bobs: FlaskClient, agent: Agent) -> None:
    response = bobs.post("/hosts/preview", data=values(agent, forward_port="808O"), headers=HTMX)
    bad = page(response).select_one(".badhop")
    assert bad is not None
    assert "808O" in bad.text


def said(response: TestResponse, field: str, of: str = "") -> str:
    """What the answer about a field says of it, or of another one."""
    assert response.status_code == 200
    answer = page(response)
    others = {str(one["hx-target"]): one.extract() for one in answer.select("hx-partial")}
    return (others[f"#{of}-m"] if of and of != field else answer).text.strip()


@pytest.mark.parametrize(("field", "value"), BAD)
def test_a_field_that_is_left_is_told_what_saving_would_tell(
    app: Flask, bobs: FlaskClient, agent: Agent, field: str, value: str
) -> None:
    typed = values(agent) | {field: value}
    if field == "forward_scheme":  # a choice of two, which nobody can get wrong in a browser
        return
    refused = page(bobs.post("/hosts/new", data=typed)).select_one(f"#{field}-m")
    assert refused is not None
    assert said(bobs.post(f"/hosts/check-field?field={field}", data=typed, headers=HTMX), field) == refused.text.strip()
    assert count_hosts(app) == 0


def test_a_field_that_is_right_is_told_nothing_whatever_the_others_are(bobs: FlaskClient, agent: Agent) -> None:
    typed = values(agent, domain_names="a b c_", forward_port="")
    answer = bobs.post("/hosts/check-field?field=forward_host", data=typed, headers=HTMX)
    assert (answer.status_code, answer.text) == (200, "")  # :empty takes no white space
    assert said(bobs.post("/hosts/check-field?field=opened", data=typed, headers=HTMX), "opened") == ""


def test_a_name_that_another_host_has_is_told_when_it_or_the_agent_is_left(
    app: Flask, bobs: FlaskClient, agent: Agent
) -> None:
    host_id = add_host(app, agent)
    typed = values(agent)
    for field in ("domain_names", "agent_id"):
        answer = bobs.post(f"/hosts/check-field?field={field}", data=typed, headers=HTMX)
        assert "already belongs to" in said(answer, field, of="domain_names"), field
    mine = bobs.post("/hosts/check-field?field=domain_names", data={**typed, "host_id": str(host_id)}, headers=HTMX)
    assert said(mine, "domain_names") == ""
    unnamed = bobs.post("/hosts/check-field?field=agent_id", data={**typed, "domain_names": ""}, headers=HTMX)
    assert unnamed.text == ""


def test_the_form_asks_about_each_field_when_it_is_left_and_has_a_place_for_the_answer(
    bobs: FlaskClient, agent: Agent
) -> None:
    form = page(bobs.get("/hosts/new"))
    asking = form.select("#host-form [hx-post^='/hosts/check-field']")
    assert [field["name"] for field in asking] == [*field_checks.CHECKED]
    for field in asking:
        assert (field["hx-trigger"], field["hx-sync"]) == ("change", "this:replace")
        place = form.select_one(str(field["hx-target"]))
        assert place is not None
        assert (place["data-said"], place["aria-live"], place.contents) == (field["id"], "polite", [])
        assert str(place["id"]) in str(field["aria-describedby"]).split()


def test_the_last_changes_stand_beside_the_form_with_a_way_back(app: Flask, bobs: FlaskClient, agent: Agent) -> None:
    assert page(bobs.get("/hosts/new")).select_one(".hist") is None
    host_id = add_host(app, agent)
    for version, port in enumerate(("4000", "4001", "4002", "4003", "4004"), 1):
        bobs.post(f"/hosts/{host_id}/edit", data=values(agent, forward_port=port, version=str(version)))
    shown = page(bobs.get(f"/hosts/{host_id}/edit"))
    entries = shown.select("aside .hist > li")
    assert len(entries) == 4
    assert entries[0].text.split()[:3] == ["bob", "changed", "this"]
    assert entries[0].select_one("time") is not None
    forms = entries[1].select("form")
    assert [form["action"] for form in forms if "versions" in str(form["action"])]
    assert all(form["data-confirm"] for entry in entries for form in entry.select("form"))
    drawn = page(bobs.post("/hosts/preview", data=values(agent, host_id=str(host_id), version="6")))
    assert [str(one["value"]) for one in drawn.select(".hist [name=next]")] == [f"/hosts/{host_id}/edit"]
    bobs.post(str(forms[-1]["action"]))
    with app.app_context():
        assert proxy_hosts.get(host_id).forward_port == 4003


def test_a_draft_is_tested_without_being_saved(app: Flask, bobs: FlaskClient, agent: Agent) -> None:
    response = bobs.post("/hosts/test", data=values(agent))
    with app.app_context():
        job = db.session.scalars(select(Command)).one()
        assert job.kind == CommandKind.TEST_CONFIG
        assert response.location == f"/jobs/{job.id}"
    assert count_hosts(app) == 0


def test_a_draft_tested_by_htmx_streams_into_the_page(bobs: FlaskClient, agent: Agent) -> None:
    response = bobs.post("/hosts/test", data=values(agent), headers=HTMX)
    assert "<html" not in response.text
    assert "/stream" in response.text


def test_a_bad_draft_is_not_tested(app: Flask, bobs: FlaskClient, agent: Agent) -> None:
    response = bobs.post("/hosts/test", data=values(agent, forward_host="a b"), headers=HTMX)
    assert response.status_code == 422
    assert response.headers["HX-Retarget"] == "#host-form"
    with app.app_context():
        assert db.session.scalar(select(func.count(Command.id))) == 0


def test_a_viewer_gets_no_form_and_no_post(app: Flask, client: FlaskClient, charlie: User, agent: Agent) -> None:
    login(client, charlie)
    host_id = add_host(app, agent)
    assert client.get("/hosts/new").status_code == 403
    assert client.get(f"/hosts/{host_id}/edit").status_code == 403
    for path in ("/hosts/new", f"/hosts/{host_id}/edit", "/hosts/preview", "/hosts/check-field", "/hosts/test"):
        assert client.post(path, data=values(agent, domain_names="b.example.com", version="1")).status_code == 403
    assert count_hosts(app) == 1


@pytest.mark.parametrize("path", ["/hosts/new", "/hosts/1/edit", "/hosts/preview", "/hosts/check-field", "/hosts/test"])
def test_without_the_token_of_the_form_nothing_happens(app: Flask, bobs: FlaskClient, agent: Agent, path: str) -> None:
    app.config["WTF_CSRF_ENABLED"] = True
    add_host(app, agent)
    assert bobs.post(path, data=values(agent, domain_names="b.example.com", version="1")).status_code == 400
    assert count_hosts(app) == 1


def test_unknown_hosts_are_not_found(bobs: FlaskClient, agent: Agent) -> None:
    assert bobs.get("/hosts/999/edit").status_code == 404
    assert bobs.post("/hosts/999/edit", data=values(agent)).status_code == 404
    assert bobs.post("/hosts/preview", data=values(agent) | {"host_id": "999"}).status_code == 404
    assert bobs.get("/hosts/99999999999999999999/edit").status_code == 404
