"""The socket proxy of the documentation lets the agent work, and lets nobody do more."""

from __future__ import annotations

import http.client
from pathlib import Path

import pytest

from agent.docker.attachments import Attachments
from agent.docker.engine import DockerRefused, Engine
from agent.docker.snapshot import Camera
from tests.docker.conftest import Yard
from tests.docker.engine import NGINX
from tests.docker.test_attachments import Following
from tests.product import ROOT, fetch, free_ports, wait_until


@pytest.fixture
def port(yard: Yard, docker_host: str) -> int:
    """Where it listens."""
    (port,) = free_ports(1)
    conf = ROOT / "docs" / "docker-socket-proxy.conf"
    files = (
        "-v",
        f"{conf}:/etc/nginx/nginx.conf:ro",
        "-v",
        f"{docker_host.removeprefix('unix://')}:/var/run/docker.sock",
    )
    options = (*files, "-p", f"127.0.0.1:{port}:2375")
    yard.container("proxy", "nginx", "-g", "daemon off;", image=NGINX, options=options)
    wait_until(lambda: _answers(port), "the proxy answers")
    return port


def _answers(port: int) -> bool:
    try:
        return fetch(port, path="/version").status == 200
    except (OSError, http.client.HTTPException):
        return False


def test_the_agent_works_through_it(port: int, yard: Yard, tmp_path: Path) -> None:
    engine = Engine(f"tcp://127.0.0.1:{port}")
    nginx = yard.container("nginx", image=NGINX, options=("--network", yard.network("front")))
    back = yard.network("back")
    attachments = Attachments(tmp_path / "attachments.json", engine, nginx)
    following = Following(engine, attachments)
    try:
        attachments.attach(back)
        yard.docker("network", "disconnect", back, nginx)
        following.wait_until_joined(engine, nginx, back)
    finally:
        following.stop()
    snapshot = Camera(engine, nginx, "").look()
    assert snapshot.nginx is not None
    assert snapshot.nginx.endpoint(back) is not None
    assert engine.run(snapshot.nginx, ["echo", "hello"], 5.0) == (0, b"hello\n")
    assert any(process.title.startswith("nginx: master") for process in engine.processes(snapshot.nginx))
    engine.signal(snapshot.nginx, "HUP")
    attachments.detach(back)


REFUSED = [
    ("POST", "/containers/create"),
    ("GET", "/v1.41/images/json"),
    ("POST", "/v1.41/images/create"),
    ("GET", "/secrets"),
    ("POST", "/containers/abc/start"),
    ("DELETE", "/containers/abc"),
    ("GET", "/containers/abc/archive"),
    ("POST", "/networks/create"),
    ("POST", "/containers/../images/create"),
    ("POST", "/networks/x/../../containers/create"),
    ("POST", "/containers/abc%2f..%2f..%2fcreate/exec"),
]


def test_nobody_may_do_more(port: int) -> None:
    assert {call: _status(port, *call) for call in REFUSED} == dict.fromkeys(REFUSED, 403)


def _status(port: int, method: str, path: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path)
        return connection.getresponse().status
    finally:
        connection.close()


def test_what_it_refuses_is_told_in_its_words(port: int, docker_host: str) -> None:
    engine = Engine(f"tcp://127.0.0.1:{port}")
    container = engine.containers()[0]
    with pytest.raises(DockerRefused, match="socket proxy does not allow"):
        engine.logs(container, 1)
