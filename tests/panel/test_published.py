"""The panel behind its own nginx: HTTP/2 over TLS, the visitor's real address, secure cookies and a live stream."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import select

from panel.app import create_app
from panel.config import Config
from panel.extensions import db, transaction
from panel.models import Agent, BrowserSession, Certificate, Role, User
from panel.models.types import utcnow
from panel.services import deployments, publishing
from tests.conftest import PASSWORD, PASSWORD_HASH
from tests.panel.nginx.servers import Nginx, free_port, make_certificate, nginx_version
from tests.panel.test_serve import environment, serving

NAME, VISITOR = "panel.example.com", "127.0.0.33"


@dataclass(frozen=True)
class Visitor:
    """Somebody with curl at an address of their own."""

    url: str
    jar: Path

    def curl(self, path: str, *options: str) -> list[str]:
        """The command that asks for a page by its public name."""
        port = self.url.rpartition(":")[2]
        known = ["--resolve", f"{NAME}:{port}:127.0.0.1", "--interface", VISITOR, "-b", self.jar, "-c", self.jar]
        command = ["curl", "-sSk", "--http2", "--max-time", "60", "--noproxy", "*", *known, *options]
        return [*map(str, command), f"{self.url}{path}"]

    def ask(self, path: str, *options: str) -> str:
        """Head and body of the answer."""
        return subprocess.run(self.curl(path, "-i", *options), check=True, capture_output=True, text=True).stdout

    def post(self, path: str, page: str, **fields: str) -> str:
        """Sends a form with the token that `page` has."""
        found = re.search(r'name="csrf_token"[^>]* value="([^"]+)"', page)
        assert found, page
        pairs = {"csrf_token": found[1], **fields}
        data = [part for name, value in pairs.items() for part in ("--data-urlencode", f"{name}={value}")]
        return self.ask(path, "-e", f"{self.url}{path}", *data)


@pytest.fixture
def published(tmp_path: Path) -> Iterator[tuple[Visitor, Config]]:
    """A panel as the page about publishing says that it is to be started, and nginx with the host that it makes."""
    proxied = {"PANEL_TRUSTED_PROXIES": "1", "PANEL_SECURE_COOKIES": "1"}
    env = environment(tmp_path / "panel", **proxied)
    with serving(env) as (_process, address):
        config = Config.from_env({**env, "PANEL_PORT": address.rpartition(":")[2]})
        app = create_app(config)
        with app.app_context():
            agent = publish(tmp_path, config)
            bundle, url = deployments.bundle(agent), f"https://{NAME}:{agent.https_port}"
            db.session.remove()
            db.engine.dispose()
        nginx = Nginx(tmp_path / "nginx", bundle)
        try:
            yield Visitor(url, tmp_path / "cookies"), config
        finally:
            nginx.stop()


def publish(folder: Path, config: Config) -> Agent:
    """The host with a certificate, by the service that the button calls."""
    files = make_certificate(folder / "live")
    facts = {"nginx_version": ".".join(map(str, nginx_version())), "letsencrypt_dir": str(folder)}
    with transaction():
        ports = {"http_port": free_port(), "https_port": free_port()}
        agent = Agent(id="a", name="local", joined_at=utcnow(), hostname="elsewhere", **ports, **facts)
        names = {"name": NAME, "domain_names": [NAME], "reported_names": [NAME]}
        paths = {"chain_path": files.chain, "key_path": files.key, "is_present": True}
        certificate = Certificate(agent_id="a", **names, **paths)
        db.session.add_all([agent, User(username="ada", password_hash=PASSWORD_HASH, role=Role.ADMINISTRATOR)])
        db.session.flush()
        db.session.add(certificate)
        db.session.flush()
        host, _ = publishing.publish(publishing.spec("a", NAME, "127.0.0.1", config.port), None)
        host.certificate_id, host.force_ssl = certificate.id, True
    return agent


def test_the_panel_works_through_its_own_host(published: tuple[Visitor, Config]) -> None:
    visitor, config = published
    form = visitor.ask("/login")
    assert form.startswith("HTTP/2 200")
    answer = visitor.post("/login", form, username="ada", password=PASSWORD)
    assert answer.startswith(("HTTP/2 302", "HTTP/2 303"))
    cookies = re.findall(r"^set-cookie: (\w+)=.*$", answer, re.MULTILINE)
    assert {"waypost", "waypost_device"} <= set(cookies)
    assert all("Secure" in line for line in re.findall(r"^set-cookie: .*$", answer, re.MULTILINE))
    page = visitor.ask("/")
    assert page.startswith("HTTP/2 200")
    assert address_of_session(config) == VISITOR
    assert f"You look through nginx now, and the panel sees you as {VISITOR}." in visitor.ask("/settings/publish")
    stream = visitor.curl("/live?topics=overview", "-i", "-N", "-H", "Accept: text/event-stream")
    with subprocess.Popen(stream, stdout=subprocess.PIPE, text=True) as live:
        assert live.stdout
        try:
            assert live.stdout.readline().startswith("HTTP/2 200")
            assert any("hx-partial" in line for line in live.stdout)
            hidden = visitor.post("/first-steps/hide", page)
            assert hidden.startswith("HTTP/2 303")
            # It arrives while the answer goes on: nothing between the two collects it.
            assert any(line == "event: news\n" for line in live.stdout)
        finally:
            live.kill()


def address_of_session(config: Config) -> str:
    app = create_app(config)
    with app.app_context():
        found = db.session.scalars(select(BrowserSession.address)).one()
        db.session.remove()
        db.engine.dispose()
    return found
