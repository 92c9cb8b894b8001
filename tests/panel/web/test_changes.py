"""What is saved and not live: the dock, the review and applying, through the client.
May import: panel and the fixtures of tests.conftest."""

from __future__ import annotations

from bs4 import BeautifulSoup
from flask import Flask
from flask.testing import FlaskClient

from panel.extensions import db, transaction
from panel.models import Agent, User
from panel.services import proxy_hosts
from panel.services.proxy_hosts import ProxyHostSpec
from tests.conftest import login
from tests.hosts import add_host, commands, make_live


def dock(client: FlaskClient, path: str = "/hosts") -> str:
    """The text of the bar at the foot; "" when there is none."""
    found = BeautifulSoup(client.get(path).text, "html.parser").select_one(".dock")
    return "" if found is None else " ".join(found.text.split())


def test_the_dock_counts_what_is_saved_and_not_live(app: Flask, bobs: FlaskClient, agent: Agent) -> None:
    assert dock(bobs) == ""
    add_host(app, agent)
    assert "1 change is saved but not live" in dock(bobs)
    add_host(app, agent, "two.example.com")
    shown = dock(bobs)
    assert "2 changes are saved but not live" in shown
    assert "app.example.com, two.example.com" in shown
    assert "Apply to 1 agent" in shown
    make_live(app, agent)
    assert dock(bobs) == ""


def test_the_dock_names_who_saved_them(app: Flask, bobs: FlaskClient, alice: User, agent: Agent) -> None:
    with app.app_context(), transaction():
        spec = ProxyHostSpec(agent.id, ("a.example.com",), "http", "10.0.0.5", 80)
        proxy_hosts.create(spec, db.session.get(User, alice.id))
    assert "saved by alice" in dock(bobs)


def test_deleting_what_was_never_live_leaves_nothing_to_apply(app: Flask, bobs: FlaskClient, agent: Agent) -> None:
    host_id = add_host(app, agent)
    with app.app_context(), transaction():
        proxy_hosts.delete(proxy_hosts.get(host_id), None)
    assert dock(bobs) == ""


def test_a_live_host_that_was_deleted_or_disabled_is_a_change(app: Flask, bobs: FlaskClient, agent: Agent) -> None:
    first, second = add_host(app, agent), add_host(app, agent, "two.example.com")
    make_live(app, agent)
    with app.app_context(), transaction():
        proxy_hosts.delete(proxy_hosts.get(first), None)
        proxy_hosts.set_enabled(proxy_hosts.get(second), False, None)
    assert "2 changes" in dock(bobs)
    shown = bobs.get("/changes").text
    assert "Deleted" in shown
    assert "Disabled" in shown


def test_the_review_shows_every_difference(app: Flask, bobs: FlaskClient, agent: Agent) -> None:
    add_host(app, agent)
    shown = BeautifulSoup(bobs.get("/changes").text, "html.parser")
    assert "server_name app.example.com" in " ".join(line.text for line in shown.select(".diff .add"))


def test_the_review_of_many_changes_has_pages_and_counts_them_all(app: Flask, bobs: FlaskClient, agent: Agent) -> None:
    for number in range(27):
        add_host(app, agent, f"h{number:02}.example.com")
    first, second = (BeautifulSoup(bobs.get(path).text, "html.parser") for path in ("/changes", "/changes?page=2"))
    assert [len(page.select("#change-list section:has(.diff)")) for page in (first, second)] == [25, 2]
    for page in (first, second):
        assert "27 changes" in page.select("#change-list h2")[0].text
        assert "Apply to 1 agent" in page.select("#change-actions")[0].text
    stream = second.select_one("#live")
    assert stream is not None
    assert "page=2" in str(stream["hx-sse:connect"])
    assert "h26.example.com" in second.text
    told = " ".join(bobs.get("/hosts/new").text.split())
    assert "saved for this agent: h00.example.com, h01.example.com, h02.example.com and 24 more" in told


def test_what_is_saved_for_an_agent_is_tested_from_the_review(
    app: Flask, bobs: FlaskClient, client: FlaskClient, charlie: User, agent: Agent
) -> None:
    off, fit = add_host(app, agent), add_host(app, agent, "b.example.com")
    with app.app_context(), transaction():
        proxy_hosts.set_enabled(proxy_hosts.get(off), False, None)
    form = BeautifulSoup(bobs.get("/changes").text, "html.parser").select_one("#change-list form")
    assert form is not None
    assert (form["action"], form.text.strip()) == (f"/hosts/{fit}/test", "Test with nginx")
    assert bobs.post(str(form["action"])).status_code == 303
    assert [command.kind for command in commands(app)] == ["test_config"]
    login(client, charlie)
    assert "Test with nginx" not in client.get("/changes").text


def test_the_review_of_nothing_says_that_all_is_live(bobs: FlaskClient, agent: Agent) -> None:
    assert "Everything saved is live" in bobs.get("/changes").text


def test_apply_leads_to_the_job_and_the_dock_says_that_it_runs(app: Flask, bobs: FlaskClient, agent: Agent) -> None:
    add_host(app, agent)
    response = bobs.post("/changes/apply")
    assert response.location == f"/jobs/{commands(app)[0].id}"
    shown = dock(bobs)
    assert "1 change is being applied" in shown
    assert "Watch" in shown


def test_apply_on_two_agents_leads_to_the_jobs(app: Flask, bobs: FlaskClient, agent: Agent) -> None:
    other = Agent(id="7d5f4a0e-0000-4000-8000-000000000002", name="other", nginx_version="1.22.1")
    with app.app_context(), transaction():
        db.session.add(other)
    add_host(app, agent)
    with app.app_context(), transaction():
        spec = ProxyHostSpec("7d5f4a0e-0000-4000-8000-000000000002", ("b.example.com",), "http", "10.0.0.5", 80)
        proxy_hosts.create(spec, None)
    assert bobs.post("/changes/apply").location == "/jobs"
    assert len(commands(app)) == 2


def test_nothing_to_apply_is_said_and_sends_nothing(app: Flask, bobs: FlaskClient, agent: Agent) -> None:
    assert bobs.post("/changes/apply").location == "/hosts"
    assert commands(app) == []
    assert "Nothing to apply" in bobs.get("/hosts").text


def test_a_viewer_reviews_and_does_not_apply(app: Flask, client: FlaskClient, charlie: User, agent: Agent) -> None:
    add_host(app, agent)
    login(client, charlie)
    assert client.get("/changes").status_code == 200
    assert "Apply" not in dock(client)
    assert client.post("/changes/apply").status_code == 403
    assert commands(app) == []


def test_applying_needs_the_token_of_the_form(app: Flask, bobs: FlaskClient, agent: Agent) -> None:
    add_host(app, agent)
    app.config["WTF_CSRF_ENABLED"] = True
    assert bobs.post("/changes/apply").status_code == 400
    assert commands(app) == []


def test_the_form_tells_what_else_an_apply_would_bring(app: Flask, bobs: FlaskClient, agent: Agent) -> None:
    add_host(app, agent, "colleague.example.com")
    assert (
        "Applying also makes live what else is saved for this agent: colleague.example.com"
        in bobs.get("/hosts/new").text
    )
