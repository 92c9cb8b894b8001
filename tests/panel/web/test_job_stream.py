"""The stream of a job: resumable, escaped, bounded, and over when the job is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from uuid import uuid4

import gevent
import pytest
from flask import Flask
from flask.testing import FlaskClient

from panel.extensions import db, stopping, transaction
from panel.models import Agent, Command, CommandState, User
from panel.models.types import utcnow
from panel.services import browser_sessions, commands, transitions
from panel.services.transitions import CommandOutcome, OutputLine
from panel.web.jobs import stream
from tests.conftest import login, store


@pytest.fixture
def command_id(app: Flask, agent: Agent) -> str:
    now = utcnow()
    command = Command(id=str(uuid4()), agent_id=agent.id, seq=1, kind="reload", state="running")
    command.started_at = command.acked_at = command.created_at = now
    command.expires_at = now
    return store(app, command).id


@pytest.fixture(autouse=True)
def _running_panel() -> Iterator[None]:
    yield
    stopping.clear()


def say(app: Flask, command_id: str, *texts: str) -> None:
    """What the agent's door does when lines arrive."""
    with app.app_context(), transaction():
        command = commands.get(command_id)
        first = command.last_output_seq + 1
        lines = [OutputLine(first + i, utcnow(), "reload", "info", text) for i, text in enumerate(texts)]
        transitions.append_output(command, lines, utcnow())


def end(app: Flask, command_id: str) -> None:
    with app.app_context(), transaction():
        transitions.finish(commands.get(command_id), CommandOutcome(CommandState.SUCCEEDED), utcnow())


def read(client: FlaskClient, command_id: str, last_event_id: str = "", query: str = "") -> str:
    headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": last_event_id} if last_event_id else {})
    with gevent.Timeout(20):
        response = client.get(f"/jobs/{command_id}/stream{query}", headers=headers)
        assert response.status_code == 200
        return response.text


def lines_of(text: str) -> list[str]:
    return re.findall(r"<span class=\"\w*\">(line [^<]*)</span>", text)


def ids_of(text: str) -> list[int]:
    return [int(number) for number in re.findall(r"^id: (\d+)$", text, re.MULTILINE)]


def test_lines_arrive_as_they_come_and_the_stream_ends_with_the_job(
    app: Flask, client: FlaskClient, alice: User, command_id: str
) -> None:
    login(client, alice)
    reader = gevent.spawn(read, client, command_id)
    for number in range(3):
        say(app, command_id, f"line {number}")
        gevent.sleep(0)
    end(app, command_id)
    text = reader.get(timeout=20)
    assert lines_of(text) == ["line 0", "line 1", "line 2"]
    assert ids_of(text) == sorted(ids_of(text))
    assert text.endswith("event: done\ndata: ok\n\n")
    assert '<hx-partial hx-target="#steps"' in text
    assert "Succeeded" in text


def test_a_client_that_comes_back_gets_what_it_missed_and_nothing_twice(
    app: Flask, client: FlaskClient, alice: User, command_id: str
) -> None:
    login(client, alice)
    say(app, command_id, *(f"line {number}" for number in range(1, 8)))
    end(app, command_id)
    assert lines_of(read(client, command_id, last_event_id="5")) == ["line 6", "line 7"]
    assert lines_of(read(client, command_id, query="?after=6")) == ["line 7"]
    assert lines_of(read(client, command_id, last_event_id="5", query="?after=2")) == ["line 6", "line 7"]


@pytest.mark.parametrize("cursor", ["x", "-3", "1e3", "9" * 40, "<b>"])
def test_a_cursor_that_is_none_starts_at_the_beginning(
    app: Flask, client: FlaskClient, alice: User, command_id: str, cursor: str
) -> None:
    login(client, alice)
    say(app, command_id, "line 1")
    end(app, command_id)
    assert lines_of(read(client, command_id, last_event_id=cursor)) == ["line 1"]


def test_a_late_client_gets_done_at_once(app: Flask, client: FlaskClient, alice: User, command_id: str) -> None:
    login(client, alice)
    say(app, command_id, "line 1")
    end(app, command_id)
    text = read(client, command_id, last_event_id="1")
    assert lines_of(text) == []
    assert text.endswith("event: done\ndata: ok\n\n")


