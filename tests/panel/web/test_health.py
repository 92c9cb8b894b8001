"""What machines ask of the panel."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient

from panel import pki
from panel.config import Config
from panel.extensions import Vitals, db
from panel.models.types import utcnow
from panel.web.health import checks


@pytest.fixture(autouse=True)
def vital_signs(monkeypatch: pytest.MonkeyPatch) -> Vitals:
    fresh = Vitals()
    monkeypatch.setattr(checks, "vitals", fresh)
    return fresh


def test_a_panel_whose_parts_do_not_run_says_which(client: FlaskClient) -> None:
    answer = client.get("/healthz")
    assert answer.status_code == 503
    assert answer.get_json() == {
        "status": "unwell",
        "database": "ok",
        "stream_server": "not listening for agents",
        "clock": "has not started",
        "hub": "ok",
        "disk": "ok",
    }


def test_a_clock_that_stands_still_is_noticed(client: FlaskClient, vital_signs: Vitals) -> None:
    vital_signs.is_stream_listening = True
    vital_signs.clock_ticked_at = utcnow() - timedelta(seconds=40)
    assert client.get("/healthz").get_json()["clock"] == "stands still for 40 s"
    vital_signs.clock_ticked_at = utcnow()
    assert client.get("/healthz").status_code == 200


def test_an_agent_finds_the_ca_and_the_port_without_logging_in(client: FlaskClient, config: Config) -> None:
    assert client.get("/.well-known/waypost").status_code == 404
    authority = pki.open_authority(config.pki_dir, utcnow())
    known = client.get("/.well-known/waypost").get_json()
    assert known == {"ca_pem": authority.pem.decode(), "enroll_port": config.enroll_port}


def test_health_says_in_words_what_is_wrong(app: Flask, client: FlaskClient, vital_signs: Vitals) -> None:
    vital_signs.hub_lag = 7.25
    app.config["WAYPOST"] = replace(app.config["WAYPOST"], state_dir=app.config["WAYPOST"].state_dir / "gone")
    answer = client.get("/healthz")
    assert answer.status_code == 503
    assert answer.json is not None
    assert answer.json["status"] == "unwell"
    assert answer.json["database"] == "ok"
    assert answer.json["hub"] == "something kept the whole panel waiting for 7.2 s in the last half minute"
    assert answer.json["disk"] == "the state folder cannot be read (No such file or directory)"


def test_health_of_a_broken_database_is_said_too(app: Flask, client: FlaskClient) -> None:
    with app.app_context():
        db.engine.dispose()
        path = app.config["WAYPOST"].state_dir / "panel.sqlite3"
        path.write_bytes(b"this is no database" * 100)
        for rest in path.parent.glob("panel.sqlite3-*"):
            rest.unlink()
    answer = client.get("/healthz")
    assert answer.status_code == 503
    assert answer.json is not None
    assert answer.json["database"] == "does not answer"
