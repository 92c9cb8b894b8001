"""The pages of jobs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from bs4 import BeautifulSoup
from flask import Flask
from flask.testing import FlaskClient

from panel.extensions import db
from panel.models import Agent, Command, ProxyHost, User
from tests.conftest import login, store
from tests.jobs import Line, Make, add_job

APPLY: list[Line] = [
    (0.2, "fetch", "stage", "Fetch files"),
    (0.3, "test", "stage", "Test"),
    (1.1, "test", "ok", "test is successful"),
    (1.2, "switch", "stage", "Switch"),
    (1.3, "reload", "stage", "Reload"),
    (1.5, "prove", "stage", "Prove"),
    (2.2, "prove", "ok", "Only revision 8f3ab2c1 answers"),
]
REFUSED = {"path": "hosts/1-app.example.com.conf", "line": 14, "text": 'invalid port in upstream "10.0.0.4:99999"'}
HOSTILE = '<script>alert(1)</script><hx-partial hx-target="#main">x</hx-partial><b onclick="x">'


@pytest.fixture
def make(app: Flask, agent: Agent) -> Make:
    """Stores a job with output and gives its id."""
    return partial(add_job, app, agent, took=2.4)


@pytest.fixture
def page(client: FlaskClient, alice: User) -> Callable[[str], BeautifulSoup]:
    """Opens a page as an administrator."""
    login(client, alice)

    def open_page(path: str) -> BeautifulSoup:
        response = client.get(path)
        assert response.status_code == 200
        return BeautifulSoup(response.text, "html.parser")

    return open_page


Page = Callable[[str], BeautifulSoup]


def test_a_finished_apply_shows_real_durations_and_no_stream(page: Page, make: Make) -> None:
    soup = page(f"/jobs/{make('apply_config', 'succeeded', APPLY, result={'revision': '8f3ab2c1' * 8})}")
    steps = [(step.select_one(".t"), step.select_one(".el")) for step in soup.select(".steps li")]
    assert [(name.text.split(": ")[1], time.text) for name, time in steps if name and time] == [
        ("Send to local", "200 ms"),
        ("Fetch files", "100 ms"),
        ("Test with nginx", "900 ms"),
        ("Switch to the new files", "100 ms"),
        ("Reload nginx", "200 ms"),
        ("Prove that it is live", "700 ms"),
    ]
    assert "Succeeded in 2.2 s" in soup.select_one("#status").text  # type: ignore[union-attr]
    assert "8f3ab2c18f3a" in soup.select_one("#facts").text  # type: ignore[union-attr]
    assert soup.select_one("#lines[hx-sse\\:connect]") is None
    assert len(soup.select("#lines .ln")) == len(APPLY)


def test_a_running_job_is_followed_from_its_last_line(page: Page, make: Make) -> None:
    command_id = make("apply_config", "running", APPLY[:5])
    soup = page(f"/jobs/{command_id}")
    lines = soup.select_one("#lines")
    assert lines is not None
    assert str(lines["hx-sse:connect"]).startswith(f"/jobs/{command_id}/stream?after=5&seen=")
    now = soup.select_one(".steps [aria-current=step]")
    assert now is not None
    assert "In progress: Reload nginx" in now.text
    assert soup.select_one("#live") is None
    assert "You can leave this page" in soup.text


def test_a_job_of_an_absent_agent_says_what_it_waits_for(page: Page, make: Make) -> None:
    soup = page(f"/jobs/{make('reload', 'queued')}")
    assert "local is not connected. The job starts when it comes back." in soup.text
    assert "Cancel job" in soup.text
    assert "Retry" not in soup.text


def test_hostile_output_is_text(client: FlaskClient, alice: User, make: Make) -> None:
    command_id = make("test_config", "failed", [(0.1, "test", "error", HOSTILE)], reason="FAILED", error=HOSTILE)
    login(client, alice)
    for path in (f"/jobs/{command_id}", "/jobs"):
        text = client.get(path).text
        assert "<script>alert" not in text
        assert '<hx-partial hx-target="#main"' not in text
        assert "&lt;script&gt;" in text
    download = client.get(f"/jobs/{command_id}/output.txt")
    assert download.mimetype == "text/plain"
    assert download.headers["Content-Disposition"].startswith("attachment")
    assert HOSTILE in download.text


def test_a_refused_file_names_host_line_field_and_what_went_on(
    app: Flask, page: Page, make: Make, agent: Agent
) -> None:
    lines = [*APPLY[:2], (0.9, "test", "error", REFUSED["text"])]
    result = {"failed_stage": "test", "file_errors": [REFUSED]}
    command_id = make("apply_config", "failed", lines, reason="FAILED", error="nginx refused one.", result=result)
    host = ProxyHost(agent_id=agent.id, domain_names=["app.example.com"], forward_host="10.0.0.4", forward_port=99)
    host.id, host.refused_command_id, host.refused_field, host.refused_generation = 1, command_id, "forward_port", 0
    store(app, host)
    next_id = make("apply_config", "succeeded", APPLY, seq=2)
    card = page(f"/jobs/{command_id}").select_one("#outcome")
    assert card is not None
    assert "app.example.com" in card.text
    assert str(REFUSED["text"]) in card.text
    assert "line 14" in card.text
    assert card.select_one('a[href="/hosts/1/edit#forward_port"]')
    assert card.select_one(f'a[href="/jobs/{next_id}"]')


@pytest.mark.parametrize(
    ("values", "title", "affected"),
    [
        ({"error": "nginx is not running."}, "nginx is not running", "are down"),
        ({"error": "bind() to 0.0.0.0:80 failed (98: Address already in use)", "result": {"rolled_back": True}},
         "A port is used by another program", "put back and proved"),
        ({"state": "expired", "reason": "EXPIRED"}, "The agent did not take the job in time", "nothing was sent"),
        ({"reason": "INTERRUPTED", "outcome_known": False}, "Nobody knows how it ended", "never half of one"),
        ({"reason": "LOST", "outcome_known": False}, "Nobody knows how it ended", "never half of one"),
        ({"reason": "TIMEOUT"}, "It took too long", "may still report"),
        ({"reason": "UNSUPPORTED"}, "The agent does not know this job", "nothing was done"),
        ({"error": "x", "result": {"degraded": True, "rolled_back": True}}, "could not be put back", "may be affected"),
        ({"error": "no space left on device"}, "It failed", "keeps serving what it served before"),
        ({"result": {"file_errors": [{**REFUSED, "path": "http.conf"}]}}, "refused a file of the panel", "Nothing"),
    ],
)  # fmt: skip
def test_each_failure_says_what_who_and_what_next(
    page: Page, make: Make, values: dict[str, Any], title: str, affected: str
) -> None:
    state = values.pop("state", "failed")
    card = page(f"/jobs/{make('apply_config', state, APPLY[:3], **{'reason': 'FAILED', **values})}").select_one(
        "#failure"
    )
    assert card is not None
    assert card["role"] == "alert"
    assert title in card.text
    assert affected in card.text
    assert card.select("ol.next li")


def test_an_unknown_outcome_is_neither_success_nor_failure(page: Page, make: Make) -> None:
    command_id = make("apply_config", "failed", APPLY[:5], reason="INTERRUPTED", outcome_known=False)
    status = page(f"/jobs/{command_id}").select_one("#status")
    assert status is not None
    assert "Outcome unknown" in status.text


def test_retry_makes_one_new_job_however_often_it_is_pressed(
    app: Flask, client: FlaskClient, alice: User, make: Make
) -> None:
    command_id = make("reload", "failed", reason="FAILED")
    login(client, alice)
    first, second = (client.post(f"/jobs/{command_id}/retry") for _ in range(2))
    assert first.status_code == 303
    assert first.location == second.location != f"/jobs/{command_id}"
    assert client.get(first.location).status_code == 200


def test_a_queued_job_can_be_cancelled(app: Flask, client: FlaskClient, alice: User, make: Make) -> None:
    command_id = make("reload", "queued")
    login(client, alice)
    assert client.post(f"/jobs/{command_id}/cancel").status_code == 303
    assert "Cancelled" in client.get(f"/jobs/{command_id}").text
    assert client.post(f"/jobs/{command_id}/cancel").status_code == 409
    with app.app_context():
        assert db.session.get_one(Command, command_id).state == "cancelled"


def test_viewers_see_no_buttons(client: FlaskClient, charlie: User, make: Make) -> None:
    login(client, charlie)
    text = client.get(f"/jobs/{make('reload', 'queued')}").text
    assert "Cancel job" not in text


def test_the_list_filters_by_kind_and_result(page: Page, make: Make) -> None:
    make("reload", "succeeded")
    make("apply_config", "failed", reason="FAILED", seq=2)
    make("apply_config", "expired", seq=3)
    assert len(page("/jobs").select("tbody tr")) == 3
    assert len(page("/jobs?kind=reload").select("tbody tr")) == 1
    assert len(page("/jobs?state=failed").select("tbody tr")) == 2
    assert "No job matches" in page("/jobs?kind=check_nginx&state=open").text


def test_the_list_has_pages_and_any_number_is_safe(page: Page, make: Make) -> None:
    for number in range(60):
        make("reload", "succeeded", seq=number)
    soup = page("/jobs?state=succeeded")
    assert "1 to 25 of 60" in soup.text
    following = soup.select_one("a[rel=next]")
    assert following is not None
    assert len(page(str(following["href"])).select("tbody tr")) == 25
    for wild in ("0", "-1", "999999999999999999999", "x", "1e9", ""):
        assert page(f"/jobs?page={wild}").select("tbody tr")


@pytest.mark.parametrize("query", ["kind=rm+-rf", "state='--", "agent=%00", "kind[]=x"])
def test_a_filter_that_does_not_exist_selects_nothing_wrong(page: Page, query: str) -> None:
    assert page(f"/jobs?{query}").select_one("h1")


def test_an_empty_list_teaches(page: Page) -> None:
    assert "Nothing has run yet" in page("/jobs").text


def test_htmx_gets_the_rows_only(client: FlaskClient, alice: User, make: Make) -> None:
    login(client, alice)
    make("reload", "succeeded")
    response = client.get("/jobs", headers={"HX-Request": "true"})
    assert "<html" not in response.text
    assert 'id="rows"' in response.text
    assert "HX-Request" in response.headers["Vary"]
