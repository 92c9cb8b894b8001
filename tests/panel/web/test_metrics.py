"""What operators watch, and who may."""

from __future__ import annotations

from dataclasses import replace

import pytest
from flask import Flask
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families

from panel.errors import Conflict
from panel.extensions import after_commit, db, transaction
from panel.models import Agent, Command, CommandKind, CommandState, User
from panel.models.types import utcnow
from panel.services import commands, transitions
from panel.services.transitions import CommandOutcome, OutputLine
from tests.conftest import PASSWORD

LOCAL = {"Host": "127.0.0.1:7800"}


def read(client: FlaskClient) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    answer = client.get("/metrics", headers=LOCAL)
    assert answer.status_code == 200
    families = text_string_to_metric_families(answer.text)
    return {(s.name, frozenset(s.labels.items())): s.value for family in families for s in family.samples}


def value(client: FlaskClient, name: str, **labels: str) -> float:
    return read(client).get((f"waypost_{name}", frozenset(labels.items())), 0.0)


def finish(app: Flask, agent: Agent) -> None:
    """A reload that was sent, reloaded and proved."""
    with app.app_context(), transaction():
        now = utcnow()
        row = db.session.get_one(Agent, agent.id)
        row.is_connected, row.session_epoch = True, 1
        commands.enqueue(row, CommandKind.RELOAD)
    with app.app_context(), transaction():
        command = transitions.claim_next(agent.id, 1, utcnow())
        assert command is not None
        lines = [OutputLine(1, now, "reload", "stage", "Reload"), OutputLine(2, now, "prove", "stage", "Prove")]
        transitions.append_output(command, lines, utcnow())
        transitions.finish(command, CommandOutcome(CommandState.SUCCEEDED), utcnow())


def test_ended_commands_are_counted_with_their_times(app: Flask, client: FlaskClient, agent: Agent) -> None:
    ended = {"kind": "reload", "result": "succeeded"}
    before = value(client, "commands_ended_total", **ended)
    runs = value(client, "command_run_seconds_count", kind="reload")
    proofs = value(client, "stage_seconds_count", kind="reload", stage="prove")
    finish(app, agent)
    assert value(client, "commands_ended_total", **ended) == before + 1
    assert value(client, "command_run_seconds_count", kind="reload") == runs + 1
    assert value(client, "stage_seconds_count", kind="reload", stage="prove") == proofs + 1


def _count_and_fail(counted: list[int]) -> None:
    after_commit("one", lambda: counted.append(1))
    raise Conflict("never mind")


def test_what_was_rolled_back_is_not_counted(app: Flask) -> None:
    counted: list[int] = []
    with app.app_context():
        with pytest.raises(Conflict), transaction():
            _count_and_fail(counted)
        with transaction():
            after_commit("two", lambda: counted.append(2))
            after_commit("two", lambda: counted.append(3))
            assert counted == []
    assert counted == [3]


def test_open_commands_and_agents_are_counted_when_asked(app: Flask, client: FlaskClient, agent: Agent) -> None:
    waiting = {"kind": "reload", "state": "queued"}
    assert value(client, "commands_open", **waiting) == 0
    with app.app_context(), transaction():
        command_id = commands.enqueue(db.session.get_one(Agent, agent.id), CommandKind.RELOAD).id
    assert value(client, "commands_open", **waiting) == 1
    assert value(client, "agents", status="offline") == 1
    with app.app_context(), transaction():
        db.session.delete(db.session.get_one(Command, command_id))
    assert value(client, "commands_open", **waiting) == 0


def test_requests_are_timed_by_route_and_strange_addresses_share_one(client: FlaskClient) -> None:
    for path in ("/hosts/1", "/hosts/2", "/what/is/this", "/and/that"):
        client.get(path)
    routes = {dict(labels).get("route") for (name, labels) in read(client) if name == "waypost_request_seconds_count"}
    assert {"/hosts/<int:host_id>", "none"} <= routes
    assert not any(route and "what" in route for route in routes)


def test_hashing_and_transactions_are_timed(client: FlaskClient, alice: User) -> None:
    hashed, committed = value(client, "hashing_seconds_count"), value(client, "transaction_seconds_count")
    client.post("/login", data={"username": alice.username, "password": PASSWORD})
    assert value(client, "hashing_seconds_count") > hashed
    assert value(client, "transaction_seconds_count") > committed
    assert value(client, "hashing_queue") == 0


@pytest.mark.parametrize(
    ("headers", "address"),
    [
        (LOCAL, "10.0.0.7"),
        (LOCAL | {"X-Forwarded-For": "127.0.0.1"}, "127.0.0.1"),
        (LOCAL | {"Forwarded": "for=127.0.0.1"}, "127.0.0.1"),
        ({"Host": "panel.example.com"}, "127.0.0.1"),
        ({"Host": "127.0.0.1.example.com"}, "127.0.0.1"),
    ],
)
def test_without_a_token_only_this_machine_may_read(client: FlaskClient, headers: dict[str, str], address: str) -> None:
    answer = client.get("/metrics", headers=headers, environ_base={"REMOTE_ADDR": address})
    assert answer.status_code == 403
    assert "PANEL_METRICS_TOKEN" in answer.text


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:7800", "[::1]:7800", "127.0.0.1:7800"])
def test_this_machine_may_read_without_a_token(client: FlaskClient, host: str) -> None:
    assert client.get("/metrics", headers={"Host": host}).status_code == 200


def test_with_a_token_it_is_asked_of_everybody(app: Flask, client: FlaskClient) -> None:
    app.config["WAYPOST"] = replace(app.config["WAYPOST"], metrics_token="open sesame")
    for given in ("", "Bearer", "Bearer open", "Basic open sesame", "Bearer open sesame!", "Bearer öpen"):
        answer = client.get("/metrics", headers=LOCAL | {"Authorization": given})
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"] == "Bearer"
    headers = {"Host": "panel.example.com", "Authorization": "Bearer open sesame", "X-Forwarded-For": "10.1.1.1"}
    assert client.get("/metrics", headers=headers, environ_base={"REMOTE_ADDR": "10.0.0.7"}).status_code == 200
