"""What the form shows of the agent's looks at names and upstream, and that it asks for little."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from bs4 import BeautifulSoup, Tag
from flask import Flask
from flask.testing import FlaskClient

from panel.errors import Throttled
from panel.extensions import db, transaction
from panel.models import Agent, Command, CommandKind, CommandState, User
from panel.models.types import utcnow
from panel.services import form_checks, outcomes
from panel.services.transitions import CommandOutcome
from panel.services.upstreams import Upstream
from tests.conftest import login
from tests.docking import HOSTILE, bring_online, upstream
from tests.hosts import add_host, commands

HTMX = {"HX-Request": "true"}
NAME = "app.example.com"


@pytest.fixture
def bobs(app: Flask, bobs: FlaskClient, agent: Agent) -> FlaskClient:
    """Bob's browser, and an agent that is there."""
    bring_online(app, agent)
    return bobs


def values(agent: Agent, **changes: str) -> dict[str, str]:
    good = {"domain_names": NAME, "forward_scheme": "http", "forward_host": "10.0.0.5", "forward_port": "3000"}
    return {**good, "agent_id": agent.id, **changes}


def finding(name: str, level: str, sentence: str, next_step: str = "", record: str = "") -> dict[str, str]:
    plain = {"check": "address", "subject": name, "cause": ""}
    return {**plain, "level": level, "sentence": sentence, "next_step": next_step, "record": record}


def answer(command: Command, result: dict[str, Any]) -> None:
    command.state = CommandState.RUNNING
    outcomes.record(command, CommandOutcome(CommandState.SUCCEEDED, "", "", result=result), utcnow())


def names_found(app: Flask, agent: Agent, *findings: dict[str, str], names: Sequence[str] = (NAME,)) -> None:
    """The agent has just answered the question that the form asks."""
    with app.app_context(), transaction():
        command = form_checks.look_up(db.session.get_one(Agent, agent.id), names, None)
        answer(command, {"findings": list(findings)})


def upstream_found(app: Flask, agent: Agent, cause: str = "", **more: Any) -> None:
    with app.app_context(), transaction():
        typed = Upstream("http", "10.0.0.5", 3000)
        command = form_checks.try_upstream(db.session.get_one(Agent, agent.id), typed, None)
        answer(command, {"state": upstream("10.0.0.5", 3000, cause, **more)})


def tree(markup: str) -> BeautifulSoup:
    return BeautifulSoup(markup, "html.parser")


def hop(markup: str, number: int) -> str:
    return tree(markup).select(".hop")[number].get_text(" ", strip=True)


def test_a_name_that_points_to_the_agent_is_green_with_its_address(app: Flask, bobs: FlaskClient, agent: Agent) -> None:
    names_found(app, agent, finding(NAME, "ok", f"{NAME} points here.", record=f"{NAME} A 203.0.113.5"))
    shown = bobs.post("/hosts/check-names", data=values(agent), headers=HTMX).text
    line = tree(shown).select_one("ul.dns li")
    assert isinstance(line, Tag)
    assert "app.example.com points to local (203.0.113.5)" in line.get_text(" ", strip=True)
    assert line.select(".sig.c-ok") != []
    assert "points here (A 203.0.113.5)" in hop(shown, 0)
    assert "every" not in shown


def test_a_name_without_a_record_has_it_to_copy_and_is_looked_up_again(
    app: Flask, bobs: FlaskClient, agent: Agent
) -> None:
    sentence = f"{NAME} does not exist in DNS yet."
    names_found(app, agent, finding(NAME, "warning", sentence, "Add this record.", f"{NAME} A 203.0.113.5"))
    shown = bobs.post("/hosts/check-names", data=values(agent), headers=HTMX).text
    page = tree(shown)
    assert "does not exist in DNS yet." in shown
    assert [str(button["data-copy"]) for button in page.select("[data-copy]")] == [NAME, "203.0.113.5"]
    again = page.select_one("[data-while-visible]")
    assert isinstance(again, Tag)
    assert again["hx-trigger"] == "every 10s"
    assert "does not point here yet" in hop(shown, 0)


@pytest.mark.parametrize(("rounds", "seconds"), [("0", 10), ("11", 10), ("12", 60), ("400", 60), ("x", 10)])
def test_it_is_looked_up_often_for_two_minutes_and_then_seldom(
    app: Flask, bobs: FlaskClient, agent: Agent, rounds: str, seconds: int
) -> None:
    names_found(app, agent, finding(NAME, "warning", f"{NAME} is nowhere.", "Add it."))
    posted = values(agent, names_asked=NAME, names_round=rounds)
    assert f'hx-trigger="every {seconds}s"' in bobs.post("/hosts/check-names", data=posted, headers=HTMX).text


def test_other_names_begin_anew(app: Flask, bobs: FlaskClient, agent: Agent) -> None:
    names_found(app, agent, finding(NAME, "warning", f"{NAME} is nowhere.", "Add it."))
    posted = values(agent, names_asked="other.example.com", names_round="400")
    assert 'hx-trigger="every 10s"' in bobs.post("/hosts/check-names", data=posted, headers=HTMX).text


def test_an_opened_form_asks_by_itself_once_and_shows_what_is_known(
    app: Flask, bobs: FlaskClient, agent: Agent
) -> None:
    host_id = add_host(app, agent, NAME)
    page = tree(bobs.get(f"/hosts/{host_id}/edit").text)
    assert [str(one["hx-trigger"]) for one in page.select("#names-first, #upstream-first")] == ["load", "load"]
    names_found(app, agent, finding(NAME, "ok", f"{NAME} points here.", record=f"{NAME} A 203.0.113.5"))
    upstream_found(app, agent)
    shown = bobs.get(f"/hosts/{host_id}/edit").text
    assert tree(shown).select("#names-first, #upstream-first") == []
    assert "points to local (203.0.113.5)" in shown
    assert "reachable" in hop(shown, 3)


