"""Browsers that open streams and do not read them: they are closed, cost nothing, and nobody else notices."""

from __future__ import annotations

import re
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import psutil
import pytest
from flask import Flask
from sqlalchemy import insert

from panel.app import create_app
from panel.config import Config
from panel.extensions import db, transaction
from panel.models import Agent, Command, CommandOutput, CommandState, Role, User
from panel.models.types import utcnow
from panel.services import browser_sessions
from panel.services.browser_sessions import Visit
from panel.web import sse
from tests.panel.test_serve import environment, get, serving
from tests.product import wait_until

LINES, PEOPLE, STREAMS = 8000, 8, 200
WORDS = "x" * 500


@dataclass(frozen=True)
class Site:
    """A running panel with a job that has said a lot, and people's cookies."""

    process: subprocess.Popen[str]
    address: str
    app: Flask
    command_id: str
    cookies: list[str]

    def open(self, cookie: str, path: str = "") -> socket.socket:
        """Asks for the job's stream (or `path`), and reads nothing."""
        parts = urlsplit(self.address)
        assert parts.port
        browser = socket.create_connection((parts.hostname, parts.port), timeout=30)
        lines = (
            f"GET {path or f'/jobs/{self.command_id}/stream'} HTTP/1.1",
            f"Host: {parts.netloc}",
            f"Cookie: waypost={cookie}",
            "Accept: text/event-stream",
        )
        browser.sendall("\r\n".join((*lines, "", "")).encode())
        return browser

    def measure(self, name: str) -> float:
        found = re.search(rf"^waypost_{re.escape(name)} (\S+)$", get(f"{self.address}/metrics")[1], re.MULTILINE)
        return float(found.group(1)) if found else 0.0

    def resident(self) -> float:
        """MiB."""
        return float(psutil.Process(self.process.pid).memory_info().rss) / (1 << 20)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    env = environment(tmp_path)
    with serving(env) as (process, address):
        app = create_app(Config.from_env(env))
        with app.app_context():
            command_id, cookies = fill(app)
        yield Site(process, address, app, command_id, cookies)
        with app.app_context():
            db.engine.dispose()


def fill(app: Flask) -> tuple[str, list[str]]:
    """A job that runs and has said four megabytes, and people; its id and their cookies."""
    command_id, now = str(uuid4()), utcnow()
    people = [User(username=f"person-{n}", password_hash="x", role=Role.OPERATOR) for n in range(PEOPLE)]
    with transaction():
        db.session.add_all([Agent(id="a", name="a", joined_at=now), *people])
        db.session.flush()
        times = {"created_at": now, "sent_at": now, "acked_at": now, "started_at": now, "expires_at": now}
        command = Command(id=command_id, agent_id="a", seq=1, kind="reload", state=CommandState.RUNNING, **times)
        command.last_output_seq, command.run_timeout = LINES, 3600.0
        db.session.add(command)
        db.session.flush()
        texts = [{"seq": number, "text": f"{number} {WORDS}"} for number in range(1, LINES + 1)]
        db.session.execute(insert(CommandOutput), [{"command_id": command_id, "at": now, **text} for text in texts])
    serializer = app.session_interface.get_signing_serializer(app)  # type: ignore[attr-defined]
    return command_id, [str(serializer.dumps(log_in(user))) for user in people]


def log_in(user: User) -> dict[str, object]:
    """What the cookie of a login holds."""
    with transaction():
        key = browser_sessions.start(user, Visit("127.0.0.1", "a test"), by="a test")
    return {"_user_id": user.get_id(), "_fresh": True, "key": key}


def test_two_hundred_readers_that_are_stuck_are_closed_and_nobody_else_waits_for_them(site: Site) -> None:
    before = site.resident()
    with ExitStack() as stack:
        for number in range(STREAMS):
            stack.enter_context(site.open(site.cookies[number % PEOPLE]))
        wait_until(lambda: site.measure("browser_streams") == STREAMS, "all streams are open")
        asked = 0
        while site.measure('browser_streams_ended_total{how="slow"}') < STREAMS:
            assert get(f"{site.address}/login")[0] == 200
            asked += 1
            time.sleep(0.05)  # a person's pace
            assert asked < 2000
        assert site.measure("browser_streams") == 0
    assert asked > 5
    # Each had megabytes to read, and was owed no more than its piece of the system's memory.
    assert site.resident() - before < 60
    assert get(f"{site.address}/healthz")[0] == 200


def test_a_person_has_a_limited_number_of_streams_and_is_told_so(site: Site) -> None:
    with ExitStack() as stack:
        for _ in range(sse.MOST_PER_PERSON):
            stack.enter_context(site.open(site.cookies[0], "/live?topics=jobs"))
        wait_until(lambda: site.measure("browser_streams") == sse.MOST_PER_PERSON, "all are open")
        with site.open(site.cookies[0], "/live?topics=jobs") as one_more:
            answer = one_more.recv(65536).decode()
        assert answer.startswith("HTTP/1.1 429 ")
        assert "Retry-After: 60" in answer
        with site.open(site.cookies[1], "/live?topics=jobs") as of_another:
            assert of_another.recv(65536).startswith(b"HTTP/1.1 200 ")
    wait_until(lambda: site.measure("browser_streams") == 0, "those who left are noticed at once", timeout=5)
    with site.open(site.cookies[0], "/live?topics=jobs") as again:
        assert again.recv(65536).startswith(b"HTTP/1.1 200 ")


def test_a_slow_reader_gets_everything(site: Site) -> None:
    with site.open(site.cookies[0], f"/jobs/{site.command_id}/stream?after={LINES - 400}") as browser:
        received = b""
        while f"{LINES} {WORDS}".encode() not in received:
            received += browser.recv(4096)
            time.sleep(0.002)  # slow, but never still
    assert site.measure('browser_streams_ended_total{how="slow"}') == 0
