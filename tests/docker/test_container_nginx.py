"""The same applies as for a local nginx, with one in a container that shares nothing with the agent but a folder."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.config import AgentConfig
from agent.docker.engine import Engine
from agent.journal import Journal
from agent.nginx.apply import Applier
from agent.nginx.container import ContainerNginx
from agent.nginx.layout import Layout
from agent.nginx.setup import prepare
from tests.agent.conftest import Bench, host, wait_for
from tests.docker.conftest import Yard
from tests.docker.engine import NGINX


class ContainerBench(Bench):
    """A bench whose nginx is a container."""

    def get(self, name: str) -> tuple[int, str]:
        """Asks the container's own address."""
        with socket.create_connection((self.nginx.address(), self.config.http_port), timeout=5) as connection:
            connection.sendall(f"GET / HTTP/1.0\r\nHost: {name}\r\n\r\n".encode())
            data = b"".join(iter(lambda: connection.recv(65536), b""))
        head, _, body = data.partition(b"\r\n\r\n")
        return int(head.split()[1]), body.decode()


def start_nginx(yard: Yard, config: AgentConfig) -> None:
    """As compose.yaml does it: the folder at the same path, nginx as the first process."""
    conf = Layout(config.nginx_dir).conf
    folder = ("-v", f"{config.state_dir}:{config.state_dir}")
    command = ("nginx", "-c", str(conf), "-g", "daemon off;")
    yard.container("nginx", *command, image=NGINX, options=("--network", yard.name("front"), *folder))


@pytest.fixture
def bench(config: AgentConfig, docker_host: str, yard: Yard) -> Iterator[ContainerBench]:
    """A prepared agent on a bare machine, beside a running container."""
    prepare(config)
    yard.network("front")
    start_nginx(yard, config)
    layout = Layout(config.nginx_dir)
    journal = Journal(config.journal_path)
    nginx = ContainerNginx(config, layout, Engine(docker_host))
    made = ContainerBench(config, layout, journal, nginx, Applier(config, layout, nginx, journal, patience=5.0))
    wait_for(nginx.revision)
    yield made
    journal.close()


def test_an_apply_is_tested_loaded_and_proved(bench: ContainerBench) -> None:
    outcome = bench.apply({"1-a.example": host(bench.config, "a.example")})
    assert (outcome.error, outcome.rolled_back) == ("", False)
    assert bench.get("a.example") == (200, "hello")
    assert bench.nginx.revision() == outcome.revision


def test_facts_are_those_of_the_container(bench: ContainerBench) -> None:
    facts = bench.nginx.facts()
    assert facts.running
    assert facts.problem == ""
    assert facts.version in bench.nginx.build()[0]
    assert any(module.startswith("with-http_ssl") for module in facts.modules)


def test_a_refused_file_changes_nothing_and_is_named(bench: ContainerBench) -> None:
    bench.apply({"1-a.example": host(bench.config, "a.example", "kept")})
    broken = (
        f"server {{\n    listen {bench.config.http_port};\n    server_name a.example;\n    proxy_pass_header;\n}}\n"
    )
    outcome = bench.apply({"1-a.example": broken}, "c2")
    assert outcome.failed_stage == "test"
    assert [error.path for error in outcome.file_errors] == ["hosts/1-a.example.conf"]
    assert bench.get("a.example") == (200, "kept")


def test_a_refused_reload_is_rolled_back_with_nginx_own_words(
    bench: ContainerBench, yard: Yard, tmp_path: Path
) -> None:
    good = bench.apply({"1-a.example": host(bench.config, "a.example", "kept")})
    thief = tmp_path / "thief.conf"
    thief.write_text("pid /tmp/thief.pid; events {} http { server { listen 443; } }")
    options = ("--network", f"container:{yard.name('nginx')}", "-v", f"{thief}:/thief.conf:ro")
    yard.container("thief", "nginx", "-c", "/thief.conf", "-g", "daemon off;", image=NGINX, options=options)
    wait_for(lambda: _answers(bench.nginx.address(), 443))
    outcome = bench.apply({"1-a.example": host(bench.config, "a.example", "new", 443)}, "c2")
    assert outcome.rolled_back
    assert "Address already in use" in outcome.error
    assert outcome.revision == good.revision
    assert bench.get("a.example") == (200, "kept")


def test_a_container_made_again_serves_what_was_applied(bench: ContainerBench, yard: Yard) -> None:
    outcome = bench.apply({"1-a.example": host(bench.config, "a.example")})
    yard.docker("rm", "-f", yard.name("nginx"))
    start_nginx(yard, bench.config)
    wait_for(lambda: bench.nginx.revision() == outcome.revision)
    assert bench.get("a.example") == (200, "hello")
    assert bench.apply({"1-a.example": host(bench.config, "a.example", "new")}, "c2").error == ""


def test_a_restart_in_the_middle_of_nothing_is_survived(bench: ContainerBench, yard: Yard) -> None:
    outcome = bench.apply({"1-a.example": host(bench.config, "a.example")})
    yard.docker("restart", "-t", "1", yard.name("nginx"))
    wait_for(lambda: bench.nginx.revision() == outcome.revision)
    assert bench.apply({"1-a.example": host(bench.config, "a.example", "new")}, "c2").error == ""
    assert bench.get("a.example") == (200, "new")


def test_a_stopped_container_gives_a_sentence_that_says_what_to_do(bench: ContainerBench, yard: Yard) -> None:
    yard.docker("stop", "-t", "1", yard.name("nginx"))
    wait_for(lambda: bench.nginx.facts().problem)
    assert f"docker start {yard.name('nginx')}" in bench.nginx.facts().problem
    outcome = bench.apply({"1-a.example": host(bench.config, "a.example")})
    assert "not running in the container" in outcome.error


def test_names_of_containers_are_upstreams(bench: ContainerBench, yard: Yard) -> None:
    bench.apply({})
    yard.container("shop", "nginx", "-g", "daemon off;", image=NGINX, options=("--network", yard.name("front")))
    to = f"set $upstream_host {yard.name('shop')}; proxy_pass http://$upstream_host:80;"
    text = f"server {{\n    listen 80;\n    server_name a.example;\n    location / {{ {to} }}\n}}\n"
    assert bench.apply({"1-a.example": text}, "c2").error == ""
    wait_for(lambda: bench.get("a.example")[0] == 200)


def test_when_the_workers_began_is_known(bench: ContainerBench) -> None:
    assert time.time() - bench.nginx.serving_since() < 60


@pytest.mark.skipif(os.geteuid() != 0, reason="the agent of a container setup is root")
def test_the_log_is_set_aside_when_it_grows(bench: ContainerBench) -> None:
    with bench.layout.error_log.open("ab") as log:
        log.truncate(17 << 20)
    bench.nginx.rotate_log()
    wait_for(lambda: bench.layout.error_log.exists() and bench.layout.error_log.stat().st_size < 1 << 20)


def _answers(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), timeout=1).close()
    except OSError:
        return False
    return True