@pytest.mark.parametrize(("cause", "tone"), [("refused", "bad"), ("unresolved", "bad"), ("unhealthy", "warn")])
def test_an_upstream_says_what_is_wrong_and_the_next_step_before_it_is_saved(
    app: Flask, bobs: FlaskClient, agent: Agent, cause: str, tone: str
) -> None:
    upstream_found(app, agent, cause)
    shown = bobs.post("/hosts/check-upstream", data=values(agent), headers=HTMX).text
    assert "10.0.0.5 was looked at." in shown
    assert "Mend 10.0.0.5." in shown
    assert tree(shown).select(f"ul.dns .sig.c-{tone}") != []
    assert tree(shown).select(".badhop") != [] or tone == "warn"


def test_what_is_no_upstream_yet_is_not_asked_about(app: Flask, bobs: FlaskClient, agent: Agent) -> None:
    for changes in ({"forward_port": "808O"}, {"forward_host": ""}, {"forward_host": "169.254.169.254"}):
        assert bobs.post("/hosts/check-upstream", data=values(agent, **changes), headers=HTMX).status_code == 200
    assert bobs.post("/hosts/check-names", data=values(agent, domain_names="$a b$"), headers=HTMX).status_code == 200
    assert [(one.kind, one.payload) for one in commands(app)] == []


def test_an_agent_that_is_away_is_named_and_stops_nothing(
    app: Flask, client: FlaskClient, bob: User, agent: Agent
) -> None:
    login(client, bob)
    for path in ("/hosts/check-names", "/hosts/check-upstream"):
        shown = client.post(path, data=values(agent), headers=HTMX)
        assert shown.status_code == 200
        assert "local is not connected, and only it can look from there. The host can be saved anyway." in shown.text
    assert commands(app) == []
    assert client.post("/hosts/new", data=values(agent)).status_code == 303


def test_without_scripts_the_answer_is_the_whole_page(app: Flask, bobs: FlaskClient, agent: Agent) -> None:
    names_found(app, agent, finding(NAME, "ok", f"{NAME} points here.", record=f"{NAME} A 203.0.113.5"))
    upstream_found(app, agent, "refused")
    for path in ("/hosts/check-names", "/hosts/check-upstream"):
        shown = bobs.post(path, data=values(agent)).text
        assert "<html" in shown
        assert "points to local (203.0.113.5)" in shown
        assert "Mend 10.0.0.5." in shown


def test_the_same_question_a_moment_later_is_the_same_one(app: Flask, bobs: FlaskClient, agent: Agent) -> None:
    names_found(app, agent, finding(NAME, "ok", f"{NAME} points here."))
    names_found(app, agent, finding(NAME, "ok", f"{NAME} points here."))
    assert [one.kind for one in commands(app)] == [CommandKind.CHECK_ADDRESSES]


def test_one_person_cannot_try_port_after_port(app: Flask, bobs: FlaskClient, bob: User, agent: Agent) -> None:
    with app.app_context(), transaction():
        known, who = db.session.get_one(Agent, agent.id), db.session.get_one(User, bob.id)
        for port in range(1, form_checks.PER_MINUTE + 1):
            form_checks.try_upstream(known, Upstream("http", "10.0.0.5", port), who)
        with pytest.raises(Throttled):
            form_checks.try_upstream(known, Upstream("http", "10.0.0.5", 9999), who)
    shown = bobs.post("/hosts/check-upstream", data=values(agent), headers=HTMX)
    assert "Wait a minute, then check again." in shown.text
    assert len(commands(app)) == form_checks.PER_MINUTE


def test_questions_of_forms_are_no_jobs(app: Flask, bobs: FlaskClient, agent: Agent) -> None:
    with app.app_context(), transaction():
        form_checks.look_up(db.session.get_one(Agent, agent.id), [NAME], None)
    shown = bobs.get("/jobs").text
    assert "jobpill" not in shown
    assert "/jobs/" + commands(app)[0].id not in shown
    assert "Look names up" in bobs.get("/jobs?kind=check_addresses").text


def test_what_the_agent_says_is_only_text(app: Flask, bobs: FlaskClient, agent: Agent) -> None:
    names_found(app, agent, finding(NAME, "warning", HOSTILE, HOSTILE, f"{HOSTILE} A 1"))
    upstream_found(app, agent, "refused", sentence=HOSTILE, next_step=HOSTILE)
    for path in ("/hosts/check-names", "/hosts/check-upstream"):
        page = tree(bobs.post(path, data=values(agent)).text)
        assert page.select("main img") == []
        assert "<img" in page.get_text()


def test_a_section_with_an_error_is_marked(bobs: FlaskClient, agent: Agent) -> None:
    page = tree(bobs.post("/hosts/new", data=values(agent, forward_port="808O", forward_host="")).text)
    links = {str(link["href"]): link.get_text(" ", strip=True) for link in page.select(".card .subnav a")}
    assert links == {"#routing": "Names and routing 2 errors", "#tls": "TLS", "#agent": "Agent and notes"}
    for href in links:
        assert page.select_one(f"#host-form {href}") is not None


def test_enter_in_a_field_saves_and_applies(bobs: FlaskClient) -> None:
    first = tree(bobs.get("/hosts/new").text).select_one("#host-form button")
    assert isinstance(first, Tag)
    assert (first["name"], first["value"]) == ("then", "apply")
