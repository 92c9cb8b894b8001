"""What a first and a warm visit of each main page load, with headers and the first message of the page's stream."""

from __future__ import annotations

import gzip
import html
import re
from collections.abc import Callable
from uuid import uuid4

import gevent
import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.wrappers import Response

from panel.extensions import db, transaction
from panel.models import Agent, Command, CommandOutput, User
from panel.models.types import utcnow
from panel.services import proxy_hosts
from tests.certificates import add_certificate
from tests.conftest import login
from tests.hosts import add_host, make_live

FIRST, REQUESTS, WARM = 100 * 1024, 12, 8 * 1024
HOSTS, CERTIFICATES = 25, 25
PAGES = {
    "overview": "/",
    "hosts": "/hosts",
    "host": "/hosts/1",
    "edit": "/hosts/1/edit",
    "certificates": "/certificates",
    "certificate": "/certificates/1",
    "job": "/jobs/{job}",
    "running job": "/jobs/{running}",
}
# Bytes of the status line and of what the web server adds to the headers; a stream comes in chunks.
BY_SERVER, BY_SERVER_TO_STREAM = 54, 92


@pytest.fixture
def job_ids(app: Flask, agent: Agent) -> dict[str, str]:
    """A full page of hosts and of certificates, each another; a job that failed and one that runs."""
    for number in range(HOSTS):
        add_host(app, agent, f"service-{number * 7}.team-{number % 4}.example.com", host=f"10.0.{number % 3}.{number}")
    for number in range(CERTIFICATES):
        add_certificate(app, agent, f"service-{number * 7}.team-{number % 4}.example.com", left=90 - 3 * number)
    make_live(app, agent)
    with app.app_context(), transaction():
        for number in range(1, HOSTS + 1):
            host = proxy_hosts.get(number)
            host.changed_at = host.changed_at.replace(hour=number % 24, minute=2 * number, second=59 - number)
            host.certificate_id = number if number % 3 else None
    return {state: add_job(app, agent, state) for state in ("failed", "running")}


def add_job(app: Flask, agent: Agent, state: str) -> str:
    """A job of this state with its output."""
    now, job_id = utcnow(), str(uuid4())
    with app.app_context(), transaction():
        job = Command(id=job_id, agent_id=agent.id, seq=900 + len(state), kind="apply_config", state=state)
        job.created_at = job.acked_at = job.started_at = job.expires_at = now
        job.finished_at = now if state == "failed" else None
        job.error = "nginx -t failed." if state == "failed" else ""
        db.session.add(job)
        db.session.flush()
        for seq in range(1, 31):
            text = f"nginx: line {seq} of what it said about hosts/{seq}-service.conf"
            db.session.add(CommandOutput(command_id=job_id, seq=seq, at=now, stage="test", level="info", text=text))
    return job_id


@pytest.fixture
def load(client: FlaskClient, alice: User) -> Callable[[str], tuple[bytes, int]]:
    """Gets an address as a browser does: the body, and how much came over the wire."""
    login(client, alice)

    def load(url: str) -> tuple[bytes, int]:
        with client.get(url, headers={"Accept-Encoding": "gzip"}) as response:
            assert response.status_code == 200, url
            return text_of(response), len(response.data) + weight_of_head(response)

    load("/account")  # the session has its token then
    return load


def weight_of_head(response: Response) -> int:
    return len(str(response.headers)) + (BY_SERVER_TO_STREAM if response.is_streamed else BY_SERVER)


def text_of(response: Response) -> bytes:
    return gzip.decompress(response.data) if response.headers.get("Content-Encoding") == "gzip" else response.data


def load_stream(client: FlaskClient, page: str) -> int:
    """What the stream of a page weighs until it waits for news."""
    found = re.findall(r'hx-sse:connect="([^"]+)"', page)
    assert len(found) == 1
    with client.get(html.unescape(found[0]), buffered=False) as response, gevent.Timeout(20):
        return len(next(response.iter_encoded())) + weight_of_head(response)


@pytest.mark.parametrize("name", PAGES)
def test_a_visit_is_light(
    client: FlaskClient, load: Callable[[str], tuple[bytes, int]], job_ids: dict[str, str], name: str
) -> None:
    body, weight = load(PAGES[name].format(job=job_ids["failed"], running=job_ids["running"]))
    page = body.decode()
    files = {html.unescape(url) for url in re.findall(r'(?:href|src)="(/static/[^"#]+)', page)}
    styles = load(next(url for url in files if "panel.css" in url))[0].decode()
    files |= {f"/static/{name}" for name in re.findall(r"url\(([^)]+)\)", styles)}
    asked = page.count('hx-trigger="load"')  # what a page asks for by itself
    warm = weight + load_stream(client, page)
    first = warm + sum(load(url)[1] for url in files)
    assert warm <= WARM
    assert first <= FIRST
    assert 2 + asked + len(files) <= REQUESTS