def test_many_lines_travel_in_batches(app: Flask, client: FlaskClient, alice: User, command_id: str) -> None:
    login(client, alice)
    say(app, command_id, *(f"line {number}" for number in range(240)))
    end(app, command_id)
    text = read(client, command_id)
    assert len(lines_of(text)) == 240
    assert len(ids_of(text)) <= 240 / stream.BATCH_LINES + 2


def test_hostile_lines_stay_inside_their_message(app: Flask, client: FlaskClient, alice: User, command_id: str) -> None:
    login(client, alice)
    say(app, command_id, "evil\n\nevent: done\r\ndata: x", '<hx-partial hx-target="#main">', "a\u2028id: 99")
    end(app, command_id)
    text = read(client, command_id)
    assert text.count("event: done") == 2
    assert len(re.findall(r"^event: done", text, re.MULTILINE)) == 1
    assert '<hx-partial hx-target="#main">' not in text
    assert max(ids_of(text)) == 3
    for line in text.splitlines():
        assert re.match(r"(data|id|event|retry|): ?|$", line)


def test_the_headers_keep_proxies_from_holding_lines_back(
    app: Flask, client: FlaskClient, alice: User, command_id: str
) -> None:
    login(client, alice)
    end(app, command_id)
    with client.get(f"/jobs/{command_id}/stream", headers={"Accept-Encoding": "gzip"}) as response:
        assert response.mimetype == "text/event-stream"
        assert response.headers["Cache-Control"] == "no-store"
        assert response.headers["X-Accel-Buffering"] == "no"
        assert "Content-Encoding" not in response.headers
        assert "Set-Cookie" not in response.headers


def test_streams_end_when_the_panel_stops(client: FlaskClient, alice: User, command_id: str) -> None:
    login(client, alice)
    reader = gevent.spawn(read, client, command_id)
    gevent.sleep(0)
    stopping.set()
    assert "event: done" not in reader.get(timeout=5)


def test_a_stream_ends_with_its_session(app: Flask, client: FlaskClient, alice: User, command_id: str) -> None:
    login(client, alice)
    reader = gevent.spawn(read, client, command_id)
    gevent.sleep(0)
    with app.app_context(), transaction():
        browser_sessions.end_all(db.session.get_one(User, alice.id))
    say(app, command_id, "line 1")
    assert lines_of(reader.get(timeout=5)) == []


def test_an_open_stream_holds_no_database_connection(
    app: Flask, client: FlaskClient, alice: User, command_id: str
) -> None:
    login(client, alice)
    readers = [gevent.spawn(read, client, command_id) for _ in range(3)]
    gevent.sleep(0.3)
    with app.app_context():
        assert db.engine.pool.checkedout() == 0  # type: ignore[attr-defined]
    end(app, command_id)
    gevent.joinall(readers, timeout=10, raise_error=True)


def test_the_live_stream_sends_only_regions(app: Flask, client: FlaskClient, alice: User, command_id: str) -> None:
    login(client, alice)
    with client.get("/live?topics=jobs,unknown", headers={"Accept": "text/event-stream"}) as response:
        chunks = response.iter_encoded()
        with gevent.Timeout(10):
            assert "1<span" in next(chunks).decode()
            end(app, command_id)
            told, after = next(chunks).decode(), next(chunks).decode()
    assert told == "event: news\ndata: ok\n\n"
    assert re.match(r'id: \S+\ndata: <hx-partial hx-target="#job-pill"', after)
    assert "running" not in after


def test_a_form_in_a_region_is_no_news(app: Flask, client: FlaskClient, alice: User, command_id: str) -> None:
    app.config["WTF_CSRF_ENABLED"] = True
    login(client, alice)
    client.get("/account")
    reader = gevent.spawn(read, client, command_id)
    for number in range(2):
        say(app, command_id, f"line {number}")
        gevent.sleep(1.1)  # a CSRF token carries the second it was signed in
    end(app, command_id)
    actions = reader.get(timeout=20).count('hx-target="#actions"')
    assert actions == 2
